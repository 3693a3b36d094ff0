"""Similarity of representations: linear CKA from the unbiased HSIC."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from vitscope.errors import InputError
from vitscope.records.similarity import Grams, Similarity

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray

__all__ = ["cka", "hsic", "linear_cka"]

_FEWEST = 4
_STILL = 1e-12  # of a number's size: what rounding leaves where all images are alike


def hsic(grams: NDArray[np.floating], others: NDArray[np.floating]) -> NDArray[np.float64]:
    """Return the unbiased HSIC of every matrix with every other's: `[layer, other layer]`, float64.

    With K̃, L̃ the inner products of n images with their diagonals set to 0:
    HSIC₁ = [tr(K̃L̃) + 1ᵀK̃1·1ᵀL̃1/((n−1)(n−2)) − 2/(n−2)·1ᵀK̃L̃1] / (n(n−3)).

    *Source*: Song et al. 2012, "Feature selection via dependence maximization"; Nguyen, Raghu and Kornblith
    2021, arXiv 2010.15327.
    *Differs*: each matrix is first less a constant of its own, which changes nothing but rounding.

    Args:
        grams: `[layer, image, image]`, symmetric.
        others: `[other layer, image, image]` of the same images in the same order.

    Raises:
        InputError: There are fewer than 4 images, or not the same number.
    """
    first, second = _hollow(grams), _hollow(others)
    n = first.shape[1]
    if n != second.shape[1]:
        raise InputError(f"expected the same images, got {n} and {second.shape[1]}")
    trace = first.reshape(len(first), -1) @ second.reshape(len(second), -1).T
    rows, columns = first.sum(axis=2), second.sum(axis=2)
    totals = np.outer(rows.sum(axis=1), columns.sum(axis=1))
    terms = trace + totals / ((n - 1) * (n - 2)) - 2 / (n - 2) * (rows @ columns.T)
    return np.asarray(terms / (n * (n - 3)))


def cka(grams: Grams, others: Grams | None = None) -> Similarity:
    """Compare every layer of a model with every layer of another model, or of its own, by linear CKA.

    CKA = HSIC₁(K, L) / √(HSIC₁(K, K)·HSIC₁(L, L)), each of the three averaged over minibatches before the
    ratio. 1 for features that are the same up to rotation and scale; near 0 for unrelated ones, however
    wide. The biased HSIC would make it near 1 for any two sets of features wider than the images are many.

    The standard error is that of the jackknife over minibatches.

    *Source*: Kornblith et al. 2019, arXiv 1905.00414; in minibatches Nguyen, Raghu and Kornblith 2021, arXiv
    2010.15327.

    Args:
        grams: What `vitscope.explain.grams.layer_grams` returns.
        others: The same of another model, for the same minibatches; the model itself where left out.

    Raises:
        InputError: There is no minibatch, one has fewer than 4 images, or the images are not the same.
    """
    second = grams if others is None else others
    if not grams.batches or len(grams.batches) != len(second.batches):
        raise InputError(
            f"expected the same minibatches, at least one, got {len(grams.batches)} and {len(second.batches)}"
        )
    cross = np.array([hsic(one, two) for one, two in zip(grams.batches, second.batches, strict=True)])
    own = np.array([_of_itself(batch) for batch in grams.batches])
    theirs = own if others is None else np.array([_of_itself(batch) for batch in second.batches])
    values = _ratio(cross.mean(axis=0), own.mean(axis=0), theirs.mean(axis=0))
    return Similarity(
        values,
        _jackknife(cross, own, theirs),
        layers=grams.layers,
        others=second.layers,
        models=(grams.model, second.model),
        images=len(grams),
        batches=len(grams.batches),
    )


def linear_cka(features: ArrayLike, others: ArrayLike) -> float:
    """Return the linear CKA of two sets of features of the same images, in one batch; see `cka`.

    Args:
        features: `[image, feature]`.
        others: `[image, feature]`, of any width.

    Raises:
        InputError: They are not of the same images, at least 4 of them.
    """
    grams = [_inner(np.asarray(each, dtype=np.float64)) for each in (features, others)]
    made = [Grams([gram], ("features",)) for gram in grams]
    return float(cka(made[0], made[1]).values[0, 0])


def _inner(features: NDArray[np.float64]) -> NDArray[np.float64]:
    if features.ndim != 2:
        raise InputError(f"expected features [image, feature], got {list(features.shape)}")
    # The mean of all images changes no HSIC, and less of it means less rounding.
    centred = features - features.mean(axis=0)
    alike = np.linalg.norm(centred) <= _STILL * np.linalg.norm(features)
    return np.zeros((1, len(features), len(features))) if alike else (centred @ centred.T)[None]


def _hollow(grams: NDArray[np.floating]) -> NDArray[np.float64]:
    matrices = np.array(grams, dtype=np.float64)
    n = matrices.shape[-1]
    if n < _FEWEST:
        raise InputError(f"expected at least {_FEWEST} images in a minibatch, got {n}")
    diagonal = np.arange(n)
    matrices[:, diagonal, diagonal] = 0
    matrices -= matrices.sum(axis=(1, 2), keepdims=True) / (n * (n - 1))
    matrices[:, diagonal, diagonal] = 0
    return matrices


def _of_itself(grams: NDArray[np.floating]) -> NDArray[np.float64]:
    own = np.diagonal(hsic(grams, grams)).copy()
    size = (np.asarray(grams, dtype=np.float64) ** 2).mean(axis=(1, 2))
    own[own <= _STILL * size] = 0.0
    return own


def _ratio(
    cross: NDArray[np.float64], own: NDArray[np.float64], theirs: NDArray[np.float64]
) -> NDArray[np.float64]:
    scale = np.sqrt(own)[..., :, None] * np.sqrt(theirs)[..., None, :]
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.where(scale > 0, cross / scale, np.nan)


def _jackknife(
    cross: NDArray[np.float64], own: NDArray[np.float64], theirs: NDArray[np.float64]
) -> NDArray[np.float64]:
    count = len(cross)
    if count < 2:
        return np.full(cross.shape[1:], np.nan)
    without = [(each.sum(axis=0) - each) / (count - 1) for each in (cross, own, theirs)]
    left = _ratio(*(part.clip(min=0) if place else part for place, part in enumerate(without)))
    error: NDArray[np.float64] = np.sqrt((count - 1) * left.var(axis=0))
    return error
