"""The size of a model by name: parameters, multiply-adds and options, without its weights."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

import torch

from vitscope.inference.cost import multiply_adds
from vitscope.models.registry import MODELS, build_model, resolve_options

__all__ = ["ModelSize", "model_size"]

_OF_THE_DATA = ("classes", "image_size", "channels")


@dataclass(frozen=True)
class ModelSize:
    """How large a model is at one image size.

    Attributes:
        name: As `model.name` takes it.
        summary: One line; empty for models of other libraries.
        parameters: Learned numbers, each counted once where layers share them.
        multiply_adds: Of one image; see `Cost`.
        attention: Whether it has attention to capture; None where only a try would tell.
        options: Its options with the defaults that they have at this image size.
    """

    name: str
    summary: str
    parameters: int
    multiply_adds: int
    attention: bool | None
    options: dict[str, Any]

    def metrics(self) -> dict[str, Any]:
        """Return the fields, as JSON can hold them."""
        return asdict(self)


def model_size(name: str, *, image_size: int = 32, classes: int = 10, channels: int = 3) -> ModelSize:
    """Count a model's parameters and multiply-adds; it is built without memory, and nothing is computed.

    Args:
        name: A key of `MODELS`, `timm:NAME` or `torchvision:NAME`.
        image_size: Side of the image in pixels.
        classes: Number of classes.
        channels: 1 for grey, 3 for colour.

    Raises:
        InputError: There is no such model, or it does not take images of that size.
    """
    form = {"classes": classes, "image_size": image_size, "channels": channels}
    options = resolve_options(name, form)
    with torch.device("meta"):
        network = build_model(name, options).eval()
        image = torch.zeros(1, channels, image_size, image_size)
    with torch.no_grad():
        counted = multiply_adds(network, image)
    entry = MODELS.get(name)
    return ModelSize(
        name=name,
        summary="" if entry is None else entry.summary,
        parameters=sum(parameter.numel() for parameter in network.parameters()),
        multiply_adds=counted,
        attention=None if entry is None else entry.attention,
        options={key: value for key, value in options.items() if key not in _OF_THE_DATA},
    )
