"""Masked images: which patches are hidden, what is made of them, and how far that is from the pixels.

*Source*: Xie et al. 2022, SimMIM, arXiv 2111.09886.
"""

from __future__ import annotations

from math import ceil
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from timm.layers.patch_embed import PatchEmbed
from timm.models.vision_transformer import VisionTransformer
from torch import nn

from vitscope.errors import InputError, UsageError

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from torch import Tensor

    from vitscope.trainers.sections import Settings

__all__ = ["MaskedImageModel", "check_masking", "hidden_patches", "patches_of", "reconstruction_losses"]

_TRUNCATED = 0.02  # the deviation of fresh weights, as SimMIM's


class MaskedImageModel(nn.Module):
    """A vision transformer that predicts the pixels of hidden patches.

    The embedding of each hidden patch is replaced by one learnt vector, before the class token and the
    position embeddings come to it; all tokens go through blocks and last norm, and one linear layer
    makes a patch's pixels of its token.

    *Source*: Xie et al. 2022, section 3: the simple mask token, the full-size input, the linear head.
    *Differs*: a hidden region is one patch of the model, not 32 × 32 pixels of it; the class token, where the
    model has one, is kept, and learns only as a place that patches may read from.

    Args:
        encoder: The transformer; its own head takes no part and is frozen.

    Raises:
        InputError: It is none whose patches are embedded one by one.
    """

    def __init__(self, encoder: nn.Module) -> None:
        super().__init__()
        self.encoder = _maskable(encoder)
        self.encoder.head.requires_grad_(False)
        width, embedding = self.encoder.embed_dim, self.encoder.patch_embed
        self.patches: int = embedding.num_patches
        pixels = embedding.proj.in_channels * embedding.patch_size[0] * embedding.patch_size[1]
        self.mask_token = nn.Parameter(torch.empty(1, 1, width))
        self.decoder = nn.Linear(width, pixels)
        nn.init.trunc_normal_(self.mask_token, std=_TRUNCATED)
        nn.init.trunc_normal_(self.decoder.weight, std=_TRUNCATED)
        nn.init.zeros_(self.decoder.bias)

    def no_weight_decay(self) -> set[str]:
        """Return the weights that are never decayed."""
        return {"mask_token", *(f"encoder.{name}" for name in self.encoder.no_weight_decay())}

    def forward(self, images: Tensor, hidden: Tensor) -> Tensor:
        """Return predicted patches `[image, patch, pixel]`, in the order of `patches_of`.

        Args:
            images: Normalised images `[image, channel, row, column]`.
            hidden: Which patches are replaced, booleans `[image, patch]`.
        """
        encoder = self.encoder
        tokens = encoder.patch_embed(images)
        tokens = torch.where(hidden[..., None], self.mask_token.to(tokens.dtype), tokens)
        tokens = encoder.norm_pre(encoder._pos_embed(tokens))
        tokens = encoder.fc_norm(encoder.norm(encoder.blocks(tokens)))  # one of the two norms is none
        predicted: Tensor = self.decoder(tokens[:, encoder.num_prefix_tokens :])
        return predicted


def _maskable(network: nn.Module) -> Any:  # noqa: ANN401 - timm's attributes are of many types
    known: Any = network
    plain = type(network) is VisionTransformer and isinstance(known.patch_embed, PatchEmbed)
    if not plain or known.attn_pool is not None:
        raise InputError(
            f"{type(network).__name__} cannot learn from masked images: each patch must be a token that sees "
            "no pixel of another, as in a plain vision transformer",
            hint="take --set model.name=vit-tiny, or vit-micro",
        )
    return known


def check_masking(settings: Settings, network: nn.Module) -> None:
    """Refuse a network, and settings, that do not go with masked images.

    Raises:
        InputError: The network is no plain vision transformer.
        UsageError: A setting contradicts the objective.
    """
    _maskable(network)
    augment = settings.augment
    without = {
        "augment.mixup": augment.mixup,
        "augment.cutmix": augment.cutmix,
        "augment.erasing": augment.erasing,
        "augment.cutout": augment.cutout,
        "distill.teacher": settings.distill.teacher,
        "start.weights": settings.start.weights,
        "optimizer.layer_decay": settings.optimizer.layer_decay != 1,
        "optimizer.name": settings.optimizer.name == "muon",
    }
    for name, given in without.items():
        if given:
            raise UsageError(
                f"{name} does not go with objective=masked-images", hint="leave it out of this run"
            )


def hidden_patches(
    samples: Tensor, patches: int, ratio: float, *, key: tuple[int, int], device: torch.device | None = None
) -> Tensor:
    """Return which patches of each image are hidden: booleans `[image, patch]`, ⌈ratio · patches⌉ a row.

    Each patch has a number that depends on the key, the image and the patch alone; those with the smallest
    numbers are hidden. So every image has its own draw, whatever batch it comes in.

    *Source*: SplitMix64 makes the numbers (Steele, Lea & Flood 2014, doi 10.1145/2660193.2660195).

    Args:
        samples: The images' numbers in their set, int64 `[image]`.
        patches: Patches an image.
        ratio: The share that is hidden, in 0 … 1; at least one patch stays.
        key: Seed and epoch; the epoch −1 is that of validation.
        device: Where the result goes.
    """
    start = np.random.SeedSequence((3, key[0], key[1] + 1, 4)).generate_state(1, np.uint64)
    numbers = np.arange(1, patches + 1, dtype=np.uint64)
    places: NDArray[np.uint64] = samples.numpy().astype(np.uint64)[:, None] * np.uint64(patches) + numbers
    order = _mixed(start + places * np.uint64(0x9E3779B97F4A7C15)).argsort(axis=1, kind="stable")
    count = min(ceil(ratio * patches), patches - 1)
    hidden = np.zeros((len(samples), patches), dtype=np.bool_)
    np.put_along_axis(hidden, order[:, :count], True, axis=1)
    return torch.from_numpy(hidden).to(device)


def _mixed(values: NDArray[np.uint64]) -> NDArray[np.uint64]:
    """Return SplitMix64's output of each state."""
    values = (values ^ (values >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    values = (values ^ (values >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return values ^ (values >> np.uint64(31))


def patches_of(images: Tensor, patches: int) -> Tensor:
    """Return the pixels of each patch `[image, patch, channel · row · column]`, patches row by row.

    Args:
        images: Square images `[image, channel, row, column]`.
        patches: How many there are: a square number.
    """
    count, channels, side, _ = images.shape
    grid = round(patches**0.5)
    cut = images.reshape(count, channels, grid, side // grid, grid, side // grid)
    return cut.permute(0, 2, 4, 1, 3, 5).reshape(count, patches, -1)


def reconstruction_losses(predicted: Tensor, images: Tensor, hidden: Tensor) -> Tensor:
    """Return the mean absolute error over the pixels and channels of each image's hidden patches: `[image]`.

    L = Σ |x̂ − x| / (hidden pixels · channels), over hidden pixels alone.

    *Source*: Xie et al. 2022, equation 2, on normalised images.

    Args:
        predicted: `[image, patch, pixel]`, in the order of `patches_of`.
        images: `[image, channel, row, column]`.
        hidden: Which patches count, booleans `[image, patch]`, as many in each row.
    """
    errors = (predicted - patches_of(images, predicted.shape[1])).abs().mean(dim=2)
    return (errors * hidden).sum(dim=1) / hidden.sum(dim=1)
