"""Robustness to common corruptions: errors by kind and severity, and their means."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from vitscope.analysis.bootstrap import REPLICATES, bootstrap, interval
from vitscope.analysis.corruption_means import mean_error, mean_of, reference_scales, scaled
from vitscope.analysis.intervals import wilson
from vitscope.analysis.tables import number, write_table
from vitscope.data.corruptions.kinds import CORRUPTIONS, EXTRA, FAMILIES, GENERATOR, MAIN, check_corruption
from vitscope.errors import InputError, UsageError

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from numpy.typing import NDArray

    from vitscope.analysis.bootstrap import Statistic
    from vitscope.analysis.outcomes import Outcomes
    from vitscope.records.predictions import Predictions

    Floats = NDArray[np.float64]
    Source = Predictions | Outcomes
    Cell = tuple[str, int]
    Interval = tuple[float, float]

__all__ = ["CorruptionResult", "corruption"]

_NO_INTERVAL = (float("nan"), float("nan"))


@dataclass(frozen=True, eq=False)
class CorruptionResult:
    """The errors of one model on corrupted copies of the same images.

    Attributes:
        kinds: The kinds measured, in the order of `CORRUPTIONS`.
        severities: The severities measured, ascending.
        generator: What made the images: numbers of different generators do not compare.
        n: How many images there are.
        clean_error: The error on the images as they are, in 0 … 1.
        clean_interval: Its Wilson 95 % interval.
        error: `[kind, severity]`, in 0 … 1; NaN where no image has finite logits.
        interval: `[kind, severity, 2]`, Wilson 95 %.
        n_scored: `[kind, severity]`, images with finite logits.
        kind_error: `[kind]`, the mean over severities.
        kind_interval: `[kind, 2]`, 95 % bootstrap; NaN where there is none, see `bootstrap.interval`.
        corruption_error: The mean of `kind_error` over those of the fifteen kinds that were measured; NaN
            where none was.
        corruption_error_interval: 95 % bootstrap: the same images are drawn for all kinds and severities.
        extra_error: The same of the four extra kinds.
        extra_error_interval: As above.
        mce: The mean over the fifteen kinds of Σ errors / Σ reference errors; None without a reference.
        mce_interval: As above.
    """

    kinds: tuple[str, ...]
    severities: tuple[int, ...]
    generator: str
    n: int
    clean_error: float
    clean_interval: Interval
    error: Floats
    interval: Floats
    n_scored: NDArray[np.int64]
    kind_error: Floats
    kind_interval: Floats
    corruption_error: float
    corruption_error_interval: Interval
    extra_error: float
    extra_error_interval: Interval
    mce: float | None = None
    mce_interval: Interval | None = None

    @property
    def families(self) -> tuple[str, ...]:
        """The families of the kinds measured."""
        return tuple(family for family in FAMILIES if self.family_kinds(family))

    def family_kinds(self, family: str) -> tuple[str, ...]:
        """Return the measured kinds of a family."""
        return tuple(kind for kind in self.kinds if CORRUPTIONS[kind].family == family)

    def family_error(self, family: str) -> Floats:
        """Return the mean error of a family's measured kinds: `[severity]`."""
        rows = [self.kinds.index(kind) for kind in self.family_kinds(family)]
        return np.asarray(self.error[rows].mean(axis=0))

    def metrics(self) -> dict[str, Any]:
        """Return flat keys as JSON can hold them; what was not measured is None.

        Keys: `corruption_generator`, `corruption_n`, `corruption_n_not_finite` (over all copies),
        `corruption_n_kinds` (of the fifteen), `corruption_severities`, `corruption_clean_error`,
        `corruption_error`, `corruption_extra_error` and `mce` with their `…_interval`, and for each kind
        `corruption_error_KIND` with its interval.
        """
        kinds: dict[str, Any] = {}
        for kind, value, bounds in zip(self.kinds, self.kind_error, self.kind_interval, strict=True):
            kinds |= {f"corruption_error_{kind}": number(value)}
            kinds |= {f"corruption_error_{kind}_interval": _listed(bounds.tolist())}
        return {
            "corruption_generator": self.generator,
            "corruption_n": self.n,
            "corruption_n_not_finite": int((self.n - self.n_scored).sum()),
            "corruption_n_kinds": sum(kind in MAIN for kind in self.kinds),
            "corruption_severities": list(self.severities),
            "corruption_clean_error": number(self.clean_error),
            "corruption_clean_error_interval": _listed(self.clean_interval),
            "corruption_error": number(self.corruption_error),
            "corruption_error_interval": _listed(self.corruption_error_interval),
            "corruption_extra_error": number(self.extra_error),
            "corruption_extra_error_interval": _listed(self.extra_error_interval),
            "mce": self.mce,
            "mce_interval": _listed(self.mce_interval),
            **kinds,
        }

    def save(self, folder: Path | str) -> Path:
        """Write `corruptions.csv` into the folder, one row a kind and severity, and return its path.

        The first row is the clean images, kind `none` and severity 0.
        """
        path = Path(folder) / "corruptions.csv"
        names = ("kind", "family", "severity", "n", "error", "low", "high", "generator")
        rows: list[tuple[str | int | float, ...]] = [
            ("none", "none", 0, self.n, self.clean_error, *self.clean_interval, "none")
        ]
        for row, kind in enumerate(self.kinds):
            for column, severity in enumerate(self.severities):
                scored, error = int(self.n_scored[row, column]), float(self.error[row, column])
                bounds = self.interval[row, column].tolist()
                family = CORRUPTIONS[kind].family
                rows.append((kind, family, severity, scored, error, *bounds, self.generator))
        write_table(path, names, rows, percent=("error",))
        return path


def corruption(
    clean: Source,
    corrupted: Mapping[Cell, Source] | Iterable[tuple[Cell, Source]],
    *,
    reference: Mapping[str, Sequence[float]] | None = None,
    generator: str = GENERATOR,
    replicates: int = REPLICATES,
    seed: int = 0,
) -> CorruptionResult:
    """Measure how a model's error grows under corruptions of the same images.

    The error of a kind is the mean over its severities, and the corruption error the plain mean over those of
    the fifteen kinds that were measured, as is the habit on CIFAR; the four extra kinds are reported apart.
    With a reference, CE_kind = Σ_s E_s / Σ_s E_s^reference and mCE is their mean, a share, not per cent.

    *Source*: Hendrycks and Dietterich 2019, arXiv 1903.12261. *Differs*: images whose logits are not finite
    are left out of their kind and severity, not scored as wrong.

    Args:
        clean: The predictions of the clean images, or their outcomes.
        corrupted: Those of the corrupted copies by kind and severity, in the same order of images; pairs from
            a generator are read one by one, and one byte an image is kept of each.
        reference: Five errors for each of the fifteen kinds, like `ALEXNET_ERRORS`, for the mCE.
        generator: What made the copies; `CIFAR-10-C` where the published files were read.
        replicates: Bootstrap draws.
        seed: The seed of the bootstrap.

    Raises:
        UsageError: A kind or severity does not exist or is missing from the grid, or the mCE is asked for
            without all fifteen kinds at all severities.
        InputError: The copies are not of the same images.
    """
    if not len(clean.labels):
        raise InputError("expected predictions of at least one image, got none")
    pairs = corrupted.items() if isinstance(corrupted, Mapping) else corrupted
    cells: dict[Cell, NDArray[np.int8]] = {}
    for cell, source in pairs:
        cells[cell] = _verdicts(source, clean, cell)
        del source  # before the next are made: two sets of logits may be too many
    kinds, severities = _grid(cells)
    verdicts = np.array([[cells[kind, severity] for severity in severities] for kind in kinds])
    statistics = _statistics(kinds, verdicts)
    if reference is not None:
        scales = reference_scales(reference, kinds, severities)
        statistics["mce"] = mean_of([scaled(statistics[kind], scales[kind]) for kind in MAIN])
    drawn = bootstrap(statistics, len(clean.labels), replicates=replicates, seed=seed)
    once = np.ones(len(clean.labels))
    values = {name: statistic(once) for name, statistic in statistics.items()}
    bounds = {name: interval(draws, values[name]) or _NO_INTERVAL for name, draws in drawn.items()}
    scored, error, error_interval = _errors(verdicts)
    _, plain, (low, high) = _errors(_verdicts(clean, clean, ("none", 0)))
    return CorruptionResult(
        kinds=kinds,
        severities=severities,
        generator=generator,
        n=len(once),
        clean_error=float(plain),
        clean_interval=(float(low), float(high)),
        error=error,
        interval=error_interval,
        n_scored=scored,
        kind_error=np.array([values[kind] for kind in kinds]),
        kind_interval=np.array([bounds[kind] for kind in kinds]),
        corruption_error=values["main"],
        corruption_error_interval=bounds["main"],
        extra_error=values["extra"],
        extra_error_interval=bounds["extra"],
        mce=values.get("mce"),
        mce_interval=bounds.get("mce"),
    )


def _statistics(kinds: tuple[str, ...], verdicts: NDArray[np.int8]) -> dict[str, Statistic]:
    """Return the mean error of each kind, of the fifteen (`main`), and of the four extras (`extra`)."""
    statistics = {kind: mean_error(verdicts[row]) for row, kind in enumerate(kinds)}
    for name, group in (("main", MAIN), ("extra", EXTRA)):
        statistics[name] = mean_of([statistics[kind] for kind in kinds if kind in group])
    return statistics


def _errors(verdicts: NDArray[np.int8]) -> tuple[NDArray[np.int64], Floats, Floats]:
    """Return how many images were scored, the error among them, and its interval, over the last axis."""
    wrong, scored = (verdicts == 0).sum(axis=-1), (verdicts >= 0).sum(axis=-1)
    with np.errstate(invalid="ignore"):
        return scored, np.asarray(wrong / scored), wilson(wrong, scored)


def _listed(bounds: Sequence[float] | None) -> list[float | None] | None:
    if bounds is None or not np.isfinite(bounds).all():
        return None
    return [number(bound) for bound in bounds]


def _verdicts(source: Source, clean: Source, cell: Cell) -> NDArray[np.int8]:
    """Return 1 where an image is predicted right, 0 where wrong, −1 where its logits are not finite."""
    if not np.array_equal(source.labels, clean.labels):
        raise InputError(
            f"expected {cell[0]} {cell[1]} of the same {len(clean.labels)} images in the same order, "
            "got other labels"
        )
    return np.where(source.predicted < 0, -1, source.predicted == source.labels).astype(np.int8)


def _grid(cells: Mapping[Cell, object]) -> tuple[tuple[str, ...], tuple[int, ...]]:
    for kind, severity in cells:
        check_corruption(kind, severity)
    kinds = tuple(kind for kind in CORRUPTIONS if any(cell[0] == kind for cell in cells))
    severities = tuple(sorted({severity for _, severity in cells}))
    missing = [(kind, level) for kind in kinds for level in severities if (kind, level) not in cells]
    if not cells or missing:
        what = f"{missing[0][0]} {missing[0][1]} is missing" if missing else "there is none"
        raise UsageError(f"expected every kind of corruption at every severity, but {what}")
    return kinds, severities
