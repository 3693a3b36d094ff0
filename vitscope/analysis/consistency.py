"""Consistency: how far from the diagonal a calibrated model's bins lie by chance alone."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from vitscope.errors import UsageError

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["consistency_band"]


def consistency_band(
    count: NDArray[np.int64],
    confidence: NDArray[np.float64],
    *,
    replicates: int = 2000,
    seed: int = 0,
    coverage: float = 0.95,
) -> NDArray[np.float64]:
    """Return between which accuracies a bin of a calibrated model lies, each bin by itself.

    Images are drawn with replacement and each is made right with the probability that its confidence says;
    the band holds the middle 95 % of the bin's accuracies over many such draws. Of the images of one bin,
    each drawn at random, the right ones follow exactly a binomial of the bin's mean confidence; so only the
    bins are drawn, which costs the same for any number of images.

    *Source*: Bröcker and Smith 2007, "Increasing the reliability of reliability diagrams", section 3.
    *Differs*: draws that leave a bin empty are left out of that bin's band.

    Args:
        count: `[bin]`, images.
        confidence: `[bin]`, their mean confidence in 0 … 1; any value in an empty bin.
        replicates: How often to draw.
        seed: The seed.
        coverage: The share of draws within the band, in (0, 1).

    Returns:
        `[bin, 2]`: low and high, in 0 … 1; NaN in an empty bin.

    Raises:
        UsageError: There are no images or replicates, or the coverage is not in (0, 1).
    """
    total = int(count.sum())
    if total < 1 or replicates < 1 or not 0 < coverage < 1:
        raise UsageError(
            f"expected at least one image, one replicate and a coverage between 0 and 1, "
            f"got {total}, {replicates} and {coverage}"
        )
    rng = np.random.default_rng(seed)
    full = np.flatnonzero(count)
    drawn = rng.multinomial(total, count[full] / total, size=replicates)
    right = rng.binomial(drawn, confidence[full].clip(0, 1))
    tails = np.array([1 - coverage, 1 + coverage]) / 2
    band = np.full((len(count), 2), np.nan)
    for place, hits, images in zip(full, right.T, drawn.T, strict=True):
        some = images > 0
        if some.any():
            # An accuracy that was drawn: a bin of one image is right or wrong, and nothing between.
            band[place] = np.quantile(hits[some] / images[some], tails, method="nearest")
    return band
