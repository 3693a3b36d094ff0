"""Affine scalings of the log-probabilities: vector scaling and Dirichlet calibration."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, ClassVar, NamedTuple, Self, TypeVar

import numpy as np
from scipy.optimize import minimize

from vitscope.analysis.blocks import map_blocks
from vitscope.analysis.scaling import Scaling, log_scores, outlook
from vitscope.errors import UsageError

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from vitscope.analysis.blocks import Block
    from vitscope.records.predictions import Predictions

    Floats = NDArray[np.float64]

__all__ = ["Dirichlet", "VectorScaling", "fit_dirichlet", "fit_vector_scaling"]

_LEAST = float(np.log(np.finfo(np.float64).eps))  # where the authors of Dirichlet calibration clip ln p
_TOLERANCE = 1e-7  # of the gradient's largest component, that the search stops at
_ENOUGH = 1e-5  # that it must have reached
_NOTHING = 1e-5  # a likelihood that only parameters without bound come near
_STEPS = 2000


@dataclass(frozen=True, eq=False)
class _Affine(Scaling):
    """New logits W ln p + b.

    Attributes:
        weights: `[class, class]`, W, or `[class]`, its diagonal; None where nothing could be fitted.
        bias: `[class]`, b; None where nothing could be fitted.
    """

    weights: Floats | None
    bias: Floats | None

    def transform(self, scores: Floats) -> Floats:
        """Return W ln p + b of logits or log-probabilities `[image, class]`."""
        if self.weights is None or self.bias is None:
            raise self.nothing()
        return _scaled(_log_probabilities(scores), self.weights, self.bias)

    def parameters(self) -> dict[str, Any]:
        """Return `weights` and `bias` as lists."""
        return {
            name: None if value is None else value.tolist()
            for name, value in (("weights", self.weights), ("bias", self.bias))
        }

    @classmethod
    def from_parameters(cls, values: dict[str, Any], fit: dict[str, Any]) -> Self:
        """Make the record from `parameters` and the fields that every scaling has."""
        arrays = {name: None if value is None else np.array(value) for name, value in values.items()}
        return cls(weights=arrays["weights"], bias=arrays["bias"], **fit)


class VectorScaling(_Affine):
    """Vector scaling: a factor and an offset a class."""

    method: ClassVar[str] = "vector"


class Dirichlet(_Affine):
    """Dirichlet calibration: a whole matrix and an offset a class."""

    method: ClassVar[str] = "dirichlet"


Kind = TypeVar("Kind", VectorScaling, Dirichlet)


def fit_vector_scaling(source: Predictions) -> VectorScaling:
    """Return the factor and the offset of each class with the smallest negative log-likelihood.

    New logits are w ⊙ ln p + b. L-BFGS in float64 on a convex objective, a pass over the logits a step.
    There is no optimum, and `reason` says so, where a class has no image or a threshold of its own ln p sets
    it apart from all others. There are two numbers a class: with few images of a class they follow its noise,
    and unlike a temperature they change predictions. With fewer than some 20 images a class, prefer
    `fit_temperature`.

    *Source*: Guo et al. 2017, arXiv 1706.04599, section 4.2.
    *Differs*: of ln p = z − logsumexp z instead of z, so that a constant added to a row changes nothing. ln p
    is at least ln 2.2e−16.

    Args:
        source: Predictions on held-out images: neither trained on nor reported on.

    Raises:
        InputError: There are no images, or rows that should be probabilities are not.
        NotFiniteError: No image has finite logits.
    """
    return _fit(VectorScaling, source, strength=0.0)


def fit_dirichlet(source: Predictions, *, strength: float = 1.0) -> Dirichlet:
    """Return the matrix and the offset of each class of Dirichlet calibration.

    New logits are W ln p + b; minimised is NLL + λ[Σ_{i≠j} w_ij²/(k(k − 1)) + Σ b_j²/k] of k classes: off the
    diagonal and in the intercept the parameters are held small (ODIR). L-BFGS in float64, a pass over the
    logits a step. There are k² + k numbers: with fewer than some k images a class this overfits whatever λ
    is; compare it with `fit_temperature` on other images before it is used.

    *Source*: Kull et al. 2019, arXiv 1910.12656, section 3, with λ = μ.
    *Differs*: the authors choose λ and μ for each model by cross-validation among powers of ten, and their
    package's own default is none at all. With the default here the likelihood of unseen digits was within
    6 % of the best of 10⁻³ … 10³, for 15, 30 and 60 images a class.

    Args:
        source: Predictions on held-out images: neither trained on nor reported on.
        strength: λ, at least 0.

    Raises:
        InputError: There are no images, or rows that should be probabilities are not.
        NotFiniteError: No image has finite logits.
        UsageError: The strength is negative.
    """
    if not strength >= 0:
        raise UsageError(f"expected a strength of at least 0, got {strength}")
    return _fit(Dirichlet, source, strength=strength)


class _Value(NamedTuple):
    """Sums over images: NLL and its derivatives."""

    nll: float
    weights: Floats
    bias: Floats


def _fit(kind: type[Kind], source: Predictions, *, strength: float) -> Kind:
    view, width = outlook(source, signed=True), len(source.classes)
    first = np.ones(width) if kind is VectorScaling else np.eye(width)
    start = _objective(source, first, np.zeros(width))
    blank = kind(
        n=view.n,
        nll_before=np.inf if view.impossible else start.nll / view.n,
        nll_after=None,
        gradient=None,
        iterations=0,
        reason=view.reason or _absent(source),
        classes=source.classes,
        provenance=source.provenance,
        weights=None,
        bias=None,
    )
    if blank.reason:
        return blank
    if not strength and (apart := _apart(source)):
        return replace(blank, reason=apart)

    def objective(flat: Floats) -> tuple[float, Floats]:
        weights, bias = flat[:-width].reshape(first.shape), flat[-width:]
        value = _objective(source, weights, bias)
        penalty, slopes, pull = _odir(weights, bias, strength)
        gradient = np.concatenate([(value.weights / view.n + slopes).ravel(), value.bias / view.n + pull])
        return value.nll / view.n + penalty, gradient

    found = minimize(
        objective,
        np.concatenate([first.ravel(), np.zeros(width)]),
        jac=True,
        method="L-BFGS-B",
        options={"maxiter": _STEPS, "maxfun": 2 * _STEPS, "maxcor": 20, "gtol": _TOLERANCE, "ftol": 0.0},
    )
    steep, steps = float(np.abs(found.jac).max()), int(found.nit)
    if steep > _ENOUGH:
        reason = f"no optimum was found in {steps} steps; the gradient was still {steep:.2g}"
        return replace(blank, iterations=steps, reason=reason)
    weights, bias = found.x[:-width].reshape(first.shape), found.x[-width:]
    after = _objective(source, weights, bias).nll / view.n
    if after < _NOTHING:
        reason = "it can make all predictions right: the sharper the probabilities, the better, without end"
        return replace(blank, iterations=steps, reason=reason)
    return replace(
        blank, nll_after=after, gradient=steep, iterations=steps, weights=weights, bias=bias - bias.mean()
    )


def _absent(source: Predictions) -> str:
    """Say which class has no image: the best is then to rule it out, without end."""
    finite = source.finite
    count = np.bincount(source.labels[finite], minlength=len(source.classes))
    none = np.flatnonzero(count == 0)
    if not none.size:
        return ""
    more = f" and {none.size - 1} more" if none.size > 1 else ""
    return f"there is no image of the class {source.classes[none[0]]!r}{more}"


def _apart(source: Predictions) -> str:
    """Say which class a threshold of its own ln p sets apart: its factor is then best without end.

    With the threshold t, w_k + s and b_k − s·t make every image's loss smaller the larger s is, though the
    gradient soon becomes too small to tell.
    """
    width = len(source.classes)

    def of_block(block: Block) -> Floats:
        """Return the least and largest ln p_k of images of class k, then of the others: `[4, class]`."""
        values = _log_probabilities(log_scores(block.scores, logits=source.kind == "logits"))
        ends = np.tile([[np.inf], [-np.inf], [np.inf], [-np.inf]], width)
        own = values[np.arange(len(values)), block.labels]
        np.minimum.at(ends[0], block.labels, own)
        np.maximum.at(ends[1], block.labels, own)
        for place, (function, none) in enumerate(((np.min, np.inf), (np.max, -np.inf)), start=2):
            values[np.arange(len(values)), block.labels] = none
            ends[place] = function(values, axis=0, initial=none)
        return ends

    ends = np.array(list(map_blocks(of_block, source)))
    low, far_low = ends[:, 0].min(axis=0), ends[:, 2].min(axis=0)
    high, far_high = ends[:, 1].max(axis=0), ends[:, 3].max(axis=0)
    alike = (low == high) & (far_low == far_high) & (low == far_low)
    found = np.flatnonzero(((low >= far_high) | (high <= far_low)) & ~alike)
    if not found.size:
        return ""
    name = source.classes[found[0]]
    return f"the class {name!r} can be told from all others: the larger its factor, the better, without end"


def _odir(weights: Floats, bias: Floats, strength: float) -> tuple[float, Floats, Floats]:
    """Return λ[Σ_{i≠j} w_ij²/(k(k − 1)) + Σ b_j²/k] and its derivatives; nothing for vector scaling."""
    if weights.ndim == 1 or not strength:
        return 0.0, np.zeros_like(weights), np.zeros_like(bias)
    width = len(bias)
    off = weights - np.diag(np.diag(weights))
    pairs = max(1, width * (width - 1))
    penalty = strength * (float((off**2).sum()) / pairs + float(bias @ bias) / width)
    return penalty, 2 * strength * off / pairs, 2 * strength * bias / width


def _objective(source: Predictions, weights: Floats, bias: Floats) -> _Value:
    def of_block(block: Block) -> _Value:
        logarithms = _log_probabilities(log_scores(block.scores, logits=source.kind == "logits"))
        scores, index = _scaled(logarithms, weights, bias), np.arange(len(block.scores))
        scores -= scores.max(axis=1, keepdims=True)
        own = scores[index, block.labels]
        np.exp(scores, out=scores)
        total = scores.sum(axis=1, keepdims=True)
        scores /= total
        scores[index, block.labels] -= 1
        slope = (scores * logarithms).sum(axis=0) if weights.ndim == 1 else scores.T @ logarithms
        return _Value(float((np.log(total[:, 0]) - own).sum()), slope, scores.sum(axis=0))

    nll, slopes, pull = 0.0, np.zeros_like(weights), np.zeros_like(bias)
    for part in map_blocks(of_block, source):
        nll, slopes, pull = nll + part.nll, slopes + part.weights, pull + part.bias
    return _Value(nll, slopes, pull)


def _scaled(logarithms: Floats, weights: Floats, bias: Floats) -> Floats:
    return (logarithms * weights if weights.ndim == 1 else logarithms @ weights.T) + bias


def _log_probabilities(scores: Floats) -> Floats:
    """Return ln p, at least ln 2.2e−16, of logits or log-probabilities, in place."""
    with np.errstate(over="ignore"):  # a difference beyond the largest float is −∞, and its exponential 0
        scores -= scores.max(axis=1, keepdims=True)
    scores -= np.log(np.exp(scores).sum(axis=1, keepdims=True))
    return np.maximum(scores, _LEAST, out=scores)
