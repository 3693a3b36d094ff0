"""The presets: what they say of themselves, and what they train."""

from __future__ import annotations

import pytest
import yaml

from vitscope.errors import UsageError
from vitscope.models.foreign import is_foreign
from vitscope.models.registry import MODELS
from vitscope.trainers import presets
from vitscope.trainers.presets import load_preset, preset_about, preset_names
from vitscope.trainers.settings import parse_settings

RECIPES = {
    "digits",
    "vit-micro",
    "vit-tiny",
    "vit-tiny-trivial",
    "vit-tiny-onecycle",
    "hybrid",
    "hybrid-autoaugment",
    "cct-7-3x1",
    "resnet18",
    "airbench",
    "transfer-vit",
    "transfer-mobilenet",
    "distill-vit-tiny",
}


def test_every_recipe_has_a_preset():
    assert set(preset_names()) >= RECIPES
    trained = {load_preset(name)["model"]["name"] for name in preset_names()}
    assert {name for name in trained if not is_foreign(name)} == set(MODELS)


@pytest.mark.parametrize("name", preset_names())
def test_a_preset_tells_what_to_expect(name):
    about = preset_about(name)
    assert about.name == name
    assert about.settings == load_preset(name)
    for text in (about.summary, about.size, about.source, about.expected, about.time):
        assert text
        assert text == text.strip()
        assert "\n" not in text
        assert not text.startswith("#")
    assert len(about.summary) < 120
    assert "ours" in about.expected


@pytest.mark.parametrize("name", preset_names())
def test_a_preset_can_run_to_its_end(name):
    """The periods of a recipe fit into its epochs, and nothing that it sets is without effect."""
    settings = parse_settings(load_preset(name))
    assert settings.schedule.warmup_epochs <= settings.epochs / 3
    mixed = settings.augment.mixup or settings.augment.cutmix
    assert mixed or settings.augment.mix_off == 0
    assert settings.augment.resized_crop is None or not settings.augment.crop_padding
    sgd = settings.optimizer.name != "adamw"
    given = load_preset(name)["optimizer"]
    assert sgd or not {"momentum", "muon_lr"} & set(given)


def test_lines_that_go_on(tmp_path, monkeypatch):
    """The header ends at the first line that is none of it; a colon later on is no key."""
    (tmp_path / "presets").mkdir()
    header = "# summary: one: two\n#   three\n# a remark\n#   not more of it\n# source: here\n"
    text = f"{header}epochs: 3 # time: 9\n"
    (tmp_path / "presets" / "own.yaml").write_text(text)
    monkeypatch.setattr(presets.resources, "files", lambda _: tmp_path)
    about = preset_about("own")
    assert (about.summary, about.source, about.expected, about.time) == ("one: two three", "here", "", "")
    assert about.settings == {"preset": "own"} | yaml.safe_load(text)


def test_an_unknown_preset():
    with pytest.raises(UsageError, match="unknown preset 'vit-tin'") as caught:
        preset_about("vit-tin")
    assert "vit-tiny" in caught.value.hint
