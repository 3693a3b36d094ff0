"""Attributions that average over random samples: SmoothGrad, and GradientSHAP over baselines."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch

from vitscope.errors import InputError
from vitscope.explain.attributions import Question, ask, seeded

if TYPE_CHECKING:
    from torch import Tensor, nn

    from vitscope.records.heatmap import Heatmap

__all__ = ["gradient_shap", "smoothgrad"]


def smoothgrad(
    model: nn.Module,
    images: Tensor,
    *,
    targets: Tensor | None = None,
    samples: int = 50,
    noise: float = 0.15,
    seed: int = 0,
) -> Heatmap:
    """Return SmoothGrad, one map an image: the mean gradient over noisy copies of the image.

    Σ over channels of |mean over samples of ∂y_c/∂x(x + n)|, n normal with standard deviation `noise` times
    the image's range, max x − min x.

    *Source*: Smilkov et al. 2017, arXiv 1706.03825, section 3; absolute values summed over the channels as in
    the authors' code; captum's `NoiseTunnel` over `Saliency`. *Differs*: captum takes absolute values before
    the mean unless told otherwise, so that its noise does not average out.

    Args:
        model: A classifier in evaluation mode, from float images to logits `[image, class]`.
        images: `[image, channel, row, column]`, normalised, on the model's device.
        targets: `[image]`, the class of each image, whole numbers; the predicted classes where left out.
        samples: Noisy copies of an image, at least 1.
        noise: Standard deviation over the image's range; 0.1 to 0.2 in the paper.
        seed: Of the noise, which begins anew for each image, so that no image depends on its batch.

    Returns:
        Maps `[image, row, column]` of pixels, float32, each ≥ 0, in the logit's unit per unit of input.

    Raises:
        CaptureError: The model gives no logits.
        InputError: The targets, the samples or the noise are not what they must be.
        NotFiniteError: The logits are not finite.
    """
    _check_samples(samples)
    if not noise >= 0:
        raise InputError(f"expected noise of at least 0, got {noise}")
    from captum.attr import NoiseTunnel, Saliency

    question = ask(model, images, targets)
    maps = []
    with torch.inference_mode(False):
        for single in question.parts(1):
            spread = noise * float(single.images.amax() - single.images.amin())
            with seeded(seed, single.images):
                mean = NoiseTunnel(Saliency(single.answer)).attribute(
                    single.images.requires_grad_(),
                    nt_samples=samples,
                    nt_samples_batch_size=min(samples, question.at_once),
                    stdevs=spread,
                    target=single.targets,
                    abs=False,
                )
            maps.append(mean.abs().sum(dim=1))
    return question.heatmap(
        torch.cat(maps), method="SmoothGrad", signed=False, samples=samples, noise=noise, seed=seed
    )


def gradient_shap(
    model: nn.Module,
    images: Tensor,
    *,
    targets: Tensor | None = None,
    samples: int = 50,
    baselines: Tensor | None = None,
    seed: int = 0,
) -> Heatmap:
    """Return GradientSHAP (expected gradients), one map an image, summed over the channels.

    The mean over samples of (x − b) ⊙ ∂y_c/∂x(b + t(x − b)), b drawn from the baselines and t from 0…1: an
    estimate of SHAP values for a model that is nearly linear between them. All pixels sum to
    y_c(x) − mean y_c(b) up to the error of sampling. With one baseline it is integrated gradients by chance.

    *Source*: Lundberg and Lee 2017, arXiv 1705.07874, and Erion et al. 2021, arXiv 1906.10670; captum's
    `GradientShap`. *Differs*: no noise is added to the images.

    Args:
        model: A classifier in evaluation mode, from float images to logits `[image, class]`.
        images: `[image, channel, row, column]`, normalised, on the model's device.
        targets: `[image]`, the class of each image, whole numbers; the predicted classes where left out.
        samples: Pairs of b and t an image, at least 1.
        baselines: `[baseline, channel, row, column]`, normalised, such as images of the training data; one of
            0 where left out, the mean of the data.
        seed: Of the samples, which begin anew for each image, so that no image depends on its batch.

    Returns:
        Maps `[image, row, column]` of pixels, float32, signed, in the logit's unit.

    Raises:
        CaptureError: The model gives no logits.
        InputError: The targets, the samples or the baselines are not what they must be.
        NotFiniteError: The logits are not finite.
    """
    _check_samples(samples)
    question = ask(model, images, targets)
    given = [question.baseline(each) for each in ([None] if baselines is None else baselines)]
    if not given:
        raise InputError("expected at least one baseline, got none")
    reference = torch.cat(given)
    maps = []
    with torch.inference_mode(False):
        for single in question.parts(1):
            with seeded(seed, single.images):
                maps.append(_expected_gradients(single, reference, samples=samples))
    return question.heatmap(
        torch.cat(maps),
        method="GradientSHAP",
        signed=True,
        samples=samples,
        baselines="zero" if baselines is None else len(reference),
        seed=seed,
    )


def _expected_gradients(single: Question, reference: Tensor, *, samples: int) -> Tensor:
    from captum.attr import GradientShap

    total = torch.zeros_like(single.images)
    for start in range(0, samples, single.at_once):
        count = min(single.at_once, samples - start)
        mean = GradientShap(single.answer).attribute(
            single.images.clone().requires_grad_(), reference, n_samples=count, target=single.targets
        )
        total = total + count * mean
    return total.sum(dim=1) / samples


def _check_samples(samples: int) -> None:
    if samples < 1:
        raise InputError(f"expected at least 1 sample, got {samples}")
