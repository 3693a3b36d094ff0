"""Who evaluates in `evaluation.py`, and the seeded logits that each is given."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from numpy.typing import NDArray

CLASSES = 1_000
CHUNK = 10_000
POOL = 4_096


class SyntheticLogits:
    """Seeded logits of any number of rows, of which only those asked for exist.

    Row i is a row of noise from a pool of 4,096, moved round by i places, with the label's logit raised by
    a normal amount: about 75 % of the rows are right, and the confidences fill the whole range.
    """

    ndim = 2
    dtype = np.dtype(np.float16)

    def __init__(self, rows: int) -> None:
        rng = np.random.default_rng(0)
        self.shape = (rows, CLASSES)
        noise = rng.normal(size=(POOL, CLASSES)).astype(np.float16)
        self._pool = np.concatenate([noise, noise], axis=1)
        self._raise = rng.normal(5.5, 3.0, size=rows).astype(np.float16)
        self.labels = rng.integers(CLASSES, size=rows)

    def __len__(self) -> int:
        return self.shape[0]

    def __getitem__(self, rows: slice) -> NDArray[np.float16]:
        index = np.arange(*rows.indices(len(self)))
        made = np.empty((len(index), CLASSES), dtype=np.float16)
        for place, row in enumerate(index):
            shift = row // POOL
            made[place] = self._pool[row % POOL, shift : shift + CLASSES]
        made[np.arange(len(index)), self.labels[index]] += self._raise[index]
        return made

    def chunks(self, size: int = CHUNK) -> Iterator[tuple[NDArray[np.float16], NDArray[np.int64]]]:
        """Yield the rows and their labels, `size` at a time."""
        for start in range(0, len(self), size):
            yield self[start : start + size], self.labels[start : start + size]


class HeldLogits:
    """The same logits, all of them in memory, in any precision."""

    def __init__(self, logits: SyntheticLogits, dtype: str) -> None:
        self.rows = logits[:].astype(dtype)
        self.labels = logits.labels

    def chunks(self, size: int = CHUNK) -> Iterator[tuple[NDArray[np.floating], NDArray[np.int64]]]:
        """Yield the rows and their labels, `size` at a time."""
        for start in range(0, len(self.rows), size):
            yield self.rows[start : start + size], self.labels[start : start + size]


def nothing(logits: SyntheticLogits) -> Callable[[], dict[str, Any]]:
    def run() -> dict[str, Any]:
        for _ in logits.chunks():
            pass
        return {}

    return run


def vitscope(logits: SyntheticLogits, replicates: int = 0) -> Callable[[], dict[str, Any]]:
    from vitscope.analysis.evaluation import evaluate
    from vitscope.records.predictions import Predictions

    names = tuple(map(str, range(len(logits))))
    record = Predictions(logits, logits.labels, tuple(map(str, range(CLASSES))), names)
    keys = ("accuracy", "nll", "brier", "ece", "ece_equal_mass", "ece_classwise", "smooth_ece", "aurc")

    def run() -> dict[str, Any]:
        metrics = evaluate(record, replicates=replicates).metrics()
        return {key: metrics[key] for key in keys}

    return run


def vitscope_three(logits: HeldLogits) -> Callable[[], dict[str, Any]]:
    """Accuracy, calibration error and confusion counts alone."""
    from vitscope.analysis.accuracy import accuracy
    from vitscope.analysis.answers import answers
    from vitscope.analysis.calibration import reliability
    from vitscope.analysis.confusion import confusion
    from vitscope.records.predictions import Predictions

    names = tuple(map(str, range(len(logits.rows))))
    record = Predictions(logits.rows, logits.labels, tuple(map(str, range(CLASSES))), names)

    def run() -> dict[str, Any]:
        given = answers(record)
        wrong = confusion(given).counts.sum() - accuracy(given).correct
        return {"accuracy": accuracy(given).value, "ece": reliability(given).ece, "wrong": int(wrong)}

    return run


def vitscope_intervals(logits: SyntheticLogits) -> Callable[[], dict[str, Any]]:
    return vitscope(logits, replicates=1000)


def vitscope_temperature(logits: SyntheticLogits) -> Callable[[], dict[str, Any]]:
    """The temperature of all rows: in use, that of a held-out part, which is much smaller."""
    from vitscope.analysis.temperature import fit_temperature
    from vitscope.records.predictions import Predictions

    names = tuple(map(str, range(len(logits))))
    record = Predictions(logits, logits.labels, tuple(map(str, range(CLASSES))), names)
    return lambda: {"temperature": fit_temperature(record).value}


def torchmetrics(logits: SyntheticLogits | HeldLogits, size: int = 256) -> Callable[[], dict[str, Any]]:
    import torch
    from torchmetrics.classification import (
        MulticlassAccuracy,
        MulticlassCalibrationError,
        MulticlassConfusionMatrix,
    )

    metrics = {
        "accuracy": MulticlassAccuracy(CLASSES, average="micro"),
        "ece": MulticlassCalibrationError(CLASSES, n_bins=15),
        "confusion": MulticlassConfusionMatrix(CLASSES),
    }

    def run() -> dict[str, Any]:
        for rows, labels in logits.chunks(size):
            scores = torch.from_numpy(rows).float().softmax(dim=1)
            for metric in metrics.values():
                metric.update(scores, torch.from_numpy(labels))
        found = {name: metric.compute() for name, metric in metrics.items()}
        return {"accuracy": float(found["accuracy"]), "ece": float(found["ece"])}

    return run


def torchmetrics_chunks(logits: SyntheticLogits | HeldLogits) -> Callable[[], dict[str, Any]]:
    return torchmetrics(logits, CHUNK)


def torchmetrics_bootstrap(logits: SyntheticLogits) -> Callable[[], dict[str, Any]]:
    """Ten replicates of accuracy and calibration error: the time is a hundredth of a thousand's."""
    import torch
    from torchmetrics.classification import MulticlassAccuracy, MulticlassCalibrationError
    from torchmetrics.wrappers import BootStrapper

    metrics = [
        BootStrapper(metric, num_bootstraps=10, sampling_strategy="multinomial")
        for metric in (MulticlassAccuracy(CLASSES, average="micro"), MulticlassCalibrationError(CLASSES))
    ]

    def run() -> dict[str, Any]:
        for rows, labels in logits.chunks():
            scores = torch.from_numpy(rows).float().softmax(dim=1)
            for metric in metrics:
                metric.update(scores, torch.from_numpy(labels))
        return {"accuracy": float(metrics[0].compute()["mean"]), "ece": float(metrics[1].compute()["mean"])}

    return run


def scikit_learn(logits: SyntheticLogits) -> Callable[[], dict[str, Any]]:
    """Accuracy, balanced accuracy, confusion, log loss and top-5, of all rows at once: 20 GB of the large."""
    from sklearn import metrics

    def run() -> dict[str, Any]:
        rows = np.concatenate([part.astype(np.float64) for part, _ in logits.chunks()])
        rows -= rows.max(axis=1, keepdims=True)
        np.exp(rows, out=rows)
        rows /= rows.sum(axis=1, keepdims=True)
        predicted, classes = rows.argmax(axis=1), np.arange(CLASSES)
        metrics.balanced_accuracy_score(logits.labels, predicted)
        metrics.confusion_matrix(logits.labels, predicted)
        metrics.top_k_accuracy_score(logits.labels, rows, k=5, labels=classes)
        return {
            "accuracy": metrics.accuracy_score(logits.labels, predicted),
            "nll": metrics.log_loss(logits.labels, rows, labels=classes),
        }

    return run


def netcal(logits: SyntheticLogits) -> Callable[[], dict[str, Any]]:
    """The expected calibration error alone, of the confidences that it is given."""
    from netcal.metrics import ECE

    def run() -> dict[str, Any]:
        confidence, right = [], []
        for rows, labels in logits.chunks():
            powers = np.exp(rows.astype(np.float32) - rows.max(axis=1, keepdims=True))
            confidence.append(powers.max(axis=1) / powers.sum(axis=1))
            right.append(rows.argmax(axis=1) == labels)
        joined = np.concatenate(confidence), np.concatenate(right).astype(np.int64)
        return {"ece": float(ECE(15).measure(*joined))}

    return run


CONTENDERS = {
    "making the logits": (nothing, ("small", "large")),
    "vitscope, all metrics": (vitscope, ("small", "large")),
    "vitscope, and 1,000 replicates": (vitscope_intervals, ("small", "large")),
    "vitscope, temperature": (vitscope_temperature, ("small", "large")),
    "torchmetrics, accuracy + ECE + confusion": (torchmetrics, ("small", "large")),
    "the same, 10,000 rows at a time": (torchmetrics_chunks, ("small", "large")),
    "torchmetrics, 10 replicates of two": (torchmetrics_bootstrap, ("small",)),
    "scikit-learn, its metrics": (scikit_learn, ("small",)),
    "netcal, ECE alone": (netcal, ("small", "large")),
    **{
        f"{name}, in {dtype}": (function, ("small",))
        for dtype in ("float16", "float32")
        for name, function in (
            ("vitscope, the three", vitscope_three),
            ("torchmetrics, the three", torchmetrics),
            ("the same, 10,000 rows", torchmetrics_chunks),
        )
    },
}
