"""Maps of one class from attention and its gradients: relevance, and rollout weighted by gradients."""

from __future__ import annotations

from typing import TYPE_CHECKING

from vitscope.explain.rollout import added, over_patches, reading_row, through
from vitscope.records.heatmap import Heatmap

if TYPE_CHECKING:
    from torch import Tensor

    from vitscope.explain.gradients import AttentionGradients

__all__ = ["gradient_rollout", "relevance"]


def relevance(source: AttentionGradients) -> Heatmap:
    """Return the relevance of each patch for one class of each image.

    With A_l the attention of layer l after softmax and G_l = ∂y_c/∂A_l: Ā_l = mean over heads of
    relu(G_l ⊙ A_l), the relu before the mean; R ← I, then R ← R + Ā_l·R from the first layer to the last. The
    map is R[0, patches] for a model whose head reads the class token.

    *Source*: Chefer, Gur and Wolf 2021, arXiv 2103.15679, eqs 5 and 6, for self-attention alone.
    *Differs*: one row is carried from the last layer back, which is the same product; nothing is normalised.
    A model that averages its patches, which the paper does not treat, has the mean of the patches' rows.

    Args:
        source: What `attention_gradients` returned.

    Returns:
        Maps `[image, row, column]` on the grid of patches, float32, each ≥ 0, of no fixed scale: a path
        through k layers has the logit's unit to the power k.
    """
    attention = source.attention
    row = reading_row(attention)
    for weight, gradient in _backwards(source):
        fused = (gradient * weight).relu().mean(dim=1)
        row = added(row, fused.to(row))
    return _heatmap(source, row, method="relevance")


def gradient_rollout(source: AttentionGradients) -> Heatmap:
    """Return rollout over attention that is weighted by one class's gradients, one class an image.

    Ā_l = relu(mean over heads of G_l ⊙ A_l), the mean before the relu; Â_l = row-normalise(Ā_l + I);
    R = Â_L · … · Â_1. The map is read off R as in `rollout`, and its sum is at most 1.

    *Source*: Gildenblat 2020, "Exploring explainability for vision transformers", on Abnar and Zuidema 2020.
    *Differs*: the gradients are those of the weights after softmax, each with its own layer; that code pairs
    them in the reverse order of the layers. Nothing is discarded.

    Args:
        source: What `attention_gradients` returned.

    Returns:
        Maps `[image, row, column]` on the grid of patches, float32, each ≥ 0 with a sum of at most 1.
    """
    row = reading_row(source.attention)
    for weight, gradient in _backwards(source):
        row = through(row, (gradient * weight).mean(dim=1).relu())
    return _heatmap(source, row, method="gradient rollout")


def _backwards(source: AttentionGradients) -> list[tuple[Tensor, Tensor]]:
    """Return weights and gradients of each layer, from the last layer to the first."""
    return list(zip(source.attention.weights, source.gradients, strict=True))[::-1]


def _heatmap(source: AttentionGradients, row: Tensor, *, method: str) -> Heatmap:
    return Heatmap(
        values=over_patches(row, source.attention),
        method=method,
        targets=source.targets.cpu().numpy(),
        options={"pool": source.attention.pool, "layers": len(source.gradients)},
    )
