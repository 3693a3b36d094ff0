"""The training loop: plain PyTorch, exact to repeat and to resume.

All randomness is a function of (seed, epoch, sample) or (seed, epoch, step), so a run that was stopped
anywhere and resumed ends, on a CPU with the same number of threads, in the same weights bit for bit. Several
processes share each batch: they end in the weights of one, up to the order of sums and to dropout.
"""

from __future__ import annotations

import time
import warnings
from contextlib import contextmanager, nullcontext
from math import isfinite
from typing import TYPE_CHECKING, Any, Literal

import torch
from timm.utils.model_ema import ModelEmaV3
from torch.nn.parallel import DistributedDataParallel

from vitscope.errors import EnvironmentFault, NotFiniteError
from vitscope.inference.device import is_out_of_memory
from vitscope.inference.processes import ALONE
from vitscope.trainers.augmentation.mixing import Mixing
from vitscope.trainers.augmentation.streams import stream
from vitscope.trainers.batches import Batch, batch_bounds, needed_rows, places_of
from vitscope.trainers.loading import Loader
from vitscope.trainers.moments import restore
from vitscope.trainers.optimization import build_optimizer, learning_rate, set_learning_rate
from vitscope.trainers.start import training_mode

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from torch import Tensor, nn

    from vitscope.inference.processes import Processes
    from vitscope.trainers.augmentation.mixing import Mix
    from vitscope.trainers.objectives import Objective
    from vitscope.trainers.preparation import Prepared
    from vitscope.trainers.sections import Settings
    from vitscope.trainers.state import TrainingState, Watch

__all__ = ["Engine"]

# How often the loop waits for the device to look at the losses.
_STEPS_BETWEEN_LOOKS = 50
_LOWER = "lower optimizer.lr or lengthen schedule.warmup_epochs; earlier checkpoints are kept"


class Engine:
    """One network, its optimizer and its data.

    Args:
        network: The network, on its device.
        settings: The run's settings.
        prepared: The data and what follows from it.
        objective: What is learned.
        here: This process among those that share the run.
        convolutional: Whether convolutions do most of the work: they are faster with channels last.
    """

    def __init__(
        self,
        network: nn.Module,
        settings: Settings,
        prepared: Prepared,
        *,
        objective: Objective,
        here: Processes = ALONE,
        convolutional: bool = False,
    ) -> None:
        self.settings, self.preprocessing, self.here = settings, prepared.preprocessing, here
        self.device = next(network.parameters()).device
        channels_last = convolutional if settings.channels_last is None else settings.channels_last
        self.layout = torch.channels_last if channels_last else torch.contiguous_format
        if here.world > 1 and self.device.type == "cuda":
            network = torch.nn.SyncBatchNorm.convert_sync_batchnorm(network)  # type: ignore[no-untyped-call]
        self.network = network.to(memory_format=self.layout)
        self.objective = objective
        objective.to(self.device)
        self.data = prepared.train
        self.validated = len(prepared.validation)
        self.validation = prepared.validation.take(list(here.rows(self.validated)))
        self.augmentation, self.mixing = prepared.augmentation, Mixing.from_settings(settings.augment)
        self.loader = Loader(
            self.data,
            self.preprocessing,
            self.augmentation,
            device=self.device,
            workers=settings.data.workers,
        )
        self.optimizer = build_optimizer(network, settings.optimizer)
        self.ema = ModelEmaV3(network, decay=settings.ema, use_warmup=True) if settings.ema else None
        self.labels = torch.from_numpy(self.data.labels).to(self.device)
        self.starts = batch_bounds(len(self.data), settings.batch_size)
        on_gpu = self.device.type == "cuda"
        mixed = settings.precision == "bfloat16" or (settings.precision == "auto" and on_gpu)
        self.autocast = torch.autocast(self.device.type, dtype=torch.bfloat16, enabled=mixed)
        self.forward = self._wrapped(compiled=on_gpu if settings.compile is None else settings.compile)

    def _wrapped(self, *, compiled: bool) -> Callable[[Tensor], Tensor]:
        network: Any = self.network
        if self.here.world > 1:
            ids = [self.device] if self.device.type == "cuda" else None
            network = DistributedDataParallel(network, device_ids=ids, gradient_as_bucket_view=True)
        return torch.compile(network) if compiled else network

    @property
    def judged(self) -> nn.Module:
        """The network that is validated and kept: the averaged weights where there are any."""
        return self.network if self.ema is None else self.ema.module

    def run_epoch(self, state: TrainingState, watch: Watch) -> bool:
        """Train for the rest of the epoch under way, then validate and append to the history.

        Args:
            state: Where the run stands; changed in place.
            watch: Is told of the steps, and decides on saving and stopping.

        Returns:
            Whether the epoch was finished.

        Raises:
            NotFiniteError: A loss is NaN or infinite; the epoch and batch are named.
            EnvironmentFault: A batch does not fit into memory.
        """
        began, before = time.perf_counter(), state.seconds
        steps: list[Tensor] = []
        first = state.step
        training_mode(self.network)
        for step, batch in enumerate(self._batches(state.epoch, first), first):
            self._set_learning_rate(state.epoch, step)
            with _memory_for(len(batch.rows)):
                steps.append(self._step(state.epoch, step, batch))
            state.step = step + 1
            watch.advance(batch.size)
            stop, save = self.here.each_any(watch.stopped(), watch.save_is_due())
            if stop or save or len(steps) == _STEPS_BETWEEN_LOOKS or state.step == len(self.starts):
                self._look_at(steps, state)
                state.seconds = before + time.perf_counter() - began
            if state.step < len(self.starts):
                if stop:
                    return False
                if save:
                    watch.save()
        scores = self.validate(watch.stopped)
        if scores is None:
            return False
        self._finish_epoch(state, *scores)
        return True

    def _batches(self, epoch: int, first: int) -> Iterator[Batch]:
        """Yield what this process needs of each step of an epoch, from the step `first` on."""
        seed, count = self.settings.seed, len(self.data)
        order = torch.randperm(count, generator=stream(seed, epoch, 0))
        draws = self.augmentation.draw(seed, epoch, count)
        mixed_epochs = round(self.settings.epochs * (1 - self.settings.augment.mix_off))
        mixing = self.mixing.active and epoch < mixed_epochs
        parts = [order[start:stop] for start, stop in self.starts[first:]]
        mixes: list[Mix | None] = [
            self.mixing.draw(seed, epoch, step, len(part), self.preprocessing.size) if mixing else None
            for step, part in enumerate(parts, first)
        ]
        rows = [torch.tensor(self.here.rows(len(part)) or range(1)) for part in parts]
        needed = [needed_rows(own, mix) for own, mix in zip(rows, mixes, strict=True)]
        samples = [part[these] for part, these in zip(parts, needed, strict=True)]
        every = zip(parts, mixes, rows, needed, self.loader.batches(samples, draws), strict=True)
        for part, mix, own, these, pixels in every:
            with _memory_for(len(own)):
                inputs = self._inputs(pixels, draws[part[these]])
            labels = self.labels[part.to(self.device)]
            places, idle = places_of(these, len(part)), not self.here.rows(len(part))
            yield Batch(epoch, part, labels, own, mix, places, inputs, idle)

    def _inputs(self, pixels: Tensor, draws: Tensor) -> Tensor:
        augmented = self.augmentation.apply(pixels, draws, cropped=self.loader.cropped)
        inputs = self.augmentation.erase(self.preprocessing.normalize(augmented), draws)
        return inputs.contiguous(memory_format=self.layout)

    def _step(self, epoch: int, step: int, batch: Batch) -> Tensor:
        """Make one step; return this process's part of the mean loss and of the right images: `[2]`."""
        settings, here = self.settings, self.here
        # The first of several processes draws its dropout as one alone would.
        key = (step,) if here.main else (step, here.rank)
        torch.manual_seed(stream(settings.seed, epoch, 2, *key).initial_seed())
        self.optimizer.zero_grad(set_to_none=True)
        told = torch.zeros(2, device=self.device)
        pieces = batch.rows.tensor_split(min(settings.accumulate, len(batch.rows)))
        for place, rows in enumerate(pieces, 1):
            alone = here.world == 1 or place == len(pieces)
            with nullcontext() if alone else self.forward.no_sync():  # type: ignore[attr-defined]
                with self.autocast:
                    outputs = self.objective.outputs(self.forward, batch, rows)
                losses, hits = self.objective.losses(outputs, batch, rows)
                counted = 0 if batch.idle else 1
                part = counted * losses.sum() / batch.size
                # The processes' gradients are averaged, their parts of the mean are to be summed.
                self._backward(part * here.world)
            told += torch.stack([part.detach(), counted * hits])
        if settings.clip_grad is not None:
            torch.nn.utils.clip_grad_norm_(self.network.parameters(), settings.clip_grad)
        self.optimizer.step()
        if self.ema is not None:
            self.ema.update(self.network, step=epoch * len(self.starts) + step)
        return told

    def _backward(self, loss: Tensor) -> None:
        if self.here.world == 1:
            loss.backward()  # type: ignore[no-untyped-call]
            return
        with warnings.catch_warnings():
            # Of convolutions, whose gradients are laid out otherwise than what travels: a copy, no error.
            warnings.filterwarnings("ignore", "Grad strides do not match bucket view strides")
            loss.backward()  # type: ignore[no-untyped-call]

    def _set_learning_rate(self, epoch: int, step: int) -> float:
        steps = len(self.starts)
        lr = learning_rate(
            self.settings.optimizer.lr,
            self.settings.schedule,
            step=epoch * steps + step,
            steps_per_epoch=steps,
            epochs=self.settings.epochs,
        )
        set_learning_rate(self.optimizer, lr)
        return lr

    def _look_at(self, steps: list[Tensor], state: TrainingState) -> None:
        """Wait for the device, sum over the processes, and stop at the first loss that is not finite."""
        losses, correct = self.here.sum(torch.stack(steps)).unbind(dim=1)
        steps.clear()
        bad = (~torch.isfinite(losses)).nonzero()
        if len(bad):
            batch = state.step - len(losses) + int(bad[0]) + 1
            raise NotFiniteError(
                f"the loss is {float(losses[bad[0]])} at batch {batch} of epoch {state.epoch + 1}",
                hint=_LOWER,
            )
        state.losses += losses.tolist()
        state.correct += correct.tolist()

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
            "train_accuracy": sum(state.correct) / images,
            "validation_loss": validation_loss,
            "validation_accuracy": validation_accuracy,
            "seconds": state.seconds,
            "images_per_second": images / state.seconds,
        }
        if not self.objective.accuracy:
            row = {name: value for name, value in row.items() if not name.endswith("_accuracy")}
        state.history.append(row)
        by = self.settings.select_by
        if state.best_epoch == 0 or _rank(row, by) > _rank(state.best, by):
            state.best_epoch = state.epoch + 1
        state.epoch, state.step, state.losses, state.correct, state.seconds = state.epoch + 1, 0, [], [], 0.0

    def validate(self, stopped: Callable[[], bool]) -> tuple[float, float] | None:
        """Return the mean loss and the accuracy on the validation part, or None where stopped."""
        network, before = self.judged.eval(), self.here.rows(self.validated).start
        labels = torch.from_numpy(self.validation.labels).to(self.device)
        size = max(self.settings.batch_size, 256)
        sums = torch.zeros(2, dtype=torch.float64, device=self.device)
        batches = self.validation.batches(self.preprocessing, size)
        with torch.inference_mode(), self.autocast:
            # Every process asks as often as the one with the most images.
            for start in range(0, -(-self.validated // self.here.world), size):
                if self.here.any(stopped()):
                    return None
                pixels = next(batches, None)
                if pixels is None:
                    continue
                with _memory_for(len(pixels)):
                    inputs = self.preprocessing.normalize(pixels.to(self.device))
                    inputs = inputs.contiguous(memory_format=self.layout)
                    first = before + start
                    truth = labels[start : start + size]
                    sums += self.objective.judge(network, inputs, labels=truth, first=first)
        loss, correct = (self.here.sum(sums) / self.validated).tolist()
        return loss, correct

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
        """Return what a run needs to go on beside weights and state, for a checkpoint."""
        averaged = {} if self.ema is None else {"ema": self.ema.module.state_dict()}
        return {"optimizer": self.optimizer.state_dict()} | averaged

    def recall(self, memory: dict[str, Any]) -> None:
        """Go back to what `memory` returned."""
        if isinstance(self.optimizer, torch.optim.Optimizer):
            restore(self.optimizer, memory["optimizer"])
        else:
            self.optimizer.load_state_dict(memory["optimizer"])
        if self.ema is not None:
            self.ema.module.load_state_dict(memory["ema"])


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


def _rank(row: dict[str, float], select_by: Literal["accuracy", "loss", "last"]) -> tuple[float, float]:
    """Return what orders epochs, the best largest: accuracy, then lower loss; or the reverse; or time.

    Where there is no accuracy, all have the same.
    """
    if select_by == "last":
        return row["epoch"], 0.0
    accuracy, loss = row.get("validation_accuracy", 0.0), row["validation_loss"]
    return (accuracy, -loss) if select_by == "accuracy" else (-loss, accuracy)
