"""Checkpoints of vitscope as classifiers."""

from __future__ import annotations

import shlex
from typing import TYPE_CHECKING, Any

import torch

from vitscope.checkpoint.files import load_checkpoint
from vitscope.data.preprocessing import Preprocessing
from vitscope.data.sources import DataSpec
from vitscope.errors import CheckpointError
from vitscope.inference.classifier import Classifier
from vitscope.inference.fitting import fit_weights
from vitscope.models.foreign import is_foreign
from vitscope.models.registry import MODELS, build_model

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from torch import Tensor, nn

    from vitscope.checkpoint.record import Checkpoint

__all__ = ["rebuild_network", "trained_classifier", "without_classes"]

# Larger numbers of features and of blocks than any model of weights at hand has.
_LARGEST_OPTION = 1 << 20
_DEEPEST = 1000
# Bytes that a network may hold beside its weights, such as which positions an attention bias belongs to.
_LARGEST_TABLES = 1 << 28


def trained_classifier(path: Path) -> Classifier:
    """Load what `vitscope train` wrote.

    Raises:
        CheckpointError: It is not a checkpoint, is damaged, or its weights do not fit its architecture.
        NotFiniteError: Its weights hold NaN or infinity.
    """
    checkpoint = load_checkpoint(path)
    if without_classes(checkpoint):
        raise CheckpointError(
            f"{path} was trained on masked images and knows no classes yet",
            hint=f"train it on: vitscope train PRESET --weights {shlex.quote(str(path))}",
        )
    try:
        network = rebuild_network(
            checkpoint.model, checkpoint.options, checkpoint.state, classes=len(checkpoint.classes)
        )
        model = Classifier(
            network,
            classes=checkpoint.classes,
            preprocessing=Preprocessing.from_dict(checkpoint.preprocessing),
            name=checkpoint.model,
            data=DataSpec.from_dict(checkpoint.data),
            digest=checkpoint.digest,
            training=checkpoint.training,
        )
    except CheckpointError as error:
        raise CheckpointError(f"{path}: {error}", hint=error.hint) from error
    except Exception as error:  # options that no training wrote fail in any way, deep in the builders
        reason = " ".join(str(error).split())[:200]
        raise CheckpointError(f"{path}: cannot be rebuilt: {reason or type(error).__name__}") from error
    model.architecture, model.options = f"vitscope:{checkpoint.model}", dict(checkpoint.options)
    return model


def without_classes(checkpoint: Checkpoint) -> bool:
    """Tell whether a checkpoint is of a run that learned from masked images: its classes are but names."""
    settings = checkpoint.training.get("settings")
    return isinstance(settings, dict) and settings.get("objective") == "masked-images"


def rebuild_network(
    model: str, options: Mapping[str, Any], state: Mapping[str, Tensor], *, classes: int
) -> nn.Module:
    """Build an architecture without memory, and give it its tensors.

    A network of another library is built once more in memory, when its shapes were found to be those of the
    weights: it may hold tables that are not among them.

    Args:
        model: A key of `MODELS`, `timm:NAME` or `torchvision:NAME`.
        options: Every option of it; nothing about them is trusted.
        state: The weights.
        classes: The number of class names.

    Raises:
        CheckpointError: The options and the weights do not go together.
    """
    if model not in MODELS and not is_foreign(model):
        raise CheckpointError(f"its architecture {model!r} is not one of {', '.join(MODELS)}")
    numbers = [value for value in options.values() if isinstance(value, int | float)]
    deepest = min(len(state), _DEEPEST)
    if any(abs(value) > _LARGEST_OPTION for value in numbers) or options.get("depth", 0) > deepest:
        raise CheckpointError("its options describe a model larger than its weights")
    if options.get("classes") != classes:
        raise CheckpointError(f"it names {classes} classes, its options say otherwise")
    with torch.device("meta"):
        network = build_model(model, options)
    fit_weights(network, state, name=model, assign=True)
    return _in_memory(network, model, options, state) if is_foreign(model) else network


def _in_memory(
    outline: nn.Module, model: str, options: Mapping[str, Any], state: Mapping[str, Tensor]
) -> nn.Module:
    tables = sum(each.nbytes for each in outline.buffers() if each.is_meta)
    if tables > _LARGEST_TABLES:
        raise CheckpointError("its options describe a model larger than its weights")
    network = build_model(model, options)
    fit_weights(network, state, name=model)
    return network
