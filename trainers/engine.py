"""The training loop: plain PyTorch, exact to repeat and to resume.

All randomness is a function of (seed, epoch, sample) or (seed, epoch, step), so a run that was stopped
anywhere and resumed ends, on a CPU with the same number of threads, in the same weights bit for bit.
"""

from __future__ import annotations

import time
from contextlib import contextmanager
from dataclasses import dataclass, field
from math import isfinite
from typing import TYPE_CHECKING, Any, Literal

import torch
import torch.nn.functional as F

from vitscope.errors import EnvironmentFault, NotFiniteError
from vitscope.inference.device import is_out_of_memory
from vitscope.trainers.augmentation.streams import stream
from vitscope.trainers.optimization import build_optimizer, learning_rate

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from torch import Tensor, nn

    from vitscope.data.imageset import ImageSet
    from vitscope.data.preprocessing import Preprocessing
    from vitscope.trainers.augmentation.pipeline import Augmentation
    from vitscope.trainers.settings import Settings

__all__ = ["Engine", "TrainingState"]

# How often the loop waits for the device to look at the losses.
_STEPS_BETWEEN_LOOKS = 50
_LOWER = "lower optimizer.lr or lengthen schedule.warmup_epochs; earlier checkpoints are kept"


@dataclass
class TrainingState:
    """Where a run stands; everything of a run that is neither weights nor optimizer.

    Attributes:
        epoch: Epochs done.
        step: Steps done in the epoch under way.
        losses: The losses of those steps.
        correct: How many of their images were classified right.
        seconds: The time they took.
        history: One row an epoch done.
        best_epoch: The epoch, counted from 1, that is best on the validation part; 0 before the first.
    """

    epoch: int = 0
    step: int = 0
    losses: list[float] = field(default_factory=list)
    correct: int = 0
    seconds: float = 0.0
    history: list[dict[str, float]] = field(default_factory=list)
    best_epoch: int = 0

    @property
    def best(self) -> dict[str, float]:
        """The best epoch's row."""
        return self.history[self.best_epoch - 1]


class Engine:
    """One network, its optimizer and its data.

    Args:
        network: The network, on its device.
        settings: The run's settings.
        train: The training images, without the validation part.
        validation: The validation part.
        preprocessing: How pixels become input.
        augmentation: What is done to training images.
    """

    def __init__(
        self,
        network: nn.Module,
        settings: Settings,
        *,
        train: ImageSet,
        validation: ImageSet,
        preprocessing: Preprocessing,
        augmentation: Augmentation,
    ) -> None:
        self.network = network
        self.settings = settings
        self.device = next(network.parameters()).device
        self.data = train
        self.validation = validation
        self.preprocessing = preprocessing
        self.augmentation = augmentation
        self.optimizer = build_optimizer(network, settings.optimizer)
        self.labels = torch.from_numpy(train.labels).to(self.device)
        # Pictures of another size are brought to the model's batch by batch, or they might fill the memory.
        shape = (preprocessing.channels, *preprocessing.size)
        fits = train.array is not None and train.array.shape[1:] == shape
        self.resident = train.pixels(preprocessing).to(self.device) if fits else None
        self.starts = _batch_starts(len(train), settings.batch_size)
        mixed = settings.precision == "bfloat16" or (
            settings.precision == "auto" and self.device.type == "cuda"
        )
        self.autocast = torch.autocast(self.device.type, dtype=torch.bfloat16, enabled=mixed)

    def run_epoch(
        self, state: TrainingState, after_step: Callable[[int], bool], *, stopped: Callable[[], bool]
    ) -> bool:
        """Train for the rest of the epoch under way, then validate and append to the history.

        Args:
            state: Where the run stands; changed in place.
            after_step: Called with the batch's size after each step; true stops the epoch there.
            stopped: Asked before each batch of the validation; true stops there.

        Returns:
            Whether the epoch was finished.

        Raises:
            NotFiniteError: A loss is NaN or infinite; the epoch and batch are named.
            EnvironmentFault: A batch does not fit into memory.
        """
        settings, began, before = self.settings, time.perf_counter(), state.seconds
        order = torch.randperm(len(self.data), generator=stream(settings.seed, state.epoch, 0))
        draws = self.augmentation.draw(settings.seed, state.epoch, len(self.data))
        losses: list[Tensor] = []
        correct = torch.tensor(state.correct, device=self.device)
        self.network.train()
        for step, sample, pixels in self._batches(order, state.step):
            self._set_learning_rate(state.epoch, step)
            torch.manual_seed(stream(settings.seed, state.epoch, 2, step).initial_seed())
            with _memory_for(len(sample)):
                loss, right = self._step(self.augmentation.apply(pixels, draws[sample]), sample)
            losses.append(loss)
            correct += right
            state.step = step + 1
            stop = after_step(len(sample))
            if stop or len(losses) == _STEPS_BETWEEN_LOOKS or state.step == len(self.starts):
                self._look_at(losses, state)
                state.correct, state.seconds = int(correct), before + time.perf_counter() - began
            if stop and state.step < len(self.starts):
                return False
        scores = self.validate(stopped)
        if scores is None:
            return False
        self._finish_epoch(state, *scores)
        return True

    def _batches(self, order: Tensor, first: int) -> Iterator[tuple[int, Tensor, Tensor]]:
        """Yield step, sample indices and pixels of the steps from `first` on."""
        parts = [order[start:stop] for start, stop in self.starts[first:]]
        if not parts:  # the epoch was stopped in its validation
            return
        if self.resident is not None:
            for step, sample in enumerate(parts, first):
                yield step, sample, self.resident[sample.to(self.device)]
            return
        rest = self.data.take(torch.cat(parts).numpy())
        batches = rest.batches(self.preprocessing, self.settings.batch_size)
        for step, (sample, pixels) in enumerate(zip(parts, batches, strict=True), first):
            yield step, sample, pixels.to(self.device, non_blocking=True)

    def _step(self, pixels: Tensor, sample: Tensor) -> tuple[Tensor, Tensor]:
        labels = self.labels[sample.to(self.device)]
        with self.autocast:
            logits = self.network(self.preprocessing.normalize(pixels))
        loss = F.cross_entropy(logits.float(), labels, label_smoothing=self.settings.label_smoothing)
        self.optimizer.zero_grad(set_to_none=True)
        loss.backward()  # type: ignore[no-untyped-call]
        if self.settings.clip_grad is not None:
            torch.nn.utils.clip_grad_norm_(self.network.parameters(), self.settings.clip_grad)
        self.optimizer.step()
        return loss.detach(), (logits.detach().argmax(dim=1) == labels).sum()

    def _set_learning_rate(self, epoch: int, step: int) -> float:
        steps = len(self.starts)
        lr = learning_rate(
            self.settings.optimizer.lr,
            self.settings.schedule,
            step=epoch * steps + step,
            steps_per_epoch=steps,
            epochs=self.settings.epochs,
        )
        for group in self.optimizer.param_groups:
            group["lr"] = lr
        return lr

    def _look_at(self, losses: list[Tensor], state: TrainingState) -> None:
        values = torch.stack(losses).cpu()
        bad = (~torch.isfinite(values)).nonzero()
        if len(bad):
            batch = state.step - len(values) + int(bad[0]) + 1
            raise NotFiniteError(
                f"the loss is {float(values[bad[0]])} at batch {batch} of epoch {state.epoch + 1}",
                hint=_LOWER,
            )
        state.losses += values.tolist()
        losses.clear()

    def _finish_epoch(self, state: TrainingState, validation_loss: float, validation_accuracy: float) -> None:
        sizes = [stop - start for start, stop in self.starts]
        images = sum(sizes)
        if not isfinite(validation_loss):
            raise NotFiniteError(
                f"the validation loss is {validation_loss} after epoch {state.epoch + 1}", hint=_LOWER
            )
        row = {
            "epoch": state.epoch + 1,
            "learning_rate": self._set_learning_rate(state.epoch, len(sizes) - 1),
            "train_loss": sum(loss * size for loss, size in zip(state.losses, sizes, strict=True)) / images,
            "train_accuracy": state.correct / images,
            "validation_loss": validation_loss,
            "validation_accuracy": validation_accuracy,
            "seconds": state.seconds,
            "images_per_second": images / state.seconds,
        }
        state.history.append(row)
        by = self.settings.select_by
        if state.best_epoch == 0 or _rank(row, by) > _rank(state.best, by):
            state.best_epoch = state.epoch + 1
        state.epoch, state.step, state.losses, state.correct, state.seconds = state.epoch + 1, 0, [], 0, 0.0

    def validate(self, stopped: Callable[[], bool]) -> tuple[float, float] | None:
        """Return the mean cross-entropy and the accuracy on the validation part, or None where stopped."""
        self.network.eval()
        labels = torch.from_numpy(self.validation.labels).to(self.device)
        size = max(self.settings.batch_size, 256)
        logits: list[Tensor] = []
        with torch.inference_mode(), self.autocast:
            for pixels in self.validation.batches(self.preprocessing, size):
                if stopped():
                    return None
                with _memory_for(len(pixels)):
                    logits.append(self.network(self.preprocessing.normalize(pixels.to(self.device))))
        every = torch.cat(logits).float()
        accuracy = (every.argmax(dim=1) == labels).double().mean()
        return float(F.cross_entropy(every, labels)), float(accuracy)

    def check_weights(self, state: TrainingState) -> None:
        """Refuse weights that are not finite, before they take the place of the last good ones.

        Raises:
            NotFiniteError: One of them is NaN or infinite.
        """
        for name, tensor in self.network.state_dict().items():
            if tensor.is_floating_point() and not bool(torch.isfinite(tensor).all()):
                place = f"batch {state.step} of epoch {state.epoch + 1}"
                raise NotFiniteError(f"weight {name} is not finite after {place}", hint=_LOWER)

    def memory(self) -> dict[str, Any]:
        """Return the optimizer's state, for a checkpoint."""
        return self.optimizer.state_dict()

    def recall(self, memory: dict[str, Any]) -> None:
        """Put the optimizer back to what `memory` returned."""
        self.optimizer.load_state_dict(memory)


@contextmanager
def _memory_for(images: int) -> Iterator[None]:
    try:
        yield
    except (RuntimeError, MemoryError) as error:
        if not is_out_of_memory(error):
            raise
        smaller = f"try --set batch_size={images // 2}" if images > 3 else "try a smaller model"
        raise EnvironmentFault(
            f"a batch of {images} images does not fit into memory", hint=smaller
        ) from error


def _batch_starts(count: int, size: int) -> list[tuple[int, int]]:
    """Return start and end of every batch; a last one of a single image is left out: batch norm needs two."""
    bounds = [(start, min(start + size, count)) for start in range(0, count, size)]
    return bounds[:-1] if len(bounds) > 1 and bounds[-1][1] - bounds[-1][0] == 1 else bounds


def _rank(row: dict[str, float], select_by: Literal["accuracy", "loss", "last"]) -> tuple[float, float]:
    """Return what orders epochs, the best largest: accuracy, then lower loss; or loss, then accuracy; or time."""
    if select_by == "last":
        return row["epoch"], 0.0
    accuracy, loss = row["validation_accuracy"], row["validation_loss"]
    return (accuracy, -loss) if select_by == "accuracy" else (-loss, accuracy)
