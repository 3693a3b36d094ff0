"""Settings, overrides and presets: types, ranges, near misses."""

from __future__ import annotations

from contextlib import suppress

import pytest
import torch
import yaml
from hypothesis import given
from hypothesis import strategies as st

from vitscope.errors import UsageError
from vitscope.models.registry import build_model
from vitscope.trainers.overrides import apply_overrides, merge
from vitscope.trainers.presets import load_preset, preset_names
from vitscope.trainers.settings import Settings, parse_settings, read_settings, setting_types, settings_text


def made(*assignments):
    return parse_settings(apply_overrides({}, assignments))


def value_of(settings, key):
    found = settings
    for part in key.split("."):
        found = getattr(found, part)
    return found


@pytest.mark.parametrize(
    ("assignment", "expected"),
    [
        ("optimizer.lr=5e-4", 5e-4),
        ("optimizer.lr=1", 1.0),
        ("optimizer.lr= 0.1 ", 0.1),
        (" optimizer.lr =.5", 0.5),
        ("clip_grad=null", None),
        ("clip_grad=~", None),
        ("augment.flip=true", True),
        ("augment.flip=no", False),
        ("augment.flip=null", None),
        ("epochs=50", 50),
        ("epochs=1e2", 100),
        ("model.pool=mean", "mean"),
        ("data.source=cifar10", "cifar10"),
        ("data.source=2024", "2024"),
        ("data.source=2024-13-45", "2024-13-45"),
        ("data.source=1e3", "1e3"),
        ("data.source=true", "true"),
        ("data.source=[a", "[a"),
        ("data.source=a=b: c", "a=b: c"),
        ("data.source='quoted'", "quoted"),
        ("data.root=", ""),
    ],
)
def test_overrides_are_typed(assignment, expected):
    found = value_of(made(assignment), assignment.partition("=")[0].strip())
    assert found == expected
    assert type(found) is type(expected)


@pytest.mark.parametrize(
    ("assignment", "message", "hint"),
    [
        ("optimizer.lr", "expected key=value", "optimizer.lr=5e-4"),
        ("optimizer.lrr=1", "unknown setting 'optimizer.lrr'", "optimizer.lr"),
        ("lr=1", "unknown setting 'lr'", "optimizer.lr"),
        ("batchsize=1", "unknown setting 'batchsize'", "batch_size"),
        ("qqqqq=1", "unknown setting 'qqqqq'", "config.yaml"),
        ("optimizer=1", "optimizer is a section", "optimizer.lr"),
        ("=1", "unknown setting ''", ""),
        ("epochs=[1", "cannot read the value '[1'", ""),
        ("epochs=2024-13-45", "cannot read the value", ""),
        ("epochs=2.5", "epochs: ", ""),
        ("epochs=0", "epochs: input should be greater than or equal to 1, got 0", ""),
        ("epochs=true", "epochs: input should not be true or false, got true", ""),
        ("epochs=many", "epochs: ", ""),
        ("epochs=", "epochs: ", ""),
        ("optimizer.lr=yes", "optimizer.lr: input should not be true or false", ""),
        ("optimizer.lr=.nan", "optimizer.lr: ", ""),
        ("optimizer.lr=inf", "optimizer.lr: ", ""),
        ("optimizer.lr=1e999", "optimizer.lr: ", ""),
        ("optimizer.lr=-1", "optimizer.lr: ", ""),
        ("optimizer.name=adam", "optimizer.name: ", ""),
        ("optimizer.lr=[1, 2]", "optimizer.lr: ", ""),
        ("augment.flip=maybe", "augment.flip: ", ""),
        ("augment.rotation=181", "augment.rotation: ", ""),
        ("data.limit=2", "data.limit: input should be greater than or equal to 3", ""),
        ("data.validation=1", "data.validation: ", ""),
        ("data.image_size=3", "data.image_size: ", ""),
        ("model.depth=1000000000", "model.depth: ", ""),
        ("label_smoothing=1", "label_smoothing: ", ""),
        ("batch_size=1", "batch_size: ", ""),
        ("seed=-1", "seed: ", ""),
        ("seed=2147483648", "seed: ", ""),
        ("precision=float16", "precision: ", ""),
    ],
)
def test_bad_overrides_are_usage_errors_of_one_line(assignment, message, hint):
    with pytest.raises(UsageError) as caught:
        made(assignment)
    assert str(caught.value).lower().startswith(message.lower())
    assert hint in caught.value.hint
    assert "\n" not in str(caught.value)
    assert len(str(caught.value)) < 250
    assert caught.value.exit_code == 2


@given(st.text(max_size=30), st.text(max_size=30))
def test_no_assignment_raises_anything_else(key, value):
    for each in (key, "epochs", "data.source", "optimizer.lr"):
        with suppress(UsageError):
            made(f"{each}={value}")


def test_later_assignments_win_and_sections_are_merged():
    settings = made("optimizer.lr=1", "optimizer.name=sgd", "optimizer.lr=2")
    assert (settings.optimizer.lr, settings.optimizer.name) == (2.0, "sgd")
    base = {"a": {"b": 1, "c": 2}, "d": 3}
    assert merge(base, {"a": {"b": 9}, "d": {"e": 1}}) == {"a": {"b": 9, "c": 2}, "d": {"e": 1}}
    assert base == {"a": {"b": 1, "c": 2}, "d": 3}


@pytest.mark.parametrize(
    ("values", "message", "hint"),
    [
        ({"optimizer": {"learning_rate": 1}}, "unknown setting 'optimizer.learning_rate'", ""),
        ({"epoch": 3}, "unknown setting 'epoch'", "epochs"),
        ({"model": 3}, "model: ", ""),
        ({"model": None}, "model: ", ""),
        ({1: 2}, "1: ", ""),
        ({"epochs": list(range(999))}, "epochs: ", ""),
    ],
)
def test_bad_values_of_a_file(values, message, hint):
    with pytest.raises(UsageError) as caught:
        parse_settings(values)
    assert str(caught.value).startswith(message)
    assert hint in caught.value.hint
    assert len(str(caught.value)) < 250


@pytest.mark.parametrize(
    "content", [b"", b"- 1", b"3", b"a: [", b"\xff\xfe\x00", b"a: 2024-13-45", b"[" * 5000, b"\x00"]
)
def test_files_that_hold_no_settings(tmp_path, content):
    (tmp_path / "a.yaml").write_bytes(content)
    with pytest.raises(UsageError, match="settings") as caught:
        read_settings(tmp_path / "a.yaml")
    assert "\n" not in str(caught.value)


def test_files_that_are_not_there(tmp_path):
    for path in (tmp_path / "none.yaml", tmp_path):
        with pytest.raises(UsageError, match="cannot read settings"):
            read_settings(path)


def test_settings_are_written_whole_and_read_back(tmp_path):
    settings = made("optimizer.lr=5e-4", "clip_grad=null", "data.source=Ünïcode: #1")
    (tmp_path / "a.yaml").write_text(settings_text(settings), encoding="utf-8")
    values = read_settings(tmp_path / "a.yaml")
    assert parse_settings(values) == settings
    assert set(values) == set(Settings.model_fields)


def test_every_setting_has_a_name_and_a_type():
    types = setting_types()
    assert types["optimizer.lr"] is float
    assert types["data.source"] is str
    for key in types:
        assert value_of(Settings(), key) is value_of(Settings(), key)


@pytest.mark.parametrize("name", preset_names())
def test_every_preset_parses_and_its_model_builds(name):
    settings = parse_settings(load_preset(name))
    assert settings.preset == name
    data = {"classes": 10, "image_size": 8 if name == "digits" else 32, "channels": 3}
    with torch.device("meta"):
        assert build_model(settings.model.name, settings.model.options() | data)
    assert yaml.safe_load(settings_text(settings)) == settings.model_dump()


def test_an_unknown_preset():
    with pytest.raises(UsageError, match="unknown preset 'vit-tin'") as caught:
        load_preset("vit-tin")
    assert "vit-tiny" in caught.value.hint
    with pytest.raises(UsageError) as caught:
        load_preset("zzz")
    assert all(name in caught.value.hint for name in preset_names())
