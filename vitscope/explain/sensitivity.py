"""Infidelity and maximum sensitivity: whether a map foretells changes of the answer, and how steady it is."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import torch

from vitscope.explain.perturbation import pass_rows
from vitscope.explain.targets import check_logits

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from numpy.typing import NDArray
    from torch import Tensor, nn

    Floats = NDArray[np.float64]
    Explainer = Callable[[Tensor, Tensor, NDArray[np.int64]], NDArray[np.float32]]

__all__ = ["infidelity", "max_sensitivity"]

_SQUARES = 32
_NEIGHBOURS = 10
_RADIUS = 0.02
_INFIDELITY, _SENSITIVITY = 1, 2  # so that both draw different numbers


def infidelity(
    model: nn.Module,
    images: Tensor,
    maps: Sequence[NDArray[np.floating]],
    targets: Tensor,
    *,
    numbers: NDArray[np.int64],
    seed: int = 0,
) -> Floats:
    """Return how badly each of several maps foretells what removing a square does to the class's probability.

    With S a square of pixels, f the probability and x_S the image with S set to the mean (0 of the normalised
    input): the mean over 32 squares of (β·Σ_{i∈S} φ_i − (f(x) − f(x_S)))², the lower the better. β is the
    scale at which the map does best for that image, so that a map's unit does not matter; a map that is 0
    throughout has the mean of (f(x) − f(x_S))². Sides are uniform in 1 … half the shorter side, rounded up,
    places uniform among those within the image. All maps see the same squares.

    *Source*: Yeh et al. 2019, arXiv 1901.09392, definition 2.1 with square removal (section 3.2), by
    `captum.metrics.infidelity`; the scale as in the authors' code.

    Args:
        model: A classifier in evaluation mode.
        images: `[image, channel, row, column]`, normalised.
        maps: One a method, `[image, row, column]` on the pixels; the same for all channels.
        targets: `[image]`, the classes.
        numbers: `[image]`, each image's number, from which its squares are drawn.
        seed: The seed.

    Returns:
        `[method, image]`, at least 0.
    """
    from captum.metrics import infidelity as score_of

    group = max(1, pass_rows(images) // _SQUARES)
    found = np.empty((len(maps), len(images)))
    for first in range(0, len(images), group):
        part = slice(first, first + group)
        squares = _squares(numbers[part], tuple(images.shape[-2:]), seed).to(images)
        inside = squares[:, None].expand(-1, images.shape[1], -1, -1)
        answers = _Answers(model)
        for row, values in enumerate(maps):
            attributions = torch.from_numpy(np.array(values[part], dtype=np.float32)).to(images)
            score = score_of(
                answers.replayed(),
                lambda repeated, inside=inside: (inside, repeated * (1 - inside)),
                images[part],
                attributions[:, None].expand_as(images[part]).contiguous(),
                target=targets[part],
                n_perturb_samples=_SQUARES,
                normalize=True,
            )
            found[row, part] = score.double().cpu().numpy()
    return found.clip(0)  # the expanded square may round to −1e−9


class _Answers:
    """A model's probabilities, computed once and given again in the order they were asked for."""

    def __init__(self, model: nn.Module) -> None:
        self._model = model
        self._known: list[Tensor] = []

    def replayed(self) -> Callable[[Tensor], Tensor]:
        """Return the model as a function that is called with the same images in the same order each time."""
        calls = iter(range(1 << 30))

        def forward(images: Tensor) -> Tensor:
            call = next(calls)
            if call == len(self._known):
                with torch.inference_mode():
                    logits = check_logits(self._model(images), len(images))
                self._known.append(logits.float().softmax(dim=1))
            return self._known[call]

        return forward


def _squares(numbers: NDArray[np.int64], size: tuple[int, ...], seed: int) -> Tensor:
    """Return masks `[image and square, row, column]`, 1 inside a square, those of an image together."""
    rows, columns = size
    most = -(-min(rows, columns) // 2)
    masks = np.zeros((len(numbers), _SQUARES, rows, columns), dtype=np.float32)
    for image, number in enumerate(numbers.tolist()):
        random = np.random.default_rng((seed, _INFIDELITY, number))
        for mask, side in zip(masks[image], random.integers(1, most, _SQUARES, endpoint=True), strict=True):
            top, left = random.integers(0, [rows - side, columns - side], endpoint=True)
            mask[top : top + side, left : left + side] = 1
    return torch.from_numpy(masks).flatten(0, 1)


def max_sensitivity(
    explainer: Explainer, images: Tensor, targets: Tensor, *, numbers: NDArray[np.int64], seed: int = 0
) -> Floats:
    """Return how far a map may change, relative to its size, when its image hardly does.

    The largest ‖φ(x + δ) − φ(x)‖/‖φ(x)‖ of 10 draws of δ, each value uniform in ±0.02 of the normalised
    input, norms over the map's cells; the class explained stays the same. The lower the better, but a map
    that takes no notice of the image has 0.

    *Source*: Yeh et al. 2019, arXiv 1901.09392, definition 3.1, by `captum.metrics.sensitivity_max`.

    Args:
        explainer: A function of images, classes and keys `[image, 2]` to maps `[image, row, column]`: the
            second number of a key is 0 for an image and 1, 2, … for its neighbours.
        images: `[image, channel, row, column]`, normalised.
        targets: `[image]`, the classes.
        numbers: `[image]`, each image's number, from which its neighbours are drawn.
        seed: The seed.

    Returns:
        `[image]`, at least 0.
    """
    group = max(1, pass_rows(images) // _NEIGHBOURS)
    found = np.empty(len(images))
    for first in range(0, len(images), group):
        part = slice(first, first + group)
        steps = _neighbours(numbers[part], tuple(images.shape[1:]), seed).to(images)
        found[part] = _largest_change(explainer, images[part], targets[part], numbers[part], steps)
    return found


def _largest_change(
    explainer: Explainer, images: Tensor, targets: Tensor, numbers: NDArray[np.int64], steps: Tensor
) -> Floats:
    def explained(inputs: Tensor | tuple[Tensor, ...]) -> tuple[Tensor, ...]:
        given = inputs if isinstance(inputs, torch.Tensor) else inputs[0]  # captum's first call has a tuple
        many = len(given) // len(numbers)
        call = (
            np.tile(np.arange(1, many + 1), len(numbers)) if given is not images else np.zeros_like(numbers)
        )
        keys = np.stack([np.repeat(numbers, many), call], axis=1)
        repeated = targets.repeat_interleave(many)  # captum would not repeat one alone
        return (torch.from_numpy(explainer(given, repeated, keys)).double(),)

    from captum.metrics import sensitivity_max

    score = sensitivity_max(
        explained,
        images,
        lambda repeated: repeated + steps,
        n_perturb_samples=_NEIGHBOURS,
    )
    return np.asarray(score.cpu().numpy(), dtype=np.float64)


def _neighbours(numbers: NDArray[np.int64], shape: tuple[int, ...], seed: int) -> Tensor:
    """Return steps `[image and neighbour, channel, row, column]`, those of an image together."""
    drawn = [
        np.random.default_rng((seed, _SENSITIVITY, number)).uniform(-_RADIUS, _RADIUS, (_NEIGHBOURS, *shape))
        for number in numbers.tolist()
    ]
    return torch.from_numpy(np.concatenate(drawn))
