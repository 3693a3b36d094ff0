"""From settings to the data, the network's options and the augmentation, checked before training starts."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from vitscope.data.preprocessing import Preprocessing
from vitscope.data.sources import DataSpec, dataset_names, load_split
from vitscope.data.split import stratified_subset
from vitscope.errors import DataError
from vitscope.models.registry import resolve_options
from vitscope.trainers.augmentation.pipeline import Augmentation

if TYPE_CHECKING:
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
    """

    spec: DataSpec
    train: ImageSet
    validation: ImageSet
    preprocessing: Preprocessing
    options: dict[str, Any]
    augmentation: Augmentation

    @property
    def digests(self) -> dict[str, str]:
        """What names the images: a run that is resumed must find the same."""
        return {"data_digest": self.train.digest, "validation_digest": self.validation.digest}


def anchored(settings: Settings) -> Settings:
    """Return the settings with the data's folder absolute: run and checkpoint find it again from anywhere."""
    source = settings.data.source
    if source in dataset_names() or not os.path.isdir(Path(source).expanduser()):
        return settings
    data = settings.data.model_copy(update={"source": str(Path(source).expanduser().resolve())})
    return settings.model_copy(update={"data": data})


def prepare(settings: Settings) -> Prepared:
    """Load the training and validation images and derive everything that follows from them.

    Raises:
        DataError: The data set cannot be used for training.
        UsageError: A setting contradicts the data.
        InputError: The model does not fit the data.
    """
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
    channels = train.channels()
    size = given.image_size or _image_size(train)
    augmentation = Augmentation.from_settings(
        settings.augment, source=given.source, channels=channels, size=size
    )
    options = resolve_options(
        settings.model.name,
        settings.model.options() | {"classes": len(train.classes), "image_size": size, "channels": channels},
    )
    neutral = Preprocessing(
        size=(size, size), channels=channels, mean=(0.0,) * channels, std=(1.0,) * channels
    )
    if size <= _LARGEST_RESIDENT:
        train, validation = train.in_memory(neutral), validation.in_memory(neutral)
    mean, std = _statistics(train, neutral)
    preprocessing = Preprocessing(size=(size, size), channels=channels, mean=mean, std=std)
    return Prepared(spec, train, validation, preprocessing, options, augmentation)


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
