"""What the attributions of captum share: the question, the baseline, the random numbers, the channels."""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import torch

from vitscope.errors import InputError
from vitscope.explain.targets import check_logits, choose_targets
from vitscope.records.heatmap import Heatmap

if TYPE_CHECKING:
    from collections.abc import Iterator

    from torch import Tensor, nn

__all__ = ["Question", "ask", "seeded"]

# Pixels of all images that go through the model at once, with a graph: 32 images of 224×224.
_PIXELS = 32 * 224 * 224
_MOST = 256


@dataclass(frozen=True, eq=False)
class Question:
    """Which logit of each image is to be attributed to its pixels.

    Attributes:
        model: The classifier.
        images: `[image, channel, row, column]`, a copy without a graph.
        targets: `[image]`, the class of each.
    """

    model: nn.Module
    images: Tensor
    targets: Tensor

    @property
    def at_once(self) -> int:
        """How many images go through the model at once, bounded in memory whatever their size."""
        return max(1, min(_MOST, _PIXELS // (self.images.shape[-1] * self.images.shape[-2])))

    def answer(self, images: Tensor) -> Tensor:
        """Return the logits of images in the model's precision: captum makes its samples in float32."""
        logits: Tensor = self.model(images.to(self.images.dtype))
        return logits

    def parts(self, size: int | None = None) -> Iterator[Question]:
        """Return the same question about so many images at a time; `at_once` where left out."""
        size = size or self.at_once
        for start in range(0, len(self.images), size):
            some = slice(start, start + size)
            yield Question(self.model, self.images[some], self.targets[some])

    def baseline(self, given: Tensor | None) -> Tensor:
        """Return what stands for nothing, `[1, channel, row, column]`; 0 where left out, the data's mean.

        Raises:
            InputError: It does not have the shape of an image or of its channels, or is not finite.
        """
        if given is None:
            return torch.zeros_like(self.images[:1])
        shape = self.images.shape[1:]
        try:
            full = given.detach().to(self.images).expand(shape)[None]
        except RuntimeError as error:
            raise InputError(
                f"expected a baseline [channel, row, column] like {list(shape)}, got {list(given.shape)}",
                hint="one number a channel is [channel, 1, 1]",
            ) from error
        if not bool(torch.isfinite(full).all()):
            raise InputError("the baseline holds values that are not finite")
        return full.contiguous()

    def heatmap(self, values: Tensor, *, method: str, signed: bool, **options: object) -> Heatmap:
        """Return maps `[image, row, column]` as a record."""
        return Heatmap(
            values=np.ascontiguousarray(values.detach().float().cpu().numpy()),
            method=method,
            targets=self.targets.cpu().numpy(),
            signed=signed,
            options=options,
        )


def ask(model: nn.Module, images: Tensor, targets: Tensor | None) -> Question:
    """Return the question for a batch, its targets checked or predicted by one forward pass.

    Raises:
        CaptureError: The model gives no logits.
        InputError: The targets are not one class of the model an image.
        NotFiniteError: The logits are not finite.
    """
    with torch.inference_mode(False), torch.no_grad():
        given = images.detach().clone()
        logits = check_logits(model(given), len(given))
        return Question(model, given, choose_targets(targets, logits))


@contextmanager
def seeded(seed: int, images: Tensor) -> Iterator[None]:
    """Draw the same random numbers in every such block, and leave the caller's generators as they were.

    captum draws from the generators of torch and of NumPy that the whole process shares.
    """
    kept = np.random.get_state()  # noqa: NPY002
    devices = [images.device] if images.is_cuda else []
    with torch.random.fork_rng(devices=devices):
        torch.default_generator.manual_seed(seed)
        if images.is_cuda:
            with torch.cuda.device(images.device):
                torch.cuda.manual_seed(seed)
        np.random.seed(seed)  # noqa: NPY002
        try:
            yield
        finally:
            np.random.set_state(kept)  # noqa: NPY002
