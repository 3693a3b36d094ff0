"""The networks of timm and torchvision by name, with the options that each of them takes."""

from __future__ import annotations

import inspect
import warnings
from difflib import get_close_matches
from typing import TYPE_CHECKING, Any

import torch

from vitscope.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from torch import nn

__all__ = ["build_foreign", "check_foreign", "is_foreign", "resolve_foreign"]

# What the options of a run are called there.
_NAMES = {
    "timm": {
        "classes": "num_classes",
        "image_size": "img_size",
        "channels": "in_chans",
        "dropout": "drop_rate",
        "attention_dropout": "attn_drop_rate",
        "drop_path": "drop_path_rate",
    },
    "torchvision": {
        "classes": "num_classes",
        "image_size": "image_size",
        "dropout": "dropout",
        "attention_dropout": "attention_dropout",
        "drop_path": "stochastic_depth_prob",
    },
}
_OF_THE_DATA = ("classes", "image_size", "channels")
_LARGEST_SIDE = 1024
_SIZE = "set data.image_size, or leave it out for the model's own size"


def is_foreign(name: str) -> bool:
    """Tell whether a model's name is `timm:NAME` or `torchvision:NAME`."""
    library, colon, _ = name.partition(":")
    return bool(colon) and library in _NAMES


def resolve_foreign(name: str, given: Mapping[str, Any]) -> dict[str, Any]:
    """Return the arguments that rebuild a network of another library, once it was seen to work with them.

    It is built without memory and shown two images without content: sizes that do not fit show there.

    Args:
        name: `timm:NAME` or `torchvision:NAME`; a tag after a dot says whose weights are meant.
        given: `classes`, `image_size`, `channels`, and `dropout`, `attention_dropout`, `drop_path` where the
            network takes them; None is the library's default.

    Raises:
        InputError: There is no such network, or it does not work with the options.
    """
    chosen = {key: value for key, value in given.items() if value is not None}
    with torch.device("meta"):
        network = build_foreign(name, chosen)
        _check_patches(name, network, chosen["image_size"])
        images = torch.zeros(2, chosen["channels"], chosen["image_size"], chosen["image_size"])
        try:
            logits = network.train()(images)
        except Exception as error:  # whatever a network raises deep in its layers
            reason = " ".join(str(error).split())[:160] or type(error).__name__
            raise InputError(
                f"{name} does not work with images of {chosen['image_size']} pixels: {reason}", hint=_SIZE
            ) from error
    if not isinstance(logits, torch.Tensor) or tuple(logits.shape) != (2, chosen["classes"]):
        raise InputError(
            f"{name} gives something else than one logit a class while it is trained", hint="take another one"
        )
    return chosen


def build_foreign(name: str, options: Mapping[str, Any]) -> nn.Module:
    """Build a network of another library with fresh weights; nothing is downloaded.

    Args:
        name: `timm:NAME` or `torchvision:NAME`.
        options: As for `resolve_foreign`.

    Raises:
        InputError: There is no such network, or it has no such option.
    """
    library, _, model = name.partition(":")
    names = _NAMES[library]
    check_foreign(name)
    unknown = [key for key in options if key not in names and key not in _OF_THE_DATA]
    if unknown:
        takes = ", ".join(key for key in names if key not in _OF_THE_DATA)
        raise InputError(
            f"{name} has no option {unknown[0]!r}",
            hint=f"leave model.{unknown[0]} out; of the options here it may have {takes}",
        )
    if not 0 < options["image_size"] <= _LARGEST_SIDE:
        raise InputError(f"expected images of 1 to {_LARGEST_SIDE} pixels, got {options['image_size']}")
    if "channels" not in names and options["channels"] != 3:
        raise InputError(f"{name} takes colour images only", hint="models of timm take grey ones too")
    build = _of_timm if library == "timm" else _of_torchvision
    try:
        network = build(model, {names[key]: value for key, value in options.items() if key in names})
    except TypeError as error:
        refused = next((key for key in options if f"'{names.get(key)}'" in str(error)), None)
        if refused is None:
            raise
        raise _no_option(name, refused) from error
    # Some classes swallow what they do not know.
    ignored = [key for key in options if key not in _OF_THE_DATA and not _takes(network, names[key])]
    if ignored:
        raise _no_option(name, ignored[0])
    return network


def _no_option(name: str, option: str) -> InputError:
    return InputError(f"{name} has no option {option!r}", hint=f"leave model.{option} out")


def check_foreign(name: str) -> None:
    """Check that a library has a model of this name, and weights of its tag; nothing is looked up elsewhere.

    Raises:
        InputError: It has none.
    """
    library, _, model = name.partition(":")
    if library == "timm":
        _check_timm(model)
    else:
        _check_torchvision(model)


def _check_timm(model: str) -> None:
    import timm

    architecture, dot, _ = model.partition(".")
    # A name with a prefix would be looked for on the hub or in a folder: only timm's own list counts.
    _check_known("timm", architecture, timm.list_models())
    if dot:
        try:
            timm.get_pretrained_cfg(model, allow_unregistered=False)
        except RuntimeError as error:
            tags = ", ".join(timm.list_pretrained(f"{architecture}.*")[:4]) or "none"
            raise InputError(f"timm knows no weights {model!r}", hint=f"there are {tags}") from error


def _check_torchvision(model: str) -> None:
    from torchvision import models

    architecture, dot, tag = model.partition(".")
    _check_known("torchvision", architecture, models.list_models(module=models))
    if dot and tag not in (known := models.get_model_weights(architecture).__members__):
        raise InputError(f"torchvision knows no weights {model!r}", hint=f"there are {', '.join(known)}")


def _of_timm(model: str, arguments: dict[str, Any]) -> nn.Module:
    import timm

    try:
        network: nn.Module = timm.create_model(model, **arguments)
    except TypeError as error:
        if "'img_size'" not in str(error):
            raise
        network = timm.create_model(model, **_without(arguments, "img_size"))  # one for images of any size
    return network


def _of_torchvision(model: str, arguments: dict[str, Any]) -> nn.Module:
    from torchvision import models

    architecture = model.partition(".")[0]
    if not architecture.startswith("vit_"):
        arguments = _without(arguments, "image_size")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of old ways to draw first weights
        network: nn.Module = models.get_model(architecture, **arguments)
    return network


def _check_patches(name: str, network: nn.Module, image_size: int) -> None:
    """Refuse what a patch embedding would cut off at the edge, without a word."""
    patch = getattr(getattr(network, "patch_embed", None), "patch_size", None)
    if isinstance(patch, tuple) and image_size % patch[0]:
        raise InputError(
            f"{name} has patches of {patch[0]} pixels, which do not divide {image_size}", hint=_SIZE
        )


def _check_known(library: str, architecture: str, known: list[str]) -> None:
    if architecture not in known:
        near = get_close_matches(architecture, known, n=1)
        raise InputError(
            f"{library} has no model {architecture[:80]!r}",
            hint=f"did you mean {library}:{near[0]}?" if near else f"see {library}'s list of models",
        )


def _takes(network: nn.Module, argument: str) -> bool:
    return any(argument in inspect.signature(kind).parameters for kind in type(network).__mro__[:-1])


def _without(arguments: dict[str, Any], name: str) -> dict[str, Any]:
    return {key: value for key, value in arguments.items() if key != name}
