"""Safetensors files that say what they are: in their note, or by the folder they lie in."""

from __future__ import annotations

import json

import pytest
import torch

from tests.oracles.foreign import TIMM, TORCHVISION, plain, timm_model, torchvision_model, written
from vitscope.checkpoint.files import load_checkpoint
from vitscope.checkpoint.tensorfile import ModelNote
from vitscope.data.preprocessing import Preprocessing
from vitscope.errors import CheckpointError, InputError, NotFiniteError
from vitscope.inference.sources import open_classifier

FORM = Preprocessing((160, 160), 3, (0.1,) * 3, (0.2,) * 3, resize=170)


def note(**changes):
    fields = {"model": f"timm:{TIMM}", "classes": ("cat", "dog", "eel"), "preprocessing": FORM.to_dict()}
    return ModelNote(**(fields | changes))


def noted(path, state, **changes):
    return written(state, path, note(**changes).to_metadata())


@pytest.fixture(scope="module")
def state():
    return plain(timm_model(num_classes=3))


@pytest.mark.parametrize(
    ("source", "make"), [(f"timm:{TIMM}", timm_model), (f"torchvision:{TORCHVISION}", torchvision_model)]
)
def test_models_of_other_libraries(source, make, tmp_path):
    theirs = make(num_classes=3)
    path = noted(tmp_path / "w.safetensors", plain(theirs), model=source)
    model = open_classifier(path)
    assert model.classes == ("cat", "dog", "eel")
    assert model.preprocessing == FORM
    assert model.source == str(path)
    batch = torch.rand(2, 3, 160, 160)
    with torch.no_grad():
        assert torch.equal(model(batch), theirs(batch))


def test_a_model_of_vitscope(tiny_run, tmp_path):
    checkpoint = load_checkpoint(tiny_run / "best.pth")
    path = noted(
        tmp_path / "w.safetensors",
        dict(checkpoint.state),
        model=f"vitscope:{checkpoint.model}",
        options=checkpoint.options,
        classes=checkpoint.classes,
        preprocessing=checkpoint.preprocessing,
        data=checkpoint.data,
    )
    model, trained = open_classifier(path), open_classifier(tiny_run / "best.pth")
    batch = torch.rand(3, 1, 8, 8)
    with torch.no_grad():
        assert torch.equal(model(batch), trained(batch))
    assert model.data == trained.data
    assert model.classes == trained.classes
    assert model.preprocessing == trained.preprocessing


def test_the_note_comes_back_and_other_programs_read_the_file(state, tmp_path):
    from safetensors.torch import load_file

    written_note = note(options={"depth": 3}, data={"source": "digits"}, classes=("çat", "[/red]", "$\\frac"))
    assert ModelNote.from_metadata(written_note.to_metadata()) == written_note
    assert ModelNote.from_metadata({"format": "pt"}) is None
    assert written_note.to_metadata()["format"] == "pt"
    path = written(state, tmp_path / "w.safetensors", written_note.to_metadata())
    timm_model(num_classes=3).load_state_dict(load_file(path))


def test_names_in_place_of_the_files_own(state, tmp_path):
    path = noted(tmp_path / "w.safetensors", state)
    assert open_classifier(path, classes=["x", "y", "z"]).classes == ("x", "y", "z")
    with pytest.raises(InputError, match="expected 3 class names"):
        open_classifier(path, classes=["x"])


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"model": "keras:vit"}, "not known here"),
        ({"model": "hf:someone/model"}, "not known here"),
        ({"model": "vitscope:vit-huge"}, "architecture 'vit-huge'"),
        ({"model": "vitscope:vit-tiny", "options": {"width": 10**9}}, "larger than its weights"),
        ({"model": "vitscope:vit-tiny", "options": {"width": {}}}, "its options say otherwise"),
        ({"model": "timm:nothing"}, "no model"),
        ({"model": "timm:resnet18"}, "do not fit resnet18"),
        ({"classes": ("a", "b")}, "expected 3 class names"),
        ({"classes": ("a", "b", "b")}, "there twice"),
        ({"preprocessing": {"size": [1, 1]}}, "expected preprocessing as a mapping"),
        ({"data": {"strange": 1}}, "expected a data source"),
    ],
    ids=str,
)
def test_notes_that_make_no_sense(changes, message, state, tmp_path):
    path = noted(tmp_path / "w.safetensors", state, **changes)
    with pytest.raises(CheckpointError, match=message) as caught:
        open_classifier(path)
    assert str(caught.value).startswith(str(path))
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    "change",
    [
        {"version": 2},
        {"more": 1},
        {"model": ...},
        {"model": 3},
        {"classes": "abc"},
        {"classes": []},
        {"classes": [1, 2, 3]},
        {"options": []},
        {"preprocessing": None},
        {"data": [1]},
    ],
    ids=str,
)
def test_notes_of_other_forms(change, state, tmp_path):
    content = json.loads(note().to_metadata()["vitscope"]) | change
    text = json.dumps({key: value for key, value in content.items() if value is not ...})
    path = written(state, tmp_path / "w.safetensors", {"vitscope": text})
    with pytest.raises(CheckpointError, match="note"):
        open_classifier(path)


@pytest.mark.parametrize("text", ["", "[]", "{", "[" * 100_000, '"x"'])
def test_notes_that_are_no_json(text, state, tmp_path):
    path = written(state, tmp_path / "w.safetensors", {"vitscope": text})
    with pytest.raises(CheckpointError, match="note is not a JSON object"):
        open_classifier(path)


def test_weights_that_say_nothing(state, tmp_path):
    path = written(state, tmp_path / "w.safetensors")
    with pytest.raises(CheckpointError, match="do not say of which model") as caught:
        open_classifier(path)
    assert "timm:NAME" in caught.value.hint
    for text, error in (("{}", CheckpointError), ("[]", InputError), ("{", InputError)):
        (tmp_path / "config.json").write_text(text)
        with pytest.raises(error, match=r"config\.json"):
            open_classifier(path)


def test_weights_that_are_not_finite(state, tmp_path):
    broken = dict(state) | {"head.bias": torch.tensor([0.0, torch.inf, 0.0])}
    with pytest.raises(NotFiniteError, match=r"head\.bias"):
        open_classifier(noted(tmp_path / "w.safetensors", broken))
