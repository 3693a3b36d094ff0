"""First-layer filters: the kernels of the first convolution, or their principal components."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from torch import nn

from vitscope.errors import CaptureError, UsageError
from vitscope.records.filters import Filters

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from vitscope.records.filters import FilterKind

__all__ = ["first_filters"]

_SHOWN = 28


def first_filters(model: nn.Module, *, kind: FilterKind | None = None, components: int = _SHOWN) -> Filters:
    """Return what a model's first convolution looks for: its kernels, or their principal components.

    The kernels themselves where they overlap, as in a convolutional network; of a patch embedding, whose
    kernels lie side by side and are as many as the model is wide, the principal components: with W the
    kernels `[filter, weight]` less their mean, the right singular vectors of W, the largest singular value s
    first; each explains s²/Σs² of their variance. A component's sign means nothing: its largest weight is
    made positive.

    *Source*: Dosovitskiy et al. 2021, arXiv 2010.11929, Fig. 7 left, for the components.

    Args:
        model: Any model whose first convolution sees the pixels, grey or RGB.
        kind: `kernels` or `components`, whichever suits it where left out.
        components: How many at most.

    Raises:
        CaptureError: The first convolution does not see the pixels, or there is none.
        UsageError: There is no such kind, or not at least one component is asked for.
    """
    if kind not in (None, "kernels", "components") or components < 1:
        raise UsageError(f"expected kernels or at least one of the components, got {kind!r}, {components}")
    name, layer = _first(model)
    kernels = layer.weight.detach().double().cpu().numpy().transpose(0, 2, 3, 1)
    patches = tuple(layer.stride) == tuple(layer.kernel_size)
    if kind == "kernels" or (kind is None and not patches):
        return Filters(kernels, kind="kernels", name=name, total=len(kernels))
    values, shares = _principal(kernels.reshape(len(kernels), -1), components)
    values = values.reshape(-1, *kernels.shape[1:])
    return Filters(values, kind="components", name=name, total=len(kernels), variance=shares)


def _first(model: nn.Module) -> tuple[str, nn.Conv2d]:
    for name, module in model.named_modules():
        if isinstance(module, nn.Conv2d):
            if module.in_channels not in (1, 3) or module.groups != 1:
                raise CaptureError(
                    f"the first convolution, {name}, sees {module.in_channels} channels"
                    f" in {module.groups} groups, not grey or RGB pixels"
                )
            return name, module
    raise CaptureError("this model has no convolution, so no filters that are images")


def _principal(weights: NDArray[np.float64], count: int) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return the components `[component, weight]`, as many as have variance, and the share of each."""
    centred = weights - weights.mean(axis=0)
    _, singular, vectors = np.linalg.svd(centred, full_matrices=False)
    variance = singular**2
    total = variance.sum()
    if total == 0:
        raise CaptureError("the first convolution's kernels are all the same")
    shares = variance / total
    kept = min(count, int((shares > 1e-12).sum()))  # below it is rounding
    chosen = vectors[:kept]
    largest = np.take_along_axis(chosen, np.abs(chosen).argmax(axis=1)[:, None], axis=1)
    return chosen * np.sign(largest), shares[:kept]
