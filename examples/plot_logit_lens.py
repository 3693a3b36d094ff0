"""How early a transformer knows the answer: its own head applied after each block."""

import vitscope
from vitscope.figures.files import save_figure
from vitscope.figures.lens import draw_lens

model = vitscope.load("runs/demo/best.pth")
data = vitscope.load_split(model.data, "test")
images = model.prepare([data.image(index) for index in range(200)])
lens = vitscope.logit_lens(model, images, data.labels[:200], classes=model.classes)
with vitscope.paper_style("neurips"):
    save_figure(draw_lens(vitscope.lens_by_layer(lens), lens), "logit_lens")
