"""Where the patches stand among the tokens: the prefix, the grid, and what the head reads."""

from __future__ import annotations

from dataclasses import dataclass
from math import isqrt
from typing import TYPE_CHECKING, Any

from vitscope.errors import CaptureError

if TYPE_CHECKING:
    from torch import nn

    from vitscope.records.attention import Pool

__all__ = ["Layout", "find_layout"]

_POOLS: dict[str, Pool] = {"token": "cls", "cls": "cls", "avg": "mean", "mean": "mean"}


@dataclass(frozen=True)
class Layout:
    """The tokens' layout, as far as it was told; what is None is found out.

    Attributes:
        grid: Rows and columns of the patches.
        prefix: How many tokens stand before the patches.
        pool: `cls` where the head reads the first token, `mean` where it averages the patches.
    """

    grid: tuple[int, int] | None = None
    prefix: int | None = None
    pool: Pool | None = None


def find_layout(
    model: nn.Module, tokens: int, *, size: tuple[int, int], told: Layout
) -> tuple[tuple[int, int], int, Pool]:
    """Return the grid, the prefix and the pool of a model over `tokens` tokens.

    What was told comes first. Then the attributes of timm's vision transformers (`num_prefix_tokens`,
    `patch_embed`, `global_pool`), found anywhere in the model. Otherwise the patches are taken to cover the
    image with square patches, with one class token before them or none.

    Args:
        model: The model, or something that holds it.
        tokens: How many tokens the attention has.
        size: Height and width of the images the model saw, in pixels.
        told: What the caller knows.

    Raises:
        CaptureError: The layout cannot be found, or what was told does not fit.
    """
    trunk = _transformer(model)
    prefix = _prefix(trunk, tokens, told)
    grid = told.grid or _grid(trunk, tokens, size=size, prefix=prefix)
    if grid is None:
        raise CaptureError(
            f"{tokens} tokens do not tell their grid for images of {size[0]}x{size[1]} pixels",
            hint="pass capture(model, grid=(rows, columns), prefix=…)",
        )
    found = tokens - grid[0] * grid[1]
    if found < 0 or (prefix is not None and prefix != found):
        raise CaptureError(
            f"a grid of {grid[0]}x{grid[1]} after {prefix or 0} prefix tokens does not make {tokens} tokens",
            hint="pass the grid=(rows, columns) and prefix=… of these images",
        )
    return grid, found, _pool(trunk, found, told)


def _transformer(model: nn.Module) -> nn.Module | None:
    for module in model.modules():
        # A single attention layer of timm may count the prefix as well; the trunk has the blocks.
        if isinstance(getattr(module, "num_prefix_tokens", None), int) and hasattr(module, "blocks"):
            return module
    return None


def _prefix(trunk: nn.Module | None, tokens: int, told: Layout) -> int | None:
    if told.prefix is not None:
        return told.prefix
    if told.grid is not None:
        return tokens - told.grid[0] * told.grid[1]
    return None if trunk is None else int(getattr(trunk, "num_prefix_tokens"))  # noqa: B009 - not nn.Module's


def _grid(
    trunk: nn.Module | None, tokens: int, *, size: tuple[int, int], prefix: int | None
) -> tuple[int, int] | None:
    if trunk is not None:
        stated = _stated_grid(getattr(trunk, "patch_embed", None), size)
        if stated is not None and stated[0] * stated[1] == tokens - (prefix or 0):
            return stated
    guesses = (1, 0) if prefix is None else (prefix,)
    found = (_shaped_as(size, tokens - guess) for guess in guesses)
    return next((grid for grid in found if grid is not None), None)


def _stated_grid(embedding: Any, size: tuple[int, int]) -> tuple[int, int] | None:  # noqa: ANN401 - a foreign module
    grid, made_for = getattr(embedding, "grid_size", None), getattr(embedding, "img_size", None)
    if grid is None:
        return None
    if made_for is None or tuple(made_for) == size:
        return int(grid[0]), int(grid[1])
    # A model that takes any size: its patches keep theirs, and a cut one at the edge is filled up.
    rows, columns = (-(-side * count // made) for side, count, made in zip(size, grid, made_for, strict=True))
    return rows, columns


def _shaped_as(size: tuple[int, int], patches: int) -> tuple[int, int] | None:
    """Return the grid of `patches` square patches that has the image's shape, if there is one."""
    if patches < 1:
        return None
    height, width = size
    rows = isqrt(patches * height // width)
    if rows < 1 or patches % rows or rows * width != (patches // rows) * height:
        return None
    return rows, patches // rows


def _pool(trunk: nn.Module | None, prefix: int, told: Layout) -> Pool:
    if told.pool is not None:
        return told.pool
    stated = getattr(trunk, "global_pool", None)
    if not isinstance(stated, str):
        return "cls" if prefix else "mean"
    pool = _POOLS.get(stated)
    if pool is None:
        raise CaptureError(
            f"the model pools its tokens by {stated!r}, neither a class token nor the mean of the patches",
            hint='pass capture(model, pool="cls") or pool="mean" to read the attention that way',
        )
    return pool
