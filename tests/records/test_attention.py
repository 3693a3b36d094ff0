"""Attention: what it refuses, and that a folder holds all of it."""

from __future__ import annotations

import json

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from vitscope.errors import InputError, OutputError
from vitscope.records.attention import Attention, fuse_heads
from vitscope.records.provenance import Provenance


def attention(depth=2, **changes):
    torch.manual_seed(0)
    fields = {
        "weights": [torch.rand(3, 2, 7, 7).softmax(-1) for _ in range(depth)],
        "grid": (2, 3),
        "prefix": 1,
        "layers": tuple(f"blocks.{number}.attn" for number in range(depth)),
        "pool": "cls",
        "logits": torch.rand(3, 5),
    }
    return Attention(**fields | changes)


@settings(max_examples=15, deadline=None)
@given(
    st.sampled_from([torch.float16, torch.float32, torch.float64, torch.bfloat16]),
    st.integers(1, 12),
    st.booleans(),
)
def test_a_folder_holds_all_of_it(tmp_path_factory, dtype, layers, logits):
    weights = [torch.rand(2, 1, 7, 7, dtype=torch.float64).to(dtype) for _ in range(layers)]
    made = attention(
        layers,
        weights=weights,
        logits=torch.rand(2, 5) if logits else None,
        heads="max",
        pool="mean",
        provenance=Provenance(checkpoint="best.pth", seed=3),
    )
    folder = made.save(tmp_path_factory.mktemp("attention") / "kept")
    opened = Attention.load(folder)
    for name in ("grid", "prefix", "layers", "pool", "heads", "provenance"):
        assert getattr(opened, name) == getattr(made, name)
    for before, after in zip(made.weights, opened.weights, strict=True):
        assert torch.equal(before.double(), after.double())
        assert after.dtype is (torch.float32 if dtype is torch.bfloat16 else dtype)
    assert (opened.logits is None) == (not logits)
    assert json.loads((folder / "manifest.json").read_text())["n"] == 2


def test_gradients_are_left_behind(tmp_path):
    weight = torch.rand(1, 1, 7, 7, requires_grad=True)
    opened = Attention.load(attention(1, weights=[weight], logits=None).save(tmp_path / "a"))
    assert not opened.weights[0].requires_grad


def test_changing_what_was_opened_changes_no_file(tmp_path):
    folder = attention().save(tmp_path / "a")
    Attention.load(folder).weights[0].zero_()
    assert Attention.load(folder).weights[0].sum() > 0


def test_an_existing_folder_is_refused(tmp_path):
    folder = attention().save(tmp_path / "a")
    with pytest.raises(OutputError):
        attention().save(folder)
    attention(1).save(folder, overwrite=True)
    assert len(Attention.load(folder).weights) == 1
    assert not (folder / "layer_01.npy").exists()


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"weights": [], "layers": ()}, "at least one layer"),
        ({"layers": ("one",)}, "2 layer names"),
        ({"grid": (3, 3)}, r"\[3, head, 10, 10\]"),
        ({"weights": [torch.rand(3, 2, 7, 7), torch.rand(2, 2, 7, 7)]}, "blocks.1.attn"),
        ({"weights": [torch.rand(3, 2, 7, 7), torch.rand(3, 7, 7)]}, "blocks.1.attn"),
        ({"grid": (0, 3)}, "grid"),
        ({"prefix": -1}, "prefix"),
        ({"pool": "max"}, "pool"),
        ({"prefix": 0, "grid": (1, 7)}, "class token"),
        ({"heads": "median"}, "median"),
        ({"heads": "mean"}, "one head"),
        ({"logits": torch.rand(4, 5)}, "logits of 3 images"),
    ],
)
def test_what_does_not_fit_together(changes, said):
    with pytest.raises(InputError, match=said):
        attention(**changes)


def spoil(folder, how):
    manifest = folder / "manifest.json"
    known = json.loads(manifest.read_text())
    if how == "no manifest":
        manifest.unlink()
    elif how == "not json":
        manifest.write_text("{")
    elif how == "a list":
        manifest.write_text("[]")
    elif how == "other format":
        manifest.write_text(json.dumps(known | {"format": "vitscope.predictions"}))
    elif how == "newer":
        manifest.write_text(json.dumps(known | {"version": 99}))
    elif how == "missing key":
        manifest.write_text(json.dumps({key: known[key] for key in known if key != "grid"}))
    elif how == "wrong type":
        manifest.write_text(json.dumps(known | {"grid": 5}))
    elif how == "wrong value":
        manifest.write_text(json.dumps(known | {"pool": "max"}))
    elif how == "missing layer":
        (folder / "layer_01.npy").unlink()
    elif how == "cut layer":
        (folder / "layer_01.npy").write_bytes((folder / "layer_01.npy").read_bytes()[:200])
    elif how == "empty layer":
        (folder / "layer_01.npy").write_bytes(b"")


SPOILT = (
    "no manifest,not json,a list,other format,newer,missing key,wrong type,wrong value,"
    "missing layer,cut layer,empty layer"
)


@pytest.mark.parametrize("how", SPOILT.split(","))
def test_a_spoilt_folder(tmp_path, how):
    folder = attention().save(tmp_path / "a")
    spoil(folder, how)
    with pytest.raises(InputError) as caught:
        Attention.load(folder)
    assert str(folder) in str(caught.value)


@pytest.mark.parametrize(("how", "expected"), [("mean", 2.0), ("max", 3.0), ("min", 1.0)])
def test_fusing_heads(how, expected):
    weights = torch.stack([torch.full((2, 4, 4), value) for value in (1.0, 3.0, 2.0)], dim=1)
    assert torch.equal(fuse_heads(weights, how), torch.full((2, 1, 4, 4), expected))


def test_unknown_fusion():
    with pytest.raises(InputError, match="median"):
        fuse_heads(torch.rand(1, 1, 2, 2), "median")


@pytest.mark.parametrize(
    ("layers", "heads"),
    [(None, None), ([0, 2], None), (None, [1]), ([-1], [0, -1]), (range(1, 3), (0, 1, 2))],
)
def test_some_layers_and_heads(layers, heads):
    made = attention(3, weights=[torch.rand(3, 3, 7, 7) for _ in range(3)], pool="mean")
    chosen = made.select(layers=layers, heads=heads)
    wanted = [number % 3 for number in (range(3) if layers is None else layers)]
    kept = [number % 3 for number in (range(3) if heads is None else heads)]
    assert chosen.layers == tuple(f"blocks.{number}.attn" for number in wanted)
    for number, weight in zip(wanted, chosen.weights, strict=True):
        assert weight.shape[1] == len(kept)
        for place, head in enumerate(kept):
            assert torch.equal(weight[:, place], made.weights[number][:, head])
    assert (chosen.grid, chosen.prefix, chosen.pool) == (made.grid, made.prefix, "mean")
    assert chosen.logits is made.logits


@pytest.mark.parametrize(
    ("asked", "said"),
    [
        ({"layers": [2]}, "a layer in 0 … 1 or -2 … -1, got 2"),
        ({"layers": []}, "at least one layer"),
        ({"layers": [1, 0]}, "rising order"),
        ({"heads": [-3]}, "a head in 0 … 1 or -2 … -1, got -3"),
        ({"heads": [0, -2]}, "each once"),
    ],
)
def test_layers_and_heads_that_are_not_there(asked, said):
    with pytest.raises(InputError, match=said):
        attention().select(**asked)


def test_heads_that_were_fused_cannot_be_chosen():
    fused = attention(1, weights=[torch.rand(3, 1, 7, 7)], heads="max")
    with pytest.raises(InputError, match="fused by max in capturing"):
        fused.select(heads=[0])
    assert fused.select(layers=[0]).heads == "max"
