"""Real predictions to test on: digits, told apart by a deliberately weak linear model."""

from __future__ import annotations

from functools import cache

import numpy as np
from sklearn.datasets import load_digits
from sklearn.linear_model import RidgeClassifier

from vitscope.records.predictions import Predictions


@cache
def digits() -> tuple[Predictions, np.ndarray]:
    """Return the predictions of 897 held-out digits, with 8×8 uint8 images."""
    data = load_digits()
    train, test = slice(None, None, 2), slice(1, None, 2)
    model = RidgeClassifier(alpha=1e4).fit(data.data[train], data.target[train])
    logits = 3 * model.decision_function(data.data[test])
    names = tuple(f"digit/{index}" for index in range(len(logits)))
    classes = ("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine")
    record = Predictions(logits.astype(np.float32), data.target[test].astype(np.int64), classes, names)
    return record, (data.images[test] * 15.9).astype(np.uint8)


def made(logits, labels, *, classes=None, kind="logits") -> Predictions:
    """Return predictions of these scores with names to fit."""
    logits = np.asarray(logits)
    logits = logits if np.issubdtype(logits.dtype, np.floating) else logits.astype(np.float64)
    classes = classes or tuple(f"class {index}" for index in range(logits.shape[1]))
    names = tuple(str(index) for index in range(len(logits)))
    return Predictions(logits, np.asarray(labels, dtype=np.int64), tuple(classes), names, kind=kind)
