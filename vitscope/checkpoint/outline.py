"""Outlines: what a checkpoint's pickle would make, worked out without unpickling it.

A pickle is a program for a stack machine. Here its instructions are read one by one, by a machine that
knows only those that `torch.save` writes for plain values and tensors, and that makes inert descriptions
where an unpickler would make tensors. An instruction or a name that it does not know ends the reading.
"""

from __future__ import annotations

import pickletools
import warnings
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from vitscope.checkpoint.signature import printable
from vitscope.errors import CheckpointError

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["Outline", "TensorOutline", "outline_pickle"]

STEP_LIMIT = 2_000_000
ITEM_SIZES = {
    "torch.FloatStorage": 4,
    "torch.DoubleStorage": 8,
    "torch.HalfStorage": 2,
    "torch.BFloat16Storage": 2,
    "torch.LongStorage": 8,
    "torch.IntStorage": 4,
    "torch.ShortStorage": 2,
    "torch.CharStorage": 1,
    "torch.ByteStorage": 1,
    "torch.BoolStorage": 1,
}
_REBUILD = "torch._utils._rebuild_tensor_v2"
_ORDERED = "collections.OrderedDict"
ATTRIBUTES = "the attributes of an object"
PARAMETER = "torch._utils._rebuild_parameter"
# Harmless, and common in files of other tools; a checkpoint of vitscope has none of them.
_FOREIGN = (
    PARAMETER,
    "torch._utils._rebuild_tensor_v3",
    "torch.storage.UntypedStorage",
    "torch.Size",
    "torch.device",
    "torch.serialization._get_layout",
)


@dataclass(frozen=True, eq=False)
class TensorOutline:
    """A tensor that the pickle describes: the arguments of `_rebuild_tensor_v2`, unchecked."""

    arguments: tuple[Any, ...]


@dataclass(frozen=True)
class Name:
    """An importable object that the pickle names; it is never looked up."""

    path: str


@dataclass(frozen=True)
class Storage:
    """A storage that the pickle refers to: what `persistent_load` would be given."""

    identity: tuple[Any, ...]


@dataclass(frozen=True)
class Outline:
    """What a pickle would make.

    Attributes:
        value: Plain values, with a `TensorOutline` in the place of each tensor.
        foreign: What in it no checkpoint of vitscope has; empty where there is nothing.
        tensors: Every tensor that would be made, also where it is thrown away or hangs on an attribute.
    """

    value: Any
    foreign: tuple[str, ...]
    tensors: tuple[TensorOutline, ...]


def outline_pickle(data: bytes) -> Outline:
    """Read a pickle's instructions and return what they describe.

    Raises:
        CheckpointError: An instruction or a name that weights do not need, or damage.
    """
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # damage can look like text with wrong escapes
            return _run(_Machine(), data)
    except (IndexError, KeyError, TypeError, ValueError, OverflowError, AttributeError) as error:
        raise CheckpointError(
            "damaged: its pickle makes no sense", hint="copy or download it again"
        ) from error


def _run(machine: _Machine, data: bytes) -> Outline:
    for count, (opcode, argument, position) in enumerate(pickletools.genops(data)):
        if count >= STEP_LIMIT:
            raise CheckpointError(
                f"its pickle has more than {STEP_LIMIT} instructions, which no checkpoint needs"
            )
        if opcode.name == "STOP":
            if position is None or position + 1 != len(data):
                raise CheckpointError("its pickle goes on after its end")
            return machine.result()
        step = _STEPS.get(opcode.name)
        if step is None:
            raise CheckpointError(f"its pickle uses the instruction {opcode.name}, which weights do not need")
        step(machine, argument)
    raise ValueError("no end")


class _Machine:
    def __init__(self) -> None:
        self.stack: list[Any] = []
        self.outer: list[list[Any]] = []
        self.memo: dict[int, Any] = {}
        self.foreign: list[str] = []
        self.tensors: list[TensorOutline] = []

    def result(self) -> Outline:
        value = self.stack.pop()
        if self.stack or self.outer:
            raise ValueError("left over")
        return Outline(value, tuple(self.foreign), tuple(self.tensors))

    def push(self, value: Any) -> None:  # noqa: ANN401 - any value
        self.stack.append(value)

    def mark(self, _: object) -> None:
        self.outer.append(self.stack)
        self.stack = []

    def since_mark(self) -> list[Any]:
        items, self.stack = self.stack, self.outer.pop()
        return items

    def put(self, index: int) -> None:
        if index > STEP_LIMIT:
            raise ValueError(index)
        self.memo[index] = self.stack[-1]

    def get(self, index: int) -> None:
        self.push(self.memo[index])

    def pack(self, count: int) -> None:
        items = tuple(self.stack[-count:])
        if len(items) != count:
            raise IndexError(count)
        del self.stack[-count:]
        self.push(items)

    def protocol(self, number: int) -> None:
        if number != 2:
            raise CheckpointError(f"its pickle has protocol {number}, torch.save writes 2")

    def name(self, argument: str) -> None:
        path = argument.replace(" ", ".")
        if path in _FOREIGN or (
            path.startswith("torch.") and path.endswith("Storage") and path not in ITEM_SIZES
        ):
            self.foreign.append(path)
        elif path not in (_REBUILD, _ORDERED) and path not in ITEM_SIZES:
            _refuse_name(path)
        self.push(Name(path))

    def reduce(self, _: object) -> None:
        arguments, function = self.stack.pop(), self.stack.pop()
        if not isinstance(function, Name) or not isinstance(arguments, tuple):
            raise TypeError(function)
        if function.path == _REBUILD:
            self.tensors.append(TensorOutline(arguments))
            self.push(self.tensors[-1])
        elif function.path == _ORDERED and not arguments:
            self.push({})
        elif function.path in _FOREIGN:
            self.push(arguments[0] if arguments and isinstance(arguments[0], TensorOutline) else None)
        else:
            raise TypeError(function)

    def build(self, _: object) -> None:
        state = self.stack.pop()
        # Of a dictionary they are only kept; a tensor's would change what it is.
        plain = type(self.stack[-1]) is dict and type(state) is dict
        self.foreign.append(ATTRIBUTES if plain else "the state of an object")

    def storage(self, _: object) -> None:
        identity = self.stack.pop()
        if not isinstance(identity, tuple):
            raise TypeError(identity)
        self.push(Storage(identity))

    def extend(self, items: list[Any]) -> None:
        target = self.stack[-1]
        if type(target) is not list:
            raise TypeError(target)
        target.extend(items)

    def update(self, items: list[Any]) -> None:
        target = self.stack[-1]
        if type(target) is not dict or len(items) % 2:
            raise TypeError(target)
        for key in items[::2]:  # others could be nested so deep that hashing them breaks the interpreter
            if type(key) not in (str, int):
                raise CheckpointError(
                    f"its pickle has a key of type {type(key).__name__}, expected text or integers"
                )
        target.update(zip(items[::2], items[1::2], strict=True))

    def set_item(self, _: object) -> None:
        value, key = self.stack.pop(), self.stack.pop()
        self.update([key, value])


def _refuse_name(path: str) -> None:
    shown = printable(path)
    if path.startswith(("torch.nn.", "torchvision.models.", "timm.", "transformers.")):
        raise CheckpointError(
            f"it looks like a whole pickled module (it names {shown}); nothing of it was run",
            hint="in the program that made it, save model.state_dict() instead",
        )
    raise CheckpointError(
        f"its pickle names {shown}, which weights do not need; nothing of it was run",
        hint="such a file can run code in other programs: open it nowhere unless you trust who made it",
    )


_STEPS: dict[str, Callable[[_Machine, Any], None]] = {
    "PROTO": _Machine.protocol,
    "MARK": _Machine.mark,
    "GLOBAL": _Machine.name,
    "REDUCE": _Machine.reduce,
    "BUILD": _Machine.build,
    "BINPERSID": _Machine.storage,
    "BINPUT": _Machine.put,
    "LONG_BINPUT": _Machine.put,
    "BINGET": _Machine.get,
    "LONG_BINGET": _Machine.get,
    "SETITEM": _Machine.set_item,
    "SETITEMS": lambda machine, _: machine.update(machine.since_mark()),
    "APPEND": lambda machine, _: machine.extend([machine.stack.pop()]),
    "APPENDS": lambda machine, _: machine.extend(machine.since_mark()),
    "EMPTY_DICT": lambda machine, _: machine.push({}),
    "EMPTY_LIST": lambda machine, _: machine.push([]),
    "EMPTY_TUPLE": lambda machine, _: machine.push(()),
    "TUPLE": lambda machine, _: machine.push(tuple(machine.since_mark())),
    "TUPLE1": lambda machine, _: machine.pack(1),
    "TUPLE2": lambda machine, _: machine.pack(2),
    "TUPLE3": lambda machine, _: machine.pack(3),
    "NONE": lambda machine, _: machine.push(None),
    "NEWTRUE": lambda machine, _: machine.push(True),
    "NEWFALSE": lambda machine, _: machine.push(False),
    "BININT": _Machine.push,
    "BININT1": _Machine.push,
    "BININT2": _Machine.push,
    "LONG1": _Machine.push,
    "BINFLOAT": _Machine.push,
    "BINUNICODE": _Machine.push,
}
