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
    from vitscope.analysis.answers import Answers, answers
    from vitscope.analysis.calibrated import Calibrated, calibrate
    from vitscope.analysis.calibration import reliability
    from vitscope.analysis.comparison import Comparison, compare
    from vitscope.analysis.conformal import ConformalPredictor, fit_conformal, prediction_sets
    from vitscope.analysis.confusion import confusion
    from vitscope.analysis.corruption import corruption
    from vitscope.analysis.coverage import ConformalResult, evaluate_conformal
    from vitscope.analysis.evaluation import Evaluation, evaluate
    from vitscope.analysis.faithfulness import rank_methods
    from vitscope.analysis.labels import label_issues
    from vitscope.analysis.lens import lens_by_layer
    from vitscope.analysis.miscalibration import CalibrationErrors, calibration_errors
    from vitscope.analysis.mistakes import choose_mistakes
    from vitscope.analysis.openset import open_set
    from vitscope.analysis.outcomes import Outcomes, outcomes
    from vitscope.analysis.selective import risk_coverage
    from vitscope.analysis.similarity import cka, linear_cka
    from vitscope.analysis.superclasses import Superclasses, superclass_accuracy
    from vitscope.analysis.taxonomy import load_superclasses
    from vitscope.analysis.temperature import fit_temperature
    from vitscope.capture.blocks import find_blocks, find_layers
    from vitscope.capture.tape import capture
    from vitscope.data.corruptions.corruptedset import corrupted
    from vitscope.data.corruptions.generator import corrupt
    from vitscope.data.foreign import foreign_images
    from vitscope.data.imageset import ImageSet
    from vitscope.data.planted import PlantedImages, planted_images
    from vitscope.data.preprocessing import Preprocessing
    from vitscope.data.sources import DataSpec, load_split
    from vitscope.embedding.procrustes import align_points
    from vitscope.embedding.projection import project
    from vitscope.embedding.readout import read_layers
    from vitscope.embedding.trust import trust
    from vitscope.errors import VitscopeError
    from vitscope.explain.class_rollout import class_rollout
    from vitscope.explain.faithfulness import faithfulness
    from vitscope.explain.filters import first_filters
    from vitscope.explain.flow import attention_flow
    from vitscope.explain.gradcam import grad_cam
    from vitscope.explain.gradients import AttentionGradients, attention_gradients
    from vitscope.explain.grams import layer_grams
    from vitscope.explain.heads import head_statistics
    from vitscope.explain.integrated import gradient_x_input, integrated_gradients
    from vitscope.explain.legrad import legrad
    from vitscope.explain.lens import logit_lens
    from vitscope.explain.methods import Method, explain
    from vitscope.explain.occlusion import occlusion
    from vitscope.explain.pointing import pointing_hits
    from vitscope.explain.positions import position_similarity
    from vitscope.explain.raw import raw_attention
    from vitscope.explain.relevance import gradient_rollout, relevance
    from vitscope.explain.rollout import rollout, rollout_by_depth
    from vitscope.explain.sampled import gradient_shap, smoothgrad
    from vitscope.figures.exhibit import Exhibit, save_exhibit
    from vitscope.figures.redrawing import redraw
    from vitscope.figures.style import paper_style
    from vitscope.inference.classifier import Classifier, load
    from vitscope.inference.cost import Cost, model_cost
    from vitscope.inference.export import Export, export_model
    from vitscope.inference.layer_features import layer_features
    from vitscope.inference.prediction import predict
    from vitscope.inference.sizes import ModelSize, model_size
    from vitscope.records.arrays import read_arrays
    from vitscope.records.attention import Attention
    from vitscope.records.embedding import Embedding, LayerReadout
    from vitscope.records.faithfulness import Faithfulness
    from vitscope.records.filters import Filters
    from vitscope.records.heads import HeadStatistics
    from vitscope.records.heatmap import Heatmap
    from vitscope.records.lens import Lens
    from vitscope.records.positions import PositionSimilarity
    from vitscope.records.predictions import Predictions
    from vitscope.records.similarity import Similarity
    from vitscope.report.explanation import report_explanation
    from vitscope.report.mistakes import report_mistakes
    from vitscope.report.page import PageReport, report_page
    from vitscope.report.subjects import Subject

__version__ = "0.1.0"

__all__ = [
    "Answers",
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
    "Embedding",
    "Evaluation",
    "Exhibit",
    "Export",
    "Faithfulness",
    "Filters",
    "HeadStatistics",
    "Heatmap",
    "ImageSet",
    "LayerReadout",
    "Lens",
    "Method",
    "ModelSize",
    "Outcomes",
    "PageReport",
    "PlantedImages",
    "PositionSimilarity",
    "Predictions",
    "Preprocessing",
    "Similarity",
    "Subject",
    "Superclasses",
    "VitscopeError",
    "align_points",
    "answers",
    "attention_flow",
    "attention_gradients",
    "calibrate",
    "calibration_errors",
    "capture",
    "choose_mistakes",
    "cka",
    "class_accuracy",
    "class_rollout",
    "compare",
    "confusion",
    "corrupt",
    "corrupted",
    "corruption",
    "evaluate",
    "evaluate_conformal",
    "explain",
    "export_model",
    "faithfulness",
    "find_blocks",
    "find_layers",
    "first_filters",
    "fit_conformal",
    "fit_dirichlet",
    "fit_temperature",
    "fit_vector_scaling",
    "foreign_images",
    "grad_cam",
    "gradient_rollout",
    "gradient_shap",
    "gradient_x_input",
    "head_statistics",
    "integrated_gradients",
    "label_issues",
    "layer_features",
    "layer_grams",
    "legrad",
    "lens_by_layer",
    "linear_cka",
    "load",
    "load_split",
    "load_superclasses",
    "logit_lens",
    "model_cost",
    "model_size",
    "occlusion",
    "open_set",
    "outcomes",
    "paper_style",
    "planted_images",
    "pointing_hits",
    "position_similarity",
    "predict",
    "prediction_sets",
    "project",
    "rank_methods",
    "raw_attention",
    "read_arrays",
    "read_layers",
    "redraw",
    "relevance",
    "reliability",
    "report_explanation",
    "report_mistakes",
    "report_page",
    "risk_coverage",
    "rollout",
    "rollout_by_depth",
    "save_exhibit",
    "smoothgrad",
    "superclass_accuracy",
    "trust",
]

_PLACES = {
    "Answers": "vitscope.analysis.answers",
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
    "Embedding": "vitscope.records.embedding",
    "Evaluation": "vitscope.analysis.evaluation",
    "Exhibit": "vitscope.figures.exhibit",
    "Export": "vitscope.inference.export",
    "Faithfulness": "vitscope.records.faithfulness",
    "Filters": "vitscope.records.filters",
    "HeadStatistics": "vitscope.records.heads",
    "Heatmap": "vitscope.records.heatmap",
    "ImageSet": "vitscope.data.imageset",
    "LayerReadout": "vitscope.records.embedding",
    "Lens": "vitscope.records.lens",
    "Method": "vitscope.explain.methods",
    "ModelSize": "vitscope.inference.sizes",
    "Outcomes": "vitscope.analysis.outcomes",
    "PageReport": "vitscope.report.page",
    "PlantedImages": "vitscope.data.planted",
    "PositionSimilarity": "vitscope.records.positions",
    "Predictions": "vitscope.records.predictions",
    "Preprocessing": "vitscope.data.preprocessing",
    "Similarity": "vitscope.records.similarity",
    "Subject": "vitscope.report.subjects",
    "Superclasses": "vitscope.analysis.superclasses",
    "VitscopeError": "vitscope.errors",
    "align_points": "vitscope.embedding.procrustes",
    "answers": "vitscope.analysis.answers",
    "attention_flow": "vitscope.explain.flow",
    "attention_gradients": "vitscope.explain.gradients",
    "calibrate": "vitscope.analysis.calibrated",
    "calibration_errors": "vitscope.analysis.miscalibration",
    "capture": "vitscope.capture.tape",
    "choose_mistakes": "vitscope.analysis.mistakes",
    "cka": "vitscope.analysis.similarity",
    "class_accuracy": "vitscope.analysis.accuracy",
    "class_rollout": "vitscope.explain.class_rollout",
    "compare": "vitscope.analysis.comparison",
    "confusion": "vitscope.analysis.confusion",
    "corrupt": "vitscope.data.corruptions.generator",
    "corrupted": "vitscope.data.corruptions.corruptedset",
    "corruption": "vitscope.analysis.corruption",
    "evaluate": "vitscope.analysis.evaluation",
    "evaluate_conformal": "vitscope.analysis.coverage",
    "explain": "vitscope.explain.methods",
    "export_model": "vitscope.inference.export",
    "faithfulness": "vitscope.explain.faithfulness",
    "find_blocks": "vitscope.capture.blocks",
    "find_layers": "vitscope.capture.blocks",
    "first_filters": "vitscope.explain.filters",
    "fit_conformal": "vitscope.analysis.conformal",
    "fit_dirichlet": "vitscope.analysis.affine",
    "fit_temperature": "vitscope.analysis.temperature",
    "fit_vector_scaling": "vitscope.analysis.affine",
    "foreign_images": "vitscope.data.foreign",
    "grad_cam": "vitscope.explain.gradcam",
    "gradient_rollout": "vitscope.explain.relevance",
    "gradient_shap": "vitscope.explain.sampled",
    "gradient_x_input": "vitscope.explain.integrated",
    "head_statistics": "vitscope.explain.heads",
    "integrated_gradients": "vitscope.explain.integrated",
    "label_issues": "vitscope.analysis.labels",
    "layer_features": "vitscope.inference.layer_features",
    "layer_grams": "vitscope.explain.grams",
    "legrad": "vitscope.explain.legrad",
    "lens_by_layer": "vitscope.analysis.lens",
    "linear_cka": "vitscope.analysis.similarity",
    "load": "vitscope.inference.classifier",
    "load_split": "vitscope.data.sources",
    "load_superclasses": "vitscope.analysis.taxonomy",
    "logit_lens": "vitscope.explain.lens",
    "model_cost": "vitscope.inference.cost",
    "model_size": "vitscope.inference.sizes",
    "occlusion": "vitscope.explain.occlusion",
    "open_set": "vitscope.analysis.openset",
    "outcomes": "vitscope.analysis.outcomes",
    "paper_style": "vitscope.figures.style",
    "planted_images": "vitscope.data.planted",
    "pointing_hits": "vitscope.explain.pointing",
    "position_similarity": "vitscope.explain.positions",
    "predict": "vitscope.inference.prediction",
    "prediction_sets": "vitscope.analysis.conformal",
    "project": "vitscope.embedding.projection",
    "rank_methods": "vitscope.analysis.faithfulness",
    "raw_attention": "vitscope.explain.raw",
    "read_arrays": "vitscope.records.arrays",
    "read_layers": "vitscope.embedding.readout",
    "redraw": "vitscope.figures.redrawing",
    "relevance": "vitscope.explain.relevance",
    "reliability": "vitscope.analysis.calibration",
    "report_explanation": "vitscope.report.explanation",
    "report_mistakes": "vitscope.report.mistakes",
    "report_page": "vitscope.report.page",
    "risk_coverage": "vitscope.analysis.selective",
    "rollout": "vitscope.explain.rollout",
    "rollout_by_depth": "vitscope.explain.rollout",
    "save_exhibit": "vitscope.figures.exhibit",
    "smoothgrad": "vitscope.explain.sampled",
    "superclass_accuracy": "vitscope.analysis.superclasses",
    "trust": "vitscope.embedding.trust",
}


def __getattr__(name: str) -> object:
    if name not in _PLACES:
        raise AttributeError(f"module 'vitscope' has no attribute {name!r}")
    value = getattr(import_module(_PLACES[name]), name)
    # `capture` and `explain` are packages that can be called: importing has set them already, and they stay.
    return globals().setdefault(name, value)


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
