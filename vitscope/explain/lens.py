"""The logit lens: what the head would say after each layer."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import torch

from vitscope.errors import InputError
from vitscope.explain.targets import check_logits
from vitscope.records.lens import Lens

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray
    from torch import Tensor, nn

    from vitscope.capture.blocks import Blocks

__all__ = ["LensRows", "logit_lens"]


class LensRows:
    """The lens of batches of images, kept as three numbers an image and layer.

    Args:
        blocks: The model's blocks.
    """

    def __init__(self, blocks: Blocks) -> None:
        self._blocks = blocks
        self._parts: list[tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.int64]]] = []
        self._labels: list[NDArray[np.int64]] = []

    def add(self, tokens: Sequence[Tensor], images: Tensor, labels: NDArray[np.int64]) -> None:
        """Add a batch: each block's output tokens, the images and their true classes.

        Raises:
            CaptureError: The head does not read other layers' tokens.
            InputError: A label is no class of the model.
            NotFiniteError: The logits are not finite.
        """
        if len(labels) != len(images):
            raise InputError(f"expected {len(images)} labels, got {len(labels)}")
        logits = check_logits(
            self._blocks.readout(torch.cat(list(tokens)), images), len(tokens) * len(images)
        )
        shares = logits.detach().cpu().double().softmax(dim=1).numpy().reshape(len(tokens), len(images), -1)
        if len(labels) and not 0 <= labels.min() <= labels.max() < shares.shape[2]:
            raise InputError(f"expected labels in 0 … {shares.shape[2] - 1}")
        predicted = shares.argmax(axis=2)
        rows = np.arange(len(images))
        self._parts.append((shares[:, rows, labels], shares[:, rows, predicted[-1]], predicted))
        self._labels.append(np.asarray(labels, dtype=np.int64))

    def result(self, classes: Sequence[str], names: Sequence[str] = ()) -> Lens:
        """Return the record of all images added.

        Raises:
            InputError: There was none.
        """
        if not self._parts:
            raise InputError("expected at least one image, got none")
        truth, final, predicted = (np.concatenate(part, axis=1) for part in zip(*self._parts, strict=True))
        return Lens(
            truth=truth,
            final=final,
            predicted=predicted,
            labels=np.concatenate(self._labels),
            layers=self._blocks.names,
            classes=tuple(classes),
            names=tuple(names),
        )


def logit_lens(
    model: nn.Module,
    images: Tensor,
    labels: Sequence[int] | NDArray[np.int64],
    *,
    classes: Sequence[str] = (),
    blocks: Blocks | None = None,
) -> Lens:
    """Apply a model's own head to every layer's tokens, and leave the model as it was.

    y_l = head(pool(norm(Z_l))), Z_l the tokens that block l puts out; norm, pooling and head are the model's
    own, in its own order, so that the last layer gives the model's logits.

    *Source*: nostalgebraist 2020, "interpreting GPT: the logit lens"; on image classifiers Vilas et al.
    2023, arXiv 2310.18969.

    Args:
        model: A classifier in evaluation mode.
        images: `[image, channel, row, column]`, normalised as the model takes them, on its device.
        labels: `[image]`, the true classes.
        classes: The class names.
        blocks: The model's blocks, where they cannot be found.

    Raises:
        CaptureError: The model has no chain of transformer blocks, or its head does not read their tokens.
        InputError: A label is no class of the model.
        NotFiniteError: The logits are not finite.
    """
    from vitscope.capture.blocks import find_blocks

    chain = blocks or find_blocks(model)
    rows = LensRows(chain)
    with torch.no_grad():
        rows.add(chain.outputs(images), images, np.asarray(labels, dtype=np.int64))
    return rows.result(classes)
