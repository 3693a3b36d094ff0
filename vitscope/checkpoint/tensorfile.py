"""Tensor files: weights in the safetensors format, and the note in them that says what they are.

A note is one JSON object under the key `vitscope` of the file's metadata:

    {"version": 1, "model": "timm:vit_tiny_patch16_224", "options": {}, "classes": ["cat", "dog"],
     "preprocessing": {…}, "data": null, "training": {}, "checkpoint": ""}

Beside it stand `"format": "pt"`, which other libraries look for, and `vitscope.digest`, the digest of the
tensors: the format has no checksum of its own, and a file whose tensors have another digest is refused.
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from typing import TYPE_CHECKING, Any

from vitscope.checkpoint.admission import open_regular
from vitscope.checkpoint.digest import digest_tensors
from vitscope.checkpoint.files import check_finite
from vitscope.checkpoint.record import DTYPES
from vitscope.checkpoint.signature import HEAD, name_kind, printable
from vitscope.errors import CheckpointError
from vitscope.paths import write_atomically

if TYPE_CHECKING:
    from collections.abc import Mapping

    from torch import Tensor

__all__ = ["ModelNote", "TensorFile", "read_tensors", "write_tensors"]

KEY, DIGEST = "vitscope", "vitscope.digest"
VERSION = 1
_SINCE_FIRST = ("training", "checkpoint")  # fields that the first notes do not have
_LONGEST = 16 << 20  # letters of a note: the names of a hundred thousand classes
_TYPES = {
    "model": str,
    "options": dict,
    "classes": list,
    "preprocessing": dict,
    "training": dict,
    "checkpoint": str,
}


@dataclass(frozen=True)
class ModelNote:
    """What a tensor file says of its own weights.

    Attributes:
        model: `vitscope:NAME`, `timm:NAME` or `torchvision:NAME`.
        classes: The class names, in the order of the logits.
        preprocessing: `Preprocessing.to_dict()`.
        options: The builder's keyword arguments.
        data: `DataSpec.to_dict()` of the data set that it was trained on, where known.
        training: The configuration and validation results of its training, where known.
        checkpoint: The digest of the checkpoint that it was exported from, where there was one.

    Raises:
        CheckpointError: A field has the wrong type.
    """

    model: str
    classes: tuple[str, ...]
    preprocessing: dict[str, Any]
    options: dict[str, Any] = field(default_factory=dict)
    data: dict[str, Any] | None = None
    training: dict[str, Any] = field(default_factory=dict)
    checkpoint: str = ""

    def __post_init__(self) -> None:
        if not self.classes or not all(type(name) is str for name in self.classes):
            raise CheckpointError("expected the classes of the file's note as a list of names")

    def to_metadata(self) -> dict[str, str]:
        """Return the metadata that `safetensors.torch.save_file` takes."""
        content = {"version": VERSION} | asdict(self) | {"classes": list(self.classes)}
        return {"format": "pt", KEY: json.dumps(content, allow_nan=False)}

    @classmethod
    def from_metadata(cls, metadata: Mapping[str, str]) -> ModelNote | None:
        """Read the note of a file's metadata; None where it has none.

        Raises:
            CheckpointError: It has one that cannot be read.
        """
        text = metadata.get(KEY)
        if text is None:
            return None
        content = _parsed(text)
        known = {item.name for item in fields(cls)}
        needed = known - set(_SINCE_FIRST)
        if content.pop("version", None) != VERSION or not needed <= set(content) <= known:
            raise CheckpointError(
                f"its note is not of version {VERSION}", hint="write it again with this version of vitscope"
            )
        for name, kind in _TYPES.items():
            if name in content and not isinstance(content[name], kind):
                raise CheckpointError(f"expected `{name}` in its note as {kind.__name__}")
        if not isinstance(content["data"], dict | None):
            raise CheckpointError("expected `data` in its note as dict")
        return cls(**content | {"classes": tuple(content["classes"])})


@dataclass(frozen=True, eq=False)
class TensorFile:
    """What a tensor file holds.

    Attributes:
        state: The weights by name.
        metadata: Texts by name.
    """

    state: dict[str, Tensor]
    metadata: dict[str, str]


def read_tensors(path: Path | str) -> TensorFile:
    """Read a safetensors file; its library checks the header's length, and that no tensor overlaps another.

    Raises:
        CheckpointError: It is none, it is damaged, or it holds types that are not used here.
        NotFiniteError: A weight is NaN or infinite.
    """
    path = Path(path)
    try:
        with open_regular(path) as stream:
            stream.seek(0, 2)
            size = stream.tell()
            stream.seek(0)
            head = stream.read(HEAD)
        found = _read(path, head, size)
    except CheckpointError as error:
        raise CheckpointError(f"{path}: {error}", hint=error.hint) from error.__cause__
    check_finite(found.state, path)
    return found


def write_tensors(path: Path, state: Mapping[str, Tensor], metadata: Mapping[str, str]) -> str:
    """Write a safetensors file, whole or not at all, with the digest of its tensors; return the digest.

    Tensors that share their memory are written each by itself.

    Raises:
        NotFiniteError: A weight is NaN or infinite: nothing would read the file.
        EnvironmentFault: It cannot be written.
    """
    from safetensors.torch import save

    check_finite(state, path)
    own = {name: tensor.detach().cpu().clone().contiguous() for name, tensor in state.items()}
    digest = digest_tensors(own)
    with write_atomically(path) as temporary:
        temporary.write_bytes(save(own, metadata={**metadata, DIGEST: digest}))
    return digest


def _read(path: Path, head: bytes, size: int) -> TensorFile:
    from safetensors import SafetensorError, safe_open

    kind, hint = name_kind(head, size)
    if head.startswith(b"PK\x03\x04"):
        kind, hint = "a file of torch.save or another zip archive", "name it .pth"
    if kind != "safetensors weights":
        raise CheckpointError(f"it looks like {kind}, not like a safetensors file", hint=hint)
    try:
        with safe_open(path, framework="pt", device="cpu") as opened:
            metadata = dict(opened.metadata() or {})
            state = {name: opened.get_tensor(name) for name in opened.keys()}  # noqa: SIM118 - no mapping
    except (SafetensorError, OSError, ValueError, RuntimeError, AttributeError, KeyError) as error:
        reason = printable(" ".join(str(error).split()), 160)
        raise CheckpointError(f"damaged: {reason}", hint="copy or download it again") from error
    if not state:
        raise CheckpointError("it holds no weights")
    strange = [name for name, tensor in state.items() if tensor.dtype not in DTYPES]
    if strange:
        kind = state[strange[0]].dtype
        raise CheckpointError(
            f"its weight `{printable(strange[0])}` is of type {kind}, which is not used here",
            hint="quantised weights have to be unpacked by the program that packed them",
        )
    if DIGEST in metadata and metadata[DIGEST] != digest_tensors(state):
        raise CheckpointError(
            "its weights are not those that were written: their digest is another",
            hint="copy or download it again",
        )
    return TensorFile(state, metadata)


def _parsed(text: str) -> dict[str, Any]:
    try:
        content = json.loads(text) if len(text) <= _LONGEST else None
    except (ValueError, RecursionError):
        content = None
    if not isinstance(content, dict):
        raise CheckpointError("its note is not a JSON object, or too long")
    return content
