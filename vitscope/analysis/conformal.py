"""Conformal prediction: sets of classes that hold the true one with a probability chosen beforehand."""

from __future__ import annotations

import json
import math
from dataclasses import asdict, dataclass
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from vitscope.analysis.conformity import ClassScore, ScoredRows, map_scored
from vitscope.analysis.unlabelled import unlabelled
from vitscope.errors import InputError, NotFiniteError, UsageError
from vitscope.paths import write_json

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from vitscope.analysis.conformity import ConformalMethod
    from vitscope.analysis.unlabelled import Answers
    from vitscope.records.predictions import Predictions

    Flags = NDArray[np.bool_]

__all__ = [
    "TEST",
    "ConformalPredictor",
    "calibration_rows",
    "check_width",
    "fit_conformal",
    "prediction_sets",
]

CALIBRATION, TEST = 0, 1
"""The sequences of random numbers of the images fitted on, and of those that sets are made for."""


@dataclass(frozen=True)
class ConformalPredictor:
    """What makes prediction sets: those classes whose score is at most the threshold.

    Attributes:
        score: The score of a class.
        alpha: The share of images whose set may miss the true class.
        threshold: The score up to which a class is in the set; infinite where there are too few images.
        n: How many images it was fitted on.
        n_not_finite: How many were left out because their logits are not finite.
        classes: The number of classes.
    """

    score: ClassScore
    alpha: float
    threshold: float
    n: int
    n_not_finite: int
    classes: int

    @property
    def order(self) -> int:
        """⌈(n + 1)(1 − α)⌉, the order of the threshold among the n scores; n + 1 where it is infinite."""
        return _order(self.n, self.alpha)

    @property
    def coverage_range(self) -> tuple[float, float]:
        """The central 95 % of the coverage of endlessly many new images, over draws of the n fitted on.

        It is distributed as Beta(k, n + 1 − k) with k = `order`, whatever the model, where no scores are
        tied; with ties it covers more. An infinite threshold covers all.

        *Source*: Vovk 2012, arXiv 1209.2673.
        """
        from scipy.special import betaincinv

        if math.isinf(self.threshold):
            return 1.0, 1.0
        low, high = (
            float(betaincinv(self.order, self.n + 1 - self.order, share)) for share in (0.025, 0.975)
        )
        return low, high

    def save(self, folder: Path | str) -> Path:
        """Write `conformal.json` into the folder and return its path; an infinite threshold is null."""
        path = Path(folder) / "conformal.json"
        write_json(path, asdict(self) | {"threshold": None if math.isinf(self.threshold) else self.threshold})
        return path

    @classmethod
    def load(cls, folder: Path | str) -> ConformalPredictor:
        """Read what `save` wrote.

        Raises:
            InputError: The file is missing or is not one of these.
        """
        path = Path(folder) / "conformal.json"
        try:
            values = json.loads(path.read_text(encoding="utf-8"))
            threshold = math.inf if values["threshold"] is None else float(values["threshold"])
            return cls(**values | {"threshold": threshold, "score": ClassScore(**values["score"])})
        except (OSError, ValueError, KeyError, TypeError, UsageError) as error:
            raise InputError(f"{path} holds no conformal predictor: {error}") from error


def fit_conformal(
    calibration: Predictions,
    *,
    alpha: float = 0.1,
    method: ConformalMethod = "lac",
    penalty: tuple[float, int] = (0.01, 5),
    seed: int = 0,
    rows: Flags | None = None,
) -> ConformalPredictor:
    """Fit split-conformal prediction sets to images that the model was neither trained nor chosen on.

    The threshold is the ⌈(n + 1)(1 − α)⌉-th smallest score of the true classes, infinite where that is beyond
    n; α counts as the decimal number that it is written as. New images that are exchangeable with these then
    have the true class in their set with a probability of at least 1 − α, and without ties of at most
    1 − α + 1/(n + 1): on average, not for each class, nor for each draw of the n images.

    The scores are those of `ClassScore`. A class is in the set where its score is at most the threshold, with
    the same u in fitting and in making sets; a set is always the first few ranks, and may be empty.

    *Source*: LAC, Sadinle, Lei and Wasserman 2019, arXiv 1609.00451; APS, Romano, Sesia and Candès 2020,
    arXiv 2006.02544; RAPS, Angelopoulos et al. 2021, arXiv 2009.14193, equation 4.
    *Differs*: `numpy.quantile` interpolates, which loses the guarantee. torchcp draws a u for each class and
    takes A + p_y − u p_y, the same in distribution; some code always takes the first class in, which makes
    sets larger and no more valid.

    Args:
        calibration: Labelled predictions.
        alpha: The share that may be missed, 0 < α < 1.
        method: Which score.
        penalty: λ and k_reg of RAPS, fixed beforehand: choosing them on the same images costs the guarantee.
        seed: The seed of u.
        rows: `[image]`, which images to fit on, such as `calibration_rows` gives; all by default.

    Raises:
        UsageError: An argument is out of range.
        InputError: There are no images, or `rows` does not fit them.
        NotFiniteError: No image has finite logits.
    """
    if not 0 < alpha < 1:
        raise UsageError(f"expected alpha between 0 and 1, got {alpha}")
    score = ClassScore(method, *penalty, seed)
    asked = len(calibration) if rows is None else int(np.count_nonzero(rows))
    if not asked:
        raise InputError("expected at least one image to fit on, got none")
    parts = list(map_scored(_own_score, calibration, score, stream=CALIBRATION, rows=rows))
    own = np.concatenate(parts)
    if not own.size:
        raise NotFiniteError(f"none of the {asked} images to fit on has finite logits")
    order = _order(own.size, alpha)
    return ConformalPredictor(
        score=score,
        alpha=alpha,
        threshold=float(np.partition(own, order - 1)[order - 1]) if order <= own.size else math.inf,
        n=own.size,
        n_not_finite=asked - own.size,
        classes=len(calibration.classes),
    )


def prediction_sets(predictor: ConformalPredictor, answers: Answers) -> Flags:
    """Return which classes are in each image's set: `[image, class]`, all at once, for few images.

    `evaluate_conformal` counts the same sets without holding them. The set of an image with logits that are
    not finite is empty.

    Raises:
        InputError: The classes are not as many as the predictor's.
    """
    count, width = answers.logits.shape
    check_width(predictor, width)
    sets = np.zeros((count, width), dtype=np.bool_)

    def members(part: ScoredRows) -> tuple[ScoredRows, Flags]:
        inside = np.empty(part.probabilities.shape, dtype=np.bool_)
        order = np.argsort(-part.probabilities, axis=1, kind="stable")
        np.put_along_axis(inside, order, part.scores <= predictor.threshold, axis=1)
        return part, inside

    for part, inside in map_scored(members, unlabelled(answers), predictor.score, stream=TEST):
        sets[part.image] = inside
    return sets


def calibration_rows(labels: NDArray[np.int64], *, fraction: float = 0.5, seed: int = 0) -> Flags:
    """Choose which images calibrate where no other part is at hand; the rest, `~rows`, is to be tested on.

    round(fraction · n) images are drawn without replacement, every such choice as likely as any other: this
    alone makes both parts exchangeable, which the promised coverage and its range rest on. To draw from each
    class its share would not: with one image a class, drawn in turns, all easy classes may fall on one side.

    Args:
        labels: `[image]`, the class of each image; only their number matters.
        fraction: The share that calibrates, 0 < fraction < 1.
        seed: The seed.

    Returns:
        `[image]`, True where the image calibrates.

    Raises:
        UsageError: The fraction is out of range.
    """
    if not 0 < fraction < 1:
        raise UsageError(f"expected a fraction between 0 and 1, got {fraction}")
    count = len(labels)
    rows = np.zeros(count, dtype=np.bool_)
    rows[np.random.default_rng(seed).permutation(count)[: round(fraction * count)]] = True
    return rows


def check_width(predictor: ConformalPredictor, width: int) -> None:
    """Refuse predictions with another number of classes.

    Raises:
        InputError: It is another.
    """
    if width != predictor.classes:
        raise InputError(f"expected predictions of {predictor.classes} classes, got {width}")


def _order(n: int, alpha: float) -> int:
    # 0.1 is a hair above one tenth in binary: as a decimal, 9 images have their 9th score, not the 10th.
    return n + 1 - math.floor((n + 1) * Fraction(repr(float(alpha))))


def _own_score(part: ScoredRows) -> NDArray[np.float64]:
    return np.asarray(part.scores[np.arange(len(part.image)), part.label_rank])
