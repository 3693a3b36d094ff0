"""Attention rollout over a picture: how much of each patch can have reached the class token."""

import numpy as np

import vitscope
from vitscope.figures.attention import draw_attention_maps
from vitscope.figures.files import save_figure

model = vitscope.load("runs/demo/best.pth")
picture = vitscope.load_split(model.data, "test").image(0)
with vitscope.capture(model, heads="mean") as tape:
    model(model.prepare([picture]))
maps = vitscope.rollout(tape.attention())
with vitscope.paper_style("icml"):
    save_figure(draw_attention_maps(maps, np.asarray(picture)), "rollout")
