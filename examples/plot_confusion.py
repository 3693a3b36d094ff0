"""What is taken for what: the confusion matrix, and the most confused pairs on the terminal."""

import vitscope
from vitscope.figures.confusion import draw_confusion
from vitscope.figures.files import save_figure

predictions = vitscope.Predictions.load("runs/demo/evaluation/predictions")
result = vitscope.confusion(predictions)
with vitscope.paper_style("neurips"):
    save_figure(draw_confusion(result), "confusion")
for pair in result.rows(most=3):
    print(f"{pair['true']} taken for {pair['predicted']}: {pair['share']:.1%} ({pair['count']} images)")
