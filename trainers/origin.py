"""Where the first weights of a run come from, and what comes with them: classes, options, preprocessing."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from vitscope.checkpoint.files import is_checkpoint, load_checkpoint
from vitscope.checkpoint.tensorfile import ModelNote, read_tensors
from vitscope.data.preprocessing import Preprocessing
from vitscope.errors import EnvironmentFault, InputError, UsageError
from vitscope.inference.fitting import read_weights
from vitscope.inference.sources import open_classifier
from vitscope.inference.trained import without_classes
from vitscope.models.foreign import check_foreign, is_foreign

if TYPE_CHECKING:
    from torch import Tensor

    from vitscope.checkpoint.record import Checkpoint
    from vitscope.data.imageset import ImageSet
    from vitscope.inference.classifier import Classifier
    from vitscope.trainers.sections import Settings

__all__ = ["HUB", "Origin", "find_origin"]

HUB = "hub"
# What a run may choose anew for weights that it goes on with: no weight depends on it.
_RATES = ("dropout", "attention_dropout", "drop_path")


@dataclass(frozen=True, eq=False)
class Origin:
    """What a run takes over from its first weights.

    Attributes:
        state: The weights by name; empty where there are none, or once the run has begun.
        classes: The classes of a checkpoint, which come first; empty where the weights do not tell them.
        options: Every option of a checkpoint's model; empty for others.
        preprocessing: How pixels became the input of the weights; None where it follows from the data.
        headless: Whether the weights are of a run without classes, so that the head begins anew.
    """

    state: dict[str, Tensor] = field(default_factory=dict)
    classes: tuple[str, ...] = ()
    options: dict[str, Any] = field(default_factory=dict)
    preprocessing: Preprocessing | None = None
    headless: bool = False

    @classmethod
    def of_run(cls, last: Checkpoint) -> Origin:
        """Return what a run that goes on has from its own last checkpoint, whatever it began from."""
        return cls(
            classes=last.classes,
            options=dict(last.options),
            preprocessing=Preprocessing.from_dict(last.preprocessing),
        )

    def extended(self, images: ImageSet) -> ImageSet:
        """Return the images with the classes of the checkpoint first, then those that only the data has."""
        new = tuple(name for name in images.classes if name not in self.classes)
        classes = self.classes + new
        if classes == images.classes:
            return images
        places = np.asarray([classes.index(name) for name in images.classes], dtype=np.int64)
        return replace(images, classes=classes, labels=places[images.labels])

    def chosen(self, given: dict[str, Any]) -> dict[str, Any]:
        """Return the options of the checkpoint with the rates that a run may set anew.

        Raises:
            UsageError: An option is given that its weights do not have.
        """
        for key, value in given.items():
            if key not in _RATES and self.options.get(key) != value:
                raise UsageError(
                    f"model.{key} is {value}, but that of the checkpoint in start.weights is "
                    f"{self.options.get(key)}",
                    hint=f"leave it out: --set model.{key}=null",
                )
        return self.options | {key: given[key] for key in _RATES if key in given}


def find_origin(settings: Settings) -> Origin:
    """Find the first weights of a run, and what comes with them.

    Raises:
        UsageError: The settings contradict each other.
        CheckpointError: The file is missing, damaged, or not what it claims to be.
        InputError: It is of another model, or no library has the model.
        EnvironmentFault: The library's weights are not in the cache, and the network cannot be reached.
    """
    name, weights = settings.model.name, settings.start.weights
    if is_foreign(name):
        check_foreign(name)
    if not weights:
        if settings.start.train == "head":
            raise UsageError(
                "start.train: the head alone can only be trained on weights that were trained before",
                hint="set start.weights to a file, or to hub",
            )
        return Origin(preprocessing=_own_preprocessing(name) if is_foreign(name) else None)
    if weights == HUB:
        return _of_library(name, _published(name))
    path = Path(weights).expanduser()
    if _says_what_it_is(path):
        return _of_vitscope(path, name)
    if is_foreign(name):
        return _of_library(name, open_classifier(name, weights=path))
    return Origin(state=read_weights(path))


def _says_what_it_is(path: Path) -> bool:
    """Tell whether a file is a checkpoint of vitscope, or was exported from one."""
    if path.suffix.lower() != ".safetensors":
        return is_checkpoint(path)
    note = ModelNote.from_metadata(read_tensors(path).metadata)
    return note is not None and note.model.startswith("vitscope:")


def _of_vitscope(path: Path, name: str) -> Origin:
    if path.suffix.lower() != ".safetensors" and without_classes(checkpoint := load_checkpoint(path)):
        return _of_masked_images(path, checkpoint, name)
    model = open_classifier(path)
    _check_name(path, model.architecture.removeprefix("vitscope:"), name)
    return Origin(
        state=model.network.state_dict(),
        classes=model.classes,
        options=dict(model.options),
        preprocessing=model.preprocessing,
    )


def _of_masked_images(path: Path, checkpoint: Checkpoint, name: str) -> Origin:
    """Return the transformer of a run that learned from masked images, without token, decoder and head."""
    _check_name(path, checkpoint.model, name)
    state = {
        key.removeprefix("encoder."): tensor
        for key, tensor in checkpoint.state.items()
        if key.startswith("encoder.") and not key.startswith("encoder.head.")
    }
    return Origin(
        state=state,
        options=dict(checkpoint.options),
        preprocessing=Preprocessing.from_dict(checkpoint.preprocessing),
        headless=True,
    )


def _check_name(path: Path, found: str, name: str) -> None:
    if found != name:
        raise InputError(
            f"{path} holds the weights of {found}, but the run trains {name}",
            hint=f"--set model.name={found}",
        )


def _of_library(name: str, model: Classifier) -> Origin:
    return Origin(state=model.network.state_dict(), preprocessing=_own_preprocessing(name))


def _published(name: str) -> Classifier:
    if not is_foreign(name):
        raise UsageError(
            f"start.weights: there are no published weights of {name}",
            hint="give a file, or take a model of timm or torchvision: --set model.name=timm:NAME",
        )
    try:
        return open_classifier(name)
    except EnvironmentFault as error:
        raise EnvironmentFault(
            str(error),
            hint="fetch the weights where there is a network, and give the file: --set start.weights=FILE",
        ) from error


def _own_preprocessing(name: str) -> Preprocessing:
    """Return size, mean, deviation and interpolation of a library's model; pictures are resized, not cut."""
    library, _, model = name.partition(":")
    own = _timm_preprocessing(model) if library == "timm" else _torchvision_preprocessing(model)
    if own.size[0] != own.size[1]:
        raise InputError(f"{name} is made for images of {own.size[0]}x{own.size[1]}, here they are square")
    return replace(own, resize=None)


def _timm_preprocessing(model: str) -> Preprocessing:
    import timm

    from vitscope.inference.timm_source import timm_preprocessing

    config: Any = timm.get_pretrained_cfg(model)
    return timm_preprocessing({} if config is None else dict(config.to_dict()))


def _torchvision_preprocessing(model: str) -> Preprocessing:
    from torchvision import models

    from vitscope.inference.torchvision_source import torchvision_preprocessing

    architecture, _, tag = model.partition(".")
    entries = models.get_model_weights(architecture)
    return torchvision_preprocessing(entries[tag] if tag else entries.DEFAULT)
