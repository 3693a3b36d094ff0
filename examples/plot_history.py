"""How a training went: loss, accuracy and learning rate, with the epoch whose weights were kept."""

import pandas as pd

import vitscope
from vitscope.figures.files import save_figure
from vitscope.figures.history import draw_history

history = pd.read_csv("runs/demo/metrics.csv")
best = int(history.loc[history["validation_accuracy"].idxmax(), "epoch"])
with vitscope.paper_style("neurips"):
    save_figure(draw_history(history, best_epoch=best), "history")
