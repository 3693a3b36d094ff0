"""ONNX files: run by ONNX Runtime, with the logits of the model."""

from __future__ import annotations

import json

import numpy as np
import pytest
import torch

from tests.inference.exported import logits_of, untrained
from vitscope.errors import (
    InputError,
)
from vitscope.inference.classifier import Classifier
from vitscope.inference.export import export_model


@pytest.fixture(scope="module")
def exported(tmp_path_factory):
    folder = tmp_path_factory.mktemp("onnx")
    model = untrained("vit-micro", width=12, depth=1, heads=2)
    made = export_model(model, folder / "m.onnx", "onnx", pixels=True)
    return model, folder / "m.onnx", made


@pytest.mark.slow
def test_any_number_of_pixels(exported):
    import onnxruntime

    model, path, made = exported
    session = onnxruntime.InferenceSession(path)
    assert [(each.name, each.type) for each in session.get_inputs()] == [("pixels", "tensor(uint8)")]
    draw = np.random.default_rng(5)
    for count in (1, 2, 7):
        pixels = draw.integers(0, 256, (count, 3, 32, 32), dtype=np.uint8)
        found = session.run(["logits"], {"pixels": pixels})[0]
        with torch.no_grad():
            expected = model.network((torch.from_numpy(pixels) / 255 - 0.4) / 0.2)
        np.testing.assert_allclose(found, expected.numpy(), atol=1e-4)
    assert made.details["input"] == {"name": "pixels", "type": "uint8", "shape": ["batch", 3, 32, 32]}


@pytest.mark.slow
def test_the_file_says_what_it_is_and_nothing_of_this_machine(exported):
    import onnx

    model, path, _ = exported
    proto = onnx.load(path)
    onnx.checker.check_model(proto)
    metadata = {each.key: json.loads(each.value) for each in proto.metadata_props}
    assert metadata["classes"] == list(model.classes)
    assert metadata["preprocessing"]["mean"] == [0.4] * 3
    assert metadata["model"] == "vitscope:vit-micro"
    assert proto.opset_import[0].version == 18
    assert b"site-packages" not in path.read_bytes()


@pytest.mark.slow
def test_scaled_images_of_a_convolution_network(tmp_path):
    import onnxruntime

    model = untrained("airbench", width=8)
    export_model(model, tmp_path / "m.onnx", "onnx")
    session = onnxruntime.InferenceSession(tmp_path / "m.onnx")

    def network(images):
        return torch.from_numpy(session.run(None, {"images": images.numpy()})[0])

    assert torch.allclose(logits_of(network, model), logits_of(model, model), atol=1e-4)


@pytest.mark.slow
def test_what_onnx_cannot_express(tmp_path):
    class Fickle(torch.nn.Module):
        def forward(self, images):
            return images.flatten(1)[:, :3] * (2 if float(images.sum()) > 0 else 3)

    model = Classifier(Fickle(), classes="abc", preprocessing=untrained("vit-tiny").preprocessing)
    with pytest.raises(InputError, match="cannot be expressed in ONNX"):
        export_model(model, tmp_path / "m.onnx", "onnx")
    assert not list(tmp_path.iterdir())
