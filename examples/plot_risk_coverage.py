"""How many errors are left when the least confident images are given to someone else."""

import vitscope
from vitscope.figures.files import save_figure
from vitscope.figures.selective import draw_risk_coverage

predictions = vitscope.Predictions.load("runs/demo/evaluation/predictions")
curve = vitscope.risk_coverage(predictions)
with vitscope.paper_style("icml"):
    save_figure(draw_risk_coverage(curve), "risk_coverage")
print(f"AURC {curve.aurc:.5f}")
