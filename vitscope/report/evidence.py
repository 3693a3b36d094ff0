"""Evidence: how faithful the maps of a report are, scored on the very images that they are drawn of."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import torch

from vitscope.explain.methods import pool_options
from vitscope.records.faithfulness import METRICS

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from torch import Tensor

    from vitscope.inference.classifier import Classifier
    from vitscope.records.attention import Pool
    from vitscope.records.provenance import Provenance

__all__ = ["EVIDENCE", "Evidence", "few_images"]

EVIDENCE = tuple(name for name, metric in METRICS.items() if metric.faithful)
"""The metrics of faithfulness; the checks of a whole method, stability and randomisation, are left out."""

_FEW = 30  # images below which an interval of a mean is wide, and its bootstrap too narrow


class Evidence:
    """The images and classes that maps were made of, batch by batch, to be scored in the end."""

    def __init__(self) -> None:
        self._inputs: list[Tensor] = []
        self._targets: list[int] = []

    def __len__(self) -> int:
        return len(self._targets)

    def take(self, inputs: Tensor, targets: Sequence[int]) -> None:
        """Keep a batch `[image, channel, row, column]` and the class explained in each image."""
        self._inputs.append(inputs)
        self._targets += targets

    def write(
        self,
        model: Classifier,
        methods: Sequence[str],
        names: tuple[str, ...],
        provenance: Provenance,
        stage: Path,
        *,
        pool: Pool | None = None,
    ) -> list[dict[str, Any]]:
        """Score the methods beside a random map and a centred one, and write tables, figures and the record.

        Args:
            model: The classifier.
            methods: The methods.
            names: The images' names.
            provenance: Where the scores come from.
            stage: A folder that the caller keeps whole.
            pool: What the head reads, where the model does not tell.

        Returns:
            A dictionary a method, the best first, as `MethodRanking.rows` has them.
        """
        # Here, since captum and scipy.stats take seconds to import.
        from vitscope.explain.faithfulness import faithfulness
        from vitscope.report.faithfulness import write_faithfulness

        targets = torch.tensor(self._targets, device=self._inputs[0].device)
        record = faithfulness(
            model,
            torch.cat(self._inputs),
            methods=methods,
            metrics=EVIDENCE,
            targets=targets,
            options=pool_options(methods, pool),
        )
        return write_faithfulness(replace(record, names=names, provenance=provenance), stage)

    def notes(self) -> tuple[str, ...]:
        """Return what is to be known of the scores: that they are of few images."""
        return tuple(
            f"{note}: `vitscope faithfulness` scores a whole split" for note in few_images(len(self))
        )


def few_images(count: int) -> tuple[str, ...]:
    """Return what is to be known of scores of so many images; nothing where they are enough."""
    if count >= _FEW:
        return ()
    images = "1 image" if count == 1 else f"{count} images"
    return (f"scores of {images} say little of a method, and their intervals are wide",)
