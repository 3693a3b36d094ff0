"""Temperature: the one number by which a model's logits are divided so that its confidences come true."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, ClassVar, NamedTuple, Self

import numpy as np

from vitscope.analysis.blocks import map_blocks
from vitscope.analysis.scaling import Scaling, log_scores, outlook

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from vitscope.analysis.blocks import Block
    from vitscope.records.predictions import Predictions

    Floats = NDArray[np.float64]

__all__ = ["Temperature", "fit_temperature"]

_TOLERANCE = 1e-9  # of the gradient by ln β; what is promised is 1e-8
_STEP = 1e-6  # of ln β that Newton's method would still take
_STEPS = 100
_FEW = 20_000  # images that a first guess is made from, where there are many more
_FARTHEST = 2.0  # of ln β in one step
_LOWEST = -1e150  # its square is finite
_ORDINARY, _LARGEST = 64, 1020  # exponents of two
_NORMAL = (float(np.finfo(np.float64).tiny), float(np.finfo(np.float64).max))
_Z = 1.959963984540054


@dataclass(frozen=True, eq=False)
class Temperature(Scaling):
    """A temperature T, with softmax(z/T) for softmax(z). It changes no prediction.

    Attributes:
        value: T; above 1 where the model was overconfident. None where there is none: `reason` says why.
        interval: 95 %, from the robust variance of ln T; None where there is no value.
    """

    method: ClassVar[str] = "temperature"

    value: float | None
    interval: tuple[float, float] | None

    def transform(self, scores: Floats) -> Floats:
        """Return z/T, in place."""
        if self.value is None:
            raise self.nothing()
        scores /= self.value
        return scores

    def parameters(self) -> dict[str, Any]:
        """Return `value` and `interval`."""
        return {"value": self.value, "interval": list(self.interval) if self.interval else None}

    @classmethod
    def from_parameters(cls, values: dict[str, Any], fit: dict[str, Any]) -> Self:
        """Make the record from `parameters` and the fields that every scaling has."""
        bounds = values["interval"]
        return cls(value=values["value"], interval=(bounds[0], bounds[1]) if bounds else None, **fit)

    def metrics(self) -> dict[str, Any]:
        """Return `temperature`, `temperature_interval`, `temperature_n`, `…_nll_before` and so on."""
        bounds = list(self.interval) if self.interval else None
        return {"temperature": self.value, "temperature_interval": bounds, **super().metrics()}


class _Moments(NamedTuple):
    """Sums over images at one β: NLL, its derivatives by β, and the squares of each image's derivative."""

    nll: float
    slope: float
    curvature: float
    squares: float


def fit_temperature(source: Predictions) -> Temperature:
    """Return the temperature of the smallest negative log-likelihood, and its 95 % interval.

    Newton's method on ln β, β = 1/T, in float64, kept between the bounds that the gradient's sign has shown;
    at the end |∂ mean NLL/∂ ln β| < 1e−8. A pass over the logits a step, in blocks, so that memory is
    bounded. T(s·z) = s·T(z). Of very many images, it begins at the optimum of a few.

    There is no number, and `reason` says why, where all predictions are right (T → 0), where the true classes
    score no better than chance (T → ∞), where each image's scores are all equal (any T), and where a true
    class has the probability 0. Probabilities are scaled as z = ln p; a class of probability 0 keeps it.

    The interval is exp(ln T ± 1.96 s) with the robust variance s² = Σ g_i²/(Σ h_i)², of each image's first
    and second derivative by ln β, which also holds where no temperature makes the model true.

    *Source*: Guo et al. 2017, arXiv 1706.04599; the variance is Huber's (1967) and White's (1982).
    *Differs*: their code stops after 50 steps of L-BFGS on T with the step 0.01, which can be far from the
    optimum.

    Args:
        source: Predictions on held-out images: neither trained on nor reported on.

    Raises:
        InputError: There are no images, or rows that should be probabilities are not.
        NotFiniteError: No image has finite logits.
    """
    view = outlook(source)
    unit = _unit(view.spread)
    at = _moments(source, 1 / unit, unit)
    blank = Temperature(
        n=view.n,
        nll_before=np.inf if view.impossible else at.nll / view.n,
        nll_after=None,
        gradient=None,
        iterations=0,
        reason=view.reason,
        classes=source.classes,
        provenance=source.provenance,
        value=None,
        interval=None,
    )
    if view.reason:
        return blank
    part = _part(source)
    near = None if part is None else fit_temperature(part).value
    if near is None:
        at = at if unit == 1 else _moments(source, 1.0, unit)
        return _fitted(blank, source, at, unit=unit, u=0.0)
    beta = 1 / (near * unit)
    return _fitted(blank, source, _moments(source, beta, unit), unit=unit, u=float(np.log(beta)))


def _unit(spread: float) -> float:
    """Return the power of two that brings scores of an extraordinary size to that of one, else 1."""
    if not spread:
        return 1.0
    exponent = int(np.log2(np.clip(spread, *_NORMAL)))
    return 1.0 if abs(exponent) < _ORDINARY else 2.0 ** -max(-_LARGEST, min(_LARGEST, exponent))


def _part(source: Predictions) -> Predictions | None:
    """Return images at equal steps, whose temperature is near that of all; None where all are few enough."""
    step = len(source) // _FEW
    if step < 4:
        return None
    rows = slice(None, None, step)
    return replace(
        source,
        logits=source.logits[rows],
        labels=source.labels[rows],
        names=source.names[rows],
        features=None,
    )


def _fitted(blank: Temperature, source: Predictions, at: _Moments, *, unit: float, u: float) -> Temperature:
    """Return the record filled in by Newton's method, beginning at ln β = u, where the sums are `at`.

    β is that of the scores times `unit`.
    """
    low, high = -np.inf, np.inf
    for step in range(_STEPS):
        beta = float(np.exp(u))
        gradient = beta * at.slope / blank.n
        curvature = gradient + beta**2 * at.curvature / blank.n
        if abs(gradient) < min(_TOLERANCE, _STEP * curvature):
            deviation = _Z * beta * at.squares**0.5 / (blank.n * curvature)
            # A likelihood that is nearly flat leaves T without bounds but those of a float.
            with np.errstate(over="ignore"):
                least, most = float(np.exp(-u - deviation)), float(np.exp(-u + deviation))
            return replace(
                blank,
                nll_after=at.nll / blank.n,
                gradient=abs(gradient),
                iterations=step,
                value=1 / beta / unit,
                interval=(max(least / unit, _NORMAL[0]), min(most / unit, _NORMAL[1])),
            )
        low, high = (low, u) if gradient > 0 else (u, high)
        u = _following(u, gradient, curvature, low=low, high=high)
        at = _moments(source, float(np.exp(u)), unit)
    reason = f"no optimum was found in {_STEPS} steps; the last was T = {np.exp(-u) / unit:.3g}"
    return replace(blank, iterations=_STEPS, reason=reason)


def _following(u: float, gradient: float, curvature: float, *, low: float, high: float) -> float:
    """Return Newton's next ln β: not too far, and within the bounds, else their middle."""
    step = -gradient / curvature if curvature > 0 else -np.sign(gradient) * _FARTHEST
    following = u + float(np.clip(step, -_FARTHEST, _FARTHEST))
    return following if low < following < high else (low + high) / 2


def _moments(source: Predictions, beta: float, unit: float) -> _Moments:
    def of_block(block: Block) -> tuple[float, ...]:
        scores = log_scores(block.scores, logits=source.kind == "logits")
        if unit != 1:
            scores *= unit
        # Beyond the largest float lie probabilities of 0, and likelihoods that are infinite.
        with np.errstate(over="ignore", invalid="ignore"):
            return _sums(scores, block.labels, beta)

    parts = map_blocks(of_block, source)
    return _Moments(*np.sum(list(parts), axis=0).tolist())


def _sums(scores: Floats, labels: NDArray[np.int64], beta: float) -> tuple[float, ...]:
    """Return the sums over images of l = logsumexp βz − βz_y, E z − z_y, Var z and (E z − z_y)²."""
    own = scores[np.arange(len(scores)), labels]
    top = scores.max(axis=1)
    scores -= top[:, None]
    np.maximum(scores, _LOWEST, out=scores)
    powers = beta * scores
    np.exp(powers, out=powers)
    total = powers.sum(axis=1)
    powers *= scores
    mean = powers.sum(axis=1) / total
    square = np.einsum("ij,ij->i", powers, scores) / total
    slope = mean - (own - top)
    loss = np.log(total) - beta * (own - top)
    variance = (square - mean**2).clip(0)
    return float(loss.sum()), float(slope.sum()), float(variance.sum()), float(slope @ slope)
