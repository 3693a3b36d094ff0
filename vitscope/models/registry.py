"""The models by name, with every option they take."""

from __future__ import annotations

import inspect
from dataclasses import dataclass, field
from difflib import get_close_matches
from typing import TYPE_CHECKING, Any

from torch import nn

from vitscope.errors import InputError
from vitscope.models.airbench import airbench
from vitscope.models.compact import compact_transformer
from vitscope.models.foreign import build_foreign, is_foreign, resolve_foreign
from vitscope.models.resnet import resnet18
from vitscope.models.transformers import patch_size_for, vision_transformer

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

__all__ = ["MODELS", "ModelEntry", "build_model", "is_convolutional", "resolve_options"]

_OF_THE_DATA = ("classes", "image_size", "channels")


@dataclass(frozen=True)
class ModelEntry:
    """A named model.

    Attributes:
        build: Makes the network from keyword arguments.
        summary: One line for lists.
        defaults: The options in which the name differs from the builder's own defaults.
        fixed: Options that make the name what it is and cannot be set.
        attention: Whether the model has attention to capture.
        convolutional: Whether convolutions are a good part of its work, which GPUs like channels last.
    """

    build: Callable[..., nn.Module]
    summary: str
    defaults: Mapping[str, Any] = field(default_factory=dict)
    fixed: Mapping[str, Any] = field(default_factory=dict)
    attention: bool = True
    convolutional: bool = False

    @property
    def options(self) -> dict[str, Any]:
        """The options that can be set, with their defaults; those of the data set are not among them."""
        signature = inspect.signature(self.build).parameters
        known = {name: item.default for name, item in signature.items()}
        chosen = {name: self.defaults.get(name, default) for name, default in known.items()}
        return {name: value for name, value in chosen.items() if name not in (*_OF_THE_DATA, *self.fixed)}


def _transformer(summary: str, *, stem: str = "patch", **defaults: int) -> ModelEntry:
    return ModelEntry(
        vision_transformer,
        summary,
        defaults=defaults,
        fixed={"stem": stem},
        convolutional=stem == "convolution",
    )


MODELS: dict[str, ModelEntry] = {
    "vit-tiny": _transformer("ViT-Tiny: 192 wide, 12 deep, 3 heads", width=192, depth=12, heads=3),
    "vit-micro": _transformer("a small ViT for trials: 96 wide, 6 deep, 3 heads", width=96, depth=6, heads=3),
    "hybrid": _transformer(
        "a convolution stem and 8 transformer blocks, 384 wide, 6 heads",
        stem="convolution",
        width=384,
        depth=8,
        heads=6,
    ),
    "cct-7-3x1": ModelEntry(
        compact_transformer,
        "a compact convolutional transformer: 256 wide, 7 deep, 4 heads",
        convolutional=True,
    ),
    "resnet18": ModelEntry(
        resnet18, "ResNet-18 with the stem for small images", attention=False, convolutional=True
    ),
    "airbench": ModelEntry(
        airbench,
        "six convolutions behind a whitening layer, trained in minutes",
        attention=False,
        convolutional=True,
    ),
}


def _entry(name: str) -> ModelEntry:
    if name not in MODELS:
        near = get_close_matches(name, MODELS, n=1)
        raise InputError(
            f"unknown model {name!r}",
            hint=f"did you mean {near[0]}?"
            if near
            else f"there are {', '.join(MODELS)}; timm:NAME, torchvision:NAME",
        )
    return MODELS[name]


def resolve_options(name: str, given: Mapping[str, Any]) -> dict[str, Any]:
    """Return every argument that rebuilds the model, so that a later default cannot change it.

    Args:
        name: A key of `MODELS`, `timm:NAME` or `torchvision:NAME`.
        given: `classes`, `image_size`, `channels`, and options, of which None is the default.

    Raises:
        InputError: An unknown model or option, or one that a foreign model does not work with.
    """
    if is_foreign(name):
        return resolve_foreign(name, given)
    entry = _entry(name)
    chosen = {key: value for key, value in given.items() if value is not None}
    unknown = [key for key in chosen if key not in entry.options and key not in _OF_THE_DATA]
    if unknown:
        near = get_close_matches(unknown[0], entry.options, n=1)
        raise InputError(
            f"{name} has no option {unknown[0]!r}",
            hint=f"did you mean {near[0]}?" if near else f"it has {', '.join(entry.options)}",
        )
    resolved = entry.options | chosen
    if "patch_size" in resolved and resolved["patch_size"] is None:
        convolution = entry.fixed.get("stem") == "convolution"
        resolved["patch_size"] = 4 if convolution else patch_size_for(resolved["image_size"])
    return resolved


def build_model(name: str, options: Mapping[str, Any]) -> nn.Module:
    """Build a model with fresh weights.

    Args:
        name: A key of `MODELS`, `timm:NAME` or `torchvision:NAME`.
        options: What `resolve_options` takes or returns.

    Raises:
        InputError: An unknown model or option, or numbers that do not fit together.
    """
    if is_foreign(name):
        return build_foreign(name, {key: value for key, value in options.items() if value is not None})
    entry = _entry(name)
    return entry.build(**resolve_options(name, options), **entry.fixed)


def is_convolutional(name: str, network: nn.Module) -> bool:
    """Tell whether convolutions are a good part of a network's work; a patch embedding alone is not.

    Args:
        name: What `build_model` made the network of.
        network: The network.
    """
    if not is_foreign(name):
        return _entry(name).convolutional
    return sum(isinstance(module, nn.Conv2d) for module in network.modules()) > 1
