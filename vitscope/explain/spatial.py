"""The last layer of a model that still knows where in the image it looks."""

from __future__ import annotations

import re
import threading
from collections import Counter
from functools import partial
from typing import TYPE_CHECKING

import torch
from torch import nn

from vitscope.capture.verdict import is_attention
from vitscope.errors import CaptureError
from vitscope.explain.featuremap import FeatureMap, find_feature_map, first_tensor
from vitscope.explain.targets import check_logits

if TYPE_CHECKING:
    from torch import Tensor

    from vitscope.capture.layout import Layout

__all__ = ["last_spatial_layer"]

# The names that models give to their attention, whatever its class is called.
_ATTENTION = re.compile(r"(.*_)?(attn|attention)")


def last_spatial_layer(model: nn.Module, image: Tensor, *, told: Layout) -> str:
    """Return the name of the last module whose features lie on a grid and reach the logits from there.

    Found by running the model on one image, forward and back: of all modules that run once and whose output
    has several positions (`find_feature_map`), the last to finish with a gradient other than 0 there. Tokens
    count where a module with parts of its own gave them, such as a block: a single layer's may be anything.
    What is inside attention does not count. Of modules that return the same tensor, the outermost is named.

    Args:
        model: A classifier in evaluation mode.
        image: `[1, channel, row, column]`.
        told: What the caller knows of the tokens.

    Raises:
        CaptureError: There is none, or the model gives no logits.
        NotFiniteError: The logits are not finite.
    """
    with torch.inference_mode(False), torch.enable_grad():
        given = image.detach().clone().requires_grad_()
        outputs, logits = _outputs(model, given)
        size = int(image.shape[-2]), int(image.shape[-1])
        found = _candidates(model, outputs, size=size, told=told)
        score = logits.gather(1, logits.detach().argmax(dim=1, keepdim=True)).sum()
        tensors = [outputs[name] for name in found]
        slopes = torch.autograd.grad(score, tensors, allow_unused=True) if tensors else ()
    reached = [
        name
        for (name, feature_map), slope in zip(found.items(), slopes, strict=True)
        if slope is not None and bool(feature_map.read(slope).any())
    ]
    if not reached:
        raise CaptureError(
            "no layer has features on a grid that reach the logits, or the head has weights of 0 alone",
            hint="integrated gradients and occlusion need no layer",
        )
    last = outputs[reached[-1]]
    return min((name for name in reached if outputs[name] is last), key=len)


def _outputs(model: nn.Module, image: Tensor) -> tuple[dict[str, Tensor], Tensor]:
    """Return what each module that runs once gave, by name in the order they finished, and the logits."""
    outputs: dict[str, Tensor] = {}
    runs: Counter[str] = Counter()
    thread = threading.get_ident()  # another thread may run the same model

    def keep(name: str, module: nn.Module, args: tuple[object, ...], output: object) -> None:  # noqa: ARG001
        if threading.get_ident() != thread:
            return
        runs[name] += 1
        tensor = first_tensor(output)
        if tensor is not None and tensor.requires_grad and len(tensor) == 1:
            outputs[name] = tensor

    handles = []
    try:
        for name, module in model.named_modules():
            if module is not model and not _within_attention(model, name):
                handles.append(module.register_forward_hook(partial(keep, name)))
        output = model(image)
    finally:
        for handle in handles:
            handle.remove()
    return {name: tensor for name, tensor in outputs.items() if runs[name] == 1}, check_logits(output, 1)


def _candidates(
    model: nn.Module, outputs: dict[str, Tensor], *, size: tuple[int, int], told: Layout
) -> dict[str, FeatureMap]:
    found = {}
    for name, output in outputs.items():
        module = model.get_submodule(name)
        if isinstance(module, nn.Identity) or (output.ndim == 3 and next(module.children(), None) is None):
            continue
        feature_map = find_feature_map(model, module, output, size=size, told=told)
        if feature_map is not None and feature_map.grid[0] * feature_map.grid[1] > 1:
            found[name] = feature_map
    return found


def _within_attention(model: nn.Module, name: str) -> bool:
    """Whether a module is attention or lies in it, by class or by name; what holds attention is a block."""
    parts = name.split(".")
    return any(
        _ATTENTION.fullmatch(part) or _is_attention(model.get_submodule(".".join(parts[: end + 1])))
        for end, part in enumerate(parts)
    )


def _is_attention(module: nn.Module) -> bool:
    inner = (part for part in module.modules() if part is not module)
    return is_attention(type(module).__name__) and not any(
        is_attention(type(part).__name__) for part in inner
    )
