"""The weights that a run begins with: of a checkpoint, of a file, of a library, of the images."""

from __future__ import annotations

import socket

import pytest
import timm
import torch
from torch import nn

from tests.trainers.runs import pictures, small
from vitscope.checkpoint.files import is_checkpoint, load_checkpoint
from vitscope.checkpoint.tensorfile import write_tensors
from vitscope.data.sources import load_split
from vitscope.errors import CheckpointError, EnvironmentFault, InputError, UsageError
from vitscope.inference.alignment import align
from vitscope.inference.classifier import load
from vitscope.inference.export import export_model
from vitscope.inference.prediction import predict
from vitscope.models.registry import build_model
from vitscope.trainers.preparation import anchored, prepare
from vitscope.trainers.start import begin, freeze, training_mode
from vitscope.trainers.training import resume, train

BARE = dict.fromkeys(("width", "depth", "heads", "dropout", "drop_path"))
SHAPE = BARE | {"width": 24, "depth": 2, "heads": 2}
VIT = {"model": BARE | {"name": "timm:test_vit"}, "data": {"limit": 60}, "batch_size": 4, "epochs": 1}


def begun(settings):
    prepared = prepare(settings)
    torch.manual_seed(0)
    network = build_model(settings.model.name, prepared.options)
    return network, prepared, begin(network, settings, prepared)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Two classes, of which the digits know one; the other stands first."""
    return pictures(tmp_path_factory.mktemp("data") / "d", [(8, 8)], mode="L", classes=("+", "7"))


@pytest.fixture
def more(tiny_run, folder):
    def make(**changes):
        start = {"weights": str(tiny_run / "best.pth")} | changes.pop("start", {})
        data = {"source": folder, "limit": None} | changes.pop("data", {})
        return small(model=BARE, start=start, data=data, epochs=1, batch_size=4, **changes)

    return make


@pytest.fixture(scope="module")
def vit_file(tmp_path_factory):
    torch.manual_seed(0)
    path = tmp_path_factory.mktemp("weights") / "vit.safetensors"
    write_tensors(path, timm.create_model("test_vit", num_classes=5).state_dict(), {})
    return path


def test_new_classes_come_after_those_of_the_checkpoint(tiny_run, more):
    network, prepared, notes = begun(more())
    old = load(tiny_run / "best.pth")
    assert prepared.train.classes == (*"0123456789", "+")
    for part, split in ((prepared.train, "train"), (prepared.validation, "validation")):
        own = load_split(prepared.spec, split)
        assert [part.classes[label] for label in part.labels] == [own.classes[label] for label in own.labels]
    assert prepared.preprocessing == old.preprocessing
    assert notes == ("classes in head: 10 of the checkpoint, then 1 new",)
    assert not prepared.origin.state
    images = torch.randn(5, 1, 8, 8)
    with torch.no_grad():
        found, expected = network.eval()(images), old(images)
    torch.testing.assert_close(found[:, :10], expected, atol=1e-6, rtol=0)
    assert found[:, 10].abs().min() > 0
    state = load_checkpoint(tiny_run / "best.pth").state
    for name, tensor in network.state_dict().items():
        assert torch.equal(tensor[:10] if name.startswith("head.") else tensor, state[name])


@pytest.mark.slow
def test_an_extended_run_is_trained_evaluated_and_resumed(tmp_path, tiny_run, more):
    """The file that it began from may be gone when it is resumed."""
    first = tmp_path / "first.pth"
    first.write_bytes((tiny_run / "best.pth").read_bytes())
    result = train(more(start={"weights": str(first)}), out=tmp_path / "run", device="cpu")
    model = load(result.folder / "best.pth")
    assert model.classes == (*"0123456789", "+")
    predictions = predict(model, align(load_split(model.data, "test"), model))
    assert {predictions.classes[label] for label in predictions.labels} == {"+", "7"}
    first.unlink()
    (tmp_path / "run" / "manifest.json").unlink()
    assert resume(tmp_path / "run", device="cpu").digest == result.digest


def test_an_exported_checkpoint_is_as_good(tmp_path, tiny_run, more):
    export_model(load(tiny_run / "best.pth"), tmp_path / "w.safetensors", kind="safetensors")
    _, prepared, notes = begun(more(start={"weights": str(tmp_path / "w.safetensors")}))
    assert prepared.train.classes == (*"0123456789", "+")
    assert notes


def test_the_same_classes_are_nothing_to_tell_of(tiny_run):
    settings = small(model=BARE, start={"weights": str(tiny_run / "best.pth")}, batch_size=200)
    network, prepared, notes = begun(settings)
    assert prepared.train.classes == tuple("0123456789")
    assert notes == ("a batch of 200 holds all 99 images: an epoch is one step",)
    state = load_checkpoint(tiny_run / "best.pth").state
    assert all(torch.equal(tensor, state[name]) for name, tensor in network.state_dict().items())


def test_another_size_resamples_the_positions_of_a_checkpoint(tiny_run):
    from timm.layers import resample_abs_pos_embed

    settings = small(model=BARE, start={"weights": str(tiny_run / "best.pth")}, data={"image_size": 12})
    network, prepared, notes = begun(settings)
    assert prepared.preprocessing.size == (12, 12)
    assert notes == ("pos_embed was resampled from images of another size",)
    given = load_checkpoint(tiny_run / "best.pth").state["pos_embed"]
    assert torch.equal(network.pos_embed, resample_abs_pos_embed(given, [6, 6], num_prefix_tokens=1))
    assert torch.equal(network.pos_embed[:, 0], given[:, 0])


def test_rates_are_chosen_anew_and_shapes_are_not(more):
    changed = more().model_copy(update={"model": more().model.model_copy(update={"dropout": 0.4})})
    assert prepare(changed).options["dropout"] == 0.4
    wider = more().model_copy(update={"model": more().model.model_copy(update={"width": 48})})
    with pytest.raises(UsageError, match=r"model\.width is 48, but that of the checkpoint") as caught:
        prepare(wider)
    assert "model.width=null" in caught.value.hint


def test_bare_weights_of_a_model_of_ours(tmp_path, tiny_run):
    state = load_checkpoint(tiny_run / "best.pth").state
    write_tensors(tmp_path / "w.safetensors", state, {})
    torch.save(state, tmp_path / "w.pth")
    for name in ("w.safetensors", "w.pth"):
        settings = small(model=SHAPE, start={"weights": str(tmp_path / name)})
        network, _, notes = begun(settings)
        assert notes == ()
        assert torch.equal(network.head.weight, state["head.weight"])
    settings = small(model=SHAPE | {"depth": 3}, start={"weights": str(tmp_path / "w.pth")})
    with pytest.raises(CheckpointError, match="do not fit vit-micro"):
        begun(settings)


def test_a_head_of_other_classes_begins_anew_and_the_rest_does_not(vit_file):
    network, prepared, notes = begun(small(**VIT, start={"weights": str(vit_file)}))
    assert prepared.preprocessing.size == (160, 160)
    assert prepared.preprocessing.channels == 3
    assert prepared.preprocessing.mean == (0.5, 0.5, 0.5)
    assert prepared.preprocessing.resize is None
    assert notes == ("head begins anew: the weights have 5 classes, the data 10",)
    torch.manual_seed(0)
    theirs = timm.create_model("test_vit", num_classes=5).state_dict()
    for name, tensor in network.state_dict().items():
        assert name.startswith("head.") or torch.equal(tensor, theirs[name])


@pytest.mark.slow
def test_a_model_of_timm_is_trained_and_rebuilt(tmp_path, vit_file):
    settings = small(**VIT, start={"weights": str(vit_file), "train": "head"}, optimizer={"lr": 0.01})
    settings = settings.model_copy(update={"data": settings.data.model_copy(update={"image_size": 32})})
    result = train(settings, out=tmp_path / "run", device="cpu")
    model = load(result.folder / "best.pth")
    assert model.name == "timm:test_vit"
    assert model.network.pos_embed.shape[1] == 5
    torch.manual_seed(0)
    theirs = timm.create_model("test_vit", num_classes=5).state_dict()
    changed = [
        name
        for name, tensor in model.network.state_dict().items()
        if tensor.shape != theirs[name].shape or not torch.equal(tensor, theirs[name])
    ]
    assert changed == ["pos_embed", "head.weight", "head.bias"]  # resampled, and trained


def test_freezing_keeps_statistics_and_drops_nothing():
    settings = small(start={"train": "head", "weights": "unused"})
    network = nn.Sequential()
    network.add_module("body", nn.Sequential(nn.Linear(3, 3), nn.BatchNorm1d(3), nn.Dropout(0.5)))
    network.add_module("head", nn.Linear(3, 2))
    freeze(network, settings)
    assert [each.requires_grad for each in network.parameters()] == [False] * 4 + [True] * 2
    training_mode(network)
    images = torch.randn(16, 3)
    before = network[0][1].running_mean.clone()
    assert torch.equal(network[0](images), network[0](images))
    assert torch.equal(network[0][1].running_mean, before)
    assert network.training
    assert network.head.training
    freeze(network.requires_grad_(True), small())
    training_mode(network)
    assert all(module.training for module in network.modules())


def test_a_network_is_shown_the_images():
    settings = small(model=BARE | {"name": "airbench", "width": 4}, data={"image_size": 12})
    network, prepared, notes = begun(settings)
    assert notes == ()
    images = prepared.preprocessing.normalize(prepared.train.pixels(prepared.preprocessing))
    patches = nn.functional.unfold(images, 2).transpose(1, 2).reshape(-1, 4)
    white = patches @ network.whiten.weight[:4].reshape(4, 4).T
    torch.testing.assert_close(white.T @ white / len(white), torch.eye(4), atol=0.05, rtol=0)


@pytest.mark.parametrize(
    ("changes", "error", "message", "hint"),
    [
        ({"start": {"weights": "none.pth"}}, CheckpointError, "none.pth: there is no such file", ""),
        ({"start": {"weights": "hub"}}, UsageError, "no published weights of vit-micro", "timm:NAME"),
        ({"start": {"train": "head"}}, UsageError, "start.train: the head alone", "start.weights"),
        ({"model": BARE | {"name": "timm:nothing"}}, InputError, "timm has no model 'nothing'", ""),
        ({"distill": {"teacher": "TEACHER"}}, InputError, "no file TEACHER", "distill.teacher=FILE"),
    ],
)
def test_what_is_refused_before_the_images_are_read(changes, error, message, hint, monkeypatch):
    def fail(*_):
        raise AssertionError("the images were read")

    monkeypatch.setattr("vitscope.trainers.preparation.load_split", fail)
    with pytest.raises(error) as caught:
        prepare(small(**changes))
    assert message in str(caught.value)
    assert hint in caught.value.hint


def test_a_checkpoint_of_another_model(tiny_run):
    settings = small(model=BARE | {"name": "vit-tiny"}, start={"weights": str(tiny_run / "best.pth")})
    with pytest.raises(InputError, match="weights of vit-micro, but the run trains vit-tiny") as caught:
        prepare(settings)
    assert "model.name=vit-micro" in caught.value.hint


def test_layers_without_an_order_are_refused_before_training(tmp_path):
    settings = small(model=BARE | {"name": "airbench", "width": 4}, data={"image_size": 12})
    settings = settings.model_copy(
        update={"optimizer": settings.optimizer.model_copy(update={"layer_decay": 0.5})}
    )
    with pytest.raises(UsageError, match=r"optimizer\.layer_decay: Airbench does not tell"):
        train(settings, out=tmp_path / "run")
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize("name", ["timm:test_vit.r160_in1k", "torchvision:mobilenet_v3_small"])
def test_without_a_network_there_is_one_line(name, monkeypatch, tmp_path):
    def refuse(*_args, **_options):
        raise socket.gaierror(-2, "Name or service not known")

    monkeypatch.setattr(socket, "getaddrinfo", refuse)
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path))
    monkeypatch.setattr(torch.hub, "_hub_dir", str(tmp_path))
    with pytest.raises(EnvironmentFault, match="Name or service not known") as caught:
        prepare(small(model=BARE | {"name": name}, start={"weights": "hub"}))
    assert "--set start.weights=FILE" in caught.value.hint


def test_paths_are_made_absolute(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "t.pth").touch()
    found = anchored(small(start={"weights": "w.pth"}, distill={"teacher": "t.pth"}))
    assert (found.start.weights, found.distill.teacher) == (str(tmp_path / "w.pth"), str(tmp_path / "t.pth"))
    named = small(start={"weights": "hub"}, distill={"teacher": "timm:test_vit"})
    assert anchored(named) == named


def test_what_is_a_checkpoint(tmp_path, tiny_run):
    torch.save({"w": torch.zeros(2)}, tmp_path / "w.pth")
    (tmp_path / "t.pth").write_text("<html>")
    assert is_checkpoint(tiny_run / "best.pth")
    assert not is_checkpoint(tmp_path / "w.pth")
    for name in ("t.pth", "none.pth"):
        with pytest.raises(CheckpointError, match=name):
            is_checkpoint(tmp_path / name)
