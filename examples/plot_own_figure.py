"""A figure of your own in the venue's style, with what stands beside it in a paper: data, caption, LaTeX."""

import numpy as np

import vitscope
from vitscope.figures.exhibit import Table
from vitscope.figures.style import new_figure, styled

predictions = vitscope.Predictions.load("runs/demo/evaluation/predictions")
confidence = predictions.probabilities.max(axis=1)
thresholds = np.linspace(0, 1, 101)
kept = [float((confidence >= threshold).mean()) for threshold in thresholds]


@styled
def draw_kept():
    """Draw the share of images that a threshold on the confidence keeps."""
    figure = new_figure(1.8)
    ax = figure.subplots()
    ax.plot(thresholds, kept)
    ax.set(xlabel="least confidence of an image that is kept", ylabel="images kept", ylim=(0, 1.02))
    return figure


rows = list(zip(thresholds.tolist(), kept, strict=True))
caption = f"Share of the {len(predictions)} test images whose confidence is at least a threshold."
with vitscope.paper_style("icml", formats=("pdf", "svg", "png")):
    exhibit = vitscope.Exhibit("kept", draw_kept, caption, Table(("threshold", "kept"), rows))
    vitscope.save_exhibit(exhibit, "own_figure")
