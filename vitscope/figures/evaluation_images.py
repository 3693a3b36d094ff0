"""The exhibits of an evaluation's images: which are shown, and what is said of them."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from itertools import chain
from typing import TYPE_CHECKING

from vitscope.analysis.pairs import pair_samples
from vitscope.analysis.samples import class_samples, confident_errors, sample_indices, uncertain_hits
from vitscope.figures.captions import caption, counted, share
from vitscope.figures.class_gallery import draw_class_gallery
from vitscope.figures.exhibit import Exhibit, Table
from vitscope.figures.gallery import draw_gallery, draw_label_issues, draw_notice
from vitscope.figures.pairs import draw_pairs
from vitscope.figures.pictures import blanked, pictures

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from vitscope.analysis.labels import LabelIssues
    from vitscope.analysis.outcomes import Outcomes
    from vitscope.figures.montage import Images

__all__ = ["Showing", "images_data"]

_MARKS = (
    "Blue frames: right, vermillion frames: wrong; below each image the prediction, its confidence, and the "
    "true class."
)


@dataclass(frozen=True, eq=False)
class Showing:
    """What exhibits of images are made from.

    Attributes:
        rows: The outcomes of all images.
        images: The images by their index.
        names: Their names; empty where there are none.
        seed: The seed that draws them.
        source: The sentence of a caption that says which model and data they are of.
    """

    rows: Outcomes
    images: Images
    names: Sequence[str]
    seed: int
    source: str

    def exhibits(self, issues: LabelIssues | None) -> Iterator[Exhibit]:
        """Yield an exhibit at a time; its images are read when it is asked for."""
        yield from self._galleries()
        if issues is not None:
            yield self._issues(issues)
        yield self._classes()
        yield self._pairs()

    def _galleries(self) -> Iterator[Exhibit]:
        rows, seed = self.rows, self.seed
        finite = int(rows.finite.sum())
        right = int((rows.correct & rows.finite).sum())
        wrong = finite - right
        nothing_wrong = f"No image is misclassified: all {finite:,} predictions are right."
        nothing_right = f"No prediction is right: all {finite:,} images are misclassified."
        drawn = f"drawn at random (seed {seed})"
        chosen = sample_indices(rows, seed=seed).tolist()
        yield self._gallery("samples", chosen, f"{finite:,} images, {drawn}", "")
        chosen = sample_indices(rows, seed=seed, only="wrong").tolist()
        yield self._gallery(
            "misclassified", chosen, f"{wrong:,} misclassified images, {drawn}", nothing_wrong
        )
        chosen, said = confident_errors(rows).tolist(), f"{wrong:,} misclassified images, the most confident"
        yield self._gallery("confident_errors", chosen, said, nothing_wrong)
        chosen, said = uncertain_hits(rows).tolist(), f"{right:,} right predictions, the least confident"
        yield self._gallery("uncertain_hits", chosen, said, nothing_right)

    def _gallery(self, name: str, chosen: list[int], said: str, empty: str) -> Exhibit:
        if not chosen:
            return self._notice(name, empty)
        title = f"{len(chosen)} of {said}"
        shown, rows = pictures(self.images, chosen), blanked(self.rows, chosen)
        n = int(self.rows.finite.sum())
        text = caption(f"{title}; n = {n:,} images predicted.", _MARKS, self.source)
        draw = partial(draw_gallery, shown, rows, chosen, title=title)
        return Exhibit(name, draw, text, images_data(self.rows, self.names, chosen))

    def _notice(self, name: str, text: str) -> Exhibit:
        n = int(self.rows.finite.sum())
        return Exhibit(name, partial(draw_notice, text), caption(f"{text} (n = {n:,})", self.source))

    def _issues(self, issues: LabelIssues) -> Exhibit:
        chosen = issues.image[:16].tolist()
        shown, rows = pictures(self.images, chosen), blanked(self.rows, chosen)
        seen = (
            "" if issues.out_of_sample else "The model was trained on these images, so that most are missed."
        )
        text = caption(
            f"{len(chosen)} of {counted(len(issues), 'doubtful label')} among {issues.n:,} images (n = "
            f"{issues.n:,}), found by confident learning, the least believed first.",
            seen,
            _MARKS if chosen else "",
            self.source,
        )
        data = images_data(self.rows, self.names, chosen)
        return Exhibit("label_issues", partial(draw_label_issues, shown, rows, issues), text, data)

    def _classes(self) -> Exhibit:
        samples = class_samples(self.rows, seed=self.seed)
        chosen = [*chain.from_iterable(each.tolist() for each in (*samples.right, *samples.wrong))]
        shown, rows = pictures(self.images, chosen), blanked(self.rows, chosen)
        count = len(samples.index)
        few = count < samples.n_classes
        which = (
            f"The {count} classes of the lowest accuracy, of {samples.n_classes:,}," if few else "All classes"
        )
        text = caption(
            f"{which} with right examples (left, with the confidence) and wrong "
            f"ones (right, with the class predicted) drawn at random (seed {samples.seed}), the lowest "
            f"accuracy first (n = {int(samples.n.sum()):,} images of these classes).",
            self.source,
        )
        data = images_data(self.rows, self.names, chosen)
        return Exhibit("class_gallery", partial(draw_class_gallery, shown, rows, samples), text, data)

    def _pairs(self) -> Exhibit:
        pairs = pair_samples(self.rows, seed=self.seed)
        n = int(self.rows.finite.sum())
        if not pairs:
            return self._notice(
                "confused_pairs", f"No image is misclassified: all {n:,} predictions are right."
            )
        groups = ((each.first, each.first_taken, each.second_taken, each.second) for each in pairs)
        chosen = [index for group in groups for part in group for index in part.tolist()]
        first, classes = pairs[0].forward, self.rows.classes
        text = caption(
            f"The {counted(len(pairs), 'pair')} of classes that are most often taken for each other "
            f"(n = {n:,}).",
            f"Most often {classes[first.true]} is taken for {classes[first.predicted]}: "
            f"{counted(first.count, 'image')}, {share(first.share, (first.low, first.high))} of the class "
            f"(Wilson 95 % interval). Images drawn at random (seed {self.seed}).",
            self.source,
        )
        draw = partial(draw_pairs, pictures(self.images, chosen), classes, pairs)
        return Exhibit("confused_pairs", draw, text, images_data(self.rows, self.names, chosen))


def images_data(rows: Outcomes, names: Sequence[str], chosen: Iterable[int]) -> Table:
    """Return what is said of each image that a figure shows, in its order."""
    listed = [
        [
            index,
            names[index] if names else "",
            rows.classes[rows.labels[index]],
            rows.classes[rows.predicted[index]],
            float(rows.confidence[index]),
        ]
        for index in chosen
    ]
    return Table(("image", "name", "true", "predicted", "confidence"), listed)
