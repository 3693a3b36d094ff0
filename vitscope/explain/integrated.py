"""Attributions from gradients along a line: integrated gradients, and gradient × input, at its end alone."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch

from vitscope.errors import InputError
from vitscope.explain.attributions import ask

if TYPE_CHECKING:
    from torch import Tensor, nn

    from vitscope.records.heatmap import Heatmap

__all__ = ["gradient_x_input", "integrated_gradients"]


def integrated_gradients(
    model: nn.Module,
    images: Tensor,
    *,
    targets: Tensor | None = None,
    steps: int = 50,
    baseline: Tensor | None = None,
) -> Heatmap:
    """Return integrated gradients, one map an image, summed over the channels.

    (x − b) ⊙ ∫₀¹ ∂y_c/∂x(b + t(x − b)) dt, the integral by Gauss and Legendre's rule with so many steps. All
    pixels sum to y_c(x) − y_c(b) if the rule is exact: by how much each image misses that is in
    `options["completeness_error"]`, beside `options["difference"]`, y_c(x) − y_c(b) itself.

    *Source*: Sundararajan, Taly and Yan 2017, arXiv 1703.01365, eq. 1; captum's `IntegratedGradients`.
    *Differs*: the baseline is 0 after normalisation, the mean of the data, where the paper has a black image.

    Args:
        model: A classifier in evaluation mode, from float images to logits `[image, class]`.
        images: `[image, channel, row, column]`, normalised, on the model's device.
        targets: `[image]`, the class of each image, whole numbers; the predicted classes where left out.
        steps: Points of the rule, at least 1.
        baseline: b, normalised, `[channel, row, column]` or `[channel, 1, 1]`; 0 where left out.

    Returns:
        Maps `[image, row, column]` of pixels, float32, signed, in the logit's unit.

    Raises:
        CaptureError: The model gives no logits.
        InputError: The targets, the steps or the baseline are not what they must be.
        NotFiniteError: The logits are not finite.
    """
    if steps < 1:
        raise InputError(f"expected at least 1 step, got {steps}")
    from captum.attr import IntegratedGradients

    question = ask(model, images, targets)
    reference = question.baseline(baseline)
    maps, errors, sums = [], [], []
    with torch.inference_mode(False):
        for part in question.parts():
            values, error = IntegratedGradients(model).attribute(
                part.images.requires_grad_(),
                reference.expand_as(part.images),
                target=part.targets,
                n_steps=steps,
                internal_batch_size=question.at_once,
                return_convergence_delta=True,
            )
            maps.append(values.sum(dim=1))
            errors.append(error)
            sums.append(values.sum(dim=(1, 2, 3)))
    missed, total = torch.cat(errors), torch.cat(sums)
    return question.heatmap(
        torch.cat(maps),
        method="integrated gradients",
        signed=True,
        steps=steps,
        baseline="zero" if baseline is None else "given",
        completeness_error=missed.tolist(),
        difference=(total - missed).tolist(),
    )


def gradient_x_input(model: nn.Module, images: Tensor, *, targets: Tensor | None = None) -> Heatmap:
    """Return gradient × input, one map an image: x ⊙ ∂y_c/∂x, summed over the channels.

    *Source*: Shrikumar et al. 2016, arXiv 1605.01713; captum's `InputXGradient`. x is the normalised input,
    so that a pixel of the data's mean has none.

    Args:
        model: A classifier in evaluation mode, from float images to logits `[image, class]`.
        images: `[image, channel, row, column]`, normalised, on the model's device.
        targets: `[image]`, the class of each image, whole numbers; the predicted classes where left out.

    Returns:
        Maps `[image, row, column]` of pixels, float32, signed, in the logit's unit.

    Raises:
        CaptureError: The model gives no logits.
        InputError: The targets are not one class of the model an image.
        NotFiniteError: The logits are not finite.
    """
    from captum.attr import InputXGradient

    question = ask(model, images, targets)
    with torch.inference_mode(False):
        maps = [
            InputXGradient(model).attribute(part.images.requires_grad_(), target=part.targets).sum(dim=1)
            for part in question.parts()
        ]
    return question.heatmap(torch.cat(maps), method="gradient × input", signed=True)  # noqa: RUF001
