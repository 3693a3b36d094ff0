"""Is 80 % confidence right in 80 % of the cases? The reliability diagram, with a smooth curve through it."""

import vitscope
from vitscope.analysis.smoothing import smooth_calibration
from vitscope.figures.files import save_figure
from vitscope.figures.reliability import draw_reliability

predictions = vitscope.Predictions.load("runs/demo/evaluation/predictions")
bins = vitscope.reliability(predictions)
with vitscope.paper_style("icml"):
    save_figure(draw_reliability(bins, smooth=smooth_calibration(predictions)), "reliability")
print(f"ECE {bins.ece:.4f}")
