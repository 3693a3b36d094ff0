"""Checkpoint: the weights of a model and everything to rebuild and judge it."""

from __future__ import annotations

import math
from dataclasses import dataclass, fields
from functools import cached_property
from typing import Any

import torch
from torch import Tensor

from vitscope.checkpoint.digest import digest_content
from vitscope.errors import CheckpointError

__all__ = ["DTYPES", "Checkpoint"]

DTYPES = (
    torch.float32,
    torch.float64,
    torch.float16,
    torch.bfloat16,
    torch.int64,
    torch.int32,
    torch.int16,
    torch.int8,
    torch.uint8,
    torch.bool,
)
_SCALARS = (str, int, float, bool, type(None))
_WIDEST = 1024  # bits: generators of random numbers have states of 128 bits
_DEEPEST = 64


@dataclass(frozen=True, eq=False)
class Checkpoint:
    """What a trained model is, as plain values and tensors.

    Attributes:
        model: The builder's name in the registry, such as `vit-tiny`.
        options: The builder's keyword arguments, as JSON can hold them.
        state: The weights and buffers by name.
        classes: The class names, in the order of the logits.
        preprocessing: What turns an image into the model's input.
        data: The data set that the model was trained on.
        training: Configuration, epoch and validation metrics.
        provenance: What made it.
        resume: What a run needs to go on: nested plain values and tensors; None where it is not kept.

    Raises:
        CheckpointError: A field has the wrong type or holds what a checkpoint cannot; the message names it.
    """

    model: str
    options: dict[str, Any]
    state: dict[str, Tensor]
    classes: tuple[str, ...]
    preprocessing: dict[str, Any]
    data: dict[str, Any]
    training: dict[str, Any]
    provenance: dict[str, Any]
    resume: dict[str, Any] | None = None

    def __post_init__(self) -> None:
        if not isinstance(self.model, str) or not self.model:
            raise CheckpointError(f"expected `model` to be a name, got {self.model!r}")
        if not isinstance(self.classes, tuple) or not self.classes:
            raise CheckpointError(f"expected `classes` to be names, got {type(self.classes).__name__}")
        if not all(type(name) is str for name in self.classes):
            raise CheckpointError("expected every class name to be text")
        _check_state(self.state)
        for field in ("options", "preprocessing", "data", "training", "provenance"):
            _check_dictionary(getattr(self, field), field)
            _check_json(getattr(self, field), field, 0)
        if self.resume is not None:
            _check_dictionary(self.resume, "resume")
            _check_nested(self.resume, "resume", 0)

    @cached_property
    def digest(self) -> str:
        """`sha256:…` over every field: equal exactly when two checkpoints hold the same, bit for bit."""
        return digest_content(self.to_dict())

    def to_dict(self) -> dict[str, Any]:
        """Return the fields, without copying tensors; the class names as a list."""
        content = {item.name: getattr(self, item.name) for item in fields(self)}
        return content | {"classes": list(self.classes), "state": dict(self.state)}


def _check_dictionary(value: object, field: str) -> None:
    if not isinstance(value, dict):
        raise CheckpointError(f"expected `{field}` to be a dictionary, got {type(value).__name__}")


def _check_state(state: object) -> None:
    if not isinstance(state, dict) or not state:
        raise CheckpointError("expected `state` to be a dictionary of weights, got none")
    for name, tensor in state.items():
        if type(name) is not str:
            raise CheckpointError(f"expected the weights' names to be text, got {name!r}")
        if not isinstance(tensor, Tensor):
            raise CheckpointError(f"expected weight `{name}` to be a tensor, got {type(tensor).__name__}")
        _check_tensor(tensor, name)


def _check_tensor(tensor: Tensor, name: str) -> None:
    if tensor.layout is not torch.strided or tensor.is_meta or tensor.dtype not in DTYPES:
        raise CheckpointError(
            f"expected `{name}` as a plain tensor of floats, integers or booleans, got {tensor.dtype}",
            hint="quantised, sparse, complex and 8-bit float tensors are not kept in checkpoints",
        )


def _check_json(value: object, path: str, depth: int) -> None:
    if isinstance(value, dict):
        for key, item in value.items():
            if type(key) is not str:
                raise CheckpointError(f"expected the keys of `{path}` to be text, got {key!r}")
            _check_json(item, f"{path}.{key}", _deeper(depth, path))
    elif isinstance(value, list | tuple):
        for index, item in enumerate(value):
            _check_json(item, f"{path}[{index}]", _deeper(depth, path))
    else:
        _check_scalar(value, path)
        if isinstance(value, float) and not math.isfinite(value):
            raise CheckpointError(
                f"expected `{path}` to be a finite number, got {value}", hint="use None for none"
            )


def _check_nested(value: object, path: str, depth: int) -> None:
    if isinstance(value, Tensor):
        _check_tensor(value, path)
    elif isinstance(value, dict):
        for key, item in value.items():
            if type(key) not in (str, int):
                raise CheckpointError(f"expected the keys of `{path}` to be text or integers, got {key!r}")
            _check_nested(item, f"{path}.{key}", _deeper(depth, path))
    elif isinstance(value, list | tuple):
        for index, item in enumerate(value):
            _check_nested(item, f"{path}[{index}]", _deeper(depth, path))
    else:
        _check_scalar(value, path)


def _check_scalar(value: object, path: str) -> None:
    if type(value) not in _SCALARS:
        raise CheckpointError(
            f"expected `{path}` to be a plain value, got {type(value).__module__}.{type(value).__name__}",
            hint="convert it: float(x), x.tolist(), str(path)",
        )
    if type(value) is int and value.bit_length() > _WIDEST:
        raise CheckpointError(f"expected `{path}` to be an integer of at most {_WIDEST} bits")


def _deeper(depth: int, path: str) -> int:
    if depth >= _DEEPEST:
        raise CheckpointError(f"expected at most {_DEEPEST} levels, got more below `{path[:80]}`")
    return depth + 1
