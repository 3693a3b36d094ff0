"""Foreignness: how little an image looks, to the model, like one of the classes that it knows."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from vitscope.analysis.blocks import Block, map_blocks
from vitscope.analysis.unlabelled import unlabelled
from vitscope.errors import InputError, UsageError

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from vitscope.analysis.unlabelled import Answers
    from vitscope.records.storage import RowReader

    Floats = NDArray[np.float64]
    Table = NDArray[np.floating] | RowReader

__all__ = ["foreignness", "neighbour_distance"]

_QUERIES, _STEP = 512, 8192  # rows of one product of queries and bank: 32 MiB


def foreignness(
    answers: Answers,
    *,
    temperature: float = 1.0,
    bank: Table | None = None,
    k: int = 50,
) -> dict[str, Floats]:
    """Score each image, higher for more foreign, in one streamed pass over the logits.

    `max_probability`: −max p. `max_logit`: −max z. `energy`: −T logsumexp(z / T). `knn`: the distance of the
    unit-length feature to its k-th nearest neighbour in the bank, where there is one. Probabilities do not
    tell max z and the energy, which are then left out.

    *Source*: Hendrycks and Gimpel 2017, arXiv 1610.02136; Hendrycks et al. 2022, arXiv 1911.11132; Liu et al.
    2020, arXiv 2010.03759; Sun et al. 2022, arXiv 2204.06507, whose k is 50 for a bank of 50,000 images of
    CIFAR and 1,000 for all of ImageNet.

    Args:
        answers: The model's outputs.
        temperature: T of the energy, above 0.
        bank: `[image, feature]`, features of training or validation images.
        k: Which nearest neighbour counts.

    Returns:
        `[image]` a score, by name; NaN where the image's logits, or its feature, are not finite.

    Raises:
        InputError: The features do not fit the bank, or probabilities are none.
        UsageError: `temperature` is not above 0, or k is not in 1 … images of the bank.
    """
    if not 0 < temperature < np.inf:
        raise UsageError(f"expected a temperature above 0, got {temperature}")
    names = ("max_probability", "max_logit", "energy") if answers.kind == "logits" else ("max_probability",)
    scores = {name: np.full(len(answers.logits), np.nan) for name in names}

    def reduce(block: Block) -> tuple[Block, tuple[Floats, ...]]:
        largest = block.scores.max(axis=1)
        if answers.kind == "probabilities":
            return block, (-largest,)
        return block, (
            -_largest_probability(block.scores, largest),
            -largest,
            -_energy(block.scores, largest, temperature),
        )

    for block, values in map_blocks(reduce, unlabelled(answers)):
        for column, part in zip(scores.values(), values, strict=True):
            column[block.rows][block.finite] = part
    if bank is not None:
        if answers.features is None:
            raise InputError(
                "expected features for the distance to neighbours, got none",
                hint="predict with features, or leave the bank out",
            )
        scores["knn"] = neighbour_distance(answers.features, bank, k=k)
    return scores


def neighbour_distance(features: Table, bank: Table, *, k: int = 50) -> Floats:
    """Return each unit-length feature's Euclidean distance to its k-th nearest neighbour in the bank.

    Exact, by products of blocks: √(2 − 2 cos). Both sides are brought to unit length; a feature of zeros has
    no direction and is treated as one that is not finite.

    *Source*: Sun et al. 2022, arXiv 2204.06507.

    Args:
        features: `[image, feature]`.
        bank: `[image, feature]`; its images that are not finite are left out.
        k: Which neighbour, from 1.

    Returns:
        `[image]`, in 0 … 2; NaN where the image's feature is not finite.

    Raises:
        InputError: The numbers of features differ.
        UsageError: k is not in 1 … finite images of the bank.
    """
    if bank.ndim != 2 or features.ndim != 2 or bank.shape[1] != features.shape[1]:
        raise InputError(
            f"expected features and a bank of equally many features, got {list(features.shape)} and "
            f"{list(bank.shape)}"
        )
    distance = np.full(len(features), np.nan)
    for start in range(0, len(features), _QUERIES):
        queries = _unit(features[start : start + _QUERIES])
        usable = np.isfinite(queries).all(axis=1)
        distance[start : start + _QUERIES][usable] = _block_distance(queries[usable], bank, k)
    return distance


def _block_distance(queries: Floats, bank: Table, k: int) -> Floats:
    nearest = np.empty((len(queries), 0))
    for start in range(0, len(bank), _STEP):
        others = _unit(bank[start : start + _STEP])
        cosines = queries @ others[np.isfinite(others).all(axis=1)].T
        nearest = np.concatenate([nearest, cosines], axis=1)
        if nearest.shape[1] > k > 0:
            nearest = np.partition(nearest, nearest.shape[1] - k, axis=1)[:, -k:]
    if not 1 <= k <= nearest.shape[1]:
        raise UsageError(
            f"expected k from 1 to the {nearest.shape[1]} images of the bank, got {k}",
            hint="give a larger bank or a smaller k",
        )
    return np.asarray(np.sqrt((2 - 2 * nearest.min(axis=1)).clip(0)))


def _unit(rows: Table) -> Floats:
    values = np.array(rows, dtype=np.float64)
    with np.errstate(invalid="ignore", over="ignore"):
        values /= np.abs(values).max(axis=1, keepdims=True, initial=0.0)  # so that squares do not overflow
        values /= np.sqrt(np.einsum("ij,ij->i", values, values))[:, None]
    return values


def _largest_probability(scores: Floats, largest: Floats) -> Floats:
    with np.errstate(over="ignore"):  # a difference beyond the largest float is −∞, and its exponential 0
        return np.asarray(1 / np.exp(scores - largest[:, None]).sum(axis=1))


def _energy(scores: Floats, largest: Floats, temperature: float) -> Floats:
    with np.errstate(over="ignore"):
        powers = np.exp((scores - largest[:, None]) / temperature)
    return np.asarray(largest + temperature * np.log(powers.sum(axis=1)))
