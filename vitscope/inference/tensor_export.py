"""Weights as a safetensors file that says of what model they are."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch

from vitscope.checkpoint.tensorfile import ModelNote, write_tensors
from vitscope.errors import InputError, NotFiniteError
from vitscope.inference.equivalence import SAME, SAME_HALF, check_logits, probe_logits, probe_pixels
from vitscope.inference.sources import open_tensor_file

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from torch import Tensor

    from vitscope.inference.classifier import Classifier

__all__ = ["export_tensors", "halved", "model_note"]


def model_note(model: Classifier) -> ModelNote:
    """Return what a file of the model's weights says of them.

    Raises:
        InputError: Nobody could rebuild the model from a note.
    """
    if not model.architecture:
        raise InputError(
            f"{model.name} is of a library whose models are not rebuilt from a note",
            hint="export it as onnx, or with the save_pretrained of its own library",
        )
    return ModelNote(
        model=model.architecture,
        options=model.options,
        classes=model.classes,
        preprocessing=model.preprocessing.to_dict(),
        data=None if model.data is None else model.data.to_dict(),
        training=model.training_record,
        checkpoint=model.digest,
    )


def halved(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Return weights in half precision (float16), the counters of batch norm as they are.

    Raises:
        NotFiniteError: One is beyond 65504, the largest number of float16.
    """
    half = {
        name: tensor.to(torch.float16) if tensor.is_floating_point() else tensor
        for name, tensor in state.items()
    }
    lost = [name for name, tensor in half.items() if not bool(torch.isfinite(tensor).all())]
    if lost:
        raise NotFiniteError(f"weight {lost[0]} is too large for half precision", hint="leave out --half")
    return half


def export_tensors(model: Classifier, path: Path, *, half: bool = False) -> dict[str, Any]:
    """Write a model's weights and its note, read the file as any program of vitscope does, and compare.

    Args:
        model: On the CPU.
        path: The file; vitscope tells its kind by the ending `.safetensors`.
        half: Keep the weights in float16.

    Returns:
        `digest`, of the tensors as written, and `largest_difference` of the logits.

    Raises:
        InputError: The model has no architecture that can be named, or its file gives other logits.
        NotFiniteError: A weight is not finite, or too large for half precision.
        EnvironmentFault: The file cannot be written.
    """
    note = model_note(model)
    state = model.network.state_dict()
    digest = write_tensors(path, halved(state) if half else state, note.to_metadata())
    pixels = probe_pixels(model)
    difference = check_logits(
        probe_logits(model, pixels),
        probe_logits(open_tensor_file(path).eval(), pixels),
        tolerance=SAME_HALF if half else SAME,
        what="the file",
    )
    return {"digest": digest, "largest_difference": difference}
