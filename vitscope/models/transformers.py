"""Vision transformers: on patches (ViT) and on the features of a convolution stem (hybrid)."""

from __future__ import annotations

from typing import Literal

from timm.layers.patch_embed import PatchEmbed
from timm.models.vision_transformer import VisionTransformer

from vitscope.errors import InputError
from vitscope.models.tokenizers import ConvStem

__all__ = ["check_sizes", "patch_size_for", "vision_transformer"]

_POOLS: dict[str, Literal["token", "avg"]] = {"cls": "token", "mean": "avg"}


def patch_size_for(image_size: int) -> int:
    """Return the patch size that suits an image size: its largest divisor up to 16 with 7 patches a side.

    32 → 4, 28 → 4, 64 → 8, 224 → 16; images under 14 pixels take 2, so that 8×8 becomes 4×4 tokens.

    Raises:
        InputError: No patch size from 2 to 16 divides the image size.
    """
    divisors = [patch for patch in range(2, 17) if image_size % patch == 0 and image_size // patch >= 2]
    if not divisors:
        raise InputError(
            f"no patch size from 2 to 16 divides an image size of {image_size}",
            hint="give data.image_size another value, such as 32",
        )
    fine = [patch for patch in divisors if image_size // patch >= 7]
    return max(fine) if fine else min(divisors)


def vision_transformer(
    *,
    classes: int,
    image_size: int,
    channels: int,
    width: int,
    depth: int,
    heads: int,
    patch_size: int | None = None,
    mlp_ratio: float = 4.0,
    pool: Literal["cls", "mean"] = "cls",
    dropout: float = 0.0,
    attention_dropout: float = 0.0,
    drop_path: float = 0.0,
    stem: Literal["patch", "convolution"] = "patch",
) -> VisionTransformer:
    """Build a pre-norm vision transformer for square images.

    Args:
        classes: Number of classes.
        image_size: Side of the image in pixels.
        channels: 1 for grey, 3 for colour.
        width: Features a token.
        depth: Number of blocks.
        heads: Attention heads a block; must divide `width`.
        patch_size: Side of a patch in pixels; `patch_size_for` chooses it where not given. The stem has 4.
        mlp_ratio: Width of the MLP over `width`.
        pool: `cls` reads a class token, `mean` averages the patches and has no class token.
        dropout: Rate after projections, in MLPs and before the head.
        attention_dropout: Rate of the attention weights.
        drop_path: Stochastic depth at the last block, rising linearly from 0 at the first.
        stem: Patches, or the convolutions of `ConvStem`.

    Raises:
        InputError: The numbers do not fit together.

    *Source*: Dosovitskiy et al. 2021, arXiv 2010.11929; timm's `VisionTransformer`.
    """
    check_sizes(width, heads=heads, mlp_ratio=mlp_ratio)
    if pool not in _POOLS:
        raise InputError(f"expected pool `cls` or `mean`, got {pool!r}", hint="set model.pool")
    patch_size = _patch_size(patch_size, image_size=image_size, stem=stem)
    return VisionTransformer(
        img_size=image_size,
        patch_size=patch_size,
        in_chans=channels,
        num_classes=classes,
        embed_dim=width,
        depth=depth,
        num_heads=heads,
        mlp_ratio=mlp_ratio,
        global_pool=_POOLS[pool],
        class_token=pool == "cls",
        drop_rate=dropout,
        pos_drop_rate=dropout,
        proj_drop_rate=dropout,
        attn_drop_rate=attention_dropout,
        drop_path_rate=drop_path,
        embed_layer=ConvStem if stem == "convolution" else PatchEmbed,
    )


def check_sizes(width: int, *, heads: int, mlp_ratio: float) -> None:
    """Check that a transformer's numbers fit together.

    Raises:
        InputError: They do not.
    """
    if heads < 1 or width % heads:
        raise InputError(f"expected heads to divide the width {width}, got {heads}", hint="set model.heads")
    if int(width * mlp_ratio) < 1:
        raise InputError(f"an MLP of {mlp_ratio} times {width} features has none", hint="set model.mlp_ratio")


def _patch_size(given: int | None, *, image_size: int, stem: str) -> int:
    patch_size = given
    if stem == "convolution" and patch_size not in (None, 4):
        raise InputError(
            f"the convolution stem has patches of 4 pixels, not {patch_size}",
            hint="leave model.patch_size out",
        )
    if patch_size is None:
        patch_size = 4 if stem == "convolution" else patch_size_for(image_size)
    if stem == "patch" and (patch_size < 1 or image_size % patch_size):
        raise InputError(
            f"expected a patch size that divides {image_size}, got {patch_size}", hint="set model.patch_size"
        )
    return patch_size
