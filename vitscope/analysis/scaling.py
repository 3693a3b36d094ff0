"""Scaling: a map of a model's scores, fitted on some images, that makes its probabilities truer on others."""

from __future__ import annotations

import json
from abc import ABC, abstractmethod
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Self

import numpy as np

from vitscope.analysis.blocks import map_blocks
from vitscope.analysis.tables import number
from vitscope.errors import InputError, NotFiniteError, UsageError
from vitscope.paths import write_json
from vitscope.records.provenance import Provenance

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from vitscope.analysis.blocks import Block
    from vitscope.records.predictions import Predictions

    Floats = NDArray[np.float64]

__all__ = ["Outlook", "Scaling", "log_scores", "outlook"]

FORMAT = "vitscope.scaling"
VERSION = 1
_SHRINK = 2.0**-30  # keeps sums of the largest floats finite
_LEAST = -1e30  # stands for ln 0: its exponential is 0 at any temperature, and float32 can hold it


@dataclass(frozen=True, eq=False)
class Scaling(ABC):
    """What every fitted map of scores has; fit it on held-out images, report it on others, never both.

    Attributes:
        n: How many images it was fitted on: those with finite logits.
        nll_before: Their negative log-likelihood before.
        nll_after: And after; None where nothing could be fitted.
        gradient: The largest component of the objective's gradient at the end; None where nothing was fitted.
        iterations: How many steps were taken.
        reason: Why nothing could be fitted; empty where it could.
        classes: The class names.
        provenance: The checkpoint and the images that it was fitted on.
    """

    method: ClassVar[str]

    n: int
    nll_before: float
    nll_after: float | None
    gradient: float | None
    iterations: int
    reason: str
    classes: tuple[str, ...]
    provenance: Provenance

    @property
    def fitted(self) -> bool:
        """Whether there is a map at all."""
        return not self.reason

    def nothing(self) -> UsageError:
        """Return the error of using a scaling that could not be fitted."""
        return UsageError(
            f"expected a fitted {self.method} scaling, got none: {self.reason}",
            hint="go on without it, or fit it on more images",
        )

    @abstractmethod
    def transform(self, scores: Floats) -> Floats:
        """Return the new logits of logits, or log-probabilities, of `[image, class]`; may work in place."""

    @abstractmethod
    def parameters(self) -> dict[str, Any]:
        """Return what was fitted, as JSON can hold it; `from_parameters` takes it back."""

    @classmethod
    @abstractmethod
    def from_parameters(cls, values: dict[str, Any], fit: dict[str, Any]) -> Self:
        """Make the record from `parameters` and the fields that every scaling has."""

    def apply(self, predictions: Predictions, *, out: Path | str | None = None) -> Predictions:
        """Return the predictions with new logits, in blocks; rows that are not finite become NaN.

        Args:
            predictions: Of the same model on other images.
            out: A `.npy` file for the new logits, memory-mapped; without it they are kept in memory. They are
                float64 where the old ones are, else float32.

        Raises:
            UsageError: Nothing was fitted, or these are the images that it was fitted on.
            InputError: They are of other classes or of another checkpoint.
        """
        self._check(predictions)
        shape = predictions.logits.shape
        kind = np.float64 if predictions.logits.dtype == np.float64 else np.float32
        logits = (
            np.empty(shape, kind)
            if out is None
            else np.lib.format.open_memmap(out, mode="w+", dtype=kind, shape=shape)
        )

        def scale(block: Block) -> tuple[Block, Floats]:
            return block, self.transform(log_scores(block.scores, logits=predictions.kind == "logits"))

        for block, scaled in map_blocks(scale, predictions):
            logits[block.rows][~block.finite] = np.nan
            logits[block.rows][block.finite] = scaled
        config = predictions.provenance.config | {"calibration": self.parameters() | {"method": self.method}}
        return replace(
            predictions,
            logits=logits,
            kind="logits",
            provenance=replace(predictions.provenance, config=config),
        )

    def _check(self, predictions: Predictions) -> None:
        ours, theirs = self.provenance, predictions.provenance
        if not self.fitted:
            raise self.nothing()
        if predictions.classes != self.classes:
            raise InputError(
                f"expected predictions of the {len(self.classes)} classes that the scaling was fitted on, "
                f"got {len(predictions.classes)} classes, not the same"
            )
        if _differ(ours.checkpoint_digest, theirs.checkpoint_digest):
            raise InputError(
                f"expected predictions of the checkpoint {ours.checkpoint_digest[:12]} that the scaling was "
                f"fitted for, got some of {theirs.checkpoint_digest[:12]}",
                hint="fit it again for this checkpoint",
            )
        if ours.data_digest and ours.data_digest == theirs.data_digest:
            raise UsageError(
                f"expected images that the scaling was not fitted on, got the same {self.n:,} again",
                hint="fit it on one part and report it on another",
            )

    def metrics(self) -> dict[str, Any]:
        """Return what was fitted and how well, with keys that begin with the method's name."""
        values = {"n": self.n, "nll_before": number(self.nll_before), "nll_after": self.nll_after}
        return {f"{self.method}_{name}": value for name, value in values.items()} | {
            f"{self.method}_reason": self.reason or None
        }

    def save(self, folder: Path | str) -> Path:
        """Write `temperature.json`, `vector.json` or `dirichlet.json` into the folder and return its path."""
        path = Path(folder) / f"{self.method}.json"
        shared = {
            item.name: getattr(self, item.name) for item in fields(Scaling) if item.name != "provenance"
        }
        head = {"format": FORMAT, "version": VERSION, "method": self.method}
        written = shared | {
            "nll_before": number(self.nll_before),
            "classes": list(self.classes),
            "provenance": self.provenance.to_dict(),
        }
        write_json(path, head | {"parameters": self.parameters()} | written)
        return path

    @classmethod
    def load(cls, path: Path | str) -> Self:
        """Read the file that `save` wrote, or that of its name in a folder.

        Raises:
            InputError: It is no such file, or of another method or version.
        """
        path = Path(path)
        path = path / f"{cls.method}.json" if path.is_dir() else path
        try:
            value = json.loads(path.read_text(encoding="utf-8"))
            found = value.pop("format"), value.pop("version"), value.pop("method")
            if found != (FORMAT, VERSION, cls.method):
                raise InputError(f"expected {(FORMAT, VERSION, cls.method)}, got {found}")
            fit = {item.name: value[item.name] for item in fields(Scaling)}
            fit["nll_before"] = np.inf if fit["nll_before"] is None else fit["nll_before"]
            fit["classes"] = tuple(fit["classes"])
            fit["provenance"] = Provenance.from_dict(fit["provenance"])
            return cls.from_parameters(value["parameters"], fit)
        except (OSError, ValueError, KeyError, TypeError, AttributeError, InputError) as error:
            raise InputError(
                f"{path} is not a whole {cls.method} scaling: {error}", hint="fit it again"
            ) from error


def _differ(one: str, other: str) -> bool:
    return bool(one) and bool(other) and one != other


def log_scores(scores: Floats, *, logits: bool) -> Floats:
    """Return the logits themselves, or the logarithms of probabilities, −10³⁰ for that of 0; in place."""
    if not logits:
        with np.errstate(divide="ignore"):
            np.log(scores, out=scores)
        np.maximum(scores, _LEAST, out=scores)
    return scores


@dataclass(frozen=True)
class Outlook:
    """What can be said of fitting before it is tried.

    Attributes:
        n: Images with finite scores.
        impossible: Those of them whose true class has the probability 0.
        reason: Why there is no finite optimum; empty where nothing speaks against one.
        spread: The mean over images of the largest less the least possible score.
    """

    n: int
    impossible: int
    reason: str
    spread: float


def outlook(source: Predictions, *, signed: bool = False) -> Outlook:
    """Return whether a scaling of these predictions can have a finite optimum, in one pass over them.

    NLL(β) = mean[logsumexp βz − βz_y] is convex in β = 1/T. It falls for ever where every label has the
    largest score; it falls towards β = 0 where the mean of z_y is not above the mean of all z; it is flat
    where each image's scores are all equal, and infinite where a true class has the probability 0.

    Args:
        source: What it is to be fitted on.
        signed: Whether the scaling may turn scores round, so that being worse than chance is no obstacle.

    Raises:
        InputError: There are no images.
        NotFiniteError: No image has finite logits.
    """
    if not len(source):
        raise InputError("expected predictions of at least one image, got none")
    sums = sum(map_blocks(lambda block: _limits(block, logits=source.kind == "logits"), source))
    count, impossible, ruled_out, spread, ahead, behind = np.asarray(sums, dtype=np.float64).tolist()
    if not count:
        raise NotFiniteError(f"none of the {len(source)} images has finite logits")
    reason = ""
    if impossible:
        reason = f"the true class of {int(impossible)} images has the probability 0, which no scaling mends"
    elif not spread and not ruled_out:
        reason = "every image's scores are all equal: no scaling changes them"
    elif not ahead:
        reason = "all predictions are right: the sharper the probabilities, the better, without end"
    elif behind >= -1e-12 * spread and not signed:
        reason = "the true classes score no better than chance: the flatter the probabilities, the better"
    return Outlook(int(count), int(impossible), reason, spread / count / _SHRINK)


def _limits(block: Block, *, logits: bool) -> Floats:
    """Return sums over images: one, impossible, ruled out, max − min, max − z_y and mean − z_y.

    The last three are of possible classes, and 2⁻³⁰ times as large, so that no sum of logits overflows;
    images are ruled out a class where its probability is 0.
    """
    scores, index = log_scores(block.scores, logits=logits), np.arange(len(block.scores))
    closed = np.zeros(len(scores), dtype=np.bool_)
    if logits:
        scores *= _SHRINK
    own, top = scores[index, block.labels], scores.max(axis=1)
    if logits:
        least, some = scores.min(axis=1), np.ones(len(scores), dtype=np.bool_)
        scores -= top[:, None]
        mean = top + scores.mean(axis=1)
    else:
        possible = scores > _LEAST
        closed = np.asarray((~possible).any(axis=1))
        scores *= _SHRINK
        own, top = own * _SHRINK, top * _SHRINK
        least, some = np.where(possible, scores, np.inf).min(axis=1), possible[index, block.labels]
        mean = top + np.where(possible, scores - top[:, None], 0).sum(axis=1) / possible.sum(axis=1)
    terms = (top - least, (top - own) * some, (mean - own) * some)
    counts = (len(scores), np.count_nonzero(~some), np.count_nonzero(closed))
    return np.array([*counts, *(term.sum() for term in terms)])
