"""Convolutions in the place of a patch embedding: they turn an image into tokens."""

from __future__ import annotations

from typing import TYPE_CHECKING

from torch import nn

if TYPE_CHECKING:
    from torch import Tensor

__all__ = ["ConvStem", "ConvTokenizer"]


class _Tokenizer(nn.Module):
    """What both have in common: the signature of timm's `PatchEmbed`, whose place they take.

    Args:
        layers: From images `[image, channel, row, column]` to features, each side halved some times.
        sides: Rows and columns of the image in pixels.
        halvings: How often.
    """

    def __init__(self, layers: nn.Sequential, sides: tuple[int, int], *, halvings: int) -> None:
        super().__init__()
        self.img_size = sides
        self.patch_size = (1 << halvings, 1 << halvings)
        rows, columns = sides
        for _ in range(halvings):
            # A window of 3 pixels, with a stride of 2 and a padding of 1, rounds half a side up.
            rows, columns = (rows + 1) // 2, (columns + 1) // 2
        self.grid_size = (rows, columns)
        self.num_patches = rows * columns
        self.layers = layers

    def forward(self, images: Tensor) -> Tensor:
        """Return the tokens `[image, token, feature]` of images `[image, channel, row, column]`."""
        tokens: Tensor = self.layers(images).flatten(2).transpose(1, 2)
        return tokens


class ConvStem(_Tokenizer):
    """Turn an image into tokens by three 3×3 convolutions.

    Each with batch norm and ReLU: channels → 64 → 128 → `embed_dim`, strides 1, 2, 2, so a 32×32 image
    becomes 8×8 tokens.

    *Source*: Xiao et al. 2021, "Early Convolutions Help Transformers See Better", arXiv 2106.14881.
    *Differs*: no last 1×1 convolution; 4-fold reduction in place of 16-fold.
    """

    def __init__(
        self,
        img_size: int | tuple[int, int] = 32,
        in_chans: int = 3,
        embed_dim: int = 384,
        **_: object,  # what timm passes to every patch embedding and a stem has no use for
    ) -> None:
        widths = (in_chans, 64, 128, embed_dim)
        layers: list[nn.Module] = []
        for inputs, outputs, stride in zip(widths, widths[1:], (1, 2, 2), strict=False):
            layers += [
                nn.Conv2d(inputs, outputs, kernel_size=3, stride=stride, padding=1, bias=False),
                nn.BatchNorm2d(outputs),
                nn.ReLU(inplace=True),
            ]
        super().__init__(nn.Sequential(*layers), _sides(img_size), halvings=2)


class ConvTokenizer(_Tokenizer):
    """Turn an image into tokens by one 3×3 convolution of stride 1, ReLU and a 3×3 max-pool of stride 2.

    A 32×32 image becomes 16×16 tokens.

    *Source*: Hassani et al. 2021, arXiv 2104.05704, section 3.2: the tokenizer called 3x1.
    """

    def __init__(
        self,
        img_size: int | tuple[int, int] = 32,
        in_chans: int = 3,
        embed_dim: int = 256,
        **_: object,  # as above
    ) -> None:
        convolution = nn.Conv2d(in_chans, embed_dim, kernel_size=3, padding=1, bias=False)
        nn.init.kaiming_normal_(convolution.weight)
        pool = nn.MaxPool2d(kernel_size=3, stride=2, padding=1)
        layers = nn.Sequential(convolution, nn.ReLU(inplace=True), pool)
        super().__init__(layers, _sides(img_size), halvings=1)


def _sides(size: int | tuple[int, int]) -> tuple[int, int]:
    return (size, size) if isinstance(size, int) else size
