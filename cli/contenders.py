"""The models to compare: what the arguments name, what to call them, and the images they are run on."""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import TYPE_CHECKING

from vitscope.cli.evaluated import predictions_folder
from vitscope.cli.subjects import data_of
from vitscope.errors import InputError, UsageError
from vitscope.paths import folder_format

if TYPE_CHECKING:
    from collections.abc import Sequence

    from vitscope.cli.options import Split
    from vitscope.data.imageset import ImageSet
    from vitscope.data.sources import DataSpec
    from vitscope.report.comparison import Contender

__all__ = ["name_models", "named_model", "open_contenders", "shared_images"]

_NAMED = re.compile(r"[a-z]+:.")
_TAIL = re.compile(r"best|last|model|predictions|evaluation(-.*)?")
_STAMP = re.compile(r"^\d{8}T\d{6}Z_(?=.)")


def named_model(source: str) -> bool:
    """Tell whether an argument is the name of a model of another library, such as `timm:NAME`."""
    return bool(_NAMED.match(source)) and not os.path.lexists(source)


def name_models(sources: Sequence[str], names: str | None) -> list[str]:
    """Return what to call each model: the names given, else the shortest that tell all of them apart.

    A path is called after its last folder or file that is not called `best.pth`, `predictions` or the like,
    without the time that a run's folder begins with; with more folders where names would be equal.

    Raises:
        UsageError: There are fewer than two models, or `names` does not fit.
    """
    if len(sources) < 2:
        raise UsageError(
            f"expected at least two models, got {len(sources)}",
            hint="vitscope compare A B: checkpoints, or folders of predictions",
        )
    if names is not None:
        return _given(names, len(sources))
    parts = [_parts(source) for source in sources]
    for depth in range(max(map(len, parts)) + 1):
        found = ["/".join(part[-max(1, depth) :]) for part in parts]
        if not depth:
            found = [_STAMP.sub("", name) for name in found]
        if len(set(found)) == len(found) and all(found):
            return found
    if len(set(sources)) == len(sources):
        return list(sources)
    return [f"{source} {place}" for place, source in enumerate(sources, start=1)]  # of other weights


def _given(names: str, count: int) -> list[str]:
    found = [name.strip() for name in names.split(",")]
    if len(found) != count or len(set(found)) < count or not all(found):
        raise UsageError(
            f"expected {count} names in --names, with commas between, all different, got {names!r}"
        )
    return found


def _parts(source: str) -> list[str]:
    if named_model(source):
        kind, _, name = source.partition(":")
        return [kind, name]
    path = Path(os.path.abspath(source))  # noqa: PTH100 - links stay as they are named
    parts = [*path.parts[1:-1], path.name if path.is_dir() else path.stem]
    while len(parts) > 1 and _TAIL.fullmatch(parts[-1]):
        parts.pop()
    return parts


def open_contenders(
    sources: Sequence[str], names: Sequence[str], *, weights: Sequence[Path], device: str
) -> list[Contender]:
    """Open every argument: predictions first, and then the models, which take longer.

    Raises:
        UsageError: The number of weights is not that of the named models, or a model is given twice.
        InputError: An argument is nothing that can be compared.
    """
    from vitscope.records.predictions import Predictions
    from vitscope.report.comparison import Contender, check_contenders

    named = [source for source in sources if named_model(source)]
    if weights and len(weights) != len(named):
        raise UsageError(
            f"expected --weights for each of the {len(named)} models named by a library, got {len(weights)}"
        )
    given = iter(weights)
    files = {
        name: next(given, None) if named_model(source) else None
        for name, source in zip(names, sources, strict=True)
    }
    _check_each_once(sources, [files[name] for name in names])
    opened = {name: _predictions_folder(source) for name, source in zip(names, sources, strict=True)}
    subjects = {name: Predictions.load(folder) for name, folder in opened.items() if folder is not None}
    found = {
        name: Contender(name, source, subjects[name])
        for name, source in zip(names, sources, strict=True)
        if name in subjects
    }
    if found:
        check_contenders(list(found.values()))
    for name, source in zip(names, sources, strict=True):
        if name not in found:
            from vitscope.inference.classifier import load

            model = load(_model_source(source), weights=files[name], device=device)
            found[name] = Contender(name, source, model)
    return [found[name] for name in names]


def _check_each_once(sources: Sequence[str], weights: Sequence[Path | None]) -> None:
    found: list[tuple[str, str]] = []
    for source, file in zip(sources, weights, strict=True):
        place = source.removeprefix("hf:")
        path = os.path.realpath(place) if os.path.lexists(place) else source
        found.append((path, os.path.realpath(file) if file else ""))
        if found[-1] in found[:-1]:
            raise UsageError(f"{source} is given twice", hint="name each model once")


def _predictions_folder(source: str) -> Path | None:
    """Return the predictions folder that an argument names, or None where it is a model's.

    Raises:
        InputError: There is nothing by this name, or it is a folder that holds no predictions.
    """
    if named_model(source):
        return None
    path = Path(source)
    if not os.path.lexists(path):
        raise InputError(
            f"there is no {source}",
            hint="name a checkpoint, a predictions or an evaluation folder, or a model such as timm:NAME",
        )
    if folder_format(path) == "vitscope.comparison":
        raise InputError(
            f"{source} is a comparison already", hint=f"the predictions in it lie in {path / 'predictions'}"
        )
    return predictions_folder(source)


def _model_source(source: str) -> str:
    """Return the checkpoint of a run's folder, and every other source as it is."""
    if not named_model(source) and folder_format(Path(source)) == "vitscope.run":
        return str(Path(source) / "best.pth")
    return source


def shared_images(contenders: Sequence[Contender], data: str | None, split: Split) -> ImageSet | None:
    """Return the images that all models are run on; None where there are predictions alone and no `data`.

    These are the images of the models that know their data, or of `data`, divided as these models' training
    divided it; a model that knows none takes theirs. For predictions alone all images of `data`.

    Raises:
        InputError: No model knows its data and none is given, or two models would get different images.
    """
    models = [(each.name, each.model) for each in contenders if each.model is not None]
    if not models:
        return None if data is None else _whole(contenders, data, split)
    specs = {name: data_of(model, data, split) for name, model in models if model.data is not None}
    if not specs:
        specs = {models[0][0]: data_of(models[0][1], data, split)}
    return _agreed(specs, split)


def _agreed(specs: dict[str, DataSpec], split: Split) -> ImageSet:
    from vitscope.data.sources import load_split

    loaded: dict[str, ImageSet] = {}
    first, *others = specs
    for name, spec in specs.items():
        same = next((known for known in loaded if specs[known] == spec), None)
        loaded[name] = loaded[same] if same is not None else load_split(spec, split)
    for name in others:
        if loaded[name].digest != loaded[first].digest:
            raise InputError(
                f"{first} and {name} were trained on different data, and their {split} images differ",
                hint="name images that neither has seen with --data",
            )
    return loaded[first]


def _whole(contenders: Sequence[Contender], data: str, split: Split) -> ImageSet:
    """Return all images of which the predictions may be a part, whatever the shares of the splits were."""
    from vitscope.data.sources import DataSpec, load_split

    predictions = contenders[0].predictions
    known = predictions.provenance.split if predictions is not None else ""
    if (known or split) == "test":
        return load_split(DataSpec(data, test=1.0), "test")
    return load_split(DataSpec(data, validation=0.0, test=0.0), "train")
