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
    from vitscope.analysis.accuracy import class_accuracy
    from vitscope.analysis.affine import fit_dirichlet, fit_vector_scaling
    from vitscope.analysis.calibrated import Calibrated, calibrate
    from vitscope.analysis.calibration import reliability
    from vitscope.analysis.comparison import Comparison, compare
    from vitscope.analysis.conformal import ConformalPredictor, fit_conformal, prediction_sets
    from vitscope.analysis.confusion import confusion
    from vitscope.analysis.corruption import corruption
    from vitscope.analysis.coverage import ConformalResult, evaluate_conformal
    from vitscope.analysis.evaluation import Evaluation, evaluate
    from vitscope.analysis.labels import label_issues
    from vitscope.analysis.miscalibration import CalibrationErrors, calibration_errors
    from vitscope.analysis.openset import open_set
    from vitscope.analysis.outcomes import Outcomes, outcomes
    from vitscope.analysis.selective import risk_coverage
    from vitscope.analysis.superclasses import Superclasses, superclass_accuracy
    from vitscope.analysis.taxonomy import load_superclasses
    from vitscope.analysis.temperature import fit_temperature
    from vitscope.capture.tape import capture
    from vitscope.data.corruptions.corruptedset import corrupted
    from vitscope.data.corruptions.generator import corrupt
    from vitscope.data.foreign import foreign_images
    from vitscope.data.imageset import ImageSet
    from vitscope.data.preprocessing import Preprocessing
    from vitscope.data.sources import DataSpec, load_split
    from vitscope.errors import VitscopeError
    from vitscope.explain.gradients import AttentionGradients, attention_gradients
    from vitscope.explain.raw import raw_attention
    from vitscope.explain.relevance import gradient_rollout, relevance
    from vitscope.explain.rollout import rollout
    from vitscope.inference.classifier import Classifier, load
    from vitscope.inference.cost import Cost, model_cost
    from vitscope.inference.prediction import predict
    from vitscope.records.arrays import read_arrays
    from vitscope.records.attention import Attention
    from vitscope.records.heatmap import Heatmap
    from vitscope.records.predictions import Predictions

__version__ = "0.1.0"

__all__ = [
    "Attention",
    "AttentionGradients",
    "Calibrated",
    "CalibrationErrors",
    "Classifier",
    "Comparison",
    "ConformalPredictor",
    "ConformalResult",
    "Cost",
    "DataSpec",
    "Evaluation",
    "Heatmap",
    "ImageSet",
    "Outcomes",
    "Predictions",
    "Preprocessing",
    "Superclasses",
    "VitscopeError",
    "attention_gradients",
    "calibrate",
    "calibration_errors",
    "capture",
    "class_accuracy",
    "compare",
    "confusion",
    "corrupt",
    "corrupted",
    "corruption",
    "evaluate",
    "evaluate_conformal",
    "fit_conformal",
    "fit_dirichlet",
    "fit_temperature",
    "fit_vector_scaling",
    "foreign_images",
    "gradient_rollout",
    "label_issues",
    "load",
    "load_split",
    "load_superclasses",
    "model_cost",
    "open_set",
    "outcomes",
    "predict",
    "prediction_sets",
    "raw_attention",
    "read_arrays",
    "relevance",
    "reliability",
    "risk_coverage",
    "rollout",
    "superclass_accuracy",
]

_PLACES = {
    "Attention": "vitscope.records.attention",
    "AttentionGradients": "vitscope.explain.gradients",
    "Calibrated": "vitscope.analysis.calibrated",
    "CalibrationErrors": "vitscope.analysis.miscalibration",
    "Classifier": "vitscope.inference.classifier",
    "Comparison": "vitscope.analysis.comparison",
    "ConformalPredictor": "vitscope.analysis.conformal",
    "ConformalResult": "vitscope.analysis.coverage",
    "Cost": "vitscope.inference.cost",
    "DataSpec": "vitscope.data.sources",
    "Evaluation": "vitscope.analysis.evaluation",
    "Heatmap": "vitscope.records.heatmap",
    "ImageSet": "vitscope.data.imageset",
    "Outcomes": "vitscope.analysis.outcomes",
    "Predictions": "vitscope.records.predictions",
    "Preprocessing": "vitscope.data.preprocessing",
    "Superclasses": "vitscope.analysis.superclasses",
    "VitscopeError": "vitscope.errors",
    "attention_gradients": "vitscope.explain.gradients",
    "calibrate": "vitscope.analysis.calibrated",
    "calibration_errors": "vitscope.analysis.miscalibration",
    "capture": "vitscope.capture.tape",
    "class_accuracy": "vitscope.analysis.accuracy",
    "compare": "vitscope.analysis.comparison",
    "confusion": "vitscope.analysis.confusion",
    "corrupt": "vitscope.data.corruptions.generator",
    "corrupted": "vitscope.data.corruptions.corruptedset",
    "corruption": "vitscope.analysis.corruption",
    "evaluate": "vitscope.analysis.evaluation",
    "evaluate_conformal": "vitscope.analysis.coverage",
    "fit_conformal": "vitscope.analysis.conformal",
    "fit_dirichlet": "vitscope.analysis.affine",
    "fit_temperature": "vitscope.analysis.temperature",
    "fit_vector_scaling": "vitscope.analysis.affine",
    "foreign_images": "vitscope.data.foreign",
    "gradient_rollout": "vitscope.explain.relevance",
    "label_issues": "vitscope.analysis.labels",
    "load": "vitscope.inference.classifier",
    "load_split": "vitscope.data.sources",
    "load_superclasses": "vitscope.analysis.taxonomy",
    "model_cost": "vitscope.inference.cost",
    "open_set": "vitscope.analysis.openset",
    "outcomes": "vitscope.analysis.outcomes",
    "predict": "vitscope.inference.prediction",
    "prediction_sets": "vitscope.analysis.conformal",
    "raw_attention": "vitscope.explain.raw",
    "read_arrays": "vitscope.records.arrays",
    "relevance": "vitscope.explain.relevance",
    "reliability": "vitscope.analysis.calibration",
    "risk_coverage": "vitscope.analysis.selective",
    "rollout": "vitscope.explain.rollout",
    "superclass_accuracy": "vitscope.analysis.superclasses",
}


def __getattr__(name: str) -> object:
    if name not in _PLACES:
        raise AttributeError(f"module 'vitscope' has no attribute {name!r}")
    value = getattr(import_module(_PLACES[name]), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
