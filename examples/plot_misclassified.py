"""Up to sixteen wrong predictions, drawn at random and not chosen, with what each was taken for."""

import numpy as np

import vitscope
from vitscope.figures.files import save_figure
from vitscope.figures.gallery import draw_gallery

predictions = vitscope.Predictions.load("runs/demo/evaluation/predictions")
wrong = np.flatnonzero(predictions.predicted != predictions.labels)
shown = np.random.default_rng(42).permutation(wrong)[:16]
images = vitscope.load_split(vitscope.DataSpec(source="digits"), "test")
with vitscope.paper_style("neurips"):
    gallery = draw_gallery(lambda index: np.asarray(images.image(index)), predictions, shown)
    save_figure(gallery, "misclassified")
