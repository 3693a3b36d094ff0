"""Label issues: images whose label the model has good reason to doubt."""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from vitscope.analysis.blocks import Block, map_blocks, softmax
from vitscope.analysis.tables import write_table
from vitscope.errors import EnvironmentFault, InputError, NotFiniteError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

    from vitscope.records.predictions import Predictions

    Integers = NDArray[np.int64]

__all__ = ["InSampleWarning", "LabelIssues", "label_issues"]


class InSampleWarning(UserWarning):
    """Label issues were looked for with a model that was trained on the very labels."""


@dataclass(frozen=True, eq=False)
class LabelIssues:
    """The images whose label is likely wrong, the least believed label first.

    Attributes:
        classes: The class names.
        n: How many images were looked at.
        n_not_finite: How many were left out because their logits are not finite.
        out_of_sample: Whether the model was trained without these images, as the caller says.
        image: `[issue]`, rows of the predictions.
        names: `[issue]`, the images' names.
        label: `[issue]`, the class given.
        suggested: `[issue]`, the class predicted.
        self_confidence: `[issue]`, the probability of the class given, ascending.
    """

    classes: tuple[str, ...]
    n: int
    n_not_finite: int
    out_of_sample: bool
    image: Integers
    names: tuple[str, ...]
    label: Integers
    suggested: Integers
    self_confidence: NDArray[np.float64]

    def __len__(self) -> int:
        return len(self.image)

    def metrics(self) -> dict[str, Any]:
        """Return the numbers as JSON can hold them."""
        return {
            "label_issues": len(self),
            "label_issues_share": len(self) / self.n,
            "label_issues_out_of_sample": self.out_of_sample,
        }

    def save(self, folder: Path | str) -> Path:
        """Write `label_issues.csv`, the most doubtful first, into the folder and return its path."""
        path = Path(folder) / "label_issues.csv"
        columns = zip(
            self.names,
            self.image.tolist(),
            (self.classes[index] for index in self.label),
            (self.classes[index] for index in self.suggested),
            self.self_confidence.tolist(),
            strict=True,
        )
        rows = ((rank, *row, str(self.out_of_sample).lower()) for rank, row in enumerate(columns, start=1))
        names = ("rank", "name", "image", "label", "suggested", "self_confidence", "out_of_sample")
        write_table(path, names, rows)
        return path


def label_issues(source: Predictions, *, out_of_sample: bool) -> LabelIssues:
    """Find likely wrong labels by confident learning, with cleanlab, in two streamed passes over the logits.

    A class's threshold is the mean probability of it over the images labelled so. cleanlab counts the images
    that are predicted as another class than their label with at least that class's threshold; of the images
    predicted otherwise, as many with the least probability of their label are the issues.

    *Source*: Northcutt, Jiang and Chuang 2021, arXiv 1911.00068; cleanlab's `LabelInspector`.
    *Differs*: cleanlab takes the least believed labels whatever the prediction, and so suggests a change to
    the same class; and counts every image predicted as a class that no image is labelled with.

    Args:
        source: Labelled predictions.
        out_of_sample: Whether the model was trained without these images: a test set, or the held-out parts
            of a cross-validation. A model believes the labels that it was trained on, wrong ones too.

    Warns:
        InSampleWarning: `out_of_sample` is off.

    Raises:
        EnvironmentFault: cleanlab is not installed.
        InputError: There are no images.
        NotFiniteError: No image has finite logits.
    """
    inspector = _inspector(len(source.classes))
    if not len(source):
        raise InputError("expected predictions of at least one image, got none")
    if not out_of_sample:
        warnings.warn(
            "these labels were seen in training, so that wrong ones are believed and most are missed: "
            "find label issues with out-of-sample predictions, as of a cross-validation",
            InSampleWarning,
            stacklevel=2,
        )
    for block, p, _ in _blocks(source):
        inspector.update_confident_thresholds(block.labels, p)
    if not inspector.examples_processed_thresh:
        raise NotFiniteError(f"none of the {len(source)} images has finite logits")
    inspector.confident_thresholds[inspector.examples_per_class == 0] = np.inf
    predicted, belief = np.full(len(source), -1), np.full(len(source), np.nan)
    for block, p, best in _blocks(source):
        belief[block.rows][block.finite] = inspector.score_label_quality(block.labels, p)
        predicted[block.rows][block.finite] = best
    doubtful = np.flatnonzero((predicted >= 0) & (predicted != source.labels))
    order = doubtful[np.argsort(belief[doubtful], kind="stable")][: int(inspector.get_num_issues())]
    scored = int(inspector.examples_processed_quality)
    return LabelIssues(
        classes=source.classes,
        n=scored,
        n_not_finite=len(source) - scored,
        out_of_sample=out_of_sample,
        image=order,
        names=tuple(source.names[index] for index in order),
        label=np.asarray(source.labels[order], dtype=np.int64),
        suggested=predicted[order],
        self_confidence=belief[order],
    )


def _inspector(classes: int) -> Any:  # noqa: ANN401 - cleanlab has no types
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # what its own imports have to say
            from cleanlab.experimental.label_issues_batched import LabelInspector
    except ImportError as error:
        raise EnvironmentFault(
            "label issues need cleanlab, which is not installed", hint="pip install 'vitscope[labels]'"
        ) from error
    return LabelInspector(
        num_class=classes, n_jobs=1, verbose=False, quality_score_kwargs={"method": "self_confidence"}
    )


def _blocks(source: Predictions) -> Iterator[tuple[Block, NDArray[np.float64], Integers]]:
    """Yield blocks that hold finite rows, with their probabilities and predictions."""

    def reduce(block: Block) -> tuple[Block, NDArray[np.float64], Integers]:
        best = block.scores.argmax(axis=1)  # the first of equals, also where the softmax makes them equal
        if source.kind == "logits" and best.size:
            softmax(block.scores)
        return block, block.scores, best

    return (found for found in map_blocks(reduce, source) if found[2].size)
