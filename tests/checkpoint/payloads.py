"""Pickles that are no weights: some would run a command, some would fill the memory."""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

GOOD_FORMAT = b"\x80\x02}(X\x06\x00\x00\x00formatX\x13\x00\x00\x00vitscope.checkpoint"


def payloads(canary: Path) -> dict[str, bytes]:
    """Pickles that, when run, make the file `canary`."""
    command, code = f"touch {canary}", f"open({str(canary)!r}, 'w').close()"
    made: dict[str, bytes] = {}
    for module, name, argument in [
        ("os", "system", command),
        ("posix", "system", command),
        ("subprocess", "getoutput", command),
        ("subprocess", "call", f"sh -c '{command}'"),
        ("builtins", "eval", code),
        ("builtins", "exec", code),
        ("__builtin__", "eval", code),
        ("os", "popen", command),
        ("pty", "spawn", "/bin/sh"),
        ("timeit", "timeit", code),
        ("code", "interact", code),
        ("importlib", "import_module", "antigravity"),
        ("runpy", "run_path", str(canary)),
        ("webbrowser", "open", f"file://{canary}"),
        ("torch.hub", "load", "owner/name"),
        ("torch", "load", str(canary)),
        ("torch.jit", "load", str(canary)),
        ("torch.storage", "_load_from_bytes", "x"),
        ("torch.utils.cpp_extension", "load_inline", code),
        ("numpy.testing._private.utils", "runstring", code),
    ]:
        text = argument.encode()
        made[f"{module}.{name}"] = (
            b"\x80\x02c"
            + f"{module}\n{name}\n".encode()
            + b"X"
            + struct.pack("<I", len(text))
            + text
            + b"\x85R."
        )
    made["inst"] = b"\x80\x02(X" + struct.pack("<I", len(command)) + command.encode() + b"ios\nsystem\n."
    made["stack-global"] = (
        b"\x80\x04\x8c\x05posix\x8c\x06system\x93\x8c" + bytes([len(command)]) + command.encode() + b"\x85R."
    )
    made["extension"] = b"\x80\x02\x82\x01)R."
    made["protocol-0"] = f"cos\nsystem\n(V{command}\ntR.".encode()
    made["newobj"] = b"\x80\x02cos\n_wrap_close\n)\x81."
    made["bytearray"] = b"\x80\x02cbuiltins\nbytearray\nJ\x00\x00\x00\x7f\x85R."
    made["tensor-of-a-size"] = b"\x80\x02ctorch\nTensor\nJ\x00\x00\x00\x7f\x85R."
    made["set-state-of-a-tensor"] = b"\x80\x02ctorch\nTensor\n)\x81}b."
    return made


def tensor_pickle(shape: tuple[int, ...], stride: tuple[int, ...], *, count: int, offset: int = 0) -> bytes:
    """A checkpoint-like pickle of one tensor with any shape, stride, offset and claimed length."""

    def number(value: int) -> bytes:
        data = value.to_bytes(9, "little")
        return b"\x8a\x09" + data

    def numbers(values: tuple[int, ...]) -> bytes:
        return b"(" + b"".join(map(number, values)) + b"t"

    def text(value: str) -> bytes:
        return b"X" + struct.pack("<I", len(value)) + value.encode()

    storage = (
        b"(" + text("storage") + b"ctorch\nFloatStorage\n" + text("0") + text("cpu") + number(count) + b"tQ"
    )
    hooks = b"ccollections\nOrderedDict\n)R"
    tensor = (
        b"ctorch._utils\n_rebuild_tensor_v2\n("
        + (storage + number(offset) + numbers(shape) + numbers(stride) + b"\x89" + hooks)
        + b"tR"
    )
    head = b"\x80\x02}(" + text("format") + text("vitscope.checkpoint") + text("state")
    return head + b"}" + text("w") + tensor + b"su."


def laughs(depth: int) -> bytes:
    """`depth` lists, each of which holds the one before twice: 2^depth values for who walks through."""
    value = b"]q\x00"
    for index in range(depth):
        value = b"](" + value + b"h" + bytes([index]) + b"eq" + bytes([index + 1])
    return GOOD_FORMAT + b"X\x05\x00\x00\x00state" + value + b"u."


def nested(depth: int) -> bytes:
    return GOOD_FORMAT + b"X\x05\x00\x00\x00state)" + b"\x85" * depth + b"u."
