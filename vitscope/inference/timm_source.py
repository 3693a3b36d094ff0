"""Models of timm, with their own preprocessing and ImageNet's classes."""

from __future__ import annotations

import math
from difflib import get_close_matches
from typing import TYPE_CHECKING, Any

import torch

from vitscope.data.preprocessing import Preprocessing
from vitscope.errors import InputError, UsageError
from vitscope.inference.classifier import Classifier
from vitscope.inference.fitting import fit_weights, head_size, read_weights
from vitscope.inference.hub import download_from_hub
from vitscope.inference.imagenet import name_classes

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from torch import Tensor

__all__ = ["timm_classifier", "timm_from_config", "timm_preprocessing"]

# Arguments of the builder that a file may give, and how large their numbers can be.
_ARGUMENTS = {
    "global_pool": str,
    "class_token": bool,
    "img_size": int,
    "in_chans": int,
    "patch_size": int,
    "embed_dim": int,
    "depth": int,
    "num_heads": int,
    "mlp_ratio": float,
}
_LARGEST = {"img_size": 8192, "in_chans": 3, "depth": 1000}
_LARGEST_NUMBER = 1 << 16


def timm_classifier(
    name: str,
    *,
    weights: Path | None = None,
    state: Mapping[str, Tensor] | None = None,
    classes: Sequence[str] | None = None,
    arguments: Mapping[str, Any] | None = None,
) -> Classifier:
    """Build a model of timm with its weights; a thousand classes are taken for ImageNet-1k's.

    Args:
        name: As `timm.create_model` takes it, with or without a tag: `vit_tiny_patch16_224.augreg_in21k`.
        weights: A file of weights; the number of classes is read off its last layer.
        state: The weights themselves. Without both they come from the cache or from the hub.
        classes: The class names.
        arguments: Arguments of timm's builder in which the model differs from `name`.

    Raises:
        InputError: timm has no such model, it is no classifier, or its preprocessing is not known here.
        EnvironmentFault: The hub cannot be reached.
        CheckpointError: The weights do not fit.
    """
    config = _config(name)
    if state is None and weights is None:
        _check_classes(name, config["num_classes"])
    if state is None:
        state = read_weights(weights if weights is not None else _from_hub(name, config))
    known = head_size(state, _layers(config))
    count = config["num_classes"] if known is None else known
    merged = config | {"num_classes": count}
    return _built(name, state, merged, classes=classes, arguments=_checked(arguments or {}))


def timm_from_config(config: Mapping[str, Any], state: Mapping[str, Tensor]) -> Classifier:
    """Build the model that a folder's `config.json` describes, as timm writes it beside its weights.

    Raises:
        InputError: The description makes no sense.
        CheckpointError: The weights do not fit.
    """
    name, own = str(config.get("architecture")), config.get("pretrained_cfg", {})
    base = _config(name)
    if not isinstance(own, dict):
        raise InputError("expected `pretrained_cfg` in config.json as an object")
    arguments = _checked(config.get("model_args") or {})
    merged = base | {key: value for key, value in own.items() if value is not None}
    merged["num_classes"] = config.get("num_classes", merged["num_classes"])
    labels = config.get("label_names")
    classes = [str(label) for label in labels] if isinstance(labels, list) else None
    try:
        return _built(name, state, merged, classes=classes, arguments=arguments)
    except (TypeError, ValueError, KeyError) as error:
        reason = " ".join(str(error).split())[:160]
        raise InputError(f"config.json does not describe a model of timm: {reason}") from error


def _checked(arguments: object) -> dict[str, Any]:
    """Return a file's arguments for the builder, of which nothing is trusted."""
    if not isinstance(arguments, dict) or (strange := sorted(set(arguments) - set(_ARGUMENTS))):
        what = ", ".join(strange) if isinstance(arguments, dict) else "no object"
        raise InputError(f"model_args are not used here, except {', '.join(_ARGUMENTS)}: got {what}")
    for name, value in arguments.items():
        kind, largest = _ARGUMENTS[name], _LARGEST.get(name, _LARGEST_NUMBER)
        sides = value if name in ("img_size", "patch_size") and isinstance(value, list) else [value]
        if kind in (str, bool):
            fits = type(value) is kind
        else:
            fits = all(type(side) in (int, kind) and 0 < side <= largest for side in sides)
        if not fits:
            raise InputError(f"model_args: {name} makes no sense: {str(value)[:40]}")
    return arguments


def timm_preprocessing(config: Mapping[str, Any]) -> Preprocessing:
    """Return the preprocessing of timm's evaluation for a pretrained configuration.

    The shorter side is resized to ⌊size / crop_pct⌋ (`squash`: both sides), then the centre is cut out.

    Raises:
        InputError: It pads or keeps the ratio of an oblong input, which is not done here.
    """
    from timm.data.config import resolve_data_config

    resolve: Any = resolve_data_config
    resolved = resolve(pretrained_cfg=dict(config))
    channels, rows, columns = resolved["input_size"]
    mode = resolved["crop_mode"]
    tall, wide = (math.floor(side / resolved["crop_pct"]) for side in (rows, columns))
    if mode == "border" or (mode == "center" and rows != columns):
        raise InputError(f"its preprocessing (crop mode {mode}, {rows}x{columns} pixels) is not known here")
    return Preprocessing(
        size=(rows, columns),
        channels=channels,
        mean=tuple(resolved["mean"]),
        std=tuple(resolved["std"]),
        interpolation=resolved["interpolation"],
        resize=(tall, wide) if mode == "squash" else tall,
    )


def _built(
    name: str,
    state: Mapping[str, Tensor],
    config: Mapping[str, Any],
    *,
    classes: Sequence[str] | None,
    arguments: Mapping[str, Any] | None = None,
) -> Classifier:
    import timm

    count = config["num_classes"]
    _check_classes(name, count)
    preprocessing = timm_preprocessing(config)
    chosen = {"in_chans": preprocessing.channels} | dict(arguments or {})
    if not set(chosen) <= {"in_chans", "global_pool", "img_size"}:
        with torch.device("meta"):  # a file of any size could ask for any memory: the shapes come first
            outline = timm.create_model(name, pretrained=False, num_classes=count, **chosen)
        fit_weights(outline, state, name=name, assign=True)
    network = timm.create_model(name, pretrained=False, num_classes=count, **chosen)
    fit_weights(network, state, name=name)
    named = name_classes(count, classes, imagenet=True)
    model = Classifier(
        network, classes=named.names, aliases=named.aliases, preprocessing=preprocessing, name=name
    )
    model.architecture, model.options = f"timm:{name}", dict(arguments or {})
    return model


def _check_classes(name: str, count: int) -> None:
    if not count:
        raise InputError(
            f"timm's {name} has no classes: its output are features",
            hint="give the weights of a fine-tuned model with --weights FILE",
        )


def _config(name: str) -> dict[str, Any]:
    import timm

    if not timm.is_model(name):
        near = get_close_matches(name.partition(".")[0], timm.list_models(), n=1)
        raise InputError(
            f"timm has no model {name!r}",
            hint=f"did you mean timm:{near[0]}?" if near else "see timm.list_models()",
        )
    try:
        config: Any = timm.get_pretrained_cfg(name, allow_unregistered=False)
    except RuntimeError as error:
        model = name.partition(".")[0]
        tags = ", ".join(timm.list_pretrained(f"{model}.*")[:4]) or "none"
        raise InputError(f"timm knows no weights {name!r}", hint=f"there are {tags}") from error
    return dict(config.to_dict()) if config is not None else {"num_classes": 1000}


def _layers(config: Mapping[str, Any]) -> tuple[str, ...]:
    layers = config.get("classifier") or ()
    return (layers,) if isinstance(layers, str) else tuple(layers)


def _from_hub(name: str, config: Mapping[str, Any]) -> Path:
    repository = config.get("hf_hub_id")
    if not repository:
        raise UsageError(f"timm has no weights of {name} on the hub", hint="give them with --weights FILE")
    return download_from_hub(str(repository), config.get("hf_hub_filename") or "model.safetensors")
