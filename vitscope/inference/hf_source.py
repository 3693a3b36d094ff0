"""Image classifiers of Hugging Face's transformers, with their own image processor."""

from __future__ import annotations

import math
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from PIL import Image
from torch import nn

from vitscope.checkpoint.files import check_finite
from vitscope.checkpoint.signature import printable
from vitscope.data.preprocessing import Preprocessing
from vitscope.errors import CheckpointError, EnvironmentFault, InputError
from vitscope.inference.classifier import Classifier
from vitscope.inference.fitting import read_weights
from vitscope.inference.hub import hub_refusal, quietly
from vitscope.inference.imagenet import ClassNames, name_classes

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from torch import Tensor

__all__ = ["HuggingFaceNetwork", "hf_classifier"]

_RESAMPLING = {0: "nearest", 1: "lanczos", 2: "bilinear", 3: "bicubic"}
# Pictures on which our pixels are held to the processor's, wide and tall: columns and rows.
_PROBES = ((500, 333), (300, 427), (118, 187))
_LEVELS = 2  # that single pixels may differ, of 255: rounding in two resizings
# Tables that older versions kept with the weights and newer ones compute.
_DERIVED = ("position_ids", "relative_position_index", "relative_coords_table")


class HuggingFaceNetwork(nn.Module):
    """A model of transformers that takes images and returns logits, like any other network."""

    def __init__(self, model: nn.Module) -> None:
        super().__init__()
        self.model = model

    def forward(self, images: Tensor) -> Tensor:
        """Return logits `[image, class]` of images `[image, channel, row, column]`."""
        logits: Tensor = self.model(pixel_values=images).logits
        return logits


def hf_classifier(
    name: str, *, weights: Path | None = None, classes: Sequence[str] | None = None
) -> Classifier:
    """Build an image classifier of Hugging Face; code that comes with a model is never run.

    Args:
        name: A folder that `save_pretrained` wrote, with its image processor, or a name on the hub.
        weights: A file of weights; the rest is read beside it where a `config.json` lies there.
        classes: The class names, in place of the model's own.

    Raises:
        InputError: It is no image classifier, or its processor does what is not done here.
        CheckpointError: Its weights are damaged or not all there.
        EnvironmentFault: transformers is not installed, or the hub cannot be reached.
    """
    _require()
    state = None if weights is None else read_weights(weights)
    folder = weights.parent if weights is not None and (weights.parent / "config.json").is_file() else name
    place = str(folder)
    refusal = "" if Path(place).is_dir() else hub_refusal()
    offline = bool(refusal) or Path(place).is_dir()
    try:
        with quietly():
            model = _model(place, state, local=offline)
            processor = _processor(place, local=offline)
    except (InputError, CheckpointError):
        raise
    except Exception as error:  # files that no library wrote fail in any way
        raise _explained(place, error, refusal) from error
    check_finite(model.state_dict(), place)
    named = _names(model, classes)
    return Classifier(
        HuggingFaceNetwork(model),
        classes=named.names,
        aliases=named.aliases,
        preprocessing=_matching(processor),
        name=Path(place).name,
    )


def _require() -> None:
    try:
        with quietly():
            import transformers  # noqa: F401
    except ImportError as error:
        raise EnvironmentFault(
            "models of Hugging Face need the package transformers", hint="pip install 'vitscope[hf]'"
        ) from error


def _model(place: str, state: dict[str, Tensor] | None, *, local: bool) -> Any:  # noqa: ANN401 - a class made as it goes
    """Build the model by transformers itself, which knows the names that older versions gave to weights."""
    from transformers import AutoConfig, AutoModelForImageClassification

    options: dict[str, Any] = {"dtype": torch.float32, "output_loading_info": True}
    factory: Any = AutoModelForImageClassification
    if state is None:
        model, report = factory.from_pretrained(
            place, local_files_only=local, use_safetensors=True, trust_remote_code=False, **options
        )
    else:
        config = AutoConfig.from_pretrained(place, local_files_only=local, trust_remote_code=False)
        kind = type(factory.from_config(config, trust_remote_code=False))
        model, report = kind.from_pretrained(None, config=config, state_dict=state, **options)
    missing = sorted(map(_name, (*report["missing_keys"], *report["mismatched_keys"])))
    extra = sorted(key for key in report["unexpected_keys"] if not key.endswith(_DERIVED))
    for what, keys in (("lack or have in another shape", missing), ("have beyond the model", extra)):
        if keys:
            raise CheckpointError(f"{place}: its weights {what} {len(keys)}, first `{printable(keys[0])}`")
    return model


def _name(key: str | tuple[Any, ...]) -> str:
    return key if isinstance(key, str) else str(key[0])  # with both shapes, where these differ


def _processor(place: str, *, local: bool) -> Any:  # noqa: ANN401 - as above
    from transformers import AutoImageProcessor

    factory: Any = AutoImageProcessor
    try:
        return factory.from_pretrained(place, local_files_only=local, trust_remote_code=False)
    except (OSError, ValueError) as error:
        raise InputError(
            f"{place} does not say how it prepares images: it has no readable preprocessor_config.json",
            hint="save its image processor there too: processor.save_pretrained(folder)",
        ) from error


def _names(model: Any, classes: Sequence[str] | None) -> ClassNames:  # noqa: ANN401 - as above
    count = int(model.config.num_labels)
    own = [str(model.config.id2label.get(index, index)) for index in range(count)]
    unnamed = own == [f"LABEL_{index}" for index in range(count)]
    return name_classes(count, classes if classes is not None else None if unnamed else own)


def _explained(place: str, error: Exception, refusal: str) -> Exception:
    reason = printable(" ".join(str(error).split()) or type(error).__name__, 200)
    if refusal:
        return EnvironmentFault(
            f"{place} is no folder here, and the hub cannot be reached: {refusal}",
            hint="give a folder that save_pretrained wrote: hf:FOLDER",
        )
    return InputError(f"{place} cannot be used as an image classifier: {reason}")


def _matching(processor: Any) -> Preprocessing:  # noqa: ANN401 - as above
    """Return the preprocessing that gives the processor's own pixels; every candidate is held to them."""
    draw = np.random.default_rng(0)
    probes = []
    for columns, rows in _PROBES:
        coarse = Image.fromarray(draw.integers(0, 256, (rows // 6, columns // 6, 3), dtype=np.uint8))
        probes.append(coarse.resize((columns, rows), Image.Resampling.BICUBIC))
    with quietly():
        wanted = [
            np.asarray(processor(images=probe, return_tensors="pt")["pixel_values"][0]) for probe in probes
        ]
    far = {
        candidate: max(_difference(candidate, *pair) for pair in zip(probes, wanted, strict=True))
        for candidate in _candidates(processor, wanted[0].shape)
    }
    if far and min(far.values())[0] <= _LEVELS:
        return min(far, key=lambda candidate: far[candidate])
    raise InputError(
        f"its image processor ({type(processor).__name__}) does what is not done here",
        hint="it must resize, cut the centre, divide by 255 and normalise three channels",
    )


def _candidates(processor: Any, shape: tuple[int, ...]) -> Iterator[Preprocessing]:  # noqa: ANN401 - as above
    if len(shape) != 3 or shape[0] != 3:
        return
    rows, columns = shape[1:]
    scaled = bool(getattr(processor, "do_normalize", False))
    mean, std = (getattr(processor, f"image_{what}", None) if scaled else None for what in ("mean", "std"))
    fixed: dict[str, Any] = {
        "size": (rows, columns),
        "channels": 3,
        "mean": tuple(map(float, mean)) if mean else (0.0,) * 3,
        "std": tuple(map(float, std)) if std else (1.0,) * 3,
        "interpolation": _RESAMPLING.get(int(getattr(processor, "resample", 3) or 0), "bicubic"),
    }
    for resize in _resizings(processor):
        sides = resize if isinstance(resize, tuple) else (resize, resize)
        if sides[0] >= rows and sides[1] >= columns:
            for order in ("across", "pillow"):
                yield Preprocessing(**fixed, resize=resize, centring="floor", order=order)


def _resizings(processor: Any) -> list[int | tuple[int, int]]:  # noqa: ANN401 - as above
    size = getattr(processor, "size", None)
    tall, wide, short = (getattr(size, side, None) for side in ("height", "width", "shortest_edge"))
    if tall and wide:
        return [(int(tall), int(wide))]
    if not short:
        return []
    share = getattr(processor, "crop_pct", None)
    cut = [int(short / share)] if share else []
    return [int(short), *cut, (int(short), int(short)), int((256 / 224) * short)]


def _difference(candidate: Preprocessing, picture: Image.Image, wanted: np.ndarray) -> tuple[float, float]:
    """Return by how many levels of grey a pixel differs at most and on average; infinite for other sizes."""
    ours = candidate.pixels(picture)
    if wanted.shape != ours.shape:
        return math.inf, math.inf
    mean, std = (np.array(each)[:, None, None] for each in (candidate.mean, candidate.std))
    levels = np.abs((wanted * std + mean) * 255 - ours)
    return float(levels.max().round()), float(levels.mean())
