"""Random numbers of which every image has its own, whatever batch it comes in."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

import numpy as np

from vitscope.data.corruptions.kinds import GENERATOR
from vitscope.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import ArrayLike, NDArray

__all__ = ["Streams"]

_LARGEST = 2**63


class Streams:
    """Draws for a batch of images that depend on seed, kind, severity and each image's index alone.

    The seed, the kind and the severity make the key of a counter-based generator; an image's index and the
    number of the draw make the upper half of its counter, so that no two draws of any images overlap.

    *Source*: Salmon et al. 2011, "Parallel random numbers: as easy as 1, 2, 3" (Philox), as NumPy has it.

    Args:
        seed: Any whole number.
        kind: The kind of corruption.
        severity: 1 … 5.
        indices: `[image]`, the images' indices in their data set, at least 0.

    Raises:
        UsageError: An index is negative or beyond 2⁶³.
    """

    def __init__(self, seed: int, kind: str, severity: int, indices: ArrayLike) -> None:
        chosen = [int(index) for index in np.asarray(indices).ravel()]
        if any(not 0 <= index < _LARGEST for index in chosen):
            raise UsageError(f"expected indices of images in 0 … 2^63 - 1, got {min(chosen)} … {max(chosen)}")
        digest = hashlib.sha256(f"{GENERATOR}/{seed}/{kind}/{severity}".encode()).digest()
        self._key = np.frombuffer(digest[:16], dtype="<u8").astype(np.uint64)
        self._bits = np.random.Philox(key=self._key)
        self._generator = np.random.Generator(self._bits)
        self._indices = chosen
        self._draw = 0

    def __len__(self) -> int:
        return len(self._indices)

    def normal(self, shape: tuple[int, ...]) -> NDArray[np.float32]:
        """Return standard normal values: `[image, *shape]`."""
        values = np.empty((len(self), *shape), dtype=np.float32)
        self._each(lambda place: self._generator.standard_normal(out=values[place], dtype=np.float32))
        return values

    def uniform(self, shape: tuple[int, ...]) -> NDArray[np.float32]:
        """Return values in [0, 1): `[image, *shape]`."""
        values = np.empty((len(self), *shape), dtype=np.float32)
        self._each(lambda place: self._generator.random(out=values[place], dtype=np.float32))
        return values

    def integers(self, low: int, high: int, shape: tuple[int, ...]) -> NDArray[np.int64]:
        """Return whole numbers in low … high − 1: `[image, *shape]`."""
        values = np.empty((len(self), *shape), dtype=np.int64)

        def draw(place: int) -> None:
            values[place] = self._generator.integers(low, high, size=shape, dtype=np.int32)

        self._each(draw)
        return values

    def poisson(self, means: NDArray[np.floating]) -> NDArray[np.float32]:
        """Return Poisson counts of these means: `[image, …]`, of the same shape."""
        values = np.empty(means.shape, dtype=np.float32)

        def draw(place: int) -> None:
            values[place] = self._generator.poisson(means[place])

        self._each(draw)
        return values

    def _each(self, draw: Callable[[int], object]) -> None:
        """Call `draw` for every place of the batch, the generator at the start of that image's stream."""
        empty = np.zeros(4, dtype=np.uint64)
        counter = np.zeros(4, dtype=np.uint64)
        counter[2] = self._draw
        self._draw += 1
        for place, index in enumerate(self._indices):
            counter[3] = index
            self._bits.state = {
                "bit_generator": "Philox",
                "state": {"counter": counter, "key": self._key},
                "buffer": empty,
                "buffer_pos": 4,
                "has_uint32": 0,
                "uinteger": 0,
            }
            draw(place)
