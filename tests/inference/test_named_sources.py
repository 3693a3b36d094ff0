"""Models of timm and torchvision: their own logits, their own preprocessing, and strict weights."""

from __future__ import annotations

import json
import socket

import pytest
import torch
from timm.data import create_transform, resolve_data_config
from torchvision.models import get_model_weights

import vitscope
from tests.oracles.foreign import (
    TIMM,
    TORCHVISION,
    picture,
    plain,
    timm_model,
    torchvision_model,
    written,
)
from vitscope.checkpoint.digest import digest_tensors
from vitscope.errors import CheckpointError, EnvironmentFault, InputError, NotFiniteError, UsageError
from vitscope.inference.sources import open_classifier

IMAGES = [picture(301, 204), picture(170, 260, seed=1)]


@pytest.fixture(scope="module", params=["weights.safetensors", "weights.pth", "nested.pth"])
def timm_weights(request, tmp_path_factory):
    state = plain(timm_model())
    path = tmp_path_factory.mktemp("timm") / request.param
    return written({"state_dict": state, "epoch": 3} if "nested" in request.param else state, path)


def test_logits_of_timm(timm_weights):
    model = open_classifier(f"timm:{TIMM}", weights=timm_weights)
    theirs = timm_model()
    transform = create_transform(**resolve_data_config(model=theirs), is_training=False)
    with torch.no_grad():
        expected = theirs(torch.stack([transform(image) for image in IMAGES]))
        torch.testing.assert_close(model(model.prepare(IMAGES)), expected, atol=1e-5, rtol=1e-5)
    assert not model.training
    assert model.source == f"timm:{TIMM}"
    assert model.digest == digest_tensors(theirs.state_dict())
    assert model.data is None
    assert model.classes[:2] == ("tench", "goldfish")
    assert model.aliases[0] == ("n01440764", "tench, Tinca tinca")


def test_logits_of_torchvision(tmp_path):
    theirs = torchvision_model()
    path = written(plain(theirs), tmp_path / "weights.pth")
    model = vitscope.load(f"torchvision:{TORCHVISION}", weights=path)
    entry = get_model_weights(TORCHVISION).DEFAULT
    with torch.no_grad():
        expected = theirs(torch.stack([entry.transforms()(image) for image in IMAGES]))
        torch.testing.assert_close(model(model.prepare(IMAGES)), expected, atol=1e-5, rtol=1e-5)
    assert model.classes == tuple(entry.meta["categories"])
    assert model.aliases[134][0] == "n02012849"


def test_both_libraries_call_imagenets_classes_the_same(tmp_path, timm_weights):
    path = written(plain(torchvision_model()), tmp_path / "w.safetensors")
    ours = open_classifier(f"torchvision:{TORCHVISION}", weights=path)
    assert open_classifier(f"timm:{TIMM}", weights=timm_weights).classes == ours.classes


@pytest.mark.slow
@pytest.mark.parametrize("name", ["googlenet", "inception_v3"])
def test_models_that_scale_their_input_as_torchvisions_weights_do(name, tmp_path):
    theirs = torchvision_model(name, transform_input=True, init_weights=False)
    model = open_classifier(f"torchvision:{name}", weights=written(plain(theirs), tmp_path / "w.safetensors"))
    assert model.network.transform_input
    batch = torch.rand(1, 3, 96, 96)
    with torch.no_grad():
        assert torch.equal(model(batch), theirs(batch))


@pytest.mark.slow
@pytest.mark.parametrize(
    ("source", "file", "expected"),
    [
        ("regnet_x_400mf", "w.pth", 232),
        ("regnet_x_400mf", "regnet_x_400mf-adf1edd5.pth", 256),
        ("regnet_x_400mf.IMAGENET1K_V1", "w.pth", 256),
    ],
)
def test_the_files_name_or_the_tag_tells_which_preprocessing(source, file, expected, tmp_path):
    path = written(plain(torchvision_model("regnet_x_400mf")), tmp_path / file)
    assert open_classifier(f"torchvision:{source}", weights=path).preprocessing.resize == expected


@pytest.mark.slow
def test_densenets_old_names(tmp_path):
    theirs = torchvision_model("densenet121")
    old = {
        name.replace("norm1.", "norm.1.").replace("conv2.", "conv.2."): tensor
        for name, tensor in plain(theirs).items()
        if "num_batches_tracked" not in name
    }
    assert "features.denseblock1.denselayer1.norm.1.weight" in old
    model = open_classifier("torchvision:densenet121", weights=written(old, tmp_path / "w.pth"))
    batch = torch.rand(1, 3, 64, 64)
    with torch.no_grad():
        assert torch.equal(model(batch), theirs(batch))


@pytest.mark.parametrize("kind", ["timm", "torchvision"])
def test_fine_tuned_weights_tell_their_number_of_classes(kind, tmp_path):
    make, name = {"timm": (timm_model, TIMM), "torchvision": (torchvision_model, TORCHVISION)}[kind]
    theirs = make(num_classes=7)
    path = written(
        {f"module.{key}": value for key, value in plain(theirs).items()}, tmp_path / "w.safetensors"
    )
    model = open_classifier(f"{kind}:{name}", weights=path)
    assert model.classes == tuple("0123456")
    assert model.aliases == ()
    named = open_classifier(f"{kind}:{name}", weights=path, classes=list("abcdefg"))
    assert named.classes == tuple("abcdefg")
    batch = torch.rand(2, 3, *model.preprocessing.size)
    with torch.no_grad():
        assert torch.equal(model(batch), theirs(batch))
    for wrong, message in ((list("abc"), "expected 7 class names"), (list("abcdefa"), "'a' is there twice")):
        with pytest.raises(InputError, match=message):
            open_classifier(f"{kind}:{name}", weights=path, classes=wrong)


def test_imagenet_12k_by_its_synsets(tmp_path):
    model = timm_model(TIMM, num_classes=11821)
    opened = open_classifier(f"timm:{TIMM}", weights=written(plain(model), tmp_path / "w.safetensors"))
    assert len(opened.classes) == len(opened.aliases) == 11821
    assert opened.classes[0].startswith("n0")


def test_features_alone_are_no_classifier(tmp_path):
    path = written(
        plain(timm_model("vit_tiny_patch16_224", num_classes=0, depth=1)), tmp_path / "w.safetensors"
    )
    with pytest.raises(InputError, match="no classes"):
        open_classifier("timm:vit_small_patch14_dinov2", weights=path)
    with pytest.raises(InputError, match="no classes"):
        open_classifier("timm:vit_small_patch14_dinov2")


@pytest.mark.parametrize("source", ["timm:test_resnet.r160_in1k", "torchvision:mobilenet_v3_small"])
def test_weights_of_another_model(source, timm_weights):
    with pytest.raises(CheckpointError, match=r"do not fit .*weights are missing.*are not the model's"):
        open_classifier(source, weights=timm_weights)


@pytest.mark.parametrize("name", ["w.pth", "w.safetensors"])
def test_weights_that_lack_one_or_are_not_finite(name, tmp_path):
    state = plain(timm_model())
    less = {key: value for key, value in state.items() if key != "head.bias"}
    with pytest.raises(CheckpointError, match=r"1 of \d+ weights are missing \(head.bias\)"):
        open_classifier(f"timm:{TIMM}", weights=written(less, tmp_path / name))
    state["norm.weight"][3] = float("nan")
    with pytest.raises(NotFiniteError, match=r"norm\.weight"):
        open_classifier(f"timm:{TIMM}", weights=written(state, tmp_path / name))


@pytest.mark.parametrize("kind", [torch.float16, torch.bfloat16])
def test_weights_in_half_precision(kind, tmp_path):
    state = {name: tensor.to(kind) for name, tensor in plain(timm_model()).items()}
    model = open_classifier(f"timm:{TIMM}", weights=written(state, tmp_path / "w.safetensors"))
    assert {parameter.dtype for parameter in model.parameters()} == {torch.float32}


def test_the_stream_of_random_numbers_is_left_as_it_was(timm_weights):
    torch.manual_seed(5)
    expected = torch.rand(3)
    torch.manual_seed(5)
    open_classifier(f"timm:{TIMM}", weights=timm_weights)
    assert torch.equal(torch.rand(3), expected)


@pytest.mark.parametrize(
    ("source", "error", "message", "hint"),
    [
        ("timm:", UsageError, "expected the name of a model after timm:", "timm:"),
        ("timmm:vit", UsageError, "unknown kind of model 'timmm'", "timm:vit"),
        ("keras:vit", UsageError, "unknown kind of model 'keras'", "torchvision"),
        ("timm:vit_tiny_patch16_22", InputError, "no model", "timm:vit_tiny_patch16_224"),
        ("timm:vit_tiny_patch16_224.mine", InputError, "no weights", "augreg_in21k_ft_in1k"),
        ("timm:hf-hub:someone/else", InputError, "no model", ""),
        ("timm:vit_tiny_patch16_224/..", InputError, "no model", ""),
        ("timm:gcvit_tiny", UsageError, "no weights of gcvit_tiny on the hub", "--weights"),
        ("torchvision:resnet19", InputError, "no classifier", "resnet18"),
        ("torchvision:fcn_resnet50", InputError, "no classifier", ""),
        ("torchvision:resnet18.V7", InputError, "no weights 'V7'", "IMAGENET1K_V1"),
    ],
)
def test_names_that_mean_nothing(source, error, message, hint):
    with pytest.raises(error, match=message) as caught:
        open_classifier(source)
    assert hint in caught.value.hint
    assert "\n" not in str(caught.value) + caught.value.hint


def test_weights_beside_a_file(tiny_run, timm_weights):
    with pytest.raises(UsageError, match="--weights goes with a named model"):
        open_classifier(tiny_run / "best.pth", weights=timm_weights)


def test_a_whole_checkpoint_as_weights(tiny_run):
    with pytest.raises(CheckpointError, match="whole vitscope checkpoint") as caught:
        open_classifier(f"timm:{TIMM}", weights=tiny_run / "best.pth")
    assert "itself" in caught.value.hint


def test_bare_weights_as_a_model_say_how_to_name_it(timm_weights):
    with pytest.raises(CheckpointError) as caught:
        open_classifier(timm_weights)
    assert "timm:NAME" in caught.value.hint or timm_weights.name == "nested.pth"


@pytest.mark.parametrize(
    "source", [f"timm:{TIMM}", f"torchvision:{TORCHVISION}", "hf:google/vit-base-patch16-224"]
)
def test_without_a_network_there_is_one_line(source, monkeypatch, tmp_path, capfd):
    """Names do not resolve; nothing is in the caches."""
    if source.startswith("hf:"):
        pytest.importorskip("transformers")

    def refuse(*_args, **_options):
        raise socket.gaierror(-2, "Name or service not known")

    monkeypatch.setattr(socket, "getaddrinfo", refuse)
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path))
    monkeypatch.setattr(torch.hub, "_hub_dir", str(tmp_path))
    with pytest.raises(EnvironmentFault, match="Name or service not known") as caught:
        open_classifier(source)
    assert caught.value.exit_code == 4
    assert "\n" not in str(caught.value)
    assert capfd.readouterr() == ("", "")
    assert [path for path in tmp_path.rglob("*") if path.is_file()] == []


@pytest.mark.slow
def test_a_folder_that_timm_wrote(tmp_path):
    """`config.json` beside the weights, as timm's hub helpers write it."""
    theirs = timm_model(num_classes=3)
    written(plain(theirs), tmp_path / "model.safetensors")
    config = {
        "architecture": "test_vit",
        "num_classes": 3,
        "label_names": ["cat", "dog", "eel"],
        "pretrained_cfg": {
            "mean": [0.1, 0.2, 0.3],
            "crop_pct": 0.8,
            "input_size": [3, 160, 160],
            "tag": None,
        },
    }
    (tmp_path / "config.json").write_text(json.dumps(config))
    for source in (tmp_path, tmp_path / "model.safetensors"):
        model = open_classifier(source)
        assert model.classes == ("cat", "dog", "eel")
        assert model.preprocessing.mean == (0.1, 0.2, 0.3)
        assert model.preprocessing.resize == 200
        batch = torch.rand(1, 3, 160, 160)
        with torch.no_grad():
            assert torch.equal(model(batch), theirs(batch))
    for change, message in (
        ({"model_args": {"embed_dim": 10**9}}, "model_args"),
        ({"model_args": [1]}, "model_args"),
        ({"pretrained_cfg": 3}, "pretrained_cfg"),
        ({"architecture": "nothing"}, "no model"),
        ({"label_names": ["a"]}, "expected 3 class names"),
        ({"pretrained_cfg": {"input_size": "big"}}, "config.json"),
        ({"num_classes": "3"}, "config.json|class names"),
    ):
        (tmp_path / "config.json").write_text(json.dumps(config | change))
        with pytest.raises(InputError, match=message):
            open_classifier(tmp_path)


def test_the_weights_stay_as_they_were(timm_weights):
    before = timm_weights.read_bytes()
    open_classifier(f"timm:{TIMM}", weights=timm_weights)
    assert timm_weights.read_bytes() == before
