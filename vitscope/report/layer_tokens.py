"""Tokens of a layer: the module that is meant, and what makes features of what it puts out."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal, get_args

import torch

from vitscope.capture.blocks import find_layers
from vitscope.capture.layout import Layout, find_layout
from vitscope.errors import CaptureError, UsageError

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from torch import Tensor

    from vitscope.inference.classifier import Classifier

__all__ = ["TokenName", "default_token", "name_layer", "token_taker"]

TokenName = Literal["class", "mean", "patches"]

_CLASS_TOKENS = {"cls_token", "class_token"}
_REGISTERS = {"reg_token", "register_tokens"}
_HINT = "name another --layer, or --token patches"


def name_layer(model: Classifier, layers: Sequence[str], wanted: str) -> str:
    """Return the module that a name, or a number among the layers, means.

    Raises:
        UsageError: There is none.
    """
    known = {name for name, _ in model.named_modules()}
    for name in (wanted, f"network.{wanted}"):
        if name in known and name:
            return name
    try:
        return layers[int(wanted)]
    except (ValueError, IndexError):
        hint = f"there are layers 0 to {len(layers) - 1}, or modules such as {layers[-1]}"
        raise UsageError(f"{model.name} has no layer {wanted[:80]!r}", hint=hint) from None


def _output(model: Classifier, name: str) -> Tensor:
    """Return what a module puts out for one blank image."""
    size = model.preprocessing.size
    blank = torch.zeros((1, model.preprocessing.channels, *size), device=model.device)
    layer = find_layers(model, names=(name,))
    with torch.inference_mode(), layer.recording() as record:
        model(blank)
    return record.features()[0]


def _prefix(model: Classifier, tokens: int) -> int:
    return find_layout(model, tokens, size=model.preprocessing.size, told=Layout())[1]


def _has_class_token(model: Classifier, prefix: int) -> bool:
    """Tell whether the first of the tokens before the patches is a class token: registers are none."""
    names = {name.rpartition(".")[2] for name, _ in model.named_parameters()}
    return prefix > 0 and (bool(names & _CLASS_TOKENS) or not names & _REGISTERS)


def default_token(model: Classifier, name: str) -> TokenName:
    """Return `class` where a module's output begins with a class token, else `mean`."""
    output = _output(model, name)
    try:
        begins = output.ndim == 3 and _has_class_token(model, _prefix(model, output.shape[1]))
        return "class" if begins else "mean"
    except CaptureError:
        return "mean"


def token_taker(model: Classifier, name: str, kind: TokenName) -> Callable[[Tensor], Tensor]:
    """Return what makes features of a module's output.

    Args:
        model: The classifier.
        name: The module.
        kind: `class`: the first token; `mean`: the mean of the patches or places; `patches`: all of them side
            by side.

    Raises:
        CaptureError: It has no class token, or does not tell which of its axes are places.
        UsageError: There is no such kind.
    """
    if kind not in get_args(TokenName):
        raise UsageError(f"there is no token {kind!r}", hint=f"there are {', '.join(get_args(TokenName))}")
    shape = _output(model, name).shape
    if len(shape) == 3:
        try:
            prefix = _prefix(model, shape[1])
        except CaptureError as error:
            if kind == "patches":
                return lambda output: output.flatten(1)
            raise CaptureError(str(error), hint=_HINT) from error
        if kind == "class" and _has_class_token(model, prefix):
            return lambda output: output[:, 0]
        if kind == "mean":
            return lambda output: output[:, prefix:].mean(dim=1)
        if kind == "patches":
            return lambda output: output[:, prefix:].flatten(1)
    if kind == "class":
        raise CaptureError(f"{name} has no class token", hint="use --token mean")
    if kind == "mean" and len(shape) == 4:
        axes = _places(model, name, tuple(shape))
        return lambda output: output.mean(dim=axes)
    return lambda output: output.flatten(1)


def _places(model: Classifier, name: str, shape: tuple[int, ...]) -> tuple[int, int]:
    """Return which axes of an output `[image, …]` are rows and columns: those in the image's proportions.

    Where both pairs are, as of 7 rows, 7 columns and 7 channels, what timm states of the module counts, and
    otherwise PyTorch's habit.

    Raises:
        CaptureError: Neither are.
    """
    height, width = model.preprocessing.size
    # Rounding to whole places turns the proportions by less than one place.
    fits = [
        axes
        for axes in ((2, 3), (1, 2))
        if abs(shape[axes[0]] * width - shape[axes[1]] * height) < max(height, width)
    ]
    if not fits:
        raise CaptureError(
            f"{name} puts out {list(shape[1:])}, which does not tell rows and columns from channels",
            hint=_HINT,
        )
    if len(fits) == 2:
        stated = getattr(model.get_submodule(name), "output_fmt", "")
        return fits[1] if str(stated).endswith("NHWC") else fits[0]
    return fits[0]
