"""Which layers see images alike: linear CKA of every layer with every other."""

import vitscope
from vitscope.figures.files import save_figure
from vitscope.figures.similarity import draw_similarity

model = vitscope.load("runs/demo/best.pth")
data = vitscope.load_split(model.data, "test")
batches = [
    model.prepare([data.image(index) for index in range(first, first + 64)]) for first in range(0, 256, 64)
]
with vitscope.paper_style("icml"):
    save_figure(draw_similarity(vitscope.cka(vitscope.layer_grams(model, batches))), "similarity")
