"""Captions: drafts of what stands below a figure in a paper, with the numbers in them."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from vitscope.analysis.rounding import rounded, with_interval

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from vitscope.analysis.accuracy import ClassAccuracy
    from vitscope.analysis.calibration import Reliability
    from vitscope.analysis.confidence import ConfidenceHistogram
    from vitscope.analysis.confusion import Confusion
    from vitscope.analysis.corruption import CorruptionResult
    from vitscope.analysis.coverage import ConformalResult
    from vitscope.analysis.openset import OpenSet
    from vitscope.analysis.ordering import ClassOrder
    from vitscope.analysis.selective import RiskCoverage
    from vitscope.analysis.smoothing import SmoothCalibration
    from vitscope.records.provenance import Provenance

__all__ = [
    "caption",
    "class_accuracy_caption",
    "confidence_caption",
    "conformal_caption",
    "confusion_caption",
    "corruptions_caption",
    "counted",
    "open_set_caption",
    "reliability_caption",
    "risk_coverage_caption",
    "share",
    "source_sentence",
    "temperature_caption",
]


def caption(*sentences: str) -> str:
    """Return sentences as one text; empty ones are left out."""
    return " ".join(each.strip() for each in sentences if each.strip())


def share(value: float, interval: Sequence[float] | None = None) -> str:
    """Return a share in per cent, with its interval in brackets where it has one."""
    if interval is None or not np.isfinite(interval).all():
        return f"{rounded(100 * float(value))} %"
    text = with_interval(100 * float(value), *(100 * float(bound) for bound in interval))
    return text.replace(" [", " % [", 1)


def counted(count: int, one: str, many: str = "") -> str:
    """Return a number of things, such as `1 image` and `1,234 images`."""
    return f"{count:,} {one if count == 1 else many or one + 's'}"


def source_sentence(provenance: Provenance | None) -> str:
    """Return which model and which data the numbers are of, as far as it is known; empty where it is not."""
    if provenance is None:
        return ""
    said = []
    if provenance.checkpoint:
        short = provenance.checkpoint_digest.rpartition(":")[2][:12]
        digest = f", digest {short}" if short else ""
        said.append(f"Model: {_short_path(provenance.checkpoint)}{digest}.")
    if provenance.data:
        split = f", {provenance.split} split" if provenance.split else ""
        said.append(f"Data: {_short_path(provenance.data)}{split}.")
    return " ".join(said)


def _short_path(name: str) -> str:
    """Return a path's last two parts: a caption tells nobody how this machine is laid out."""
    return "/".join(Path(name).parts[-2:]) if Path(name).is_absolute() else name


def class_accuracy_caption(result: ClassAccuracy, *, what: str = "class", many: str = "classes") -> str:
    """Return the caption of accuracy by class."""
    overall = result.overall
    return caption(
        f"Accuracy by {what} with Wilson 95 % intervals "
        f"(n = {overall.n:,}, {counted(len(result.classes), what, many)}).",
        f"The line is the accuracy of all images, {share(overall.value, overall.interval)}; the mean over "
        f"{many} is {share(result.balanced, result.balanced_interval)}, the wider of two intervals made of "
        "Wilson's.",
        _left_out(overall.n_not_finite),
    )


def _left_out(count: int) -> str:
    if not count:
        return ""
    verb = "was" if count == 1 else "were"
    return f"{counted(count, 'image')} with outputs that are not finite {verb} left out."


def confusion_caption(result: Confusion, order: ClassOrder | None = None) -> str:
    """Return the caption of a confusion matrix."""
    n = int(result.count.sum())
    text = f"Confusion matrix: the share of each true class (row) that is predicted as each class (n = {n:,}"
    if result.pairs:
        pair = result.pairs[0]
        names, images = (
            (result.classes[pair.true], result.classes[pair.predicted]),
            counted(pair.count, "image"),
        )
        most = (
            f"The most frequent confusion is {names[0]} taken for {names[1]}: {images}, "
            f"{share(pair.share, (pair.low, pair.high))} of the class (Wilson 95 % interval)."
        )
    else:
        most = "No image is misclassified."
    by = "" if order is None else ("by superclass" if order.groups else "by similarity of their confusions")
    return caption(f"{text}, {len(result.classes):,} classes).", most, by and f"Classes are ordered {by}.")


def reliability_caption(
    result: Reliability,
    smooth: SmoothCalibration | None = None,
    *,
    title: str = "Reliability diagram",
    intervals: Mapping[str, tuple[float, float]] | None = None,
) -> str:
    """Return the caption of a reliability diagram; `intervals` are those of `CalibrationErrors`."""
    known = intervals or {}
    errors = f"ECE {share(result.ece, known.get('ece'))}"
    if smooth is not None:
        errors += f", smooth calibration error {share(smooth.smooth_ece, known.get('smooth_ece'))}"
    kind = " (bootstrap 95 % intervals)" if known else ""
    return caption(
        f"{title}: accuracy by confidence in {len(result.count)} bins of equal width with Wilson 95 % "
        f"intervals (n = {result.n:,}); {errors}{kind}.",
        "Within the grey band the accuracy would lie in 95 % of samples were the model calibrated.",
        "" if smooth is None else "The curve is the kernel estimate without bins.",
    )


def temperature_caption(before: Reliability, after: Reliability, temperature: float) -> str:
    """Return the caption of reliability before and after temperature scaling."""
    return caption(
        reliability_caption(before, title="Reliability before and after temperature scaling").split(";")[0]
        + f"; ECE {share(before.ece)} before and {share(after.ece)} after scaling with "
        f"T = {temperature:.3f}, fitted on held-out images.",
        "Within the grey band the accuracy would lie in 95 % of samples were the model calibrated.",
    )


def confidence_caption(result: ConfidenceHistogram) -> str:
    """Return the caption of confidence of right and wrong predictions."""
    right, wrong = int(result.right.sum()), int(result.wrong.sum())
    means = [
        f"{share(mean)} of {kind}"
        for mean, kind in ((result.mean_right, "right"), (result.mean_wrong, "wrong"))
        if np.isfinite(mean)
    ]
    return caption(
        f"Confidence of {right:,} right and {wrong:,} wrong predictions in {len(result.right)} bins of equal "
        f"width (n = {right + wrong:,}).",
        f"The mean confidence is {' and '.join(means)} predictions." if means else "",
    )


def risk_coverage_caption(result: RiskCoverage) -> str:
    """Return the caption of a risk-coverage curve."""
    area = share(result.aurc, result.aurc_interval)
    kind = " (bootstrap 95 % interval)" if result.aurc_interval is not None else ""
    return caption(
        f"Error rate of the surest images by the share of images kept, ranked by {result.by} "
        f"(n = {result.n:,}, {counted(result.errors, 'error')}).",
        f"The area under the curve is {area}{kind}, {share(result.optimal)} if every error ranked last.",
        "The band is Wilson's 95 % interval of each point by itself.",
    )


def conformal_caption(result: ConformalResult) -> str:
    """Return the caption of prediction sets."""
    predictor = result.predictor
    ends, method = result.mean_size_interval, predictor.score.method.upper()
    mean = rounded(result.mean_size) if ends is None else with_interval(result.mean_size, *ends)
    return caption(
        f"Conformal prediction sets ({method}, fitted on {predictor.n:,} images) that "
        f"promise {share(1 - predictor.alpha)} coverage (n = {result.n:,}).",
        f"They hold the true class of {share(result.coverage, result.interval)} of the images (Wilson 95 % "
        f"interval) and have {mean} classes on average.",
        "Below: coverage by size and by class with Wilson 95 % intervals.",
    )


def open_set_caption(result: OpenSet, name: str) -> str:
    """Return the caption of how well foreign images are told from known ones."""
    told = ", ".join(
        f"{score.name.replace('_', ' ')} {with_interval(score.auroc.value, *score.auroc.interval)}"
        for score in result.scores
    )
    return caption(
        f"Telling {result.n_foreign:,} images of {name} from {result.n_known:,} known ones "
        f"(n = {result.n_known + result.n_foreign:,}): histograms of the scores and ROC curves.",
        f"AUROC with DeLong's 95 % intervals: {told}.",
        "Dots mark the share of known images called foreign where 95 % of the foreign are found.",
    )


def corruptions_caption(result: CorruptionResult) -> str:
    """Return the caption of errors on corrupted images."""
    mean = result.corruption_error
    means = (
        f"and {share(mean, result.corruption_error_interval)} on average over corruptions (bootstrap 95 % "
        "interval)"
        if np.isfinite(mean)
        else ""
    )
    return caption(
        f"Error by corruption and severity with Wilson 95 % intervals (n = {result.n:,} images under each of "
        f"{counted(len(result.kinds), 'corruption')}, made by {result.generator}).",
        f"The error is {share(result.clean_error, result.clean_interval)} on clean images {means}".strip()
        + ".",
    )
