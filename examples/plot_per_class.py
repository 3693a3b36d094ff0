"""Accuracy of each class with its Wilson interval, from predictions alone: no model, no torch."""

import vitscope
from vitscope.figures.classes import draw_class_accuracy
from vitscope.figures.files import save_figure

predictions = vitscope.Predictions.load("runs/demo/evaluation/predictions")
with vitscope.paper_style("icml"):
    save_figure(draw_class_accuracy(vitscope.class_accuracy(predictions)), "per_class")
