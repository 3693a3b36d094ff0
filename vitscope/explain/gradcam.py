"""Grad-CAM: the features of one layer, weighted by how much each channel speaks for a class."""

from __future__ import annotations

import threading
from difflib import get_close_matches
from typing import TYPE_CHECKING

import numpy as np
import torch

from vitscope.capture.layout import Layout
from vitscope.errors import CaptureError, UsageError
from vitscope.explain.featuremap import FeatureMap, find_feature_map, first_tensor, replaced
from vitscope.explain.spatial import last_spatial_layer, trace_layers
from vitscope.explain.targets import check_logits, choose_targets
from vitscope.records.heatmap import Heatmap

if TYPE_CHECKING:
    from torch import Tensor, nn

__all__ = ["grad_cam"]


def grad_cam(
    model: nn.Module,
    images: Tensor,
    *,
    targets: Tensor | None = None,
    layer: str | None = None,
    grid: tuple[int, int] | None = None,
    prefix: int | None = None,
) -> Heatmap:
    """Return Grad-CAM, one map an image, on a convolution's output or on a grid of tokens.

    With F the layer's output `[channel, row, column]`, prefix tokens left out: w_k = mean over positions of
    ∂y_c/∂F_k, and the map is relu(Σ_k w_k·F_k). It is 0 everywhere where nothing speaks for the class.

    *Source*: Selvaraju et al. 2017, arXiv 1610.02391, eqs 1 and 2.
    *Differs*: no scaling and no enlarging, which are the drawing's; pytorch-grad-cam scales each map to 0…1
    and enlarges it. The layer is found: the last one whose features lie on a grid of several positions and
    reach the logits. In a ResNet that is the last stage. In a transformer whose head reads the class token it
    is the block before the last, since after the last attention no patch reaches the head, where
    pytorch-grad-cam is told the last block's first norm; in one that averages its patches, the last.

    Args:
        model: A classifier in evaluation mode, from float images to logits `[image, class]`.
        images: `[image, channel, row, column]`, as the model takes them, on its device.
        targets: `[image]`, the class of each image, whole numbers; the predicted classes where left out.
        layer: The module's name, as `model.named_modules()` has it; found where left out.
        grid: Rows and columns of the tokens, where the model does not tell.
        prefix: How many tokens stand before the patches, where the model does not tell.

    Returns:
        Maps `[image, row, column]` on the layer's grid, float32, each ≥ 0, in the logit's unit.

    Raises:
        UsageError: There is no such layer.
        CaptureError: The layer does not run once, has no grid, or its features do not reach the logits: the
            message names a layer whose features do.
        InputError: The targets are not one class of the model an image.
        NotFiniteError: The logits are not finite.
    """
    told = Layout(grid=grid, prefix=prefix, pool="mean")  # what the head reads is not asked
    with torch.inference_mode(False):
        given = images.detach().clone()
        name, features, logits = _features(model, given, layer, told)
        module = model.get_submodule(name)
        found = find_feature_map(model, module, features, size=_size(given), told=told)
        if found is None:
            raise CaptureError(
                f"the output of {name}, {list(features.shape)}, is no grid of features that can be told",
                hint=f"name another layer, such as {last_spatial_layer(model, given[:1], told=told)}",
            )
        chosen = choose_targets(targets, logits)
        gradients = _gradients(logits.gather(1, chosen[:, None]).sum(), features, found)
        if not bool(gradients.any()):
            raise CaptureError(
                f"the features of {name} do not reach the logits from their grid: their gradients are 0",
                hint=f"name a layer before, such as {last_spatial_layer(model, given[:1], told=told)}",
            )
    weights = gradients.mean(dim=(2, 3), keepdim=True)
    values = (weights * found.read(features.detach()).to(weights.dtype)).sum(dim=1).relu()
    return Heatmap(
        values=np.ascontiguousarray(values.float().cpu().numpy()),
        method="Grad-CAM",
        targets=chosen.cpu().numpy(),
        options={"layer": name, "grid": list(found.grid), "order": found.order},
    )


def _features(
    model: nn.Module, images: Tensor, layer: str | None, told: Layout
) -> tuple[str, Tensor, Tensor]:
    """Return the layer's name, its features and the logits, with a graph from the one to the other."""
    if layer is not None:
        return layer, *_run(model, _module(model, layer), layer, images)
    with torch.enable_grad():
        trace = trace_layers(model, images[:1])
        name = trace.last_spatial(told=told)
    # A single image has been through the model by then.
    found = trace.own(name) if len(images) == 1 else None
    if found is not None:
        return name, found, trace.logits
    del trace  # and its graph
    return name, *_run(model, model.get_submodule(name), name, images)


def _module(model: nn.Module, name: str) -> nn.Module:
    known = [each for each, _ in model.named_modules() if each]
    if name not in known:
        near = get_close_matches(name, known, n=1)
        raise UsageError(
            f"the model has no layer {name!r}",
            hint=f"did you mean {near[0]}?" if near else "see model.named_modules()",
        )
    return model.get_submodule(name)


def _run(model: nn.Module, module: nn.Module, name: str, images: Tensor) -> tuple[Tensor, Tensor]:
    """Return the features of a layer and the logits, with a graph from the one to the other alone."""
    seen: list[Tensor] = []
    thread = threading.get_ident()  # another thread may run the same model

    def cut(_: nn.Module, args: tuple[object, ...], output: object) -> object:  # noqa: ARG001 - a hook's form
        tensor = first_tensor(output)
        if tensor is None or threading.get_ident() != thread:
            return output
        torch.set_grad_enabled(True)
        seen.append(tensor.detach().requires_grad_())
        return replaced(output, seen[-1].clone())  # a copy, which the model may write to

    handle = module.register_forward_hook(cut)
    try:
        with torch.no_grad():
            output = model(images)
    finally:
        handle.remove()
    logits = check_logits(output, len(images))
    if len(seen) != 1 or len(seen[0]) != len(images):
        times = f"runs {len(seen)} times" if len(seen) != 1 else "does not keep one row an image"
        raise CaptureError(
            f"{name} {times}, so that it has no features of its own", hint="name another layer"
        )
    return seen[0], logits


def _gradients(score: Tensor, features: Tensor, found: FeatureMap) -> Tensor:
    """Return ∂score/∂F as `[image, channel, row, column]`, float32 or wider; 0 where there is no path."""
    if score.requires_grad:
        (slopes,) = torch.autograd.grad(score, features, allow_unused=True)
        if slopes is not None:
            return found.read(slopes).to(torch.promote_types(slopes.dtype, torch.float32))
    return found.read(torch.zeros_like(features))


def _size(images: Tensor) -> tuple[int, int]:
    return int(images.shape[-2]), int(images.shape[-1])
