"""Sources: any classifier by one text, be it a file, a folder, or a name that another library knows."""

from __future__ import annotations

import json
from difflib import get_close_matches
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch

from vitscope.checkpoint.digest import digest_tensors
from vitscope.checkpoint.tensorfile import ModelNote, TensorFile, read_tensors
from vitscope.data.preprocessing import Preprocessing
from vitscope.data.sources import DataSpec
from vitscope.errors import CheckpointError, InputError, UsageError
from vitscope.inference.classifier import Classifier
from vitscope.inference.device import resolve_device
from vitscope.inference.hf_source import hf_classifier
from vitscope.inference.imagenet import name_classes
from vitscope.inference.timm_source import timm_classifier, timm_from_config
from vitscope.inference.torchvision_source import torchvision_classifier
from vitscope.inference.trained import rebuild_network, trained_classifier

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

__all__ = ["SOURCES", "is_named", "open_classifier", "open_tensor_file"]

SOURCES: dict[str, Callable[..., Classifier]] = {
    "timm": timm_classifier,
    "torchvision": torchvision_classifier,
    "hf": hf_classifier,
}
_HINT = "name its architecture: timm:NAME or torchvision:NAME, with --weights and this file"
_LONGEST = 64 << 20  # bytes of a config.json


def is_named(source: Path | str) -> bool:
    """Tell whether a source names a model of another library, `timm:…`, `torchvision:…` or `hf:…`."""
    kind, colon, _ = str(source).partition(":")
    return bool(colon) and kind in SOURCES


def open_classifier(
    source: Path | str,
    *,
    weights: Path | str | None = None,
    classes: Sequence[str] | None = None,
    device: str = "cpu",
) -> Classifier:
    """Open any classifier, in evaluation mode, with the preprocessing and the classes that are its own.

    Args:
        source: One of

            - a `best.pth` of vitscope;
            - a `.safetensors` file that says what it is, in its metadata or in the `config.json` beside it;
            - a folder that Hugging Face's or timm's `save_pretrained` wrote;
            - `timm:NAME`, `torchvision:NAME` or `hf:NAME_OR_FOLDER`, with weights from the cache or the hub.
        weights: A file with the weights of a named model: `.safetensors`, or a state dict of `torch.save`.
        classes: The class names in the order of the logits, in place of the model's own.
        device: `cpu`, `cuda`, `auto`…

    Raises:
        UsageError: The arguments do not go together, or there is no such kind of source.
        InputError: The model cannot be used, or its preprocessing is not known here.
        CheckpointError: A file is damaged, or its weights do not fit; nothing is ever left at random.
        NotFiniteError: Weights are NaN or infinite.
        EnvironmentFault: The device, the network or a package is missing.
    """
    target = resolve_device(device)
    _check(source, weights)
    with torch.random.fork_rng(devices=[]):  # the weights that a network begins with are drawn, then replaced
        if is_named(source):
            model = _named(str(source), None if weights is None else Path(weights), classes)
        else:
            model = _file(Path(source))
            if classes is not None:
                model.classes, model.aliases = name_classes(len(model.classes), classes).names, ()
    model.source = str(source)
    model.digest = model.digest or digest_tensors(model.network.state_dict())
    return model.to(target).eval()


def _check(source: Path | str, weights: Path | str | None) -> None:
    kind, colon, name = str(source).partition(":")
    if is_named(source):
        if not name:
            raise UsageError(
                f"expected the name of a model after {kind}:", hint="such as timm:vit_tiny_patch16_224"
            )
        return
    if colon and kind.isalpha() and len(kind) > 1 and not Path(source).exists():
        near = get_close_matches(kind.lower(), SOURCES, n=1)
        guess = f"did you mean {near[0]}:{name}?" if near else f"there are {', '.join(SOURCES)}, and files"
        raise UsageError(f"unknown kind of model {kind!r} in {str(source)!r}", hint=guess)
    if weights is not None:
        raise UsageError(
            f"--weights goes with a named model, not with the file {source}",
            hint="timm:NAME, torchvision:NAME or hf:NAME, with --weights FILE",
        )


def _named(source: str, weights: Path | None, classes: Sequence[str] | None) -> Classifier:
    kind, _, name = source.partition(":")
    return SOURCES[kind](name, weights=weights, classes=classes)


def _file(path: Path) -> Classifier:
    if path.is_dir() and (path / "config.json").is_file():
        return _described(path / "model.safetensors", _config(path / "config.json"))
    if path.suffix.lower() != ".safetensors" or path.is_dir():
        return trained_classifier(path)
    return open_tensor_file(path)


def open_tensor_file(path: Path) -> Classifier:
    """Open a safetensors file by its note, or by the `config.json` beside it; its ending does not matter.

    Raises:
        CheckpointError: It is damaged, or does not say what it is.
        NotFiniteError: Weights are NaN or infinite.
    """
    held = read_tensors(path)
    try:
        note = ModelNote.from_metadata(held.metadata)
        if note is not None:
            return _noted(note, held)
    except CheckpointError as error:
        raise CheckpointError(f"{path}: {error}", hint=error.hint) from error
    except Exception as error:  # options that no export wrote fail in any way, deep in the builders
        reason = " ".join(str(error).split())[:200] or type(error).__name__
        raise CheckpointError(f"{path}: cannot be rebuilt: {reason}") from error
    if not (path.parent / "config.json").is_file():
        raise CheckpointError(f"{path}: its weights do not say of which model they are", hint=_HINT)
    return _described(path, _config(path.parent / "config.json"), held)


def _noted(note: ModelNote, held: TensorFile) -> Classifier:
    """Build what a file says of itself; its own preprocessing and classes count, not the architecture's."""
    kind, _, name = note.model.partition(":")
    preprocessing = Preprocessing.from_dict(note.preprocessing)
    if kind == "vitscope":
        network = rebuild_network(name, note.options, held.state, classes=len(note.classes))
        model = Classifier(network, classes=note.classes, preprocessing=preprocessing, name=name)
        model.architecture, model.options = note.model, note.options
    elif kind in ("timm", "torchvision"):
        more = {"arguments": note.options} if kind == "timm" else {}
        model = SOURCES[kind](name, state=held.state, classes=note.classes, **more)
        model.preprocessing = preprocessing
    else:
        raise CheckpointError(f"its note names the model {note.model[:80]!r}, which is not known here")
    model.data = None if note.data is None else DataSpec.from_dict(note.data)
    model.training_record = note.training
    return model


def _described(path: Path, config: dict[str, Any], held: TensorFile | None = None) -> Classifier:
    if "architecture" in config:
        return timm_from_config(config, (held or read_tensors(path)).state)
    if "model_type" not in config:
        raise CheckpointError(f"{path}: the config.json beside it is of no library known here", hint=_HINT)
    whole = path.name == "model.safetensors"
    return hf_classifier(str(path.parent), weights=None if whole else path)


def _config(path: Path) -> dict[str, Any]:
    try:
        if path.stat().st_size > _LONGEST:
            raise ValueError("it is too long")
        content = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError) as error:
        raise InputError(f"{path} cannot be read: {' '.join(str(error).split())[:160]}") from error
    if not isinstance(content, dict):
        raise InputError(f"expected a JSON object in {path}, got {type(content).__name__}")
    return content
