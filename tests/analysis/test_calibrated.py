from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from tests.oracles import scoring
from tests.oracles.samples import digits, made
from vitscope.analysis.calibrated import calibrate
from vitscope.errors import InputError, UsageError
from vitscope.records.provenance import Provenance


def _parts():
    predictions, _ = digits()
    sharp = replace(predictions, logits=3 * predictions.logits)
    half = np.arange(len(sharp)) % 2 == 0
    return sharp.take(half), sharp.take(~half)


def test_after_is_the_metric_of_the_divided_logits():
    reported, held_out = _parts()
    result = calibrate(reported, held_out, replicates=20)
    metrics = result.metrics()
    divided = (reported.logits.astype(np.float64) / result.temperature.value).tolist()
    labels = reported.labels.tolist()
    assert metrics["calibrated_nll"] == pytest.approx(scoring.nll(divided, labels), rel=1e-10)
    assert metrics["calibrated_brier"] == pytest.approx(scoring.brier(divided, labels), rel=1e-10)
    assert metrics["calibrated_ece"] == pytest.approx(scoring.ece(divided, labels, 15), rel=1e-9)
    low, high = metrics["calibrated_nll_interval"]
    assert low < metrics["calibrated_nll"] < high
    before = scoring.nll(reported.logits.astype(float).tolist(), labels)
    assert metrics["calibrated_nll"] < before


def test_rows_that_are_not_finite_stay_left_out():
    reported, held_out = _parts()
    broken = np.array(reported.logits)
    broken[3, 2], broken[5, 0] = np.nan, np.inf
    found = calibrate(replace(reported, logits=broken), held_out, replicates=0)
    assert found.scores.n == len(reported) - 2


def test_nothing_to_fit_is_said_and_no_number(tmp_path):
    right = made(np.eye(3) * 5, [0, 1, 2])
    result = calibrate(made(np.eye(3), [0, 1, 1]), right)
    metrics = result.metrics()
    assert metrics["temperature"] is None
    assert "all predictions are right" in metrics["temperature_reason"]
    assert not any(key.startswith("calibrated_") for key in metrics)
    assert [path.name for path in result.save(tmp_path)] == ["temperature.json"]


def test_fits_on_one_part_and_reports_on_another():
    reported, held_out = _parts()
    with pytest.raises(InputError, match="no held-out predictions"):
        calibrate(reported, None)
    with pytest.raises(InputError, match="other classes"):
        calibrate(reported, made(np.eye(3), [0, 1, 1]))
    here = Provenance(checkpoint_digest="sha256:a", data_digest="b")
    with pytest.raises(UsageError, match="the very images"):
        calibrate(replace(reported, provenance=here), replace(held_out, provenance=here))
    other = replace(here, checkpoint_digest="sha256:c", data_digest="d")
    with pytest.raises(InputError, match="another checkpoint"):
        calibrate(replace(reported, provenance=here), replace(held_out, provenance=other))
