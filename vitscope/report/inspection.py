"""The inspection folder: what a model's heads, places, filters and layers do."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from vitscope.analysis.similarity import cka
from vitscope.errors import InputError
from vitscope.explain.inspection import Batch, Inspection, inspect_model
from vitscope.explain.plan import PARTS, plan_inspection
from vitscope.figures.captions import source_sentence
from vitscope.inference.alignment import align
from vitscope.paths import MANIFEST, staged_folder, write_json
from vitscope.records.provenance import Provenance
from vitscope.report.inspection_files import (
    write_class_maps,
    write_filters,
    write_heads,
    write_lens,
    write_positions,
    write_similarities,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from pathlib import Path

    from vitscope.capture.blocks import Blocks
    from vitscope.data.imageset import ImageSet
    from vitscope.explain.plan import Plan
    from vitscope.inference.classifier import Classifier
    from vitscope.records.attention import Pool
    from vitscope.records.similarity import Similarity

__all__ = ["OF_WEIGHTS", "InspectionReport", "Other", "report_inspection"]

OF_WEIGHTS = ("positions", "filters")
"""The parts that need no images."""

_MEMORY = 1 << 30  # bytes of attention and features that are held at a time
_FEWEST, _MOST = 8, 64  # images at a time
_NEEDED = 4  # images that an unbiased CKA needs
_NOISE = 0.1  # CKA that unlike layers may have by chance before it is said


@dataclass(frozen=True, eq=False)
class Other:
    """The model that the first is compared with, and what both are called."""

    model: Classifier
    names: tuple[str, str]


@dataclass(frozen=True, eq=False)
class InspectionReport:
    """A written inspection.

    Attributes:
        folder: Where it lies.
        inspection: The records.
        similarities: CKA by name: `cka` within the model; with another model `cka_between` both and
            `cka_other` within that one.
        found: What `inspection.json` holds.
    """

    folder: Path
    inspection: Inspection
    similarities: dict[str, Similarity]
    found: dict[str, Any]


def report_inspection(
    model: Classifier,
    images: ImageSet | None,
    folder: Path,
    *,
    parts: Sequence[str] | None = None,
    other: Other | None = None,
    pool: Pool | None = None,
    overwrite: bool = False,
    progress: Callable[[int], None] | None = None,
) -> InspectionReport:
    """Look into a model by one pass over images, and write the folder whole or not at all.

    It holds `inspection.json`, `figures/` (see `save_exhibit`), `tables/*.csv` and `.tex`, `records/*.npz`,
    and `manifest.json`. Parts that do not apply to the model are left out with a reason, unless they were
    asked for by name.

    Args:
        model: The classifier, in evaluation mode.
        images: Labelled images; None where the parts asked for need none.
        folder: The folder to make.
        parts: Of `vitscope.explain.plan.PARTS`; all that apply where left out.
        other: A model to compare with by CKA, on the same images with its own preprocessing.
        pool: What the head reads, where the model does not tell: `cls` or `mean`.
        overwrite: Replace an inspection that lies there.
        progress: Called with the number of images done since the last call.

    Raises:
        CaptureError: A part that was asked for does not apply.
        InputError: There are no images for a part that needs them.
        DataError: The model does not know a class of the images.
        OutputError: The folder exists and `overwrite` is off.
        NotFiniteError: The model's output is not finite.
    """
    plan, layers = _plan(model, images, parts, other, pool=pool)
    with staged_folder(folder, overwrite=overwrite) as stage:
        batches: Iterator[Batch] = iter(())
        if images is not None and set(plan.parts) - set(OF_WEIGHTS):
            batches = _batches(align(images, model), model, other, plan.cost)
        inspection = inspect_model(
            model,
            batches,
            plan,
            classes=model.classes,
            other=None if other is None or layers is None else (other.model, layers),
            progress=progress,
        )
        inspection = _named(inspection, images)
        similarities = _similarities(inspection, other)
        source = source_sentence(_provenance(model, images))
        found = _about(model, images, plan) | _write(inspection, similarities, stage, source)
        found["warnings"] = [note for each in similarities.values() for note in _few_images(each)][:1]
        write_json(stage / "inspection.json", found)
        write_json(stage / MANIFEST, _manifest(model, images, other, plan))
    return InspectionReport(folder, inspection, similarities, found)


def _plan(
    model: Classifier,
    images: ImageSet | None,
    parts: Sequence[str] | None,
    other: Other | None,
    *,
    pool: Pool | None,
) -> tuple[Plan, Blocks | None]:
    """Return what applies, and the other model's layers, with the memory that an image of both takes."""
    wanted = PARTS if parts is None else tuple(parts)
    needy = [part for part in wanted if part in PARTS and part not in OF_WEIGHTS]
    if needy and not images:
        raise InputError(f"{', '.join(needy)} need images, and there are none", hint="name them with --data")
    plan = plan_inspection(model, _blank(model), parts=wanted, strict=parts is not None, pool=pool)
    layers = None
    if other is not None:
        theirs = plan_inspection(other.model, _blank(other.model), parts=("cka",), strict=True)
        layers, plan = theirs.layers, replace(plan, cost=plan.cost + theirs.cost)
    if images is not None and "cka" in plan.parts and len(images) < _NEEDED:
        why = f"CKA needs at least {_NEEDED} images, and there are {len(images)}"
        if parts is not None or other is not None:
            raise InputError(why, hint="name more images with --data, or leave cka out")
        kept = tuple(part for part in plan.parts if part != "cka")
        plan = replace(plan, parts=kept, layers=None, absent={**plan.absent, "cka": why})
    return plan, layers


def _blank(model: Classifier) -> torch.Tensor:
    shape = (1, model.preprocessing.channels, *model.preprocessing.size)
    return torch.zeros(shape, device=model.device)


def _batches(images: ImageSet, model: Classifier, other: Other | None, cost: int) -> Iterator[Batch]:
    """Yield minibatches of nearly equal size, as many images as memory allows."""
    most = min(_MOST, max(_FEWEST, _MEMORY // max(cost, 1)))
    count = -(-len(images) // most)
    for chosen in np.array_split(np.arange(len(images)), count):
        shown = model.prepare(images.pixels(model.preprocessing, chosen))
        second = None
        if other is not None:
            second = other.model.prepare(images.pixels(other.model.preprocessing, chosen))
        yield Batch(shown, images.labels[chosen], second)


def _named(inspection: Inspection, images: ImageSet | None) -> Inspection:
    """Return the records with the names of the images, where there are some of each image."""
    if inspection.lens is None or images is None:
        return inspection
    return replace(inspection, lens=replace(inspection.lens, names=images.names))


def _similarities(inspection: Inspection, other: Other | None) -> dict[str, Similarity]:
    if inspection.grams is None:
        return {}
    if other is None or inspection.other_grams is None:
        return {"cka": cka(inspection.grams)}
    first = replace(inspection.grams, model=other.names[0])
    second = replace(inspection.other_grams, model=other.names[1])
    return {"cka": cka(first), "cka_between": cka(first, second), "cka_other": cka(second)}


def _few_images(similarity: Similarity) -> tuple[str, ...]:
    """Return what is to be known of CKA over few images; nothing where they are enough.

    Of independent features the unbiased CKA of n images in b minibatches has a standard deviation of about
    √(2·b)/n, whatever their number.
    """
    chance = 1.96 * (2 * similarity.batches) ** 0.5 / similarity.images
    if chance <= _NOISE:
        return ()
    return (
        f"CKA over {similarity.images} images is noisy: layers that have nothing in common are within "
        f"\N{PLUS-MINUS SIGN}{chance:.2f} of 0 by chance alone",
    )


def _write(
    inspection: Inspection, similarities: dict[str, Similarity], stage: Path, source: str
) -> dict[str, Any]:
    found: dict[str, Any] = {}
    if inspection.heads is not None:
        found["heads"] = write_heads(inspection.heads, stage, source=source)
    if inspection.class_maps is not None:
        found["class_rollout"] = write_class_maps(inspection.class_maps, stage, source=source)
    if inspection.positions is not None:
        found["positions"] = write_positions(inspection.positions, stage, source=source)
    if inspection.filters is not None:
        found["filters"] = write_filters(inspection.filters, stage, source=source)
    if inspection.lens is not None:
        found["lens"] = write_lens(inspection.lens, stage, source=source)
    return found | write_similarities(similarities, stage, source=source)


def _about(model: Classifier, images: ImageSet | None, plan: Plan) -> dict[str, Any]:
    return {
        "model": model.name,
        "images": 0 if images is None else len(images),
        "parts": list(plan.parts),
        "absent": dict(plan.absent),
    }


def _provenance(model: Classifier, images: ImageSet | None) -> Provenance:
    known: dict[str, Any] = {"checkpoint": model.source, "checkpoint_digest": model.digest}
    if images is not None:
        known |= {"data": images.name, "split": images.split, "data_digest": images.digest}
    return Provenance.collect(**known)


def _manifest(model: Classifier, images: ImageSet | None, other: Other | None, plan: Plan) -> dict[str, Any]:
    compared = None if other is None else {"checkpoint": other.model.source, "digest": other.model.digest}
    return {
        "format": "vitscope.inspection",
        "version": 1,
        "parts": list(plan.parts),
        "other": compared,
        "provenance": _provenance(model, images).to_dict(),
    }
