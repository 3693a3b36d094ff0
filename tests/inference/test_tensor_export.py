"""Safetensors files: read again with the logits of the model, and everything else that it knew."""

from __future__ import annotations

import json

import numpy as np
import pytest
import torch
from safetensors import safe_open
from safetensors.torch import load_file, save_file

from tests.inference.exported import logits_of, untrained
from tests.oracles.foreign import TIMM, TORCHVISION, plain, timm_model, torchvision_model, written
from vitscope.checkpoint.digest import digest_tensors
from vitscope.checkpoint.files import load_checkpoint
from vitscope.errors import (
    CheckpointError,
    InputError,
    NotFiniteError,
)
from vitscope.inference.classifier import Classifier, load
from vitscope.inference.export import export_model


@pytest.fixture(scope="module")
def trained(tiny_run):
    return load(tiny_run / "best.pth")


def test_everything_comes_back(trained, tmp_path):
    made = export_model(trained, tmp_path / "w.safetensors", "safetensors")
    again = load(tmp_path / "w.safetensors")
    assert torch.equal(logits_of(again, trained), logits_of(trained, trained))
    for name in (
        "classes",
        "preprocessing",
        "data",
        "training_record",
        "architecture",
        "options",
        "name",
    ):
        assert getattr(again, name) == getattr(trained, name)
    assert made.largest_difference == 0
    assert made.bytes == (tmp_path / "w.safetensors").stat().st_size
    assert made.details["digest"] == digest_tensors(load_file(tmp_path / "w.safetensors"))


def test_the_metadata_says_where_it_comes_from(trained, tiny_run, tmp_path):
    export_model(trained, tmp_path / "w.safetensors", "safetensors")
    with safe_open(tmp_path / "w.safetensors", framework="pt") as opened:
        metadata = opened.metadata()
    note = json.loads(metadata["vitscope"])
    assert note["checkpoint"] == load_checkpoint(tiny_run / "best.pth").digest
    assert note["training"]["epoch"]["validation_accuracy"] > 0
    assert metadata["format"] == "pt"


def test_an_export_of_an_export(trained, tmp_path):
    export_model(trained, tmp_path / "a.safetensors", "safetensors")
    export_model(load(tmp_path / "a.safetensors"), tmp_path / "b.safetensors", "safetensors")
    assert torch.equal(logits_of(load(tmp_path / "b.safetensors"), trained), logits_of(trained, trained))


@pytest.mark.parametrize(
    ("source", "make"), [(f"timm:{TIMM}", timm_model), (f"torchvision:{TORCHVISION}", torchvision_model)]
)
def test_models_of_other_libraries(source, make, tmp_path):
    weights = written(plain(make(num_classes=3)), tmp_path / "given.safetensors")
    model = load(source, weights=weights, classes=["cat", "dog", "eel"])
    export_model(model, tmp_path / "w.safetensors", "safetensors")
    again = load(tmp_path / "w.safetensors")
    assert again.classes == ("cat", "dog", "eel")
    assert again.preprocessing == model.preprocessing
    assert torch.equal(logits_of(again, model, 1), logits_of(model, model, 1))


def test_half_precision_is_that_of_numpy(trained, tmp_path):
    made = export_model(trained, tmp_path / "w.safetensors", "safetensors", half=True)
    held = load_file(tmp_path / "w.safetensors")
    for name, tensor in trained.network.state_dict().items():
        np.testing.assert_array_equal(held[name].numpy(), tensor.numpy().astype(np.float16))
    full = export_model(trained, tmp_path / "full.safetensors", "safetensors")
    assert 0 < made.largest_difference < 0.02
    assert made.bytes < 0.65 * full.bytes
    assert next(load(tmp_path / "w.safetensors").parameters()).dtype == torch.float32


def test_weights_beyond_half_precision(tmp_path):
    model = untrained("vit-micro", width=12, depth=1, heads=2)
    with torch.no_grad():
        model.network.head.bias[0] = 70_000
    with pytest.raises(NotFiniteError, match=r"head\.bias is too large"):
        export_model(model, tmp_path / "w.safetensors", "safetensors", half=True)
    assert not list(tmp_path.iterdir())


def test_tensors_that_share_memory(tmp_path):
    model = untrained("vit-micro", width=12, depth=2, heads=2)
    model.network.blocks[1].norm1.weight = model.network.blocks[0].norm1.weight
    export_model(model, tmp_path / "w.safetensors", "safetensors")
    assert torch.equal(logits_of(load(tmp_path / "w.safetensors"), model), logits_of(model, model))


def test_other_tensors_than_were_written(trained, tmp_path):
    path = tmp_path / "w.safetensors"
    export_model(trained, path, "safetensors")
    with safe_open(path, framework="pt") as opened:
        metadata, state = opened.metadata(), load_file(path)
    state["head.bias"][0] += 1e-3
    save_file(state, path, metadata=metadata)
    with pytest.raises(CheckpointError, match="their digest is another"):
        load(path)


def test_a_model_that_nobody_could_rebuild(trained, tmp_path):
    stranger = Classifier(trained.network, classes=trained.classes, preprocessing=trained.preprocessing)
    with pytest.raises(InputError, match="not rebuilt from a note"):
        export_model(stranger, tmp_path / "w.safetensors", "safetensors")
