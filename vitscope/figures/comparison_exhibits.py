"""The exhibits of a comparison of models: their figures with captions and data."""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Any

from vitscope.analysis.estimates import METRICS
from vitscope.analysis.rounding import rounded_p
from vitscope.analysis.samples import draw_rows
from vitscope.figures.captions import caption, counted, share
from vitscope.figures.comparison import draw_comparison
from vitscope.figures.disagreements import draw_disagreements
from vitscope.figures.exhibit import Exhibit, Table
from vitscope.figures.model_accuracy import letter
from vitscope.figures.pictures import blanked, pictures

if TYPE_CHECKING:
    from collections.abc import Iterable

    from vitscope.analysis.comparison import Comparison
    from vitscope.figures.montage import Images

__all__ = ["comparison_exhibit", "disagreements_exhibit"]

_COUNT, _SEED = 5, 42  # images of each group, and what draws them


def comparison_exhibit(comparison: Comparison, *, source: str = "") -> Exhibit:
    """Return the figure of a comparison: accuracies, differences, classes, agreement.

    Args:
        comparison: What `compare` returns, of at least two models.
        source: The sentence of a caption that says which data they are of.
    """
    first, *others = comparison.models
    accuracy = METRICS.index("accuracy")
    best = others[int(comparison.estimates.values[1:, accuracy].argmax())]
    values, intervals = comparison.estimates.values, comparison.estimates.intervals
    each = [
        f"{letter(row)} is {name}, {share(values[row, accuracy], intervals[row, accuracy])}"
        for row, name in enumerate(comparison.models)
    ]
    difference = comparison.difference(best, first)
    points = share(difference.values[accuracy], difference.intervals[accuracy]).replace(" %", " points", 1)
    p = rounded_p(difference.p_holm)
    p = f"< {p[1:]}" if p.startswith("<") else f"= {p}"
    text = caption(
        f"{counted(len(comparison.models), 'model')} on the same images (n = {comparison.n:,}).",
        "Accuracies with Wilson 95 % intervals: " + "; ".join(each) + ".",
        f"Differences are to {first}, with paired bootstrap 95 % intervals: of {best} "
        f"{points}, p {p} (McNemar's exact test, Holm's adjustment).",
        f"Below: {best} and {first} class by class with Tango's 95 % intervals, and how often models agree.",
        source,
    )
    draw = partial(draw_comparison, _lean(comparison), model=best)
    return Exhibit("comparison", draw, text, _data(comparison, best))


def disagreements_exhibit(
    images: Images, comparison: Comparison, *, reference: str, model: str, name: str, source: str = ""
) -> Exhibit:
    """Return the figure of images on which two models differ.

    Args:
        images: The images by their index.
        comparison: What `compare` returns.
        reference: The model that is drawn first.
        model: The other one.
        name: The figure's name.
        source: The sentence of a caption that says which data they are of.
    """
    found = comparison.disagreement(reference, model)
    groups = (found.only_model, found.only_reference, found.wrong_apart)
    drawn = [draw_rows(rows, _COUNT, seed=(_SEED, place)).tolist() for place, rows in enumerate(groups)]
    chosen = [index for group in drawn for index in group]
    draw = partial(
        draw_disagreements,
        pictures(images, chosen),
        _lean(comparison, chosen),
        reference,
        model,
        count=_COUNT,
        seed=_SEED,
    )
    first, second = (letter(comparison.models.index(each)) for each in (reference, model))
    counts = [counted(len(group), "image") for group in groups]
    text = caption(
        f"Images on which {reference} ({first}) and {model} ({second}) differ (n = {comparison.n:,}): "
        f"{first} alone is right on {counts[0]}, {second} alone on {counts[1]}, and both mistake {counts[2]} "
        "differently.",
        f"Images drawn at random (seed {_SEED}).",
        source,
    )
    places = [comparison.models.index(each) for each in (reference, model)]
    rows: list[list[Any]] = []
    for title, group in zip(("first_right", "second_right", "both_wrong"), drawn, strict=True):
        for index in group:
            said = [comparison.outcomes[place] for place in places]
            row = [title, index, comparison.names[index] if comparison.names else ""]
            row.append(comparison.classes[said[0].labels[index]])
            for each in said:
                row += [comparison.classes[each.predicted[index]], float(each.confidence[index])]
            rows.append(row)
    sides = ("predicted", "confidence")
    columns = (
        "group",
        "image",
        "name",
        "true",
        *(f"{each}_{side}" for each in ("first", "second") for side in sides),
    )
    return Exhibit(name, draw, text, Table(columns, rows))


def _lean(comparison: Comparison, shown: Iterable[int] = ()) -> Comparison:
    """Return the comparison without what its figures do not ask for, so that a file of it is small."""
    chosen = list(shown)
    estimates = replace(comparison.estimates, draws=comparison.estimates.draws[..., :0])
    rows = tuple(blanked(each, chosen) for each in comparison.outcomes)
    return replace(comparison, outcomes=rows, names=(), estimates=estimates)


def _data(comparison: Comparison, model: str) -> Table:
    first, place = comparison.models[0], METRICS.index("accuracy")
    values, intervals = comparison.estimates.values[:, place], comparison.estimates.intervals[:, place]
    rows: list[list[Any]] = []
    for name, value, ends in zip(comparison.models, values.tolist(), intervals.tolist(), strict=True):
        rows.append(["accuracy", name, None, None, value, *ends, None])
    for name in comparison.models[1:]:
        each = comparison.difference(name, first)
        ends = each.intervals[place].tolist()
        rows.append(["difference", name, first, None, float(each.values[place]), *ends, float(each.p_holm)])
    classes = comparison.difference(model, first).classes
    columns = (classes.value.tolist(), classes.interval.tolist(), classes.p_holm.tolist())
    for name, value, ends, p in zip(classes.classes, *columns, strict=True):
        rows.append(["class difference", model, first, name, value, *ends, p])
    same = comparison.agreement.same.tolist()
    for row, name in enumerate(comparison.models):
        for column, other in enumerate(comparison.models[:row]):
            rows.append(["agreement", name, other, None, same[row][column], None, None, None])
    return Table(("panel", "model", "reference", "class", "value", "low", "high", "p_holm"), rows)
