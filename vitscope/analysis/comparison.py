"""Comparison: several models on the same images, with paired intervals and tests."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from vitscope.analysis.agreement import Agreement, Disagreement, agreement, disagreement
from vitscope.analysis.comparison_tables import save_tables
from vitscope.analysis.differences import Difference, adjusted, difference
from vitscope.analysis.estimates import METRICS, Estimates, estimate
from vitscope.analysis.matching import Labelling, check_same_images
from vitscope.analysis.outcomes import Outcomes, outcomes
from vitscope.analysis.tables import number
from vitscope.errors import NotFiniteError, UsageError
from vitscope.paths import write_json

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray

    from vitscope.records.predictions import Predictions

__all__ = ["Comparison", "compare"]

_REPLICATES = 2000


@dataclass(frozen=True, eq=False)
class Comparison:
    """Several models on the same images: those on which every model's logits are finite.

    Attributes:
        models: The models' names; the first is what the others are held against in figures.
        classes: The class names.
        names: The images' names; empty where none were given.
        outcomes: One row an image, of every model.
        finite: `[image]`, whether every model's logits are finite.
        estimates: Every model's metrics.
        differences: Every two models, the later one as `model`, the earlier one as `reference`.
        agreement: How often each two agree.
    """

    models: tuple[str, ...]
    classes: tuple[str, ...]
    names: tuple[str, ...]
    outcomes: tuple[Outcomes, ...]
    finite: NDArray[np.bool_]
    estimates: Estimates
    differences: tuple[Difference, ...]
    agreement: Agreement

    @property
    def n(self) -> int:
        """How many images were scored."""
        return int(np.count_nonzero(self.finite))

    @property
    def n_left_out(self) -> int:
        """How many images were left out, since some model's logits of them are not finite."""
        return len(self.finite) - self.n

    def difference(self, model: str, reference: str) -> Difference:
        """Return how a model differs from a reference, in whichever order they were given.

        Raises:
            UsageError: There is no such model, or both are the same.
        """
        self._index(model)
        self._index(reference)
        for each in self.differences:
            if (each.model, each.reference) == (model, reference):
                return each
            if (each.reference, each.model) == (model, reference):
                return each.swapped()
        raise UsageError(f"expected two models, got {model!r} twice")

    def disagreement(self, model: str, reference: str) -> Disagreement:
        """Return the images on which two models differ.

        Raises:
            UsageError: There is no such model.
        """
        first, second = (
            replace(self.outcomes[self._index(name)], finite=self.finite) for name in (model, reference)
        )
        return disagreement(first, second)

    def _index(self, model: str) -> int:
        if model not in self.models:
            raise UsageError(f"expected one of {', '.join(self.models)}, got {model!r}")
        return self.models.index(model)

    @cached_property
    def disputed(self) -> NDArray[np.int64]:
        """The rows of images on which not all models make the same prediction, in ascending order."""
        first = self.outcomes[0].predicted
        differs = np.zeros(len(first), dtype=np.bool_)
        for other in self.outcomes[1:]:
            differs |= other.predicted != first
        return np.flatnonzero(differs & self.finite)

    def metrics(self) -> dict[str, Any]:
        """Return the account as JSON can hold it; what is not applicable is None.

        Keys: `n` (images scored), `n_left_out` (images that some model has no finite logits of), `models`: a
        dictionary a model (`model`, `n_not_finite`, each metric and its `_interval`), `differences`: one for
        each two models (see `Difference.metrics`), and the matrices `agreement` and `error_consistency`.
        """
        return {
            "n": self.n,
            "n_left_out": self.n_left_out,
            "models": [self._account(index) for index in range(len(self.models))],
            "differences": [each.metrics() for each in self.differences],
            **self.agreement.metrics(),
        }

    def _account(self, index: int) -> dict[str, Any]:
        flat: dict[str, Any] = {
            "model": self.models[index],
            "n_not_finite": self.outcomes[index].n_not_finite,
        }
        values, intervals = self.estimates.values[index], self.estimates.intervals[index]
        for metric, value, bounds in zip(METRICS, values, intervals, strict=True):
            flat[metric] = number(value)
            flat[f"{metric}_interval"] = bounds.tolist() if np.isfinite(bounds).all() else None
        return flat

    def save(self, folder: Path | str) -> list[Path]:
        """Write `comparison.json` and, under `tables/`, the tables of `save_tables`; return their paths."""
        path = Path(folder) / "comparison.json"
        write_json(path, self.metrics())
        return [path, *save_tables(self, Path(folder) / "tables")]


def compare(
    models: Mapping[str, Predictions | Outcomes], *, replicates: int = _REPLICATES, seed: int = 0
) -> Comparison:
    """Compare models on the same images: metrics, paired differences, exact tests, agreement.

    Accuracy, top-5 and balanced accuracy, negative log-likelihood, Brier score and expected calibration error
    (15 bins) of each model and of each two models' difference, with bootstrap 95 % intervals from draws that
    all models share; McNemar's exact test of each two, adjusted by Holm over all pairs, and of each class,
    adjusted over classes; agreement and error consistency. Images of which any model's logits are not finite
    are left out of all, and counted.

    Args:
        models: Predictions, or their outcomes, by name; the first is the reference in figures.
        replicates: How often the images are drawn anew.
        seed: The seed of the draws.

    Raises:
        UsageError: There are fewer than two models.
        InputError: They are not of the same images and classes.
        NotFiniteError: No image has finite logits from every model.
    """
    if len(models) < 2:
        raise UsageError(f"expected at least two models to compare, got {len(models)}")
    labellings = {name: Labelling.of(source) for name, source in models.items()}
    check_same_images(labellings)
    names = tuple(models)
    rows = {name: outcomes(source) for name, source in models.items()}
    finite = np.logical_and.reduce([row.finite for row in rows.values()])
    if finite.size and not finite.any():
        raise NotFiniteError(
            f"none of the {len(finite)} images has finite logits from every model",
            hint="leave out the model whose weights or inputs hold NaN",
        )
    kept = [replace(row, finite=finite).scored for row in rows.values()]
    estimates = estimate(kept, replicates=replicates, seed=seed)
    agreed = agreement(names, kept)
    differences = [
        difference((names[model], names[reference]), (model, reference), kept, estimates, overlap)
        for (reference, model), overlap in agreed.overlaps.items()
    ]
    return Comparison(
        models=names,
        classes=kept[0].classes,
        names=next((each.names for each in labellings.values() if each.names), ()),
        outcomes=tuple(rows.values()),
        finite=finite,
        estimates=estimates,
        differences=adjusted(differences),
        agreement=agreed,
    )
