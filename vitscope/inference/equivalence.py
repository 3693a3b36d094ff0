"""Equivalence: whether what was exported gives the logits of the model that it was exported from."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch

from vitscope.errors import InputError, NotFiniteError

if TYPE_CHECKING:
    from torch import Tensor

    from vitscope.inference.classifier import Classifier

__all__ = ["SAME", "SAME_HALF", "SAME_RUNTIME", "check_logits", "probe_logits", "probe_pixels"]

# Of the largest logit: the same sums by the same library, by another one, and of weights rounded to 11 bits.
SAME, SAME_RUNTIME, SAME_HALF = 1e-5, 1e-4, 2e-2
_PROBES = 5


def probe_pixels(model: Classifier) -> Tensor:
    """Return five images of the model's size as uint8 `[image, channel, row, column]`, always the same ones.

    They are what an image can be: noise, a coarse pattern with soft edges, black, white, and a ramp.
    """
    rows, columns = model.preprocessing.size
    shape = (model.preprocessing.channels, rows, columns)
    generator = torch.Generator().manual_seed(0)
    noise = torch.randint(0, 256, shape, generator=generator).float()
    coarse = torch.randint(0, 256, (1, shape[0], 4, 4), generator=generator).float()
    soft = torch.nn.functional.interpolate(coarse, (rows, columns), mode="bilinear", align_corners=False)[0]
    ramp = torch.linspace(0, 255, columns).expand(shape)
    images = [noise, soft, torch.zeros(shape), torch.full(shape, 255.0), ramp]
    return torch.stack(images).round().to(torch.uint8)


def probe_logits(model: Classifier, pixels: Tensor) -> Tensor:
    """Return the model's logits `[image, class]` of pixels, in evaluation mode, without gradients.

    Raises:
        NotFiniteError: One is NaN or infinite.
    """
    training = model.training
    model.eval()
    try:
        with torch.inference_mode():
            logits: Tensor = model(model.prepare(pixels)).float().cpu()
    finally:
        model.train(training)
    if not bool(torch.isfinite(logits).all()):
        raise NotFiniteError(f"{model.name} gives logits that are not finite", hint="it cannot be compared")
    return logits


def check_logits(expected: Tensor, found: Tensor, *, tolerance: float, what: str) -> float:
    """Compare logits, and return their largest difference.

    Args:
        expected: Of the model, `[image, class]`.
        found: Of what was exported.
        tolerance: The largest difference allowed, as a share of the largest expected logit, or of 1 where
            that is smaller.
        what: What was exported, for the message.

    Raises:
        InputError: They differ by more, are not finite, or have another shape.
    """
    if found.shape != expected.shape:
        raise InputError(f"{what} gives logits {list(found.shape)}, the model {list(expected.shape)}")
    difference = float((found.double() - expected.double()).abs().max())
    allowed = tolerance * max(1.0, float(expected.abs().max()))
    if not difference <= allowed:
        raise InputError(
            f"{what} gives other logits than the model: they differ by {difference:.2g}, "
            f"where {allowed:.2g} is allowed",
            hint="nothing was written",
        )
    return difference
