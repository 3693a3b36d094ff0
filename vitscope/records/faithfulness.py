"""Faithfulness: how well each method's maps tell what a model's answers hang on, image by image."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from vitscope.errors import InputError
from vitscope.records.archive import read_archive, write_archive
from vitscope.records.provenance import Provenance

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray

    Floats = NDArray[np.float64]

__all__ = ["CENTRE", "METRICS", "RANDOM", "Faithfulness", "Metric", "is_baseline"]

FORMAT = "vitscope.faithfulness"

RANDOM, CENTRE = "random", "centre"
"""The baselines: a map of noise, and a Gaussian in the middle of the image."""


@dataclass(frozen=True)
class Metric:
    """One score of a map, as a table tells it.

    Attributes:
        name: The key in the record and the tables.
        title: What a figure writes.
        better: Which way is good.
        against: The baselines that it can be compared with; see `METRICS`.
        faithful: Whether it measures faithfulness and counts in the mean rank; the others are checks.
        source: Authors, year and arXiv number.
    """

    name: str
    title: str
    better: Literal["lower", "higher"]
    against: tuple[str, ...]
    faithful: bool
    source: str


_TABLE = (
    Metric("deletion", "Deletion", "lower", (RANDOM, CENTRE), True, "Petsiuk et al. 2018, arXiv 1806.07421"),
    Metric(
        "insertion", "Insertion", "higher", (RANDOM, CENTRE), True, "Petsiuk et al. 2018, arXiv 1806.07421"
    ),
    Metric("road", "ROAD", "higher", (RANDOM, CENTRE), True, "Rong et al. 2022, arXiv 2202.00449"),
    Metric("infidelity", "Infidelity", "lower", (RANDOM, CENTRE), True, "Yeh et al. 2019, arXiv 1901.09392"),
    Metric(
        "max_sensitivity", "Max-sensitivity", "lower", (RANDOM,), False, "Yeh et al. 2019, arXiv 1901.09392"
    ),
    Metric(
        "randomisation", "Randomisation", "lower", (CENTRE,), False, "Adebayo et al. 2018, arXiv 1810.03292"
    ),
    Metric(
        *("randomisation_ssim", "Randomisation, SSIM", "lower", (CENTRE,), False),
        "Adebayo et al. 2018, arXiv 1810.03292",
    ),
)

METRICS: Mapping[str, Metric] = {metric.name: metric for metric in _TABLE}
"""The metrics by name.

The random map is drawn anew at each call and the centre map is always the same, so that they are the two ends
of both checks: no map is more stable than the centre's, whose maximum sensitivity is 0, and none depends more
on the model than noise. Methods are compared with the other end alone.
"""


def is_baseline(method: str) -> bool:
    """Tell whether a method of a record is a baseline; noise of a finer grid is called `random 32x32`."""
    return method == CENTRE or method.partition(" ")[0] == RANDOM


@dataclass(frozen=True, eq=False)
class Faithfulness:
    """Scores of maps, one a method, a metric and an image, and the curves that some come from.

    Attributes:
        methods: The methods, baselines last: `random`, where maps have several grids a further one for each
            finer grid (`random 32x32`), and `centre`.
        metrics: Keys of `METRICS`, in its order.
        scores: `[method, metric, image]`; NaN where a metric was not measured on an image, of any method.
        grids: `[method]`, rows and columns of each method's maps.
        fractions: `[step]` a curve: the share of pixels taken out (`deletion`, `road_morf`, `road_lerf`) or
            put in (`insertion`).
        curves: `[method, image, step]` a curve: the target's probability.
        targets: `[image]`, the class that is explained.
        confidence: `[image]`, the target's probability for the whole image.
        names: One name an image; empty where there is none.
        options: The settings, as JSON can hold them.
        provenance: Where it comes from.

    Raises:
        InputError: The shapes do not fit together, a name is unknown or a score is not finite.
    """

    methods: tuple[str, ...]
    metrics: tuple[str, ...]
    scores: Floats
    grids: tuple[tuple[int, int], ...]
    fractions: Mapping[str, Floats]
    curves: Mapping[str, Floats]
    targets: NDArray[np.int64]
    confidence: Floats
    names: tuple[str, ...] = ()
    options: dict[str, object] = field(default_factory=dict)
    provenance: Provenance = field(default_factory=Provenance)

    def __post_init__(self) -> None:
        _check_names(self)
        _check_shapes(self)

    def __len__(self) -> int:
        return len(self.targets)

    @property
    def measured(self) -> NDArray[np.bool_]:
        """Where there is a score, `[metric, image]`; the same images of every method."""
        return np.asarray(~np.isnan(self.scores).all(axis=0))

    def baseline_of(self, method: str, kind: str) -> str:
        """Return the baseline of this kind for a method: noise is that of the method's own grid.

        Deleting single pixels in a random order destroys a picture sooner than deleting patches: a map on a
        coarse grid is held against noise on the same grid, a map of pixels against noise of pixels.

        Args:
            method: One of `methods`.
            kind: `random` or `centre`.
        """
        if kind == CENTRE:
            return CENTRE
        grid = self.grids[self.methods.index(method)]
        noises = (
            name
            for name, own in zip(self.methods, self.grids, strict=True)
            if is_baseline(name) and name != CENTRE and own == grid
        )
        return next(noises, RANDOM)

    def save(self, path: Path | str) -> Path:
        """Write one `.npz` file: the arrays, and everything else as JSON under `about`."""
        about = {
            "methods": list(self.methods),
            "metrics": list(self.metrics),
            "grids": [list(grid) for grid in self.grids],
            "curves": list(self.curves),
            "names": list(self.names),
            "options": self.options,
            "provenance": self.provenance.to_dict(),
        }
        arrays: dict[str, NDArray[Any]] = {
            "scores": self.scores,
            "targets": self.targets,
            "confidence": self.confidence,
        }
        for name, curve in self.curves.items():
            arrays |= {f"curve_{name}": curve, f"fractions_{name}": self.fractions[name]}
        return write_archive(Path(path), FORMAT, arrays, about)

    @classmethod
    def load(cls, path: Path | str) -> Faithfulness:
        """Read what `save` wrote.

        Raises:
            InputError: The file is not one of these, is damaged, or of a version not known here.
        """
        with read_archive(Path(path), FORMAT) as (arrays, about):
            return cls(
                methods=tuple(about["methods"]),
                metrics=tuple(about["metrics"]),
                scores=arrays["scores"],
                grids=tuple((int(rows), int(columns)) for rows, columns in about["grids"]),
                fractions={name: arrays[f"fractions_{name}"] for name in about["curves"]},
                curves={name: arrays[f"curve_{name}"] for name in about["curves"]},
                targets=arrays["targets"],
                confidence=arrays["confidence"],
                names=tuple(about["names"]),
                options=about["options"],
                provenance=Provenance.from_dict(about["provenance"]),
            )


def _check_names(record: Faithfulness) -> None:
    unknown = [name for name in record.metrics if name not in METRICS]
    if unknown or not record.metrics:
        raise InputError(f"expected metrics of {', '.join(METRICS)}, got {', '.join(unknown) or 'none'}")
    if not record.methods or len(set(record.methods)) < len(record.methods):
        raise InputError(
            f"expected at least one method, each once, got {', '.join(record.methods) or 'none'}"
        )
    if len(record.grids) != len(record.methods):
        raise InputError(f"expected {len(record.methods)} grids, one a method, got {len(record.grids)}")
    if record.names and len(record.names) != len(record.targets):
        raise InputError(f"expected {len(record.targets)} names, one an image, got {len(record.names)}")


def _check_shapes(record: Faithfulness) -> None:
    images = len(record.targets)
    shape = (len(record.methods), len(record.metrics), images)
    if record.scores.shape != shape or not images:
        raise InputError(
            f"expected scores {list(shape)} of at least one image, got {list(record.scores.shape)}"
        )
    wrong = ~np.isfinite(record.scores) & record.measured[None]
    if wrong.any():
        method, metric, _ = np.argwhere(wrong)[0]
        raise InputError(f"the {record.metrics[metric]} of {record.methods[method]} is not finite")
    if not record.measured.any(axis=1).all():
        lacking = record.metrics[int(record.measured.any(axis=1).argmin())]
        raise InputError(f"the {lacking} was measured on no image")
    if record.confidence.shape != (images,):
        raise InputError(f"expected {images} probabilities, got {list(record.confidence.shape)}")
    for name, curve in record.curves.items():
        steps = record.fractions.get(name, np.empty(0))
        if steps.ndim != 1 or curve.shape != (len(record.methods), images, len(steps)):
            raise InputError(
                f"expected the {name} curve as [{len(record.methods)}, {images}, {len(steps)}], "
                f"got {list(curve.shape)}"
            )
