"""Write and read checkpoint files; the only place of the project that calls `torch.load`."""

from __future__ import annotations

import threading
from contextlib import contextmanager
from dataclasses import fields
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO

import torch
from torch import Tensor

from vitscope.checkpoint.admission import admit, admit_state, find_state, is_of_form, open_regular
from vitscope.checkpoint.record import Checkpoint
from vitscope.checkpoint.signature import printable
from vitscope.errors import CheckpointError, EnvironmentFault, NotFiniteError
from vitscope.paths import write_atomically

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

__all__ = [
    "FORMAT",
    "VERSION",
    "check_finite",
    "is_checkpoint",
    "load_checkpoint",
    "load_state",
    "save_checkpoint",
]

FORMAT = "vitscope.checkpoint"
VERSION = 1
_ALLOW_LIST = threading.Lock()


def save_checkpoint(checkpoint: Checkpoint, path: Path | str) -> str:
    """Write `checkpoint` to `path`, whole or not at all, and return its digest.

    Every tensor is written from the CPU, contiguous and with a storage of its own, so that the file is no
    larger than what it holds and the loader can check each tensor before any is made.

    Raises:
        EnvironmentFault: There is no space or no permission; a file that was there stays as it was.
    """
    path = Path(path)
    seen: set[int] = set()
    content = {"format": FORMAT, "version": VERSION, "digest": checkpoint.digest}
    content |= _portable(checkpoint.to_dict(), seen)
    with write_atomically(path) as temporary, temporary.open("wb") as stream:
        try:
            torch.save(content, stream)
        except RuntimeError as error:
            # The writer inside torch hides the system's error: a full disk says only "unexpected pos".
            raise EnvironmentFault(
                f"cannot write {path}: the disk is probably full",
                hint="make room there, or choose another place with --out",
            ) from error
    return checkpoint.digest


def load_checkpoint(
    path: Path | str, *, map_location: str | torch.device = "cpu", allow_not_finite: bool = False
) -> Checkpoint:
    """Read what `save_checkpoint` wrote, and refuse everything else before any of it can act.

    The file is examined first, without unpickling: its kind, its archive's checksums, every instruction
    of its pickle, and every tensor's shape against the bytes that are there. What passes is read by
    `torch.load` with `weights_only=True` and an empty allow-list, once; then the digest is compared.

    Args:
        path: The file.
        map_location: Where the weights go; what `resume` holds stays on the CPU.
        allow_not_finite: Accept weights that are NaN or infinite.

    Raises:
        CheckpointError: The file is not a checkpoint of vitscope, or it is damaged.
        NotFiniteError: A weight is NaN or infinite.
        EnvironmentFault: The device is not there.
    """
    path = Path(path)
    try:
        with open_regular(path) as stream:
            admit(stream, FORMAT)
            content = _read(stream)
        checkpoint = _assemble(content)
    except CheckpointError as error:
        raise CheckpointError(f"{path}: {error}", hint=error.hint) from error.__cause__
    if not allow_not_finite:
        check_finite(checkpoint.state, path)
    _move(checkpoint.state, map_location)
    return checkpoint


def is_checkpoint(path: Path | str) -> bool:
    """Tell whether a file says that it is a checkpoint of vitscope; nothing that it holds is made.

    Raises:
        CheckpointError: There is no such file, it is damaged, or no archive of torch.
    """
    try:
        with open_regular(Path(path)) as stream:
            return is_of_form(stream, FORMAT)
    except CheckpointError as error:
        raise CheckpointError(f"{path}: {error}", hint=error.hint) from error.__cause__


def load_state(path: Path | str) -> dict[str, Tensor]:
    """Read the weights that another program saved with `torch.save`, with the same suspicion.

    The file holds a state dict, alone or under `model` or `state_dict`; whole modules, optimizers' objects
    and everything else that is not plain is refused before it can act.

    Raises:
        CheckpointError: The file is not a state dict, or it is damaged.
        NotFiniteError: A weight is NaN or infinite.
    """
    path = Path(path)
    try:
        with open_regular(path) as stream:
            admit_state(stream)
            state = find_state(_read(stream), Tensor)
    except CheckpointError as error:
        raise CheckpointError(f"{path}: {error}", hint=error.hint) from error.__cause__
    check_finite(state, path)
    return {name: tensor.detach() for name, tensor in state.items()}


def _read(stream: BinaryIO) -> Any:  # noqa: ANN401 - whatever the file holds
    stream.seek(0)
    with _empty_allow_list():
        try:
            return torch.load(stream, map_location="cpu", weights_only=True, mmap=False)
        except Exception as error:  # a damaged file raises any of a dozen kinds
            raise CheckpointError(
                f"damaged, or not a checkpoint: {type(error).__name__}: {_first_line(error)}",
                hint="copy or download it again",
            ) from error


@contextmanager
def _empty_allow_list() -> Iterator[None]:
    with _ALLOW_LIST:
        kept = torch.serialization.get_safe_globals()
        torch.serialization.clear_safe_globals()
        try:
            yield
        finally:
            torch.serialization.add_safe_globals(kept)


def _assemble(content: Any) -> Checkpoint:  # noqa: ANN401 - whatever the file held
    if not isinstance(content, dict) or content.get("format") != FORMAT:
        raise CheckpointError("not a vitscope checkpoint: it does not say that it is one")
    if content.get("version") != VERSION:
        raise CheckpointError(
            f"a checkpoint of version {content.get('version')!r}, this vitscope reads {VERSION}",
            hint="install the vitscope that wrote it, or a newer one",
        )
    known = {item.name for item in fields(Checkpoint)}
    if strange := known ^ (set(content) - {"format", "version", "digest"}):
        names = printable(", ".join(sorted(map(str, strange))))
        raise CheckpointError(f"damaged: its fields are not those of a checkpoint ({names})")
    if not isinstance(content["classes"], list):
        raise CheckpointError(f"expected `classes` to be a list, got {type(content['classes']).__name__}")
    found = {name: content[name] for name in known}
    checkpoint = Checkpoint(**found | {"classes": tuple(content["classes"])})
    if checkpoint.digest != content.get("digest"):
        raise CheckpointError("damaged: its digest does not match", hint="copy or download it again")
    return checkpoint


def check_finite(state: Mapping[str, Tensor], name: Path | str) -> None:
    """Refuse weights that are not finite.

    Args:
        state: The weights by name.
        name: What they came from, for the message.

    Raises:
        NotFiniteError: One is NaN or infinite.
    """
    floats = {key: tensor for key, tensor in state.items() if tensor.is_floating_point()}
    bad = [key for key, tensor in floats.items() if not bool(torch.isfinite(tensor).all())]
    if bad:
        raise NotFiniteError(
            f"{name}: {len(bad)} of {len(state)} weights hold NaN or infinity, first `{bad[0]}`",
            hint="the training diverged: use an earlier checkpoint or a lower learning rate",
        )


def _move(state: dict[str, Tensor], device: str | torch.device) -> None:
    try:
        for name, tensor in state.items():
            state[name] = tensor.to(device)
    except (RuntimeError, AssertionError) as error:
        raise EnvironmentFault(
            f"cannot put the weights on {device}: {_first_line(error)}", hint="try --device cpu"
        ) from error


def _portable(value: Any, seen: set[int]) -> Any:  # noqa: ANN401 - nested
    if isinstance(value, Tensor):
        return _own(value, seen)
    if isinstance(value, dict):
        return {key: _portable(item, seen) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return type(value)(_portable(item, seen) for item in value)
    return value


def _own(tensor: Tensor, seen: set[int]) -> Tensor:
    tensor = tensor.detach().cpu().contiguous()
    storage = tensor.untyped_storage()
    if storage.nbytes() != tensor.nbytes or (tensor.nbytes and storage.data_ptr() in seen):
        tensor = tensor.clone()
    seen.add(tensor.untyped_storage().data_ptr())
    return tensor


def _first_line(error: BaseException) -> str:
    return printable((str(error).splitlines() or [""])[0], 160)
