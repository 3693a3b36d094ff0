"""vitscope: from an image classifier's checkpoint to the figures of a paper.

>>> import vitscope
>>> model = vitscope.load("best.pth")  # doctest: +SKIP
>>> predictions = vitscope.predict(model, "digits")  # doctest: +SKIP
>>> vitscope.evaluate(predictions).accuracy  # doctest: +SKIP

Nothing heavy is imported before it is used: names are looked up when they are first asked for (PEP 562).
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from vitscope.analysis.evaluation import Evaluation, evaluate
    from vitscope.capture.tape import capture
    from vitscope.data.imageset import ImageSet
    from vitscope.data.preprocessing import Preprocessing
    from vitscope.data.sources import DataSpec, load_split
    from vitscope.errors import VitscopeError
    from vitscope.explain.raw import raw_attention
    from vitscope.explain.rollout import rollout
    from vitscope.inference.classifier import Classifier, load
    from vitscope.inference.prediction import predict
    from vitscope.records.attention import Attention
    from vitscope.records.heatmap import Heatmap
    from vitscope.records.predictions import Predictions

__version__ = "0.1.0"

__all__ = [
    "Attention",
    "Classifier",
    "DataSpec",
    "Evaluation",
    "Heatmap",
    "ImageSet",
    "Predictions",
    "Preprocessing",
    "VitscopeError",
    "capture",
    "evaluate",
    "load",
    "load_split",
    "predict",
    "raw_attention",
    "rollout",
]

_PLACES = {
    "Attention": "vitscope.records.attention",
    "Classifier": "vitscope.inference.classifier",
    "DataSpec": "vitscope.data.sources",
    "Evaluation": "vitscope.analysis.evaluation",
    "Heatmap": "vitscope.records.heatmap",
    "ImageSet": "vitscope.data.imageset",
    "Predictions": "vitscope.records.predictions",
    "Preprocessing": "vitscope.data.preprocessing",
    "VitscopeError": "vitscope.errors",
    "capture": "vitscope.capture.tape",
    "evaluate": "vitscope.analysis.evaluation",
    "load": "vitscope.inference.classifier",
    "load_split": "vitscope.data.sources",
    "predict": "vitscope.inference.prediction",
    "raw_attention": "vitscope.explain.raw",
    "rollout": "vitscope.explain.rollout",
}


def __getattr__(name: str) -> object:
    if name not in _PLACES:
        raise AttributeError(f"module 'vitscope' has no attribute {name!r}")
    value = getattr(import_module(_PLACES[name]), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
