from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from tests.oracles.samples import digits, made
from vitscope.analysis import blocks
from vitscope.analysis.scaling import log_scores, outlook
from vitscope.analysis.temperature import Temperature, fit_temperature
from vitscope.errors import InputError, UsageError
from vitscope.records.provenance import Provenance


def test_outlook_of_real_images(monkeypatch):
    predictions, _ = digits()
    assert outlook(predictions).reason == ""
    monkeypatch.setattr(blocks, "_BLOCK_BYTES", 8 * 10 * 7)
    assert (outlook(predictions).n, outlook(predictions).impossible) == (898, 0)


def test_scores_that_may_be_turned_round_may_be_worse_than_chance():
    worse = made([[1.0, 0.0], [0.0, 1.0], [1.0, 0.0]], [1, 0, 0])
    assert "no better than chance" in outlook(worse).reason
    assert outlook(worse, signed=True).reason == ""


def test_chance_is_of_the_possible_classes():
    # Between classes 0 and 1 the truth is ahead; class 2, of probability 0, does not count.
    p = [[0.9, 0.1, 0.0], [0.4, 0.6, 0.0], [0.6, 0.4, 0.0]]
    assert outlook(made(p, [0, 0, 0], kind="probabilities")).reason == ""
    found = outlook(made(p, [2, 0, 2], kind="probabilities"))
    assert found.impossible == 2
    assert "of 2 images has the probability 0" in found.reason


def test_logarithms_of_probabilities_are_finite():
    found = log_scores(np.array([[0.5, 0.5, 0.0]]), logits=False)
    assert found.tolist() == [[np.log(0.5), np.log(0.5), -1e30]]
    assert log_scores(np.array([[3.0]]), logits=True).tolist() == [[3.0]]


def _halved():
    return made(digits()[0].logits.astype(np.float64) / 2, digits()[0].labels)


def test_is_checked_against_what_it_is_applied_to():
    ours = Provenance(checkpoint_digest="a" * 64, data="digits", split="validation", data_digest="v")
    predictions = replace(_halved(), provenance=ours)
    result = fit_temperature(predictions)
    with pytest.raises(UsageError, match="not fitted on, got the same 898"):
        result.apply(predictions)
    other = replace(predictions, provenance=replace(ours, checkpoint_digest="b" * 64, data_digest="t"))
    with pytest.raises(InputError, match="checkpoint aaaaaaaaaaaa that"):
        result.apply(other)
    classes = replace(predictions, classes=tuple("abcdefghij"))
    with pytest.raises(InputError, match="not the same"):
        result.apply(classes)
    fine = replace(predictions, provenance=replace(ours, data_digest="t", split="test"))
    assert result.apply(fine).provenance.split == "test"


@pytest.mark.parametrize(
    "text", ["", "[]", "{}", '{"format": "vitscope.scaling", "version": 9, "method": "temperature"}', "\x00"]
)
def test_refuses_a_file_that_is_not_one(tmp_path, text):
    path = tmp_path / "temperature.json"
    path.write_text(text)
    with pytest.raises(InputError, match="not a whole temperature scaling"):
        Temperature.load(path)
    with pytest.raises(InputError, match="not a whole temperature scaling"):
        Temperature.load(tmp_path / "none.json")
