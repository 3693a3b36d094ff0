"""Gram matrices: how alike images are to each other in the eyes of each layer."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch

from vitscope.errors import NotFiniteError
from vitscope.records.similarity import Grams

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    import numpy as np
    from numpy.typing import NDArray
    from torch import Tensor, nn

    from vitscope.capture.blocks import Blocks

__all__ = ["gram_matrices", "layer_grams"]

_STILL = 1e-6  # of the features' size: what rounding leaves in float32 where all images are alike


def gram_matrices(features: Sequence[Tensor]) -> NDArray[np.float32]:
    """Return the inner products of images in each layer's features: `[layer, image, image]`.

    An image's features are all that a layer puts out, every token or place and every channel, less the mean
    of the minibatch, which changes no HSIC but leaves less to rounding. Where nothing is left of them but
    rounding, they are 0.

    Args:
        features: One tensor a layer, `[image, …]`.

    Raises:
        NotFiniteError: They are not finite.
    """
    grams = []
    for each in features:
        flat = each.detach().flatten(1).float()
        centred = flat - flat.mean(dim=0)
        if centred.norm() <= _STILL * flat.norm():
            centred = torch.zeros_like(centred)
        grams.append(centred @ centred.T)
    stacked = torch.stack([gram.cpu() for gram in grams])
    if not bool(torch.isfinite(stacked).all()):
        raise NotFiniteError("a layer's features are not finite", hint="use another checkpoint")
    found: NDArray[np.float32] = stacked.numpy()
    return found


def layer_grams(
    model: nn.Module, batches: Iterable[Tensor], *, layers: Blocks | None = None, name: str = ""
) -> Grams:
    """Return the inner products of images in the features of each layer, for `vitscope.analysis.similarity`.

    Args:
        model: Any model in evaluation mode.
        batches: Minibatches of images as the model takes them, at least 4 images each; for two models the
            same images in the same order.
        layers: Its blocks, stages or convolutions where left out; others from
            `find_layers(model, names=(…))`.
        name: What the model is called.

    Raises:
        CaptureError: There are no layers, or they did not run in order.
        NotFiniteError: Features are not finite.
    """
    from vitscope.capture.blocks import find_layers

    chosen = layers or find_layers(model)
    found = []
    with torch.no_grad(), chosen.recording() as record:
        for images in batches:
            model(images)
            found.append(gram_matrices(record.features()))
            record.outputs.clear()
    return Grams(found, chosen.names, model=name)
