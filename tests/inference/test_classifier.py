"""A checkpoint as a classifier: what it takes, and which checkpoints it refuses."""

from __future__ import annotations

import dataclasses
import time
import tracemalloc

import numpy as np
import pytest
import torch
from PIL import Image
from torch import nn

from vitscope.checkpoint.files import load_checkpoint, save_checkpoint
from vitscope.data.preprocessing import Preprocessing
from vitscope.errors import CheckpointError, ImageError, InputError
from vitscope.inference.classifier import Classifier, load
from vitscope.models.registry import build_model, resolve_options

SMALL = {
    "vit-tiny": {"width": 24, "depth": 2, "heads": 2},
    "vit-micro": {"width": 24, "depth": 3, "heads": 2},
    "hybrid": {"width": 24, "depth": 2, "heads": 2},
    "resnet18": {},
}


@pytest.fixture
def altered(tiny_run, tmp_path):
    """Write the small run's checkpoint with some fields changed."""

    def write(**changes):
        content = load_checkpoint(tiny_run / "best.pth")
        path = tmp_path / "altered.pth"
        save_checkpoint(dataclasses.replace(content, **changes), path)
        return path

    return write


@pytest.fixture
def options(tiny_run):
    return load_checkpoint(tiny_run / "best.pth").options


def test_a_loaded_model_is_ready(tiny_run):
    model = load(tiny_run / "best.pth")
    assert not model.training
    assert model.classes == tuple("0123456789")
    assert model.name == "vit-micro"
    assert model.data is not None
    assert model.data.source == "digits"
    assert model.device == torch.device("cpu")
    assert model.digest == load_checkpoint(tiny_run / "best.pth").digest
    assert model.training_record["settings"]["preset"] == "digits"
    everything = [*model.parameters(), *model.buffers()]
    assert not any(tensor.is_meta for tensor in everything)
    assert all(parameter.requires_grad for parameter in model.parameters())


def test_files_pictures_and_pixels_are_the_same(tiny_run, tmp_path):
    model = load(tiny_run / "best.pth")
    values = np.arange(64, dtype=np.uint8).reshape(8, 8) * 3
    picture = Image.fromarray(values)
    picture.save(tmp_path / "a.png")
    pixels = np.broadcast_to(values[None, None], (2, 1, 8, 8))
    expected = ((values / 255 - model.preprocessing.mean[0]) / model.preprocessing.std[0])[None, None]
    for given in (
        [picture],
        [tmp_path / "a.png"],
        [str(tmp_path / "a.png")],
        iter([picture]),
        pixels[:1],
        torch.from_numpy(pixels[:1].copy()),
        np.asfortranarray(pixels[:1]),
        pixels[:1, :, ::-1][:, :, ::-1],
    ):
        prepared = model.prepare(given)
        assert prepared.dtype == torch.float32
        np.testing.assert_allclose(prepared.numpy(), expected, atol=1e-6)
    colour = picture.convert("RGB").resize((16, 24))
    assert model.prepare([colour, picture]).shape == (2, 1, 8, 8)


@pytest.mark.parametrize(
    "given",
    [
        np.zeros((2, 1, 8, 8), np.float32),
        np.zeros((2, 1, 8, 8), np.uint16),
        np.zeros((1, 8, 8), np.uint8),
        np.zeros((2, 3, 8, 8), np.uint8),
        torch.zeros(2, 1, 9, 8, dtype=torch.uint8),
        torch.zeros(2, 1, 8, 8),
        [],
        "picture.png",
        Image.new("L", (8, 8)),
    ],
    ids=["float", "uint16", "no images", "channels", "size", "float tensor", "none", "one path", "one image"],
)
def test_other_pixels_are_refused(tiny_run, given):
    with pytest.raises(InputError):
        load(tiny_run / "best.pth").prepare(given)


def test_a_missing_file(tiny_run, tmp_path):
    with pytest.raises(ImageError, match=r"none\.png"):
        load(tiny_run / "best.pth").prepare([tmp_path / "none.png"])


def test_a_network_without_weights_is_on_the_cpu():
    form = Preprocessing(size=(2, 2), channels=1, mean=(0.0,), std=(1.0,))
    model = Classifier(nn.Flatten(), classes="abcd", preprocessing=form)
    assert model.name == "Flatten"
    assert model(model.prepare(np.full((1, 1, 2, 2), 255, np.uint8))).tolist() == [[1.0] * 4]


@pytest.mark.parametrize("kind", [torch.float16, torch.bfloat16, torch.float64])
def test_weights_in_another_precision_are_used_in_the_models(altered, tiny_run, kind):
    state = load_checkpoint(tiny_run / "best.pth").state
    model = load(altered(state={name: tensor.to(kind) for name, tensor in state.items()}))
    batch = torch.zeros(1, 1, 8, 8)
    expected = load(tiny_run / "best.pth")(batch)
    torch.testing.assert_close(model(batch), expected, atol=0.1, rtol=0.1)


@pytest.mark.parametrize("prefix", ["module.", "_orig_mod.", "module._orig_mod."])
def test_the_prefixes_of_wrappers_go(altered, tiny_run, prefix):
    state = load_checkpoint(tiny_run / "best.pth").state
    model = load(altered(state={prefix + name: tensor for name, tensor in state.items()}))
    batch = torch.zeros(1, 1, 8, 8)
    assert torch.equal(model(batch), load(tiny_run / "best.pth")(batch))


@pytest.mark.parametrize("theirs", SMALL)
@pytest.mark.parametrize("ours", SMALL)
def test_each_models_weights_in_each_other(altered, ours, theirs):
    data = {"classes": 10, "image_size": 8, "channels": 1}
    wanted = resolve_options(ours, data | SMALL[ours])
    state = build_model(theirs, data | SMALL[theirs]).state_dict()
    path = altered(model=ours, options=wanted, state=state)
    if ours == theirs:
        assert load(path)(torch.zeros(2, 1, 8, 8)).shape == (2, 10)
        return
    with pytest.raises(CheckpointError, match=f"its weights do not fit {ours}"):
        load(path)


@pytest.mark.parametrize("name", ["vit-huge", "../vit-tiny", "hf:resnet18", "keras:vit", "\x1b[31m"])
def test_an_unknown_architecture(altered, name):
    with pytest.raises(CheckpointError, match="architecture"):
        load(altered(model=name))


HOSTILE = [
    {"width": 10**9},
    {"depth": 10**9},
    {"depth": 900_000},
    {"heads": 0},
    {"heads": -1},
    {"heads": 10**9},
    {"heads": 5},
    {"width": -24},
    {"width": 0},
    {"width": "192"},
    {"width": None},
    {"width": [24]},
    {"width": 24.5},
    {"depth": "2"},
    {"depth": 2.5},
    {"depth": -1},
    {"image_size": 10**9},
    {"image_size": 1 << 20},
    {"image_size": 0},
    {"image_size": "8"},
    {"channels": 10**9},
    {"channels": 0},
    {"classes": 10**9},
    {"classes": 11},
    {"classes": None},
    {"patch_size": 0},
    {"patch_size": -2},
    {"patch_size": "2"},
    {"mlp_ratio": 10**6},
    {"mlp_ratio": -1.0},
    {"mlp_ratio": {}},
    {"pool": "max"},
    {"pool": []},
    {"dropout": 7},
    {"drop_path": "x"},
    {"stem": "convolution"},
    {"strange": 1},
]


@pytest.mark.parametrize("change", HOSTILE, ids=str)
def test_hostile_options_are_refused_quickly(altered, options, change):
    path = altered(options=options | change)
    tracemalloc.start()
    began = time.perf_counter()
    try:
        with pytest.raises(CheckpointError) as caught:
            load(path)
        assert "\n" not in str(caught.value)
        assert time.perf_counter() - began < 20
        assert tracemalloc.get_traced_memory()[1] < 200e6
    finally:
        tracemalloc.stop()


def test_options_that_are_missing(altered):
    with pytest.raises(CheckpointError, match="options"):
        load(altered(options={}))


@pytest.mark.parametrize("field", ["preprocessing", "data"])
def test_other_fields_that_no_training_wrote(altered, field):
    with pytest.raises(CheckpointError):
        load(altered(**{field: {"strange": 1}}))
