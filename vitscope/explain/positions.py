"""Position embeddings: how alike a model's places are to itself."""

from __future__ import annotations

import re
from math import isqrt
from typing import TYPE_CHECKING

import torch

from vitscope.capture.trunk import has_attention
from vitscope.errors import CaptureError
from vitscope.records.positions import PositionSimilarity

if TYPE_CHECKING:
    from collections.abc import Iterator

    from torch import Tensor, nn

__all__ = ["position_similarity"]

_ABSOLUTE = re.compile(r"pos(ition)?(al)?_?(emb\w*|enc\w*)(\.weight)?$")
_RELATIVE = re.compile(r"rel(ative)?_?pos", re.IGNORECASE)
_ROTARY = re.compile(r"rope|rotary|freqs", re.IGNORECASE)
_PREFIXES = (1, 0, 2)  # a class token, none, one more for distillation: of a square, one of them fits


def position_similarity(
    model: nn.Module, *, grid: tuple[int, int] | None = None, prefix: int | None = None
) -> PositionSimilarity:
    """Return the cosine of each patch's position embedding with every other's, from a model's weights.

    S[i, j] = e_i·e_j / (‖e_i‖ ‖e_j‖), e the absolute position embeddings of the patches, learned or fixed
    (sines and cosines); rows for prefix tokens are left out.

    *Source*: Dosovitskiy et al. 2021, arXiv 2010.11929, Fig. 7 centre.

    Args:
        model: A model of timm, vitscope, torchvision or Hugging Face, or one whose embedding has a like name.
        grid: Rows and columns of the patches, where the model does not tell.
        prefix: How many rows of the embedding stand before the patches', where the model does not tell.

    Raises:
        CaptureError: It has no absolute position embedding, which the message explains, or its grid is not
            known.
    """
    for name, value in _candidates(model):
        embedding = value.detach().double().cpu()
        if embedding.ndim == 4:
            # One embedding a place of the grid, channels last.
            found, before = (int(embedding.shape[1]), int(embedding.shape[2])), 0
            embedding = embedding.flatten(1, 2)
        else:
            embedding = embedding.reshape(1, -1, embedding.shape[-1])
            found, before = _grid(model, embedding.shape[1], grid, prefix)
        rows = torch.nn.functional.normalize(embedding[0, before:], dim=1, eps=0)
        values = (rows @ rows.T).clamp(-1, 1).reshape(*found, *found)
        return PositionSimilarity(values.numpy(), name=name, prefix=before)
    raise CaptureError(f"this model has no absolute position embedding: {_instead(model)}")


def _candidates(model: nn.Module) -> Iterator[tuple[str, Tensor]]:
    for name, value in (*model.named_parameters(), *model.named_buffers()):
        last = name.removesuffix(".weight").rpartition(".")[2]
        if not _ABSOLUTE.search(last) or _RELATIVE.search(name) or not value.is_floating_point():
            continue
        if value.ndim == 2 or (value.ndim in (3, 4) and value.shape[0] == 1):
            yield name, value


def _grid(
    model: nn.Module, count: int, grid: tuple[int, int] | None, prefix: int | None
) -> tuple[tuple[int, int], int]:
    """Return the grid of an embedding of so many rows, and how many of them stand before the patches."""
    stated = grid or _stated_grid(model)
    if stated is not None:
        before = count - stated[0] * stated[1]
        if before >= 0 and prefix in (None, before):
            return stated, before
        if grid is not None:
            raise CaptureError(
                f"a grid of {grid[0]}x{grid[1]} does not make {count} position embeddings",
                hint="pass the grid=(rows, columns) that the model was trained with, and prefix=…",
            )
    for before in _PREFIXES if prefix is None else (prefix,):
        side = isqrt(max(count - before, 0))
        if side and side * side == count - before:
            return (side, side), before
    raise CaptureError(
        f"{count} position embeddings do not tell their grid", hint="pass grid=(rows, columns) and prefix=…"
    )


def _stated_grid(model: nn.Module) -> tuple[int, int] | None:
    for module in model.modules():
        stated = getattr(getattr(module, "patch_embed", None), "grid_size", None)
        if isinstance(stated, tuple) and len(stated) == 2:
            return int(stated[0]), int(stated[1])
    return None


def _instead(model: nn.Module) -> str:
    names = [name for name, _ in (*model.named_parameters(), *model.named_buffers(), *model.named_modules())]
    if any(_ROTARY.search(name) for name in names):
        return "it turns queries and keys by their places (rotary)"
    if any(_RELATIVE.search(name) for name in names):
        return "it adds biases by relative places"
    if has_attention(model):
        return "none of its weights is one by name"
    return "its layers know places by themselves, as convolutions do"
