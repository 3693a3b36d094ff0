"""`vitscope presets`, `models` and `datasets`."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest
import torch
import yaml
from typer.testing import CliRunner

from vitscope.cli.main import app
from vitscope.data.catalogue import CATALOGUE
from vitscope.data.sources import dataset_names
from vitscope.inference.cost import multiply_adds
from vitscope.models.foreign import is_foreign
from vitscope.models.registry import MODELS, build_model, resolve_options
from vitscope.trainers.presets import load_preset, preset_names
from vitscope.trainers.settings import parse_settings


def run(*arguments):
    answer = CliRunner().invoke(app, [str(argument) for argument in arguments])
    assert answer.exit_code == 0, answer.stderr
    return answer.stdout


@pytest.mark.parametrize("command", ["presets", "datasets"])
def test_a_list_fits_into_80_columns(command):
    _check_lines(run(command))


def _check_lines(text):
    lines = text.splitlines()
    assert max(map(len, lines)) <= 80
    assert all(line == line.rstrip() for line in lines)


@pytest.mark.parametrize("command", ["presets", "datasets"])
def test_lists_of_texts_need_no_torch(command, tmp_path):
    code = (
        "import sys; from vitscope.cli.main import app\n"
        f"try: app(['{command}', '--json'])\n"
        "except SystemExit as end: assert not end.code\n"
        "heavy = {'torch', 'torchvision', 'timm', 'matplotlib'} & set(sys.modules)\n"
        "assert not heavy, heavy"
    )
    answer = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, cwd=tmp_path, check=False
    )
    assert answer.returncode == 0, answer.stderr


def test_every_preset_is_listed():
    rows = json.loads(run("presets", "--json"))["presets"]
    assert [row["name"] for row in rows] == list(preset_names())
    for row in rows:
        settings = parse_settings(load_preset(row["name"]))
        assert (row["model"], row["data"]) == (settings.model.name, settings.data.source)
        assert row["epochs"] == settings.epochs
        assert row["settings"] == settings.model_dump()
        assert row["expected"]
    listed = run("presets").splitlines()
    assert {line.split()[0] for line in listed[1:] if line and not line.startswith(" ")} >= set(
        preset_names()
    )


@pytest.mark.slow
def test_the_sizes_that_presets_state():
    for row in json.loads(run("presets", "--json"))["presets"]:
        settings = parse_settings(row["settings"]).model
        entry = CATALOGUE[row["data"]]
        form = {"classes": entry.classes, "channels": entry.channels}
        side = 224 if is_foreign(row["model"]) else entry.size[0]
        options = resolve_options(settings.name, settings.options() | form | {"image_size": side})
        with torch.device("meta"):
            network = build_model(settings.name, options).eval()
            image = torch.zeros(1, entry.channels, side, side)
        parameters = sum(each.numel() for each in network.parameters())
        assert row["million_parameters"] == pytest.approx(parameters / 1e6, abs=0.0051)
        with torch.no_grad():
            assert row["million_multiply_adds"] == pytest.approx(
                multiply_adds(network, image) / 1e6, rel=5e-3
            )


def test_a_preset_is_a_file_for_config(tmp_path):
    text = run("presets", "vit-tiny")
    assert text.startswith("# ")
    assert yaml.safe_load(text) == {
        key: value for key, value in load_preset("vit-tiny").items() if key != "preset"
    }


@pytest.mark.slow
def test_every_model_is_listed():
    rows = {row["name"]: row for row in json.loads(run("models", "--json"))["models"]}
    assert list(rows) == list(MODELS)
    assert rows["vit-tiny"]["options"]["heads"] == 3
    assert rows["resnet18"]["attention"] is False
    table = run("models")
    _check_lines(table)
    assert "5.36 M" in table
    assert "patch_size=4" in table


def test_one_model_at_another_size():
    found = json.loads(run("models", "resnet18", "--size", 224, "--classes", 1000, "--json"))
    assert (found["parameters"], found["image_size"]) == (11_689_512, 224)


def test_every_data_set_is_listed(monkeypatch, tmp_path):
    monkeypatch.setenv("VITSCOPE_DATA", str(tmp_path))
    rows = {row["name"]: row for row in json.loads(run("datasets", "--json"))["datasets"]}
    assert tuple(rows) == dataset_names()
    assert [name for name, row in rows.items() if row["here"]] == ["digits"]
    assert "CC BY 4.0" in run("datasets", "digits")
    told = run("datasets", "cifar100")
    assert f"{tmp_path}: not here yet" in told
    assert "169 MB" in told


@pytest.mark.parametrize(
    ("arguments", "code", "hint"),
    [
        (("datasets", "cifar"), 3, "cifar10"),
        (("models", "vit-tny"), 3, "vit-tiny"),
        (("presets", "vit-tny"), 2, "vit-tiny"),
        (("models", "vit-tiny", "--size", 37), 3, ""),
    ],
)
def test_names_that_are_none(arguments, code, hint):
    answer = CliRunner().invoke(app, [str(argument) for argument in arguments])
    assert answer.exit_code == code
    assert answer.stdout == ""
    assert answer.stderr.startswith("error: ")
    assert hint in answer.stderr.partition("hint: ")[2]
