"""Files that are no checkpoints: how each is made, and what its one line must say."""

from __future__ import annotations

import gzip
import io
import json
import os
import pickle
import struct
import tarfile
import warnings
import zipfile
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from tests.checkpoint.payloads import GOOD_FORMAT, laughs, nested, tensor_pickle
from tests.checkpoint.specimens import entries, rewrite, rezip, small_checkpoint
from vitscope.checkpoint.files import save_checkpoint

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path


def _torch(value: Any) -> Callable[[Path], None]:
    return lambda path: torch.save(value, path)


def _bytes(data: bytes) -> Callable[[Path], None]:
    return lambda path: path.write_bytes(data) and None


def _pickled(data: bytes, *storages: bytes) -> Callable[[Path], None]:
    return lambda path: rezip(path, data, storages=storages)


def _changed(change: Callable[[dict[str, bytes]], dict[str, bytes]]) -> Callable[[Path], None]:
    def make(path: Path) -> None:
        save_checkpoint(small_checkpoint(), path)
        rewrite(path, change(entries(path)))

    return make


def _edited(**changes: Any) -> Callable[[Path], None]:
    """A checkpoint's dictionary with other values, saved by torch itself."""

    def make(path: Path) -> None:
        content = {"format": "vitscope.checkpoint", "version": 1, "digest": small_checkpoint().digest}
        content |= small_checkpoint().to_dict()
        content = {key: value for key, value in (content | changes).items() if value is not ...}
        torch.save(content, path)

    return make


def _zip(names: dict[str, bytes], compress: int = zipfile.ZIP_STORED) -> Callable[[Path], None]:
    def make(path: Path) -> None:
        with zipfile.ZipFile(path, "w", compress) as archive:
            for name, data in names.items():
                archive.writestr(name, data)

    return make


def _script(path: Path) -> None:
    class Doubled(torch.nn.Module):
        def forward(self, image: torch.Tensor) -> torch.Tensor:
            return image * 2

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch.jit.trace(Doubled(), torch.zeros(1)).save(str(path))


def _deflated(path: Path) -> None:
    buffer = io.BytesIO()
    torch.save({"format": "vitscope.checkpoint", "w": torch.zeros(1 << 20)}, buffer)
    with zipfile.ZipFile(buffer) as archive, zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as out:
        for name in archive.namelist():
            out.writestr(name, archive.read(name))


def _tar(path: Path) -> None:
    with tarfile.open(path, "w") as archive:
        archive.addfile(tarfile.TarInfo("weights"))


def _npz(path: Path) -> None:
    with path.open("wb") as stream:
        np.savez(stream, a=np.zeros(3))


def _distributed(path: Path) -> None:
    path.mkdir()
    (path / ".metadata").write_bytes(b"x")
    (path / "__0_0.distcp").write_bytes(b"x")


def _run_folder(path: Path) -> None:
    path.mkdir()
    (path / "best.pth").write_bytes(b"x")


def _hugging_face(path: Path) -> None:
    path.mkdir()
    (path / "config.json").write_text("{}")


def _duplicated(path: Path) -> None:
    save_checkpoint(small_checkpoint(), path)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        with zipfile.ZipFile(path, "a") as archive:
            archive.writestr("archive/data.pkl", b"\x80\x02}.")


def _shared(path: Path) -> None:
    weight = torch.randn(4, 4)
    content = {"format": "vitscope.checkpoint", "version": 1, "state": {"a": weight, "b": weight[:2]}}
    torch.save(content, path)


def _with_comment(path: Path) -> None:
    save_checkpoint(small_checkpoint(), path)
    path.write_bytes(path.read_bytes() + b"appended")


def _prefixed(path: Path) -> None:
    save_checkpoint(small_checkpoint(), path)
    path.write_bytes(b"PK\x03\x04" + path.read_bytes())


def _half(path: Path) -> None:
    save_checkpoint(small_checkpoint(), path)
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


def _legacy(path: Path) -> None:
    torch.save({"w": torch.zeros(3)}, path, _use_new_zipfile_serialization=False)


def _safetensors(path: Path) -> None:
    head = json.dumps({"w": {"dtype": "F32", "shape": [1], "data_offsets": [0, 4]}}).encode()
    path.write_bytes(struct.pack("<Q", len(head)) + head + bytes(4))


HOSTILE: dict[str, tuple[Callable[[Path], Any], str]] = {
    "missing": (lambda path: None, "no such file"),
    "folder": (lambda path: path.mkdir(), "it is a folder"),
    "run folder": (_run_folder, "it is a folder"),
    "distributed": (_distributed, "distributed checkpoint"),
    "hugging face": (_hugging_face, "Hugging Face"),
    "pipe": (lambda path: os.mkfifo(path), "it is a pipe"),
    "link to a device": (lambda path: path.symlink_to("/dev/zero"), "it is a device"),
    "dangling link": (lambda path: path.symlink_to("nowhere"), "no such file"),
    "link to itself": (lambda path: path.symlink_to(path.name), "cannot be read"),
    "zero bytes": (_bytes(b""), "empty file"),
    "one byte": (_bytes(b"\x00"), "binary data"),
    "zeros": (_bytes(bytes(4096)), "binary data"),
    "noise": (lambda path: path.write_bytes(np.random.default_rng(0).bytes(999)), "binary data"),
    "text": (_bytes(b"model: vit-tiny\n"), "looks like text"),
    "latin text": (_bytes("gewöhnlich".encode("latin-1")), "binary data"),
    "json": (_bytes(b'{"error": "not found"}'), "looks like JSON"),
    "html": (_bytes(b"\n<!DOCTYPE html><html>Sign in</html>"), "HTML page"),
    "xml": (_bytes(b"<?xml version='1.0'?><Error/>"), "XML document"),
    "lfs": (_bytes(b"version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 3\n"), "Git-LFS pointer"),
    "gzip": (_bytes(gzip.compress(b"x")), "gzip file"),
    "tar": (_tar, "tar archive"),
    "png": (_bytes(b"\x89PNG\r\n\x1a\n0000"), "PNG image"),
    "jpeg": (_bytes(b"\xff\xd8\xff\xe0"), "JPEG image"),
    "pdf": (_bytes(b"%PDF-1.7"), "a PDF"),
    "hdf5": (_bytes(b"\x89HDF\r\n\x1a\n"), "HDF5"),
    "gguf": (_bytes(b"GGUF\x03"), "GGUF"),
    "elf": (_bytes(b"\x7fELF\x02"), "a program"),
    "npy": (_bytes(b"\x93NUMPY\x01\x00"), "NumPy array"),
    "safetensors": (_safetensors, "safetensors"),
    "legacy": (_legacy, "old form"),
    "plain pickle": (_bytes(pickle.dumps({"a": 1}, 4)), "plain pickle"),
    "cut pickle": (_bytes(pickle.dumps({"a": "x" * 90000}, 4)), "plain pickle"),
    "empty zip": (_zip({}), "empty zip"),
    "plain zip": (_zip({"a.txt": b"x"}), "zip archive without weights"),
    "npz": (_npz, ".npz"),
    "keras": (_zip({"config.json": b"{}", "model.weights.h5": b""}), "Keras"),
    "torchscript": (_script, "TorchScript"),
    "package": (_zip({"p/.data/extern_modules": b"", "p/model.pkl": b""}), "torch.package"),
    "pt2": (_zip({"p/archive_format": b"pt2", "p/models/model.json": b"{}"}), "exported program"),
    "deflated": (_deflated, "is compressed"),
    "bzip2 entry": (_zip({"archive/data.pkl": b"x" * 99}, zipfile.ZIP_BZIP2), "is compressed"),
    "cut": (_half, "cut short"),
    "appended": (_with_comment, "cut short"),
    "prefixed": (_prefixed, "directory is not at its end"),
    "entry twice": (_duplicated, "names an entry twice"),
    "strange entry": (_changed(lambda files: files | {"archive/setup.py": b"x"}), "does not write"),
    "climbing entry": (_changed(lambda files: files | {"../../x": b"x"}), "does not write"),
    "unused storage": (_changed(lambda files: files | {"archive/data/99": b"x"}), "leave some unused"),
    "lost storage": (
        _changed(lambda files: {k: v for k, v in files.items() if k != "archive/data/0"}),
        "damaged",
    ),
    "short storage": (_changed(lambda files: files | {"archive/data/0": b"xxxx"}), "needs 48 bytes"),
    "other weights": (_changed(lambda files: files | {"archive/data/0": bytes(48)}), "digest does not match"),
    "two equal digests": (_edited(training={"epoch": 4}), "digest does not match"),
    "version 2": (_edited(version=2), "version 2"),
    "no version": (_edited(version=...), "version None"),
    "no digest": (_edited(digest=...), "digest does not match"),
    "a field less": (_edited(classes=...), "its fields"),
    "a field more": (_edited(notes="x"), "its fields"),
    "classes as text": (_edited(classes="ab"), "expected `classes`"),
    "classes as numbers": (_edited(classes=[1, 2]), "class name"),
    "no weights": (_edited(state={}), "expected `state`"),
    "weights as lists": (_edited(state={"w": [1.0]}), "to be a tensor"),
    "options as list": (_edited(options=[]), "expected `options`"),
    "tensor in options": (_edited(options={"w": torch.zeros(1)}), "plain value"),
    "model as number": (_edited(model=3), "expected `model`"),
    "bare state dict": (_torch(torch.nn.Linear(2, 2).state_dict()), "bare state dict"),
    "parameters": (_torch(dict(torch.nn.Linear(2, 2).named_parameters())), "bare state dict"),
    "training of others": (_torch({"state_dict": {"w": torch.zeros(2)}, "epoch": 3}), "another program"),
    "one tensor": (_torch(torch.zeros(3)), "one tensor"),
    "list": (_torch([1, 2]), "holds a list"),
    "whole module": (_torch(torch.nn.Linear(2, 2)), "whole pickled module"),
    "sparse": (
        _torch({"format": "vitscope.checkpoint", "w": torch.eye(3).to_sparse()}),
        "_rebuild_sparse_tensor",
    ),
    "strided view": (
        _torch({"format": "vitscope.checkpoint", "w": torch.zeros(9)[::2]}),
        "whole of its storage",
    ),
    "shared storage": (_shared, "whole of its storage"),
    "gradient": (
        _torch({"format": "vitscope.checkpoint", "w": torch.zeros(2, requires_grad=True)}),
        "no sense",
    ),
    "attributes": (
        _torch({"format": "vitscope.checkpoint", "s": torch.nn.Linear(1, 1).state_dict()}),
        "attributes",
    ),
    "numpy scalar": (_torch({"format": "vitscope.checkpoint", "n": np.float64(3)}), "numpy"),
    "float8": (
        _torch({"format": "vitscope.checkpoint", "w": torch.zeros(2).to(torch.float8_e4m3fn)}),
        "torch.float8_e4m3fn",
    ),
    "stride 0": (_pickled(tensor_pickle((10**12,), (0,), count=1), bytes(4)), "whole of its storage"),
    "larger than its storage": (
        _pickled(tensor_pickle((1000,), (1,), count=1000), bytes(4)),
        "needs 4000 bytes",
    ),
    "negative": (
        _pickled(tensor_pickle((2,), (1,), count=2, offset=1 << 61), bytes(8)),
        "whole of its storage",
    ),
    "overflowing": (_pickled(tensor_pickle((1 << 61, 8), (8, 1), count=1 << 61), bytes(4)), "whole of its"),
    "many dimensions": (_pickled(tensor_pickle((1,) * 99, (1,) * 99, count=1), bytes(4)), "no sense"),
    "no end": (_pickled(b"\x80\x02}"), "damaged"),
    "no sense": (_pickled(b"\x80\x02s."), "makes no sense"),
    "left over": (_pickled(b"\x80\x02NN."), "makes no sense"),
    "goes on": (_pickled(b"\x80\x02}.\x80\x02}."), "after its end"),
    "protocol 4": (_pickled(b"\x80\x04}."), "protocol 4"),
    "huge memo": (_pickled(b"\x80\x02}r\xff\xff\xff\x7f."), "makes no sense"),
    "tuple as key": (_pickled(b"\x80\x02})" + b"\x85" * 200_000 + b"Ns."), "key of type tuple"),
    "billion laughs": (_pickled(laughs(40)), "nested values"),
    "deep nesting": (_pickled(nested(100_000)), "nested values"),
    "only a name": (
        _pickled(GOOD_FORMAT + b"X\x01\x00\x00\x00xctorch\nFloatStorage\nu."),
        "parts of tensors",
    ),
    "many instructions": (_pickled(b"\x80\x02" + b"N" * 2_000_001 + b"."), "instructions"),
}
