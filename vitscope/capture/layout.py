"""Where the patches stand among the tokens: the prefix, the grid, and what the head reads."""

from __future__ import annotations

from dataclasses import dataclass
from math import isqrt
from typing import TYPE_CHECKING, Any

from torch import nn

from vitscope.capture.reading import Read
from vitscope.errors import CaptureError

if TYPE_CHECKING:
    from vitscope.records.attention import Pool

__all__ = ["Layout", "find_layout"]

# What timm, torchvision, transformers and the hub of DINOv2 call the tokens before the patches.
_TOKENS = ("cls_token", "class_token", "dist_token", "distillation_token", "reg_token", "register_tokens")
_TELL_POOL = (
    'say which the map is to be read from: --pool cls or --pool mean, capture(model, pool="cls") in Python'
)
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
    model: nn.Module, tokens: int, *, size: tuple[int, int], told: Layout, read: Read | None = None
) -> tuple[tuple[int, int], int, Pool]:
    """Return the grid, the prefix and the pool of a model over `tokens` tokens.

    What was told comes first. The prefix and the grid are then those that timm's vision transformers state
    (`num_prefix_tokens`, `patch_embed`), found anywhere in the model; otherwise the prefix is all class,
    distillation and register tokens among the parameters of one module, or one token or none, and the grid
    that of the first convolution, if it cuts patches, or of square patches that cover the image. The pool is
    what the head was seen to read; where nothing was seen, what timm states, or what the prefix suggests for
    a model without a head.

    Args:
        model: The model, or something that holds it.
        tokens: How many tokens the attention has.
        size: Height and width of the images the model saw, in pixels.
        told: What the caller knows.
        read: What the head was seen to read; None for a model that has none and returns its tokens.

    Raises:
        CaptureError: The layout cannot be found, or what was told does not fit.
    """
    trunk = _transformer(model)
    prefix = _prefix(model, trunk, tokens, told)
    grid = told.grid or _grid(model, trunk, tokens, size=size, prefix=prefix)
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
    return grid, found, _pool(trunk, found, told, read)


def _transformer(model: nn.Module) -> nn.Module | None:
    for module in model.modules():
        # A single attention layer of timm may count the prefix as well; the trunk has the blocks.
        if isinstance(getattr(module, "num_prefix_tokens", None), int) and hasattr(module, "blocks"):
            return module
    return None


def _prefix(model: nn.Module, trunk: nn.Module | None, tokens: int, told: Layout) -> int | None:
    if told.prefix is not None:
        return told.prefix
    if told.grid is not None:
        return tokens - told.grid[0] * told.grid[1]
    return _held_tokens(model) if trunk is None else int(getattr(trunk, "num_prefix_tokens"))  # noqa: B009 - not nn.Module's


def _held_tokens(model: nn.Module) -> int | None:
    """Return how many tokens a module holds as parameters `[1, token, channel]` of the usual names."""
    for module in model.modules():
        held = [getattr(module, name, None) for name in _TOKENS]
        tokens = [each for each in held if isinstance(each, nn.Parameter)]
        if tokens:
            return sum(each.shape[-2] if each.ndim > 1 else 1 for each in tokens)
    return None


def _grid(
    model: nn.Module, trunk: nn.Module | None, tokens: int, *, size: tuple[int, int], prefix: int | None
) -> tuple[int, int] | None:
    if trunk is not None:
        stated = _stated_grid(getattr(trunk, "patch_embed", None), size)
        if stated is not None and stated[0] * stated[1] == tokens - (prefix or 0):
            return stated
    guesses = (1, 0) if prefix is None else (prefix,)
    cut = _cut_grid(model, size)
    if cut is not None and tokens - cut[0] * cut[1] in guesses:
        return cut
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


def _cut_grid(model: nn.Module, size: tuple[int, int]) -> tuple[int, int] | None:
    """Return the grid of whole patches, if the model's first convolution cuts the image into patches."""
    first = next((module for module in model.modules() if isinstance(module, nn.Conv2d)), None)
    if first is None or first.kernel_size != first.stride or min(first.stride) < 2:
        return None
    return size[0] // first.stride[0], size[1] // first.stride[1]


def _shaped_as(size: tuple[int, int], patches: int) -> tuple[int, int] | None:
    """Return the grid of `patches` square patches that has the image's shape, if there is one."""
    if patches < 1:
        return None
    height, width = size
    rows = isqrt(patches * height // width)
    if rows < 1 or patches % rows or rows * width != (patches // rows) * height:
        return None
    return rows, patches // rows


def _pool(trunk: nn.Module | None, prefix: int, told: Layout, read: Read | None) -> Pool:
    if told.pool is not None:
        return told.pool
    if read:
        return _pool_of(read, prefix)
    stated = getattr(trunk, "global_pool", None)
    if not isinstance(stated, str):
        return _pool_of(read, prefix) if read is not None else "cls" if prefix else "mean"
    pool = _POOLS.get(stated)
    if pool is None:
        raise CaptureError(
            f"the model pools its tokens by {stated!r}, neither a class token nor the mean of the patches",
            hint=_TELL_POOL,
        )
    return pool


def _pool_of(read: Read, prefix: int) -> Pool:
    if prefix and read in (Read.FIRST, Read.FIRST | Read.SECOND if prefix > 1 else Read.FIRST):
        return "cls"
    if read is Read.SOME or (read is Read.ALL and not prefix):
        return "mean"
    raise CaptureError(
        "the head reads neither a class token alone nor the mean of the patches alone"
        + ("" if read else ", as far as can be seen"),
        hint=_TELL_POOL,
    )
