"""Faithfulness of several methods on the same images, beside maps that know nothing."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from vitscope.errors import CaptureError, InputError, UsageError
from vitscope.explain.explainers import explainers
from vitscope.explain.methods import METHODS, explain, find_method
from vitscope.explain.perturbation import (
    area,
    deletion,
    insertion,
    on_pixels,
    pass_rows,
    passes,
    pixel_order,
)
from vitscope.explain.randomisation import randomised
from vitscope.explain.road import FRACTIONS, road, road_noise
from vitscope.explain.sensitivity import infidelity, max_sensitivity
from vitscope.explain.similarity import spearman, structural_similarity
from vitscope.explain.targets import check_logits, choose_targets
from vitscope.records.faithfulness import METRICS, Faithfulness, is_baseline

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from numpy.typing import NDArray
    from torch import Tensor, nn

    from vitscope.explain.explainers import Explainers

    Floats = NDArray[np.float64]
    Maps = NDArray[np.float32]

__all__ = ["CHECKED", "SLOW", "applicable_methods", "faithfulness"]

SLOW = ("flow",)
"""Methods that are measured only where they are asked for."""

CHECKED = 20
"""How many images, spread evenly, the checks are measured on: they take dozens of maps of each."""

RANDOMISATION = ("randomisation", "randomisation_ssim")


def applicable_methods(
    model: nn.Module, images: Tensor, *, options: Mapping[str, Mapping[str, Any]] | None = None
) -> tuple[tuple[str, ...], dict[str, str]]:
    """Return the methods that apply to a model, and why each other one does not.

    Each is tried on the first image, with its options, if it has some; those of `SLOW` are left out.
    """
    given = options or {}
    found, refused = [], {}
    for name in METHODS:
        if name in SLOW:
            refused[name] = "takes long, and is measured where it is asked for"
            continue
        try:
            explain(model, images[:1], method=name, **given.get(name, {}))
        except CaptureError as error:
            refused[name] = str(error)
        else:
            found.append(name)
    return tuple(found), refused


def faithfulness(
    model: nn.Module,
    images: Tensor,
    *,
    methods: Sequence[str] | None = None,
    metrics: Sequence[str] = tuple(METRICS),
    targets: Tensor | None = None,
    seed: int = 0,
    options: Mapping[str, Mapping[str, Any]] | None = None,
    progress: Callable[[int], None] | None = None,
) -> Faithfulness:
    """Score the maps of several methods, and the baselines', on every image; the model is left as it was.

    Maps are enlarged bilinearly to the pixels for deletion, insertion, ROAD, infidelity and structural
    similarity. The baselines are noise, on the grid of every method (`random` on the coarsest), and a
    Gaussian in the middle. An image's scores do not depend on the other images.

    Args:
        model: A classifier in evaluation mode, from float images to logits `[image, class]`.
        images: `[image, channel, row, column]`, normalised, on the model's device.
        methods: Keys of `vitscope.explain.methods.METHODS`; all that apply where left out.
        metrics: Keys of `vitscope.records.faithfulness.METRICS`.
        targets: `[image]`, the class that is explained; the predicted classes where left out.
        seed: Of noise, perturbations and redrawn parameters.
        options: Options of methods, by name, as `explain` takes them.
        progress: Called with the number of maps finished since the last call: every image's once a method,
            and every checked image's once more for each of maximum sensitivity and randomisation.

    Raises:
        UsageError: A method, an option or a metric is unknown, none is left, or the model is in training.
        InputError: The images or the targets are not what they must be.
        CaptureError: A method that was asked for does not apply to the model.
        NotFiniteError: The model's output is not finite.
    """
    if any(each.training for each in model.modules()):
        raise UsageError("the model is in training mode", hint="call model.eval() first")
    chosen = _check_metrics(metrics)
    given = dict(options or {})
    names = _check_methods(model, images, methods, given)
    confidence, classes = _answers(model, images, targets)
    tick = progress or (lambda _: None)
    made = explainers(model, images, classes, methods=names, seed=seed, options=given)
    result = _perturb(made, chosen, tick)
    result.scores |= _check(made, chosen, tick)
    return Faithfulness(
        methods=tuple(made.maps),
        metrics=chosen,
        scores=np.stack([result.scores[metric] for metric in chosen], axis=1),
        grids=made.grids,
        fractions=result.fractions,
        curves=result.curves,
        targets=classes.cpu().numpy(),
        confidence=confidence,
        options={"seed": seed, "method_options": {name: dict(value) for name, value in given.items()}},
    )


def _check_metrics(metrics: Sequence[str]) -> tuple[str, ...]:
    unknown = [name for name in metrics if name not in METRICS]
    if unknown or not metrics:
        raise UsageError(
            f"unknown metric {unknown[0]!r}" if unknown else "expected at least one metric, got none",
            hint=f"there are {', '.join(METRICS)}",
        )
    return tuple(name for name in METRICS if name in metrics)


def _check_methods(
    model: nn.Module, images: Tensor, methods: Sequence[str] | None, options: Mapping[str, Any]
) -> tuple[str, ...]:
    if methods is None:
        methods, refused = applicable_methods(model, images, options=options)
        if not methods:
            raise CaptureError(f"no method applies to this model: {next(iter(refused.values()))}")
    names = tuple(dict.fromkeys(find_method(name).name for name in methods if not is_baseline(name)))
    if not names:
        raise UsageError("expected at least one method, got none but baselines")
    for name in options:
        find_method(name)
    return names


def _answers(model: nn.Module, images: Tensor, targets: Tensor | None) -> tuple[Floats, Tensor]:
    """Return the probability of each image's class, and the classes."""
    if images.ndim != 4 or not len(images):
        raise InputError(f"expected images [image, channel, row, column], got {list(images.shape)}")
    with torch.inference_mode():
        parts = torch.split(images, pass_rows(images))
        logits = torch.cat([check_logits(model(part), len(part)) for part in parts])
        classes = choose_targets(targets, logits)
        confidence = logits.float().softmax(dim=1).gather(1, classes[:, None])[:, 0]
    # A copy made outside inference mode can be part of a graph.
    return confidence.cpu().double().numpy(), classes.clone()


@dataclass(eq=False)
class _Scores:
    """What was measured: scores `[method, image]` by metric, and curves with their fractions."""

    scores: dict[str, Floats] = field(default_factory=dict)
    fractions: dict[str, Floats] = field(default_factory=dict)
    curves: dict[str, Floats] = field(default_factory=dict)


def _perturb(made: Explainers, metrics: Sequence[str], progress: Callable[[int], None]) -> _Scores:
    """Measure the metrics that perturb images: deletion, insertion, ROAD and infidelity."""
    found: list[dict[str, Floats]] = []
    result = _Scores()
    for part in passes(made.images):
        numbers = made.numbers[part]
        maps = [on_pixels(each[part], made.size) for each in made.maps.values()]
        given = (made.model, made.images[part], np.stack([*map(pixel_order, maps)]), made.targets[part])
        curves: dict[str, Floats] = {}
        if "deletion" in metrics:
            result.fractions["deletion"], curves["deletion"] = deletion(*given)
        if "insertion" in metrics:
            result.fractions["insertion"], curves["insertion"] = insertion(*given)
        if "road" in metrics:
            noise = road_noise(numbers, made.images[part], seed=made.seed)
            curves["road_morf"], curves["road_lerf"] = road(*given, noise=noise)
        if "infidelity" in metrics:
            scores = infidelity(*given[:2], maps, given[3], numbers=numbers, seed=made.seed)
            curves["infidelity"] = scores[..., None]
        found.append(curves)
        progress(len(numbers) * sum(not is_baseline(name) for name in made.maps))
    joined = {name: np.concatenate([each[name] for each in found], axis=1) for name in found[0]}
    if "infidelity" in joined:
        result.scores["infidelity"] = joined.pop("infidelity")[..., 0]
    result.curves = joined
    for name in ("deletion", "insertion"):
        if name in joined:
            result.scores[name] = area(result.fractions[name], joined[name])
    if "road" in metrics:
        result.scores["road"] = (joined["road_lerf"] - joined["road_morf"]).mean(axis=2) / 2
        result.fractions |= dict.fromkeys(("road_morf", "road_lerf"), np.array(FRACTIONS))
    return result


def _check(made: Explainers, metrics: Sequence[str], progress: Callable[[int], None]) -> dict[str, Floats]:
    """Measure the checks, which take many maps of an image, on some images alone: NaN for the others."""
    chosen = np.unique(np.linspace(0, len(made) - 1, min(CHECKED, len(made))).round().astype(np.int64))
    some = made.take(chosen)
    found = {}
    if "max_sensitivity" in metrics:
        found["max_sensitivity"] = _sensitivities(some, progress)
    similarities = [name for name in metrics if name in RANDOMISATION]
    if similarities:
        found |= _randomisation(some, similarities, progress)
    scores = {name: np.full((len(made.maps), len(made)), np.nan) for name in found}
    for name, each in found.items():
        scores[name][:, chosen] = each
    return scores


def _sensitivities(made: Explainers, progress: Callable[[int], None]) -> Floats:
    """Return the maximum sensitivity of every method, `[method, image]`."""
    found = []
    for name in made.maps:
        explainer = partial(made.explain, name, made.model)
        found.append(
            max_sensitivity(explainer, made.images, made.targets, numbers=made.numbers, seed=made.seed)
        )
        progress(0 if is_baseline(name) else len(made))
    return np.stack(found)


def _randomisation(
    made: Explainers, metrics: Sequence[str], progress: Callable[[int], None]
) -> dict[str, Floats]:
    """Return how alike maps stay as the model is redrawn, `[method, image]`, averaged over the layers.

    The model itself, whose maps are alike to themselves, is no part of the mean.
    """
    total = {name: np.zeros((len(made.maps), len(made))) for name in metrics}
    count = 0
    for count, (_, model) in enumerate(randomised(made.model, made.images, seed=made.seed), start=1):
        for row, (name, values) in enumerate(made.maps.items()):
            again = made.again(name, model, count)
            for metric in metrics:
                total[metric][row] += _similarity(metric, values, again, made)
    progress(len(made) * sum(not is_baseline(name) for name in made.maps))
    return {metric: each / count for metric, each in total.items()}


def _similarity(metric: str, one: Maps, other: Maps, made: Explainers) -> Floats:
    if metric == "randomisation":
        return spearman(one, other)
    parts = (
        (on_pixels(one[part], made.size), on_pixels(other[part], made.size)) for part in passes(made.images)
    )
    return np.concatenate([structural_similarity(*each) for each in parts])
