"""From settings to the data, the network's options and the augmentation, checked before training starts."""

from __future__ import annotations

import os
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from vitscope.data.preprocessing import Preprocessing
from vitscope.data.sources import DataSpec, dataset_names, load_split
from vitscope.data.split import stratified_subset
from vitscope.errors import DataError, InputError
from vitscope.inference.sources import is_named
from vitscope.models.registry import build_model, resolve_options
from vitscope.trainers.augmentation.pipeline import Augmentation
from vitscope.trainers.masking import check_masking
from vitscope.trainers.optimization import parameter_groups
from vitscope.trainers.origin import HUB, Origin, find_origin

if TYPE_CHECKING:
    from vitscope.checkpoint.record import Checkpoint
    from vitscope.data.imageset import ImageSet
    from vitscope.trainers.settings import Settings

__all__ = ["Prepared", "anchored", "prepare"]

_LARGEST_RESIDENT = 64
_DEFAULT_SIZE = 64
_SAMPLE = 2000


@dataclass(frozen=True, eq=False)
class Prepared:
    """What a run starts from.

    Attributes:
        spec: How to find the data again.
        train: The training images, without the validation part.
        validation: The validation part, which chooses the best epoch.
        preprocessing: How pixels become input.
        options: The network's arguments, all of them.
        augmentation: What is done to training images.
        origin: The weights that the run begins with, and what came with them.
    """

    spec: DataSpec
    train: ImageSet
    validation: ImageSet
    preprocessing: Preprocessing
    options: dict[str, Any]
    augmentation: Augmentation
    origin: Origin

    @property
    def digests(self) -> dict[str, str]:
        """What names the images: a run that is resumed must find the same."""
        return {"data_digest": self.train.digest, "validation_digest": self.validation.digest}


def anchored(settings: Settings) -> Settings:
    """Return the settings with absolute paths: run and checkpoint find folders and files from anywhere."""
    source = settings.data.source
    if source not in dataset_names() and os.path.isdir(Path(source).expanduser()):
        settings = _with(settings, "data", source=_absolute(source))
    if settings.start.weights not in ("", HUB):
        settings = _with(settings, "start", weights=_absolute(settings.start.weights))
    if settings.distill.teacher and os.path.exists(Path(settings.distill.teacher).expanduser()):
        settings = _with(settings, "distill", teacher=_absolute(settings.distill.teacher))
    return settings


def _with(settings: Settings, section: str, **values: str) -> Settings:
    return settings.model_copy(update={section: getattr(settings, section).model_copy(update=values)})


def _absolute(path: str) -> str:
    return str(Path(path).expanduser().resolve())


def prepare(settings: Settings, *, last: Checkpoint | None = None) -> Prepared:
    """Load the training and validation images and derive everything that follows from them.

    Args:
        settings: The run's settings.
        last: The last checkpoint of a run that goes on: its classes, options and preprocessing stay, and the
            weights that it began from need not be there any more.

    Raises:
        DataError: The data set cannot be used for training.
        UsageError: A setting contradicts the data, or another one.
        InputError: The model does not fit the data, or the first weights cannot be used.
        EnvironmentFault: The first weights have to be downloaded and cannot be.
    """
    _check_teacher(settings.distill.teacher)
    origin = find_origin(settings) if last is None else Origin.of_run(last)
    spec, train, validation = _images(settings, origin)
    own = origin.preprocessing
    channels = own.channels if own is not None else train.channels()
    size = settings.data.image_size or (own.size[0] if own is not None else _image_size(train))
    augmentation = Augmentation.from_settings(
        settings.augment, source=settings.data.source, channels=channels, size=size
    )
    data = {"classes": len(train.classes), "image_size": size, "channels": channels}
    given = settings.model.options()
    options = resolve_options(settings.model.name, (origin.chosen(given) if origin.options else given) | data)
    _check_network(settings, options)
    neutral = Preprocessing(
        size=(size, size), channels=channels, mean=(0.0,) * channels, std=(1.0,) * channels
    )
    if own is not None:
        neutral = replace(neutral, interpolation=own.interpolation)
    if size <= _LARGEST_RESIDENT:
        train, validation = train.in_memory(neutral), validation.in_memory(neutral)
    mean, std = (own.mean, own.std) if own is not None else _statistics(train, neutral)
    preprocessing = replace(neutral, mean=mean, std=std)
    return Prepared(spec, train, validation, preprocessing, options, augmentation, origin)


def _images(settings: Settings, origin: Origin) -> tuple[DataSpec, ImageSet, ImageSet]:
    """Return how to find the data, the training images and the validation part, within the limit."""
    given = settings.data
    spec = DataSpec(
        source=given.source,
        root=given.root,
        validation=given.validation,
        test=given.test,
        split_seed=given.split_seed,
    )
    train, validation = load_split(spec, "train"), load_split(spec, "validation")
    if given.limit is not None:
        # The limit counts the validation part too, or a trial on few images would spend its time validating.
        held_out = min(max(round(given.limit * spec.validation), len(train.classes)), given.limit // 2)
        train = _limited(train, given.limit - held_out, spec.split_seed)
        validation = _limited(validation, held_out, spec.split_seed)
    if len(train) < 2 or len(validation) < 1:
        counts = f"{len(train)} and {len(validation)}"
        raise DataError(f"expected at least 2 training images and 1 for validation, got {counts}")
    return spec, origin.extended(train), origin.extended(validation)


def _check_teacher(teacher: str) -> None:
    if teacher and not is_named(teacher) and not os.path.exists(Path(teacher).expanduser()):
        raise InputError(
            f"distill.teacher: there is no file {teacher}",
            hint="give the best.pth of a run: --set distill.teacher=FILE",
        )


def _check_network(settings: Settings, options: dict[str, Any]) -> None:
    """Refuse a network that tells no order of its layers, or sees past a mask, where the run needs it."""
    masked = settings.objective == "masked-images"
    if settings.optimizer.layer_decay < 1 or masked:
        with torch.device("meta"):
            network = build_model(settings.model.name, options)
        if masked:
            check_masking(settings, network)
        parameter_groups(network, settings.optimizer)


def _limited(images: ImageSet, count: int, seed: int) -> ImageSet:
    return images if count >= len(images) else images.take(stratified_subset(images.labels, count, seed=seed))


def _image_size(images: ImageSet) -> int:
    """Return the images' own size where they are small squares of one size, rounded up to fours; else 64."""
    shape = images.common_size()
    if shape is None or shape[0] != shape[1] or shape[0] > _LARGEST_RESIDENT:
        return _DEFAULT_SIZE
    return -(-shape[0] // 4) * 4  # 31 has no patch size, and 62 only 2, which makes 961 patches


def _statistics(images: ImageSet, neutral: Preprocessing) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """Return mean and deviation of each channel on the 0…1 scale, of at most 2,000 images of the set."""
    chosen = np.unique(np.linspace(0, len(images) - 1, min(len(images), _SAMPLE)).astype(int))
    pixels = images.pixels(neutral, chosen).to(torch.float64) / 255
    mean, std = pixels.mean(dim=(0, 2, 3)), pixels.std(dim=(0, 2, 3), correction=0)
    # A constant channel is left as it is: dividing by its deviation would be dividing by zero.
    std = torch.where(std < 1e-3, torch.ones_like(std), std)
    return tuple(round(float(value), 4) for value in mean), tuple(round(float(value), 4) for value in std)
