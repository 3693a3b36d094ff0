"""Calibrated: what a temperature fitted on held-out images makes of a model on others."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from vitscope.analysis.bootstrap import REPLICATES, bootstrap
from vitscope.analysis.calibration import Reliability, reliability
from vitscope.analysis.miscalibration import (
    CalibrationErrors,
    calibration_errors,
    weighted_calibration_errors,
)
from vitscope.analysis.outcomes import outcomes
from vitscope.analysis.scaling import log_scores
from vitscope.analysis.scores import ProperScores, proper_scores, weighted_scores
from vitscope.analysis.smoothing import SmoothCalibration, smooth_calibration
from vitscope.analysis.temperature import Temperature, fit_temperature
from vitscope.errors import InputError, UsageError

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from vitscope.records.predictions import Predictions

__all__ = ["Calibrated", "calibrate"]

_LEFT_OUT = ("n_zero_truth", "ece_bins")  # the same before and after


@dataclass(frozen=True, eq=False)
class Calibrated:
    """The temperature, and the metrics that it changes, after it.

    Attributes:
        temperature: What was fitted; it may say why nothing could be.
        scores: Negative log-likelihood and Brier score; None where nothing was fitted.
        errors: Calibration errors; None where nothing was fitted.
        reliability: Accuracy by confidence, in bins; None where nothing was fitted.
        smooth: The same without bins.
    """

    temperature: Temperature
    scores: ProperScores | None = None
    errors: CalibrationErrors | None = None
    reliability: Reliability | None = None
    smooth: SmoothCalibration | None = None

    def metrics(self) -> dict[str, Any]:
        """Return the temperature's keys, and those of scores and errors with `calibrated_` before them."""
        parts = [part.metrics() for part in (self.scores, self.errors) if part is not None]
        after = {
            f"calibrated_{key}": value
            for part in parts
            for key, value in part.items()
            if key not in _LEFT_OUT
        }
        return self.temperature.metrics() | after

    def save(self, folder: Path | str) -> list[Path]:
        """Write `temperature.json` into the folder and `reliability.csv` into `calibrated/` there."""
        written = [self.temperature.save(folder)]
        if self.reliability is not None:
            written.append(self.reliability.save(Path(folder) / "calibrated"))
        return written


def calibrate(
    predictions: Predictions,
    held_out: Predictions | None,
    *,
    bins: int = 15,
    replicates: int = REPLICATES,
    seed: int = 0,
) -> Calibrated:
    """Fit a temperature on held-out predictions, and measure what it makes of others.

    The scaled logits are never all in memory: each block is divided when it is read.

    *Source*: Guo et al. 2017, arXiv 1706.04599.

    Args:
        predictions: What to report on.
        held_out: Predictions of the same model on other images, to fit on.
        bins: The number of bins.
        replicates: How often the bootstrap draws images anew; 0 for no intervals.
        seed: The bootstrap's seed.

    Raises:
        InputError: There are no held-out predictions, or they are of other classes or another model.
        UsageError: Both are predictions of the same images.
        NotFiniteError: One has no image with finite logits.
    """
    if held_out is None:
        raise InputError(
            "there are no held-out predictions to fit a temperature on",
            hint="evaluate a checkpoint with --calibrate, which predicts its validation images too",
        )
    _check_apart(predictions, held_out)
    temperature = fit_temperature(held_out)
    if not temperature.fitted:
        return Calibrated(temperature)
    scaled = replace(predictions, logits=_Scaled(predictions, temperature), kind="logits")
    rows = outcomes(scaled, bins=bins)
    scores = proper_scores(rows, replicates=0)
    errors = calibration_errors(rows, bins=bins, replicates=0)
    if replicates:
        statistics = weighted_scores(rows) | weighted_calibration_errors(rows, bins=bins)
        draws = bootstrap(statistics, len(rows.scored), replicates=replicates, seed=seed)
        correct = rows.scored.correct
        scores, errors = scores.with_intervals(draws, correct), errors.with_intervals(draws, correct)
    return Calibrated(temperature, scores, errors, reliability(rows, bins=bins), smooth_calibration(rows))


def _check_apart(predictions: Predictions, held_out: Predictions) -> None:
    ours, theirs = predictions.provenance, held_out.provenance
    if held_out.classes != predictions.classes:
        raise InputError("expected held-out predictions of the same classes, got other classes")
    if ours.checkpoint_digest and theirs.checkpoint_digest not in ("", ours.checkpoint_digest):
        raise InputError("expected held-out predictions of the same model, got another checkpoint's")
    if ours.data_digest and ours.data_digest == theirs.data_digest:
        raise UsageError(
            "the held-out predictions are of the very images to be reported on",
            hint="fit on one part and report on another",
        )


class _Scaled:
    """The logits of predictions after a temperature, made when rows are read."""

    ndim = 2
    dtype = np.dtype(np.float64)

    def __init__(self, predictions: Predictions, temperature: Temperature) -> None:
        self.shape = predictions.logits.shape
        self._source, self._temperature = predictions, temperature

    def __len__(self) -> int:
        return int(self.shape[0])

    def __getitem__(self, rows: slice) -> NDArray[np.float64]:
        scores = np.array(self._source.logits[rows], dtype=np.float64)
        scores[~np.isfinite(scores).all(axis=1)] = np.nan
        return self._temperature.transform(log_scores(scores, logits=self._source.kind == "logits"))
