"""The methods that explain a classifier's answer: one table, and one function that runs any of them."""

from __future__ import annotations

import inspect
from dataclasses import dataclass
from difflib import get_close_matches
from typing import TYPE_CHECKING, Any, Literal

from vitscope.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from torch import Tensor, nn

    from vitscope.records.attention import Pool
    from vitscope.records.heatmap import Heatmap

__all__ = ["METHODS", "Method", "Needs", "explain", "find_method", "method_options", "pool_options"]

Needs = Literal[
    "attention", "attention and gradients", "activations and gradients", "gradients", "forward passes"
]

# Where the patches stand, for models that do not tell: `vitscope.capture`'s own arguments.
_LAYOUT = ("grid", "prefix", "pool")
_TRANSFORMERS = "transformers with global attention"


@dataclass(frozen=True)
class Method:
    """One method, as a table tells it.

    Attributes:
        name: What a user types.
        title: What a figure or a table writes.
        needs: What it takes from the model.
        applies: To which models.
        per_class: Whether its map explains one class; the others show what the model looked at, whatever for.
        signed: Whether negative values mean evidence against the class.
        cost: Of one image at the default options, in forward (F) and backward (B) passes.
        source: Authors, year and arXiv number.
    """

    name: str
    title: str
    needs: Needs
    applies: str
    per_class: bool
    signed: bool
    cost: str
    source: str

    @property
    def attends(self) -> bool:
        """Whether it reads attention, and so has to know where the patches stand and what the head reads."""
        return self.needs.startswith("attention")

    def told(self, pool: Pool | None) -> dict[str, Any]:
        """Return the options that tell it what the head reads; none where that is not known or needed."""
        return {"pool": pool} if pool is not None and self.attends else {}


_TABLE = (
    Method(
        name="rollout",
        title="Attention rollout",
        needs="attention",
        applies=_TRANSFORMERS,
        per_class=False,
        signed=False,
        cost="1 F",
        source="Abnar and Zuidema 2020, arXiv 2005.00928",
    ),
    Method(
        name="raw",
        title="Raw attention",
        needs="attention",
        applies=_TRANSFORMERS,
        per_class=False,
        signed=False,
        cost="1 F",
        source="Dosovitskiy et al. 2021, arXiv 2010.11929",
    ),
    Method(
        name="gradient-rollout",
        title="Gradient rollout",
        needs="attention and gradients",
        applies=_TRANSFORMERS,
        per_class=True,
        signed=False,
        cost="1 F + 1 B",
        source="Gildenblat 2020, on arXiv 2005.00928",
    ),
    Method(
        name="relevance",
        title="Relevance",
        needs="attention and gradients",
        applies=_TRANSFORMERS,
        per_class=True,
        signed=False,
        cost="1 F + 1 B",
        source="Chefer, Gur and Wolf 2021, arXiv 2103.15679",
    ),
    Method(
        name="flow",
        title="Attention flow",
        needs="attention",
        applies=_TRANSFORMERS,
        per_class=False,
        signed=False,
        cost="1 F + a maximum flow a token",
        source="Abnar and Zuidema 2020, arXiv 2005.00928",
    ),
    Method(
        name="legrad",
        title="LeGrad",
        needs="attention and gradients",
        applies=_TRANSFORMERS,
        per_class=True,
        signed=False,
        cost="2 F + 1 B",
        source="Bousselham et al. 2024, arXiv 2404.03214",
    ),
    Method(
        name="grad-cam",
        title="Grad-CAM",
        needs="activations and gradients",
        applies="convolutions and transformers",
        per_class=True,
        signed=False,
        cost="1 F + 1 B from the layer on",
        source="Selvaraju et al. 2017, arXiv 1610.02391",
    ),
    Method(
        name="integrated-gradients",
        title="Integrated gradients",
        needs="gradients",
        applies="any",
        per_class=True,
        signed=True,
        cost="53 F + 50 B",
        source="Sundararajan, Taly and Yan 2017, arXiv 1703.01365",
    ),
    Method(
        name="gradient-x-input",
        title="Gradient × input",  # noqa: RUF001
        needs="gradients",
        applies="any",
        per_class=True,
        signed=True,
        cost="2 F + 1 B",
        source="Shrikumar et al. 2016, arXiv 1605.01713",
    ),
    Method(
        name="smoothgrad",
        title="SmoothGrad",
        needs="gradients",
        applies="any",
        per_class=True,
        signed=False,
        cost="51 F + 50 B",
        source="Smilkov et al. 2017, arXiv 1706.03825",
    ),
    Method(
        name="occlusion",
        title="Occlusion",
        needs="forward passes",
        applies="any",
        per_class=True,
        signed=True,
        cost="227 F",
        source="Zeiler and Fergus 2014, arXiv 1311.2901",
    ),
    Method(
        name="gradient-shap",
        title="GradientSHAP",
        needs="gradients",
        applies="any",
        per_class=True,
        signed=True,
        cost="51 F + 50 B",
        source="Lundberg and Lee 2017, arXiv 1705.07874",
    ),
)

METHODS: Mapping[str, Method] = {method.name: method for method in _TABLE}


def find_method(name: str) -> Method:
    """Return the method of this name.

    Raises:
        UsageError: There is none; the hint names the nearest, or all.
    """
    if name not in METHODS:
        near = get_close_matches(name.lower().replace("_", "-").replace(" ", "-"), METHODS, n=1)
        raise UsageError(
            f"unknown method {name!r}; there are {', '.join(METHODS)}",
            hint=f"did you mean {near[0]}?" if near else "choose one of these",
        )
    return METHODS[name]


def pool_options(names: Iterable[str], pool: Pool | None) -> dict[str, dict[str, Any]]:
    """Return the options of the methods among these that have to be told what the head reads, by name.

    Args:
        names: Keys of `METHODS`.
        pool: `cls` or `mean`; None where the model tells.

    Raises:
        UsageError: There is no such method.
    """
    told = {name: find_method(name).told(pool) for name in names}
    return {name: options for name, options in told.items() if options}


def method_options(name: str) -> dict[str, Any]:
    """Return the options that a method takes, with their defaults.

    Raises:
        UsageError: There is no such method.
    """
    from vitscope.explain.maps import MAPS

    parameters = inspect.signature(MAPS[find_method(name).name]).parameters.values()
    own = {
        item.name: item.default
        for item in parameters
        if item.kind is inspect.Parameter.KEYWORD_ONLY and item.name != "targets"
    }
    told = any(item.kind is inspect.Parameter.VAR_KEYWORD for item in parameters)
    return own | (dict.fromkeys(_LAYOUT) if told else {})


def explain(
    model: nn.Module,
    images: Tensor,
    *,
    method: str,
    targets: Tensor | None = None,
    **options: Any,  # noqa: ANN401 - the method's own
) -> Heatmap:
    """Return one map an image by any method of `METHODS`, and leave the model as it was.

    An image's map does not depend on the other images of the batch, nor on what was drawn at random before.

    Args:
        model: A classifier in evaluation mode, from float images to logits `[image, class]`.
        images: `[image, channel, row, column]`, normalised as the model takes them, on its device.
        method: A key of `METHODS`.
        targets: `[image]`, the class that each map explains, whole numbers; the predicted classes where left
            out. Methods whose `per_class` is false take no notice of them.
        **options: The method's own, as `method_options` lists them.

    Returns:
        Maps `[image, row, column]` on the grid of tokens, of the feature map, or of the pixels.

    Raises:
        UsageError: There is no such method or option, or the model is in training mode.
        InputError: The images or the targets are not what they must be.
        CaptureError: The method does not apply to this model; the message says why.
        NotFiniteError: The model's output is not finite.
    """
    from vitscope.explain.inputs import check_images, check_mode
    from vitscope.explain.maps import MAPS

    _check_options(find_method(method), options)
    check_images(images)
    check_mode(model)
    return MAPS[method](model, images, targets=targets, **options)


def _check_options(method: Method, options: Mapping[str, Any]) -> None:
    known = method_options(method.name)
    unknown = [name for name in options if name not in known]
    if unknown:
        near = get_close_matches(unknown[0], known, n=1)
        raise UsageError(
            f"{method.name} has no option {unknown[0]!r}",
            hint=f"did you mean {near[0]}?" if near else f"it has {', '.join(known)}",
        )
