"""Folders for timm: loaded by timm itself, with the logits of the model."""

from __future__ import annotations

import json

import pytest
import timm
import torch

from tests.inference.exported import logits_of, untrained
from tests.oracles.foreign import TIMM, plain, timm_model, written
from vitscope.data.preprocessing import Preprocessing
from vitscope.errors import (
    InputError,
)
from vitscope.inference.classifier import load
from vitscope.inference.export import export_model
from vitscope.models.registry import MODELS

VITS = [{}, {"pool": "mean"}, {"patch_size": 8, "mlp_ratio": 2.5}, {"image_size": 16, "channels": 1}]


@pytest.mark.parametrize("options", VITS, ids=str)
@pytest.mark.parametrize("half", [False, True])
def test_timm_loads_it(options, half, tmp_path):
    model = untrained("vit-tiny", width=24, depth=2, heads=2, **options)
    made = export_model(model, tmp_path / "m", "timm", half=half)
    theirs = timm.create_model(f"local-dir:{tmp_path / 'm'}", pretrained=True).float().eval()
    found, expected = logits_of(theirs, model), logits_of(model, model)
    assert torch.allclose(found, expected, atol=0.02 if half else 1e-6)
    assert theirs.pretrained_cfg["label_names"] == list(model.classes)
    config = timm.data.resolve_data_config(model=theirs)
    assert config["mean"] == pytest.approx(model.preprocessing.mean)
    assert config["input_size"][1:] == model.preprocessing.size
    assert made.details["architecture"] == "vit_tiny_patch16_224"


def test_vitscope_loads_it_too(tmp_path):
    model = untrained("vit-tiny", width=24, depth=2, heads=2)
    export_model(model, tmp_path / "m", "timm")
    again = load(tmp_path / "m")
    assert again.classes == model.classes
    assert torch.equal(logits_of(again, model), logits_of(model, model))
    export_model(again, tmp_path / "w.safetensors", "safetensors")
    assert torch.equal(logits_of(load(tmp_path / "w.safetensors"), model), logits_of(model, model))


def test_a_model_of_timm(tmp_path):
    weights = written(plain(timm_model(num_classes=3)), tmp_path / "given.safetensors")
    model = load(f"timm:{TIMM}", weights=weights)
    export_model(model, tmp_path / "m", "timm")
    theirs = timm.create_model(f"local-dir:{tmp_path / 'm'}", pretrained=True).eval()
    assert torch.equal(logits_of(theirs, model), logits_of(model, model))
    assert load(tmp_path / "m").preprocessing == model.preprocessing


@pytest.mark.slow
@pytest.mark.parametrize("name", ["timm:test_vit", "timm:test_resnet"])
def test_a_network_of_timm_that_was_trained_here(name, tmp_path):
    model = untrained(name, image_size=96)
    export_model(model, tmp_path / "m", "timm")
    theirs = timm.create_model(f"local-dir:{tmp_path / 'm'}", pretrained=True).eval()
    assert torch.equal(logits_of(theirs, model), logits_of(model, model))
    export_model(model, tmp_path / "w.safetensors", "safetensors")
    assert torch.equal(logits_of(load(tmp_path / "w.safetensors"), model), logits_of(model, model))


@pytest.mark.parametrize("resize", [36, 40, 57, 64, (32, 32)])
def test_the_share_that_is_cut_out(resize, tmp_path):
    model = untrained("vit-tiny", width=24, depth=1, heads=2)
    form = model.preprocessing
    model.preprocessing = Preprocessing(form.size, 3, form.mean, form.std, resize=resize)
    export_model(model, tmp_path / "m", "timm")
    assert load(tmp_path / "m").preprocessing == model.preprocessing


@pytest.mark.parametrize("name", [name for name in MODELS if name not in ("vit-tiny", "vit-micro")])
def test_architectures_that_timm_has_not(name, tmp_path):
    small = {key: 12 if key == "width" else 1 for key in ("width", "depth") if key in MODELS[name].options}
    heads = {"heads": 2} if "heads" in MODELS[name].options else {}
    with pytest.raises(InputError, match="timm has no architecture"):
        export_model(untrained(name, **small, **heads), tmp_path / "m", "timm")
    assert not list(tmp_path.iterdir())


@pytest.mark.slow
def test_a_resnet_with_the_large_stem(tmp_path):
    model = untrained("resnet18", image_size=72)
    export_model(model, tmp_path / "m", "timm")
    theirs = timm.create_model(f"local-dir:{tmp_path / 'm'}", pretrained=True).eval()
    assert torch.equal(logits_of(theirs, model), logits_of(model, model))


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"depth": 10**9}, "depth makes no sense"),
        ({"embed_dim": -1}, "embed_dim makes no sense"),
        ({"num_heads": True}, "num_heads makes no sense"),
        ({"class_token": 1}, "class_token makes no sense"),
        ({"init_values": 1}, "not used here"),
        ({"embed_dim": 65_536, "num_heads": 4}, "do not fit"),
    ],
    ids=str,
)
def test_descriptions_that_nobody_wrote(arguments, message, tmp_path):
    export_model(untrained("vit-tiny", width=24, depth=1, heads=2), tmp_path / "m", "timm")
    config = json.loads((tmp_path / "m" / "config.json").read_text())
    config["model_args"] |= arguments
    (tmp_path / "m" / "config.json").write_text(json.dumps(config))
    with pytest.raises(InputError, match=message):
        load(tmp_path / "m")
