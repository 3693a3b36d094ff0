"""Checkpoints of networks of other libraries: rebuilt as they were, and with the same suspicion."""

from __future__ import annotations

import dataclasses
import socket
import time

import pytest
import torch

from vitscope.capture.tape import capture
from vitscope.checkpoint.files import save_checkpoint
from vitscope.checkpoint.record import Checkpoint
from vitscope.errors import CheckpointError
from vitscope.inference.classifier import load
from vitscope.models.registry import build_model

DATA = {"classes": 3, "image_size": 32, "channels": 3}
FORM = {"size": [32, 32], "channels": 3, "mean": [0.5] * 3, "std": [0.5] * 3, "interpolation": "bicubic"}


def checkpoint(name, options):
    torch.manual_seed(0)
    network = build_model(name, options).eval()
    state = network.state_dict()
    data = {"source": "digits"}
    return network, Checkpoint(name, options, state, ("a", "b", "c"), FORM, data, {}, {})


@pytest.fixture(scope="module")
def relative():
    """A network with tables that are not among its weights."""
    return checkpoint("timm:test_vit_relpos", DATA)


@pytest.fixture
def altered(relative, tmp_path):
    def write(**changes):
        save_checkpoint(dataclasses.replace(relative[1], **changes), tmp_path / "altered.pth")
        return tmp_path / "altered.pth"

    return write


@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("timm:test_vit.r160_in1k", DATA | {"drop_path": 0.1}),
        ("timm:test_resnet", DATA),
        pytest.param("torchvision:mobilenet_v3_small", DATA, marks=pytest.mark.slow),
    ],
)
def test_a_network_is_rebuilt_as_it_was(tmp_path, name, options):
    network, content = checkpoint(name, options)
    save_checkpoint(content, tmp_path / "w.pth")
    model = load(tmp_path / "w.pth")
    assert (model.name, model.architecture) == (name, f"vitscope:{name}")
    images = torch.randn(2, 3, 32, 32)
    with torch.no_grad():
        assert torch.equal(model(images), network(images))


def test_tables_beside_the_weights_are_there(relative, altered):
    network, _ = relative
    model = load(altered())
    tables = dict(network.named_buffers())
    assert set(tables) - set(network.state_dict())
    for name, table in model.network.named_buffers():
        assert torch.equal(table, tables[name])
    images = torch.randn(2, 3, 32, 32)
    with torch.no_grad():
        assert torch.equal(model(images), network(images))


def test_attention_is_captured(tmp_path):
    network, content = checkpoint("timm:test_vit", DATA)
    save_checkpoint(content, tmp_path / "w.pth")
    model = load(tmp_path / "w.pth")
    with torch.no_grad(), capture(model) as tape:
        model(torch.randn(1, 3, 32, 32))
    attention = tape.attention()
    assert (len(attention.weights), attention.grid, attention.pool) == (len(network.blocks), (2, 2), "cls")


@pytest.mark.parametrize(
    "name",
    [
        "timm:hf-hub:timm/test_vit.r160_in1k",
        "timm:hf_hub:timm/test_vit.r160_in1k",
        "timm:local-dir:/etc",
        "timm:test_vit.mine",
        "timm:test_vit?x=1",
        "timm:../test_vit",
        "timm:",
        "timm:TEST_VIT",
        "torchvision:fcn_resnet50",
        "torchvision:resnet18.https://example.org/w.pth",
        "torchvision:resnet18.url",
        "timm:test_vit",
    ],
)
def test_no_name_reaches_the_network(altered, monkeypatch, name):
    asked = []

    def note(*arguments, **_):
        asked.append(arguments)
        raise OSError("no network")

    monkeypatch.setattr(socket, "getaddrinfo", note)
    monkeypatch.setattr(socket.socket, "connect", note)
    with pytest.raises(CheckpointError, match=r"has no model|knows no weights|do not fit") as caught:
        load(altered(model=name))
    assert "\n" not in str(caught.value)
    assert asked == []


@pytest.mark.parametrize(
    "change",
    [
        {"image_size": 1024},
        {"image_size": 1 << 20},
        {"image_size": 0},
        {"image_size": -32},
        {"image_size": "32"},
        {"image_size": None},
        {"image_size": [32, 1 << 20]},
        {"channels": 10**9},
        {"channels": 0},
        {"classes": 10**9},
        {"classes": 4},
        {"drop_path": "x"},
        {"dropout": 7},
        {"width": 10**6},
        {"depth": 10**6},
        {"depth": 2},
        {"img_size": 1 << 20},
        {"embed_dim": 1 << 20},
        {"pretrained": True},
        {"checkpoint_path": "/etc/passwd"},
    ],
    ids=str,
)
def test_hostile_options_are_refused_quickly(relative, altered, change):
    began = time.perf_counter()
    with pytest.raises(CheckpointError) as caught:
        load(altered(options=relative[1].options | change))
    assert "\n" not in str(caught.value)
    assert time.perf_counter() - began < 20


def test_tables_that_would_fill_the_memory(altered, monkeypatch):
    monkeypatch.setattr("vitscope.inference.trained._LARGEST_TABLES", 100)
    with pytest.raises(CheckpointError, match="larger than its weights"):
        load(altered())


def test_weights_that_do_not_fit(relative, altered):
    state = dict(relative[1].state)
    for change in ({"head.bias": torch.zeros(4)}, {"more": torch.zeros(1)}):
        with pytest.raises(CheckpointError, match=r"do not fit timm:test_vit_relpos"):
            load(altered(state=state | change))
    with pytest.raises(CheckpointError, match="are missing"):
        load(altered(state={key: value for key, value in state.items() if key != "head.bias"}))
