"""Sets of classes that hold the true one in nine of ten cases, fitted on some images and tested on others."""

import vitscope
from vitscope.analysis.conformal import calibration_rows
from vitscope.figures.conformal import draw_conformal
from vitscope.figures.files import save_figure

predictions = vitscope.Predictions.load("runs/demo/evaluation/predictions")
fitted = calibration_rows(predictions.labels, fraction=0.5, seed=0)
predictor = vitscope.fit_conformal(predictions, alpha=0.1, rows=fitted)
result = vitscope.evaluate_conformal(predictor, predictions, rows=~fitted)
with vitscope.paper_style("icml"):
    save_figure(draw_conformal(result), "conformal")
