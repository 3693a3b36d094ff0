"""Smoothing: calibration without bins, by a kernel that is as wide as the error it finds."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from scipy.fft import dct
from scipy.sparse import csc_array

from vitscope.analysis.outcomes import Outcomes, outcomes
from vitscope.analysis.tables import number, write_table

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from vitscope.analysis.bootstrap import Statistic
    from vitscope.records.predictions import Predictions

    Floats = NDArray[np.float64]

__all__ = ["SmoothCalibration", "smooth_calibration", "weighted_smooth_ece"]

_CELLS = 2**14  # of the grid on which the residuals are placed
_POINTS = 512  # intervals of the curve that is kept
_FINEST = 1e-3 / _CELLS  # the narrowest kernel: each node of the grid by itself
_TOLERANCE = 1e-7  # of ln σ*
_REACH = 8.0  # exp(−8²/2) = 1e−14: cosines of higher order do not count


@dataclass(frozen=True, eq=False)
class SmoothCalibration:
    """Accuracy as a smooth function of confidence, and the smooth calibration error.

    Attributes:
        n: How many images were scored.
        smooth_ece: The smooth calibration error, in 0 … 1, and also the kernel's width σ*.
        confidence: `[point]`, from 0 to 1 in equal steps.
        accuracy: `[point]`, the confidence plus the kernel's weighted mean of accuracy − confidence; NaN
            outside the confidences that there are, and where no image is near: where all kernels together are
            lower than one kernel is at 2σ from its middle.
        density: `[point]`, of the confidences; its integral is 1.
    """

    n: int
    smooth_ece: float
    confidence: Floats
    accuracy: Floats
    density: Floats

    @property
    def sigma(self) -> float:
        """The kernel's width σ*, which the error equals by its definition; 0 where there is no error."""
        return self.smooth_ece

    def metrics(self) -> dict[str, Any]:
        """Return `smooth_ece` and `smooth_ece_sigma`, which are the same number by definition."""
        return {"smooth_ece": self.smooth_ece, "smooth_ece_sigma": self.sigma}

    def save(self, folder: Path | str) -> Path:
        """Write the curve to `smooth_reliability.csv` in the folder and return its path."""
        path = Path(folder) / "smooth_reliability.csv"
        columns = (self.confidence, self.accuracy, self.density)
        rows = zip(*(column.tolist() for column in columns), strict=True)
        write_table(path, ("confidence", "accuracy", "density"), ([*map(number, row)] for row in rows))
        return path


def smooth_calibration(source: Predictions | Outcomes) -> SmoothCalibration:
    """Return the smooth calibration error and the smooth curve of accuracy over confidence.

    smECE_σ = ∫₀¹ |mean_i K_σ(t, c_i)(a_i − c_i)| dt, at the σ* where smECE_σ = σ. K_σ is the Gaussian
    reflected at 0 and 1, K_σ(t, c) = 1 + 2 Σ_m exp(−(mπσ)²/2) cos(mπt) cos(mπc): it integrates to 1 for every
    c, also at the ends. The curve is t + Σ K_σ*(t, c_i)(a_i − c_i) / Σ K_σ*(t, c_i): its distance from the
    diagonal, weighted with the density of the confidences, is the error.

    The residuals are shared out between the two nearest of 16,385 nodes h = 2⁻¹⁴ apart, and all else is done
    with cosines: that costs some milliseconds, and the error is at most 0.12·(h/σ*)² times the mean
    |a_i − c_i|, plus some 10⁻⁶ from the grid of the integral.

    *Source*: Błasiok and Nakkiran 2023, arXiv 2309.12236.
    *Differs*: their package relplot gives images of confidence exactly 0 or 1 half the weight of the others
    and divides by the sum of these weights: a constant forecast is right, but of 500 images at c = 1, 70 %
    right, and 500 at 0.6, 60 % right, it makes 0.1013, and 0.1505 with c = 0.999; here every image counts
    alike, 0.1500. It searches σ* to within 10⁻³; here it is found to 10⁻⁷ of itself. Their curve
    is Σ K a_i / Σ K, which a wide kernel bends away from the diagonal, even of a calibrated model, wherever
    the density of the confidences is steep.

    Raises:
        InputError: There are no images.
        NotFiniteError: No image has finite logits.
    """
    scored = outcomes(source).scored
    count = len(scored)
    residual = _spread(scored.confidence, scored.correct - scored.confidence)
    sigma = _fixed_point(residual, count)
    width = max(sigma, _FINEST)
    stride = _CELLS // _POINTS
    mass = _smoothed(_waves(_spread(scored.confidence, np.ones(count))), width, _CELLS)[::stride]
    gap = _smoothed(_waves(residual), width, _CELLS)[::stride]
    points = np.arange(_POINTS + 1) / _POINTS
    step = 1 / _POINTS
    within = (points > scored.confidence.min() - step) & (points < scored.confidence.max() + step)
    near = within & (mass > np.exp(-2) / (width * np.sqrt(2 * np.pi)))
    curve = points + np.divide(gap, mass, out=np.full(_POINTS + 1, np.nan), where=near)
    return SmoothCalibration(
        n=count,
        smooth_ece=sigma,
        confidence=points,
        accuracy=curve.clip(0, 1),
        density=(mass / count).clip(0),
    )


def weighted_smooth_ece(source: Predictions | Outcomes) -> Statistic:
    """Return the smooth calibration error as a function of the scored images' weights."""
    scored = outcomes(source).scored
    place, share = _between(scored.confidence)
    residual = scored.correct - scored.confidence
    count = len(scored)
    # A column an image, with its residual at the two nodes beside it: a product adds up all in one pass.
    spread = csc_array(
        (
            np.stack([residual * (1 - share), residual * share], axis=1).ravel(),
            np.stack([place, place + 1], axis=1).ravel(),
            np.arange(0, 2 * count + 1, 2, dtype=np.int32),
        ),
        shape=(_CELLS + 1, count),
    )

    def statistic(weights: Floats) -> float:
        return _fixed_point(np.asarray(spread @ weights), float(weights.sum()))

    return statistic


def _between(confidence: Floats) -> tuple[NDArray[np.int32], Floats]:
    """Return the node below each confidence, and how far on the way to the next it lies."""
    scaled = confidence * _CELLS
    place = np.minimum(scaled.astype(np.int32), _CELLS - 1)
    return place, scaled - place


def _spread(confidence: Floats, values: Floats) -> Floats:
    """Share each value out between the two nodes beside its confidence: `[node]`."""
    place, share = _between(confidence)
    below = np.bincount(place, values * (1 - share), minlength=_CELLS + 1)
    return np.asarray(below + np.bincount(place + 1, values * share, minlength=_CELLS + 1))


def _waves(mass: Floats) -> Floats:
    """Return Σ_j mass_j cos(mπ t_j) of every order m; order 0 is the whole mass."""
    ends = mass.copy()
    ends[[0, -1]] *= 2  # DCT-I counts the ends once and all others twice
    return np.asarray(dct(ends, type=1) / 2)


def _smoothed(waves: Floats, sigma: float, cells: int) -> Floats:
    """Return Σ_j mass_j K_σ(t, t_j) at `cells` + 1 points t from 0 to 1."""
    orders = min(cells, int(_REACH / (np.pi * sigma))) + 1
    damped = np.zeros(cells + 1)
    damped[:orders] = waves[:orders] * np.exp(-0.5 * (np.pi * sigma * np.arange(orders)) ** 2)
    return np.asarray(dct(damped, type=1))


def _error(waves: Floats, sigma: float) -> float:
    """Return ∫ |Σ_j mass_j K_σ(t, t_j)| dt by trapezoids in steps of at most σ/16, or of the grid."""
    cells = min(_CELLS, max(512, 1 << int(np.ceil(np.log2(16 / sigma)))))
    size = np.abs(_smoothed(waves, sigma, cells))
    return float((size.sum() - (size[0] + size[-1]) / 2) / cells)


def _fixed_point(mass: Floats, count: float) -> float:
    """Return the σ at which the error is σ; the error falls as σ grows, so there is exactly one.

    With u = ln σ, the root of v = ln error − u is looked for. The slope of v is at most −1, so that u is
    right within |v|; where noise alone makes the error it is about −3/2, and secants find the root in a few
    steps.
    """
    waves = _waves(mass)
    error = float(np.abs(mass).sum() / count)  # of the narrowest kernel
    if error < _FINEST:  # no residuals but rounding's
        return 0.0
    low, high = np.log(max(abs(waves[0]) / count, _FINEST)), np.log(error)
    u, v, slope = high, _log_error(waves, high, count) - high, -1.5
    while abs(v) > _TOLERANCE and high - low > _TOLERANCE:
        low, high = (u, high) if v > 0 else (low, u)
        following = u - v / slope
        if not low < following < high:
            following = (low + high) / 2
        before, v = v, _log_error(waves, following, count) - following
        slope = min(-1.0, (v - before) / (following - u))
        u = following
    return float(np.exp(u))


def _log_error(waves: Floats, logarithm: float, count: float) -> float:
    return float(np.log(max(_error(waves, float(np.exp(logarithm))) / count, _FINEST)))
