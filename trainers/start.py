"""The first step before the first step: a network is given the weights that training begins with."""

from __future__ import annotations

from math import isqrt
from typing import TYPE_CHECKING

import numpy as np
import torch
from timm.layers.pos_embed import resample_abs_pos_embed

from vitscope.inference.fitting import fit_weights
from vitscope.models.head import head_of

if TYPE_CHECKING:
    from torch import Tensor, nn

    from vitscope.trainers.preparation import Prepared
    from vitscope.trainers.sections import Settings

__all__ = ["begin", "freeze", "training_mode"]

_SAMPLE = 5000  # images that a network is shown that begins from the data
_POSITIONS = ("pos_embed", "pos_embedding")


def begin(network: nn.Module, settings: Settings, prepared: Prepared) -> tuple[str, ...]:
    """Give a fresh network what its run begins with: weights, or what it takes from the images; then freeze.

    Called once for a new run, before the network goes to its device; the weights that `prepared` holds are
    let go of.

    Args:
        network: As `build_model` made it; it is changed in place.
        settings: The run's settings.
        prepared: What the run starts from.

    Returns:
        What the user should know of it, one sentence each.

    Raises:
        CheckpointError: The weights do not fit the network.
    """
    notes: list[str] = []
    count = len(prepared.train)
    if settings.batch_size > count:
        notes.append(f"a batch of {settings.batch_size} holds all {count} images: an epoch is one step")
    initialize = getattr(network, "initialize_from", None)
    if prepared.origin.state:
        notes += _take_over(network, prepared, name=settings.model.name)
        prepared.origin.state.clear()
    elif callable(initialize):
        initialize(_sample(prepared))
    freeze(network, settings)
    return tuple(notes)


def freeze(network: nn.Module, settings: Settings) -> None:
    """Freeze all but the head where the head alone is trained; needed again when a run goes on."""
    if settings.start.train == "all":
        return
    heads = head_of(network)
    for name, parameter in network.named_parameters():
        if not any(name.startswith(f"{head}.") for head in heads):
            parameter.requires_grad_(False)


def training_mode(network: nn.Module) -> None:
    """Set a network to training, but leave the parts that are wholly frozen as they are in evaluation.

    So frozen batch norms keep their statistics, and frozen layers drop nothing: the head sees the features
    that it will see later.
    """
    network.train()
    for module in network.modules():
        weights = list(module.parameters())
        if weights and not any(each.requires_grad for each in weights):
            module.eval()


def _take_over(network: nn.Module, prepared: Prepared, *, name: str) -> list[str]:
    """Load the weights, all of them but a head of other classes; return what is not as in the file."""
    state, fresh = dict(prepared.origin.state), network.state_dict()
    notes = [f"{key} was resampled from images of another size" for key in _resampled(state, network)]
    known = len(prepared.origin.classes)
    if prepared.origin.headless:
        heads = tuple(f"{head}." for head in head_of(network))
        state |= {key: tensor for key, tensor in fresh.items() if key.startswith(heads)}
        notes.append("the head begins anew: the weights were learned from masked images, without classes")
    for head in head_of(network):
        for key in (f"{head}.weight", f"{head}.bias"):
            if key in state and key in fresh and state[key].shape != fresh[key].shape:
                state[key] = _merged(state[key], fresh[key], known)
        rows = len(prepared.origin.state.get(f"{head}.weight", ()))
        classes = len(fresh[f"{head}.weight"])
        if rows and rows != classes:
            notes.append(
                f"classes in {head}: {rows} of the checkpoint, then {classes - rows} new"
                if known
                else f"{head} begins anew: the weights have {rows} classes, the data {classes}"
            )
    fit_weights(network, state, name=name)
    return notes


def _merged(given: Tensor, fresh: Tensor, known: int) -> Tensor:
    """Return the head of a checkpoint with new rows after its own; a fresh one for other weights."""
    if not known:
        return fresh
    if len(given) != known or given.shape[1:] != fresh.shape[1:]:
        return given  # damaged: the strict fit says how
    merged = fresh.clone()
    merged[:known] = given
    return merged


def _resampled(state: dict[str, Tensor], network: nn.Module) -> list[str]:
    """Bring learnt position embeddings to the network's grid, in `state`; return the names of those."""
    changed: list[str] = []
    prefix = 0 if getattr(network, "no_embed_class", False) else getattr(network, "num_prefix_tokens", 1)
    for key, own in network.state_dict().items():
        given = state.get(key)
        if key.rpartition(".")[2] not in _POSITIONS or given is None or given.shape == own.shape:
            continue
        grids = [isqrt(max(each.shape[1] - prefix, 0)) for each in (own, given)] if given.ndim == 3 else []
        if [grid**2 + prefix for grid in grids] == [own.shape[1], given.shape[1]]:
            state[key] = resample_abs_pos_embed(given, [grids[0], grids[0]], num_prefix_tokens=prefix)
            changed.append(key)
    return changed


def _sample(prepared: Prepared) -> Tensor:
    """Return normalised training images, evenly spread over the set."""
    count = len(prepared.train)
    chosen = np.unique(np.linspace(0, count - 1, min(count, _SAMPLE)).astype(np.int64))
    with torch.no_grad():
        return prepared.preprocessing.normalize(prepared.train.pixels(prepared.preprocessing, chosen))
