"""What speaks for the predicted class, by four methods side by side, each map with a scale of its own."""

import numpy as np

import vitscope
from vitscope.figures.files import save_figure
from vitscope.figures.map_grid import MapRow, draw_map_grid
from vitscope.figures.overlay import Scale

METHODS = ("rollout", "relevance", "grad-cam", "integrated-gradients")

model = vitscope.load("runs/demo/best.pth")
pictures = [vitscope.load_split(model.data, "test").image(index) for index in range(4)]
images = model.prepare(pictures)
found = [vitscope.explain(model, images, method=name) for name in METHODS]
rows = []
for place, picture in enumerate(pictures):
    maps = tuple(heatmap.values[place] for heatmap in found)
    scales = tuple(Scale.fitting(values, signed=bool(values.min() < 0)) for values in maps)
    rows.append(MapRow(np.asarray(picture), maps, scales))
with vitscope.paper_style("neurips"):
    save_figure(draw_map_grid(rows, METHODS), "methods")
