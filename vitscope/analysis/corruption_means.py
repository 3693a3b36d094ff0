"""Mean errors over kinds and severities as functions of the images' weights, and the mCE's reference."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from vitscope.data.corruptions.kinds import MAIN, SEVERITIES
from vitscope.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from numpy.typing import NDArray

    from vitscope.analysis.bootstrap import Statistic

    Floats = NDArray[np.float64]

__all__ = ["ALEXNET_ERRORS", "mean_error", "mean_of", "reference_scales", "scaled"]

ALEXNET_ERRORS: Mapping[str, tuple[float, ...]] = {
    "gaussian_noise": (0.69528, 0.82542, 0.93554, 0.98138, 0.99452),
    "shot_noise": (0.71224, 0.85108, 0.93574, 0.98182, 0.99146),
    "impulse_noise": (0.78374, 0.89808, 0.94870, 0.98720, 0.99548),
    "defocus_blur": (0.65624, 0.73202, 0.85036, 0.91364, 0.94714),
    "glass_blur": (0.64308, 0.75054, 0.88806, 0.91622, 0.93344),
    "motion_blur": (0.58430, 0.70048, 0.82108, 0.89750, 0.92638),
    "zoom_blur": (0.70008, 0.76992, 0.80784, 0.84198, 0.87198),
    "snow": (0.71726, 0.88392, 0.86468, 0.91870, 0.94952),
    "frost": (0.61390, 0.79734, 0.88790, 0.89942, 0.93430),
    "fog": (0.67474, 0.76050, 0.84378, 0.87260, 0.94500),
    "brightness": (0.45140, 0.48502, 0.54048, 0.62166, 0.72440),
    "contrast": (0.64548, 0.76150, 0.88874, 0.97760, 0.99270),
    "elastic_transform": (0.52596, 0.70116, 0.55686, 0.64076, 0.80554),
    "pixelate": (0.52218, 0.54620, 0.73728, 0.87092, 0.91262),
    "jpeg_compression": (0.51002, 0.54718, 0.57294, 0.65458, 0.74778),
}
"""AlexNet's errors on the published ImageNet-C, severity 1 to 5: the denominators of its mCE, and no other's.

*Source*: the sheet of Hendrycks and Dietterich 2019 (github.com/hendrycks/robustness), as timm transcribes
it; the means agree with those in AugMix's code to six digits.
"""


def mean_error(verdicts: NDArray[np.int8]) -> Statistic:
    """Return the mean over severities of the error, as a function of the images' weights.

    Args:
        verdicts: `[severity, image]`, 1 where right, 0 where wrong, −1 where it does not count.
    """
    scored = verdicts >= 0
    if scored.all():  # then the means can be exchanged: one number an image is enough
        share = (verdicts == 0).mean(axis=0)
        return lambda weights: float(weights @ share / weights.sum())
    wrong, counted = (verdicts == 0).astype(np.float64), scored.astype(np.float64)

    def statistic(weights: Floats) -> float:
        with np.errstate(invalid="ignore"):
            return float(np.mean((wrong @ weights) / (counted @ weights)))

    return statistic


def mean_of(statistics: Sequence[Statistic]) -> Statistic:
    """Return the plain mean of statistics; NaN where there is none."""
    if not statistics:
        return lambda _: float("nan")
    return lambda weights: float(np.mean([statistic(weights) for statistic in statistics]))


def scaled(statistic: Statistic, scale: float) -> Statistic:
    """Return a statistic times a constant."""
    return lambda weights: scale * statistic(weights)


def reference_scales(
    reference: Mapping[str, Sequence[float]], kinds: tuple[str, ...], severities: tuple[int, ...]
) -> dict[str, float]:
    """Return one over the mean reference error of each of the fifteen kinds.

    Raises:
        UsageError: Not all fifteen kinds and five severities were measured, or the reference lacks some.
    """
    if severities != SEVERITIES or not set(MAIN) <= set(kinds):
        raise UsageError(
            "expected all fifteen kinds at five severities for the mCE, "
            f"got {sum(kind in MAIN for kind in kinds)} of the kinds at {len(severities)} of the severities",
            hint="leave the reference out, or measure them all",
        )
    for kind in MAIN:
        errors = reference.get(kind, ())
        if len(errors) != len(SEVERITIES) or not all(0 < error <= 1 for error in errors):
            raise UsageError(f"expected five reference errors in 0 … 1 of {kind}, got {list(errors)}")
    return {kind: 1 / float(np.mean(reference[kind])) for kind in MAIN}
