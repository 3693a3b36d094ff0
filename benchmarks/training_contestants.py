"""Whose training step `training.py` measures: ours, torchvision's and timm's, with the same recipe."""

from __future__ import annotations

import statistics
import time
from abc import ABC, abstractmethod
from typing import TYPE_CHECKING, Any

import timm.data
import timm.optim
import torch
import torch.nn.functional as F
from PIL import Image
from timm.utils.model_ema import ModelEmaV3
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn
from torch.utils.data import DataLoader, Dataset, default_collate
from torchvision.transforms import v2

from vitscope.inference.processes import ALONE
from vitscope.models.registry import build_model
from vitscope.trainers.observer import Observer
from vitscope.trainers.training import _engine

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from torch import Tensor, nn

    from vitscope.trainers.preparation import Prepared
    from vitscope.trainers.settings import Settings

PARTS = ("input", "forward and backward", "clip, step, average")


class Times:
    """Seconds of the clock and of the processor, by part."""

    def __init__(self) -> None:
        self.parts: dict[str, list[tuple[float, float]]] = {part: [] for part in PARTS}

    def add(self, part: str, work: Callable[[], Any]) -> Any:
        """Do a part of the step and add its time."""
        began, busy = time.perf_counter(), time.process_time()
        answer = work()
        self.parts[part].append((time.perf_counter() - began, time.process_time() - busy))
        return answer

    def median(self, part: str, clock: int) -> float:
        """Return the median seconds of a part: 0 of the clock, 1 of the processor."""
        return statistics.median(each[clock] for each in self.parts[part])


class Pictures(Dataset[Any]):
    """The training images as PIL images, as torchvision's own CIFAR10 gives them."""

    def __init__(self, prepared: Prepared, transform: Callable[[Image.Image], Tensor] | None) -> None:
        pixels = prepared.train.pixels(prepared.preprocessing)
        self.arrays, self.transform = pixels.permute(0, 2, 3, 1).numpy(), transform
        self.labels = prepared.train.labels.tolist()

    def __len__(self) -> int:
        return len(self.labels)

    def __getitem__(self, index: int) -> tuple[Any, int]:
        picture = Image.fromarray(self.arrays[index])
        return (picture if self.transform is None else self.transform(picture)), self.labels[index]


class Contender(ABC):
    """A network, its input and its step."""

    def __init__(self, settings: Settings, prepared: Prepared) -> None:
        self.settings, self.prepared, self.times = settings, prepared, Times()
        torch.manual_seed(0)
        self.network: nn.Module = build_model(settings.model.name, prepared.options).train()
        self.batches = self.endless()

    def endless(self) -> Iterator[Any]:
        """Yield batches without end."""
        while True:
            yield from self.epoch()

    @abstractmethod
    def epoch(self) -> Iterator[Any]:
        """Return the batches of an epoch."""

    def loss(self, batch: Any) -> Tensor:
        """Return the mean loss of a batch."""
        images, targets = batch
        return F.cross_entropy(self.network(images), targets, label_smoothing=self.settings.label_smoothing)

    @abstractmethod
    def update(self) -> None:
        """Clip, step and average."""

    def step(self) -> None:
        """Make one step, each part timed."""
        batch = self.times.add(PARTS[0], lambda: next(self.batches))
        self.times.add(PARTS[1], lambda: self.loss(batch).backward())
        self.times.add(PARTS[2], self.update)


class Vitscope(Contender):
    """The engine of `vitscope train`; clipping counts as part of its forward and backward pass."""

    def __init__(self, settings: Settings, prepared: Prepared) -> None:
        super().__init__(settings, prepared)
        device = torch.device("cpu")
        self.engine = _engine(settings, prepared, device, here=ALONE, observer=Observer())
        self.count = 0
        self.updating = [0.0, 0.0]
        self.engine.optimizer.step = self.measured(self.engine.optimizer.step)
        self.engine.ema.update = self.measured(self.engine.ema.update)

    def measured(self, work: Callable[..., Any]) -> Callable[..., Any]:
        """Return `work`, its time counted apart."""

        def run(*given: Any, **named: Any) -> Any:
            began, busy = time.perf_counter(), time.process_time()
            answer = work(*given, **named)
            self.updating[0] += time.perf_counter() - began
            self.updating[1] += time.process_time() - busy
            return answer

        return run

    def epoch(self) -> Iterator[Any]:
        """Return the batches of an epoch."""
        return self.engine._batches(0, 0)

    def step(self) -> None:
        """Make one step, each part timed."""
        batch = self.times.add(PARTS[0], lambda: next(self.batches))
        self.updating = [0.0, 0.0]
        self.times.add(PARTS[1], lambda: self.engine._step(0, self.count, batch))
        clock, busy = self.times.parts[PARTS[1]].pop()
        self.times.parts[PARTS[1]].append((clock - self.updating[0], busy - self.updating[1]))
        self.times.parts[PARTS[2]].append((self.updating[0], self.updating[1]))
        self.count += 1


class Torchvision(Contender):
    """A plain loop, as torchvision's references have it."""

    def __init__(self, settings: Settings, prepared: Prepared) -> None:
        super().__init__(settings, prepared)
        optimizer = settings.optimizer
        self.optimizer = torch.optim.AdamW(
            self.network.parameters(), lr=optimizer.lr, weight_decay=optimizer.weight_decay
        )
        self.average = AveragedModel(self.network, multi_avg_fn=get_ema_multi_avg_fn(settings.ema))

    def epoch(self) -> Iterator[Any]:
        """Return the batches of an epoch."""
        preprocessing, classes = self.prepared.preprocessing, len(self.prepared.train.classes)
        augment = self.settings.augment
        transform = v2.Compose(
            [
                v2.RandomCrop(preprocessing.size, padding=augment.crop_padding),
                v2.RandomHorizontalFlip(),
                v2.RandAugment(augment.operations, augment.magnitude),
                v2.ToImage(),
                v2.ToDtype(torch.float32, scale=True),
                v2.Normalize(preprocessing.mean, preprocessing.std),
                v2.RandomErasing(augment.erasing),
            ]
        )
        mixes = [
            v2.MixUp(alpha=augment.mixup, num_classes=classes),
            v2.CutMix(alpha=augment.cutmix, num_classes=classes),
        ]
        mix = v2.RandomChoice(mixes)
        return iter(
            DataLoader(
                Pictures(self.prepared, transform),
                self.settings.batch_size,
                shuffle=True,
                collate_fn=lambda rows: mix(*default_collate(rows)),
            )
        )

    def update(self) -> None:
        """Clip, step and average."""
        torch.nn.utils.clip_grad_norm_(self.network.parameters(), 1.0)
        self.optimizer.step()
        self.optimizer.zero_grad()
        self.average.update_parameters(self.network)


class Timm(Contender):
    """The parts of timm's train.py."""

    def __init__(self, settings: Settings, prepared: Prepared) -> None:
        super().__init__(settings, prepared)
        optimizer, augment = settings.optimizer, settings.augment
        self.optimizer = timm.optim.create_optimizer_v2(
            self.network, "adamw", lr=optimizer.lr, weight_decay=optimizer.weight_decay
        )
        self.ema = ModelEmaV3(self.network, decay=settings.ema, use_warmup=True)
        self.mix = timm.data.Mixup(
            augment.mixup,
            augment.cutmix,
            label_smoothing=settings.label_smoothing,
            num_classes=len(prepared.train.classes),
        )
        self.count = 0
        self.loader = timm.data.create_loader(
            Pictures(prepared, None),
            (3, *prepared.preprocessing.size),
            settings.batch_size,
            is_training=True,
            re_prob=augment.erasing,
            train_crop_mode="rkrr",
            color_jitter=None,
            auto_augment=f"rand-m{augment.magnitude}-n{augment.operations}",
            mean=prepared.preprocessing.mean,
            std=prepared.preprocessing.std,
            num_workers=0,
            persistent_workers=False,
            device=torch.device("cpu"),
            use_prefetcher=False,
        )

    def epoch(self) -> Iterator[Any]:
        """Return the batches of an epoch."""
        return (self.mix(images, labels) for images, labels in self.loader)

    def loss(self, batch: Any) -> Tensor:
        """Return the mean loss of a batch."""
        images, targets = batch
        return torch.sum(-targets * F.log_softmax(self.network(images), dim=-1), dim=-1).mean()

    def update(self) -> None:
        """Clip, step and average."""
        torch.nn.utils.clip_grad_norm_(self.network.parameters(), 1.0)
        self.optimizer.step()
        self.optimizer.zero_grad()
        self.ema.update(self.network, step=self.count)
        self.count += 1
