"""Samples: which images to show."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

import numpy as np

from vitscope.analysis.outcomes import Outcomes, outcomes
from vitscope.errors import UsageError

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from vitscope.records.predictions import Predictions

__all__ = ["sample_indices"]


def sample_indices(
    source: Predictions | Outcomes,
    *,
    count: int = 16,
    seed: int = 42,
    only: Literal["all", "wrong"] = "all",
) -> NDArray[np.int64]:
    """Draw images at random without replacement, the same for the same seed, in ascending order.

    Images with logits that are not finite have no prediction to show and are never drawn.

    Args:
        source: Predictions, or their outcomes.
        count: How many; all of them where there are fewer.
        seed: The seed of NumPy's PCG64.
        only: `all` images, or those predicted `wrong`.

    Returns:
        Row indices into the predictions, `[sample]`; empty where there is none to draw.

    Raises:
        UsageError: `count` is negative, or `only` is neither `all` nor `wrong`.
    """
    if count < 0:
        raise UsageError(f"expected a count of at least 0, got {count}")
    if only not in ("all", "wrong"):
        raise UsageError(f"expected only `all` or `wrong`, got {only!r}")
    rows = outcomes(source)
    pool = np.flatnonzero(rows.finite if only == "all" else rows.finite & ~rows.correct)
    chosen = np.random.default_rng(seed).choice(pool, size=min(count, len(pool)), replace=False)
    return np.sort(chosen)
