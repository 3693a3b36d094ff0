"""The class that each image's map explains, and the logits it is chosen from."""

from __future__ import annotations

import torch

from vitscope.errors import CaptureError, InputError, NotFiniteError

__all__ = ["check_logits", "choose_targets"]


def check_logits(output: object, images: int) -> torch.Tensor:
    """Return a model's output once it is finite logits `[image, class]`, one row an image.

    Raises:
        CaptureError: It is something else.
        NotFiniteError: A logit is NaN or infinite.
    """
    if not isinstance(output, torch.Tensor) or output.ndim != 2 or len(output) != images:
        raise CaptureError(
            "the model does not return logits [image, class]",
            hint='return a plain tensor; open models of Hugging Face by vitscope.load("hf:…")',
        )
    if not bool(torch.isfinite(output).all()):
        raise NotFiniteError("the model's output is not finite", hint="use another checkpoint")
    return output


def choose_targets(given: torch.Tensor | None, logits: torch.Tensor) -> torch.Tensor:
    """Return one class an image, `[image]`, int64: those given, or the predicted classes.

    Args:
        given: `[image]`, whole numbers, on any device.
        logits: `[image, class]`.

    Raises:
        InputError: The classes given are not one class of the model an image.
    """
    if given is None:
        return logits.detach().argmax(dim=1)
    images, classes = logits.shape
    if tuple(given.shape) != (images,) or given.dtype.is_floating_point or given.dtype is torch.bool:
        raise InputError(
            f"expected one class an image, {images} whole numbers, got {given.dtype} {list(given.shape)}"
        )
    outside = given[(given < 0) | (given >= classes)]
    if len(outside):
        raise InputError(f"expected targets in 0 … {classes - 1}, got {int(outside[0])}")
    # A copy: a tensor of inference mode could not take part in a graph.
    return given.to(device=logits.device, dtype=torch.int64, copy=True)
