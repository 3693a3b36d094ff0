"""Where in the network the classes can be read: kNN and a linear probe on each layer's frozen features."""

import tempfile
from pathlib import Path

import vitscope
from vitscope.figures.files import save_figure
from vitscope.figures.readout import draw_readout

model = vitscope.load("runs/demo/best.pth")
images = vitscope.load_split(model.data, "test")
layers = {name: lambda tokens: tokens[:, 0] for name in vitscope.find_blocks(model).names}  # the class token
with tempfile.TemporaryDirectory() as folder:
    _, features = vitscope.layer_features(model, images, layers, Path(folder))
    readout = vitscope.read_layers(features, images.labels, token="class")
with vitscope.paper_style("icml"):
    save_figure(draw_readout(readout), "readout")
