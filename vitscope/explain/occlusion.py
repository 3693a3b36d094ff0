"""Occlusion: how the logit falls where a window of the image is covered."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch

from vitscope.errors import InputError
from vitscope.explain.attributions import ask

if TYPE_CHECKING:
    from torch import Tensor, nn

    from vitscope.records.heatmap import Heatmap

__all__ = ["occlusion"]

_WINDOWS = 8  # windows along the shorter side, where the caller says nothing


def occlusion(
    model: nn.Module,
    images: Tensor,
    *,
    targets: Tensor | None = None,
    window: int | None = None,
    stride: int | None = None,
    baseline: Tensor | None = None,
) -> Heatmap:
    """Return occlusion, one map an image: y_c(x) − y_c(x with a window covered), all channels at once.

    Windows lie at every `stride` pixels from the top left, cut off at the right and lower edges; a pixel has
    the mean over the windows that cover it.

    *Source*: Zeiler and Fergus 2014, arXiv 1311.2901, section 4.2; captum's `Occlusion`. *Differs*: the fall
    of the logit is drawn, not the probability left; covered pixels are 0 after normalisation, the mean of the
    data, as the paper's grey.

    Args:
        model: A classifier in evaluation mode, from float images to logits `[image, class]`.
        images: `[image, channel, row, column]`, normalised, on the model's device.
        targets: `[image]`, the class of each image, whole numbers; the predicted classes where left out.
        window: Side of the square window in pixels; an eighth of the image's shorter side where left out.
        stride: Pixels from window to window, at most the window; half a window where left out.
        baseline: What covers, normalised, `[channel, row, column]` or `[channel, 1, 1]`; 0 where left out.

    Returns:
        Maps `[image, row, column]` of pixels, float32, signed, in the logit's unit.

    Raises:
        CaptureError: The model gives no logits.
        InputError: The targets, the window, the stride or the baseline are not what they must be.
        NotFiniteError: The logits are not finite.
    """
    shortest = min(images.shape[-2:])
    side = max(1, round(shortest / _WINDOWS)) if window is None else window
    step = max(1, side // 2) if stride is None else stride
    if not 1 <= side <= shortest:
        raise InputError(f"expected a window of 1 to {shortest} pixels, got {side}")
    if not 1 <= step <= side:
        raise InputError(f"expected a stride of 1 to {side} pixels, the window, got {step}")
    from captum.attr import Occlusion

    question = ask(model, images, targets)
    cover = question.baseline(baseline)
    channels = images.shape[1]
    maps = []
    with torch.inference_mode(False), torch.no_grad():
        for part in question.parts():
            falls = Occlusion(model).attribute(
                part.images,
                sliding_window_shapes=(channels, side, side),
                strides=(channels, step, step),
                baselines=cover.expand_as(part.images),
                target=part.targets,
                perturbations_per_eval=max(1, question.at_once // len(part.images)),
            )
            maps.append(falls[:, 0])  # the window covers all channels, which share one value
    return question.heatmap(
        torch.cat(maps),
        method="occlusion",
        signed=True,
        window=side,
        stride=step,
        baseline="zero" if baseline is None else "given",
    )
