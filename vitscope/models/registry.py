"""The models by name, with every option they take."""

from __future__ import annotations

import inspect
from dataclasses import dataclass, field
from difflib import get_close_matches
from typing import TYPE_CHECKING, Any

from vitscope.errors import InputError
from vitscope.models.resnet import resnet18
from vitscope.models.transformers import patch_size_for, vision_transformer

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from torch import nn

__all__ = ["MODELS", "ModelEntry", "build_model", "resolve_options"]

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
    return ModelEntry(vision_transformer, summary, defaults=defaults, fixed={"stem": stem})


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
    "resnet18": ModelEntry(resnet18, "ResNet-18 with the stem for small images", attention=False),
}


def model_entry(name: str) -> ModelEntry:
    if name not in MODELS:
        near = get_close_matches(name, MODELS, n=1)
        raise InputError(
            f"unknown model {name!r}",
            hint=f"did you mean {near[0]}?" if near else f"there are {', '.join(MODELS)}",
        )
    return MODELS[name]


def resolve_options(name: str, given: Mapping[str, Any]) -> dict[str, Any]:
    """Return every argument that rebuilds the model, so that a later default cannot change it.

    Args:
        name: A key of `MODELS`.
        given: `classes`, `image_size`, `channels`, and options, of which None is the default.

    Raises:
        InputError: An unknown model or option.
    """
    entry = model_entry(name)
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
        name: A key of `MODELS`.
        options: What `resolve_options` takes or returns.

    Raises:
        InputError: An unknown model or option, or numbers that do not fit together.
    """
    entry = model_entry(name)
    return entry.build(**resolve_options(name, options), **entry.fixed)
