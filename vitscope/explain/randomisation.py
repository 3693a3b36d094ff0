"""Randomisation: a model whose parameters are redrawn layer by layer, from the answer down to the image."""

from __future__ import annotations

import copy
from collections import Counter
from functools import partial
from typing import TYPE_CHECKING

import numpy as np
import torch

from vitscope.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from torch import Tensor, nn

__all__ = ["parameter_layers", "randomised"]

_WIDTH = 0.02  # of parameters that are all alike: what transformers are initialised with


def randomised(model: nn.Module, images: Tensor, *, seed: int = 0) -> Iterator[tuple[str, nn.Module]]:
    """Yield the model with its topmost layer redrawn, then its two topmost, and so on to all of it.

    A parameter is redrawn from the normal distribution with its own mean and standard deviation, which keeps
    the size of what goes through the network; one whose values are all alike, with a standard deviation of
    0.02. Every parameter is: weights, biases, the scales and shifts of normalisation, position embeddings,
    class tokens. Buffers, so also the statistics of batch normalisation, stay. Each layer has a seed of its
    own, made of `seed` and its place, so that a layer's draw does not depend on the layers above it.

    The model itself is never touched: what is yielded is one copy, redrawn further each time.

    *Source*: cascading randomisation of Adebayo et al. 2018, arXiv 1810.03292, section 3.1.
    *Differs*: the parameters' own mean and standard deviation in place of the initialisation that the model
    was trained from, which no checkpoint tells.

    Args:
        model: A classifier in evaluation mode.
        images: `[image, channel, row, column]`; the first shows in which order the layers are used.
        seed: A whole number ≥ 0.

    Yields:
        The name of the layer redrawn last, and the model.

    Raises:
        InputError: The model has no parameter, or cannot be copied.
    """
    try:
        copied = copy.deepcopy(model)
    except Exception as error:  # whatever a user's own module raises
        raise InputError(f"the model cannot be copied to randomise it: {error}") from error
    layers = parameter_layers(copied, images)
    if not layers:
        raise InputError("the model has no parameter to randomise")
    done: set[int] = set()
    for place, (name, parameters) in enumerate(layers.items()):
        state = np.random.SeedSequence((seed, place)).generate_state(1, np.uint64)[0]
        generator = torch.Generator().manual_seed(int(state >> np.uint64(1)))
        for parameter in parameters:
            if id(parameter) not in done:  # one that layers share is redrawn with the uppermost
                _redraw(parameter, generator)
                done.add(id(parameter))
        yield name, copied


def parameter_layers(model: nn.Module, images: Tensor) -> dict[str, list[nn.Parameter]]:
    """Return the parameters layer by layer, the layer used last in a pass first.

    A layer is the outermost block of a numbered series, such as `blocks.3` or `layer4`, or else the module
    that holds a parameter; a parameter that two share is in both. What belongs to no module of its own, such
    as class tokens and position embeddings, is the lowest.

    Args:
        model: A classifier, which is run on the first image.
        images: `[image, channel, row, column]`.
    """
    order = _order_of_use(model, images[:1])
    series = Counter(_stem(name) for name, _ in model.named_modules() if name[-1:].isdigit())
    layers: dict[str, list[nn.Parameter]] = {}
    used: dict[str, int] = {}
    for name, parameter in model.named_parameters(remove_duplicate=False):
        owner = name.rpartition(".")[0]
        layer = _layer_of(owner, series)
        layers.setdefault(layer, []).append(parameter)
        used[layer] = max(used.get(layer, -1), order.get(owner, -1))
    return {layer: layers[layer] for layer in sorted(layers, key=lambda layer: -used[layer])}


def _layer_of(module: str, series: Mapping[str, int]) -> str:
    """Return a module's path up to its first part that is one of several of a series, else all of it."""
    parts = module.split(".")
    paths = (".".join(parts[: place + 1]) for place in range(len(parts)))
    return next((path for path in paths if path[-1:].isdigit() and series[_stem(path)] > 1), module)


def _stem(name: str) -> str:
    return name.rstrip("0123456789")


def _order_of_use(model: nn.Module, image: Tensor) -> dict[str, int]:
    """Return when each module without parts is called first, in one pass over an image.

    Those with parts begin before them, and their own parameters belong to what comes in.
    """
    order: dict[str, int] = {}

    def note(name: str, *_: object) -> None:
        order.setdefault(name, len(order))

    handles = [
        module.register_forward_pre_hook(partial(note, name))
        for name, module in model.named_modules()
        if next(module.children(), None) is None
    ]
    try:
        with torch.inference_mode():
            model(image)
    finally:
        for handle in handles:
            handle.remove()
    return order


def _redraw(parameter: nn.Parameter, generator: torch.Generator) -> None:
    with torch.no_grad():
        values = parameter.detach().cpu().double()
        spread = float(values.std()) if values.numel() > 1 else 0.0
        drawn = torch.randn(parameter.shape, generator=generator, dtype=torch.float64)
        drawn = float(values.mean()) + (spread or _WIDTH) * drawn
        parameter.copy_(drawn)
