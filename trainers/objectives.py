"""What is learned: the classes of images, or the pixels of patches that were hidden."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol

import torch
import torch.nn.functional as F

from vitscope.trainers.masking import hidden_patches, reconstruction_losses

if TYPE_CHECKING:
    from collections.abc import Callable

    from torch import Tensor, nn

    from vitscope.trainers.batches import Batch
    from vitscope.trainers.distillation import Teacher
    from vitscope.trainers.sections import Settings

__all__ = ["Classification", "Objective", "Reconstruction", "objective_of"]


class Objective(Protocol):
    """What the engine lowers, and how it is judged.

    Attributes:
        accuracy: Whether images can be right, so that there is an accuracy.
    """

    accuracy: bool

    def to(self, device: torch.device) -> None:
        """Move what it holds."""

    def outputs(self, forward: Callable[..., Tensor], batch: Batch, rows: Tensor) -> Any:  # noqa: ANN401
        """Return what `losses` needs of some rows of a batch, by `forward`; mixed precision acts here."""

    def losses(self, outputs: Any, batch: Batch, rows: Tensor) -> tuple[Tensor, Tensor]:  # noqa: ANN401
        """Return the losses `[image]` of these rows, and how many of them were right."""

    def judge(self, network: nn.Module, inputs: Tensor, *, labels: Tensor, first: int) -> Tensor:
        """Return of validation images, the first of which has the number `first`, `[2]` in float64.

        The sum of the losses, and how many were right.
        """


class Classification:
    """Cross-entropy with the labels, both of a mixed image; a teacher's answers beside them.

    Args:
        settings: The run's settings.
        teacher: A model whose answers are learned as well.
    """

    accuracy = True

    def __init__(self, settings: Settings, teacher: Teacher | None = None) -> None:
        self.smoothing, self.weight, self.teacher = settings.label_smoothing, settings.distill.share, teacher

    def to(self, device: torch.device) -> None:
        """Move the teacher."""
        if self.teacher is not None:
            self.teacher.to(device)

    def outputs(
        self, forward: Callable[..., Tensor], batch: Batch, rows: Tensor
    ) -> tuple[Tensor, Tensor | None]:
        """Return the logits `[image, class]` of the network, and those of the teacher."""
        inputs = batch.input(rows)
        if batch.mix is not None:
            mix = batch.mix.take(rows)
            inputs = mix.apply(inputs, batch.input(mix.partner))
        return forward(inputs), None if self.teacher is None else self.teacher.logits(inputs)

    def losses(
        self, outputs: tuple[Tensor, Tensor | None], batch: Batch, rows: Tensor
    ) -> tuple[Tensor, Tensor]:
        """Return the losses `[image]`, and how many images were right; a mixed one by its labels' shares."""
        logits, own = outputs[0].float(), batch.labels[rows]
        guessed = logits.detach().argmax(dim=1)
        losses = F.cross_entropy(logits, own, reduction="none", label_smoothing=self.smoothing)
        hits = (guessed == own).float()
        if batch.mix is not None:
            mix = batch.mix.take(rows)
            other, share = batch.labels[mix.partner], mix.share.to(logits.device)
            theirs = F.cross_entropy(logits, other, reduction="none", label_smoothing=self.smoothing)
            losses = share * losses + (1 - share) * theirs
            hits = share * hits + (1 - share) * (guessed == other).float()
        if self.teacher is not None and outputs[1] is not None:
            losses = (1 - self.weight) * losses + self.weight * self.teacher.losses(logits, outputs[1])
        return losses, hits.sum()

    def judge(self, network: nn.Module, inputs: Tensor, *, labels: Tensor, first: int) -> Tensor:  # noqa: ARG002
        """Return the sum of the cross-entropies, and how many images are right."""
        logits = network(inputs).double()
        right = (logits.argmax(dim=1) == labels).double().sum()
        return torch.stack([F.cross_entropy(logits, labels, reduction="sum"), right])


class Reconstruction:
    """The mean absolute error of the hidden patches' pixels; see `vitscope.trainers.masking`.

    Args:
        seed: The run's.
        ratio: The share of the patches that is hidden.
        patches: Patches an image.
    """

    accuracy = False

    def __init__(self, *, seed: int, ratio: float, patches: int) -> None:
        self.seed, self.ratio, self.patches = seed, ratio, patches

    def to(self, device: torch.device) -> None:
        """Move nothing: the masks are drawn anew for each batch."""

    def _hidden(self, epoch: int, samples: Tensor, device: torch.device) -> Tensor:
        return hidden_patches(samples, self.patches, self.ratio, key=(self.seed, epoch), device=device)

    def outputs(self, forward: Callable[..., Tensor], batch: Batch, rows: Tensor) -> tuple[Tensor, Tensor]:
        """Return the predicted patches `[image, patch, pixel]`, and which were hidden `[image, patch]`."""
        inputs = batch.input(rows)
        hidden = self._hidden(batch.epoch, batch.samples[rows], inputs.device)
        return forward(inputs, hidden), hidden

    def losses(self, outputs: tuple[Tensor, Tensor], batch: Batch, rows: Tensor) -> tuple[Tensor, Tensor]:
        """Return the losses `[image]`; no image is right."""
        predicted, hidden = outputs
        losses = reconstruction_losses(predicted.float(), batch.input(rows), hidden)
        return losses, torch.zeros((), device=losses.device)

    def judge(self, network: nn.Module, inputs: Tensor, *, labels: Tensor, first: int) -> Tensor:  # noqa: ARG002
        """Return the sum of the losses, behind the same masks in every epoch."""
        samples = torch.arange(first, first + len(inputs))
        hidden = self._hidden(-1, samples, inputs.device)
        losses = reconstruction_losses(network(inputs, hidden).double(), inputs.double(), hidden)
        return torch.stack([losses.sum(), torch.zeros_like(losses.sum())])


def objective_of(settings: Settings, network: nn.Module, teacher: Teacher | None) -> Objective:
    """Return what the settings ask to learn."""
    if settings.objective == "classes":
        return Classification(settings, teacher)
    patches: Any = network.patches
    return Reconstruction(seed=settings.seed, ratio=settings.masking.ratio, patches=int(patches))
