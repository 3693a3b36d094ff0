"""How the error grows as images get noisier, blurred or foggy, at three severities."""

import vitscope
from vitscope.figures.corruptions import draw_corruptions
from vitscope.figures.files import save_figure

KINDS = ("gaussian_noise", "defocus_blur", "pixelate")

model = vitscope.load("runs/demo/best.pth")
clean = vitscope.load_split(model.data, "test")
found = {
    (kind, severity): vitscope.predict(model, vitscope.corrupted(clean, kind, severity))
    for kind in KINDS
    for severity in (1, 3, 5)
}
result = vitscope.corruption(vitscope.predict(model, clean), found)
with vitscope.paper_style("neurips"):
    save_figure(draw_corruptions(result), "corruptions")
