"""Digests: what a checkpoint's content is, whatever the file around it looks like."""

from __future__ import annotations

import hashlib
import json
from typing import TYPE_CHECKING, Any

import torch

if TYPE_CHECKING:
    from collections.abc import Mapping

    from torch import Tensor

__all__ = ["digest_content", "digest_tensors"]


def digest_tensors(tensors: Mapping[str, Tensor]) -> str:
    """Return `sha256:…` over the tensors' names, types, shapes and bytes, sorted by name.

    Two sets of weights have the same digest exactly when they are equal bit for bit: −0 and 0 differ,
    the order of the names and the device do not matter.
    """
    hasher = hashlib.sha256()
    for name in sorted(tensors):
        tensor = tensors[name].detach().cpu().contiguous()
        head = json.dumps([name, str(tensor.dtype), list(tensor.shape)])
        hasher.update(head.encode() + b"\n")
        if tensor.numel():
            hasher.update(tensor.reshape(-1).view(torch.uint8).numpy().data)
    return f"sha256:{hasher.hexdigest()}"


def digest_content(content: Mapping[str, Any]) -> str:
    """Return `sha256:…` over nested plain values and tensors.

    The tensors are digested by `digest_tensors`, each under its path; the rest as canonical JSON, in
    which dictionaries are sorted and tuples, lists and keys keep their types.
    """
    tensors: dict[str, Tensor] = {}
    outline = json.dumps(_canonical(dict(content), tensors, ()), ensure_ascii=True, separators=(",", ":"))
    both = f"{digest_tensors(tensors)}\n{outline}"
    return f"sha256:{hashlib.sha256(both.encode()).hexdigest()}"


def _canonical(value: Any, tensors: dict[str, Tensor], path: tuple[Any, ...]) -> Any:  # noqa: ANN401 - nested
    if isinstance(value, torch.Tensor):
        name = json.dumps(path)
        tensors[name] = value
        return {"tensor": name}
    if isinstance(value, dict):
        items = [[key, _canonical(item, tensors, (*path, key))] for key, item in value.items()]
        return {"dict": sorted(items, key=lambda item: json.dumps(item[0]))}
    if isinstance(value, list | tuple):
        entries = [_canonical(item, tensors, (*path, index)) for index, item in enumerate(value)]
        return {type(value).__name__: entries}
    return value
