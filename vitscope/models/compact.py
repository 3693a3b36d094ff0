"""The compact convolutional transformer."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from timm.layers.weight_init import trunc_normal_
from timm.models.vision_transformer import VisionTransformer
from torch import nn

from vitscope.models.tokenizers import ConvTokenizer
from vitscope.models.transformers import check_sizes

if TYPE_CHECKING:
    from torch import Tensor

__all__ = ["CompactTransformer", "compact_transformer"]


class CompactTransformer(VisionTransformer):
    """A vision transformer without class token, whose head reads a weighted mean of the patches.

    The weights are a softmax over the patches of a linear score of each: z = softmax(x·w + b)ᵀ x.
    Captured attention is read as for a plain mean: the weights of this pool are not in the maps.

    *Source*: Hassani et al. 2021, arXiv 2104.05704, section 3.1, sequence pooling.
    """

    def __init__(self, **arguments: Any) -> None:  # noqa: ANN401 - those of timm's class
        super().__init__(
            class_token=False, global_pool="avg", fc_norm=False, embed_layer=ConvTokenizer, **arguments
        )
        self.sequence_pool = nn.Linear(self.embed_dim, 1)
        trunc_normal_(self.sequence_pool.weight, std=0.02)
        nn.init.zeros_(self.sequence_pool.bias)
        if self.pos_embed is not None:
            trunc_normal_(self.pos_embed, std=0.2)

    def pool(self, x: Tensor, pool_type: str | None = None) -> Tensor:
        """Return the features `[image, feature]` that the head reads of the tokens."""
        if pool_type is not None:
            return super().pool(x, pool_type)
        # Not as a softmax times the tokens, which would be taken for an attention layer of one row.
        weights = self.sequence_pool(x).log_softmax(dim=1).exp()
        pooled: Tensor = (weights * x).sum(dim=1)
        return pooled


def compact_transformer(
    *,
    classes: int,
    image_size: int,
    channels: int,
    width: int = 256,
    depth: int = 7,
    heads: int = 4,
    mlp_ratio: float = 2.0,
    dropout: float = 0.0,
    attention_dropout: float = 0.0,
    drop_path: float = 0.0,
) -> CompactTransformer:
    """Build a CCT with one 3×3 convolution as tokenizer; by default CCT-7/3x1, 3.76 M parameters.

    Args:
        classes: Number of classes.
        image_size: Side of the image in pixels.
        channels: 1 for grey, 3 for colour.
        width: Features a token.
        depth: Number of blocks.
        heads: Attention heads a block; must divide `width`.
        mlp_ratio: Width of the MLP over `width`.
        dropout: Rate after the position embedding, projections, in MLPs and before the head.
        attention_dropout: Rate of the attention weights.
        drop_path: Stochastic depth at the last block, rising linearly from 0 at the first.

    Raises:
        InputError: The numbers do not fit together.

    *Source*: Hassani et al. 2021, arXiv 2104.05704.
    *Differs*: timm's pre-norm block, where theirs normalises the stream itself once more before the MLP; no
    dropout unless asked for, where their code has 0.1 in the attention.
    """
    check_sizes(width, heads=heads, mlp_ratio=mlp_ratio)
    return CompactTransformer(
        img_size=image_size,
        patch_size=2,
        in_chans=channels,
        num_classes=classes,
        embed_dim=width,
        depth=depth,
        num_heads=heads,
        mlp_ratio=mlp_ratio,
        qkv_bias=False,
        drop_rate=dropout,
        pos_drop_rate=dropout,
        proj_drop_rate=dropout,
        attn_drop_rate=attention_dropout,
        drop_path_rate=drop_path,
    )
