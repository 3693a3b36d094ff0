"""The last layer of a model that still knows where in the image it looks."""

from __future__ import annotations

import re
import threading
from collections import Counter
from dataclasses import dataclass, field
from functools import partial
from itertools import islice
from typing import TYPE_CHECKING

import torch
from torch import nn

from vitscope.capture.lineage import tensors_in
from vitscope.capture.verdict import is_attention
from vitscope.errors import CaptureError
from vitscope.explain.featuremap import FeatureMap, find_feature_map, first_tensor
from vitscope.explain.targets import check_logits

if TYPE_CHECKING:
    from collections.abc import Iterator

    from torch import Tensor

    from vitscope.capture.layout import Layout

__all__ = ["Trace", "last_spatial_layer", "trace_layers"]

# The names that models give to their attention, whatever its class is called.
_ATTENTION = re.compile(r"(.*_)?(attn|attention)")
_AT_FIRST = 4  # layers whose gradients are asked for together: the layer is mostly one of the last


@dataclass(eq=False)
class Trace:
    """One image on its way through a model: what each module that ran once gave, in the order they finished.

    Attributes:
        model: The model.
        size: Height and width of the image in pixels.
        logits: `[1, class]`, with a graph back to the outputs.
        outputs: By module name, those in attention left out.
    """

    model: nn.Module
    size: tuple[int, int]
    logits: Tensor = field(default_factory=lambda: torch.empty(0))
    outputs: dict[str, Tensor] = field(default_factory=dict)
    _versions: dict[str, int] = field(default_factory=dict)

    def keep(self, name: str, given: tuple[object, ...], output: object) -> None:
        """Note what a module gave for what it was given."""
        tensor = first_tensor(output)
        if tensor is None or not tensor.requires_grad or len(tensor) != 1:
            return
        self.outputs[name] = tensor
        if tensor is output and not any(each is tensor for each in tensors_in(given)):
            self._versions[name] = tensor._version

    def own(self, name: str) -> Tensor | None:
        """Return a module's output if nothing but what follows the module has made use of it; else None.

        It is a tensor of its own, neither what the module was given nor given on with something else, and
        has not been written to.
        """
        output = self.outputs[name]
        if self._versions.get(name) != output._version:
            return None
        others = (other for other, each in self.outputs.items() if each is output)
        return output if all(other == name or other.startswith(f"{name}.") for other in others) else None

    def last_spatial(self, *, told: Layout) -> str:
        """Return the name of the last module whose features lie on a grid and reach the logits from there.

        Raises:
            CaptureError: There is none.
        """
        score = self.logits.gather(1, self.logits.detach().argmax(dim=1, keepdim=True)).sum()
        candidates, count = self._candidates(told), _AT_FIRST
        while part := list(islice(candidates, count)):
            tensors = [self.outputs[name] for name, _ in part]
            # The last modules are looked at first, and a gradient goes no further back than to them.
            slopes = torch.autograd.grad(score, tensors, allow_unused=True, retain_graph=True)
            for (name, feature_map), slope in zip(part, slopes, strict=True):
                if slope is not None and bool(feature_map.read(slope).any()):
                    same = [other for other, each in self.outputs.items() if each is self.outputs[name]]
                    return min(filter(partial(self._is_candidate, told), same), key=len)
            count *= 2
        raise CaptureError(
            "no layer has features on a grid that reach the logits, or the head has weights of 0 alone",
            hint="integrated gradients and occlusion need no layer",
        )

    def _candidates(self, told: Layout) -> Iterator[tuple[str, FeatureMap]]:
        """Give the modules whose output has several positions, and where these are, from the last on."""
        for name in reversed(self.outputs):
            found = self._feature_map(name, told)
            if found is not None:
                yield name, found

    def _is_candidate(self, told: Layout, name: str) -> bool:
        return self._feature_map(name, told) is not None

    def _feature_map(self, name: str, told: Layout) -> FeatureMap | None:
        module, output = self.model.get_submodule(name), self.outputs[name]
        if isinstance(module, nn.Identity) or (output.ndim == 3 and next(module.children(), None) is None):
            return None
        found = find_feature_map(self.model, module, output, size=self.size, told=told)
        return found if found is not None and found.grid[0] * found.grid[1] > 1 else None


def last_spatial_layer(model: nn.Module, image: Tensor, *, told: Layout) -> str:
    """Return the name of the last module whose features lie on a grid and reach the logits from there.

    Found by running the model on one image, forward and back as far as need be: of all modules that run once
    and whose output has several positions (`find_feature_map`), the last to finish with a gradient other than
    0 there. Tokens count where a module with parts of its own gave them, such as a block: a single layer's
    may be anything. What is inside attention does not count. Of modules that return the same tensor, the
    outermost is named.

    Args:
        model: A classifier in evaluation mode.
        image: `[1, channel, row, column]`.
        told: What the caller knows of the tokens.

    Raises:
        CaptureError: There is none, or the model gives no logits.
        NotFiniteError: The logits are not finite.
    """
    with torch.inference_mode(False), torch.enable_grad():
        return trace_layers(model, image).last_spatial(told=told)


def trace_layers(model: nn.Module, image: Tensor) -> Trace:
    """Run a model on one image, and return what its modules gave.

    Raises:
        CaptureError: The model gives no logits.
        NotFiniteError: The logits are not finite.
    """
    given = image.detach().clone().requires_grad_()
    trace = Trace(model, (int(image.shape[-2]), int(image.shape[-1])))
    runs: Counter[str] = Counter()
    thread = threading.get_ident()  # another thread may run the same model

    def keep(name: str, module: nn.Module, args: tuple[object, ...], output: object) -> None:  # noqa: ARG001
        if threading.get_ident() == thread:
            runs[name] += 1
            trace.keep(name, args, output)

    handles = []
    try:
        for name, module in _outside_attention(model):
            handles.append(module.register_forward_hook(partial(keep, name)))
        output = model(given)
    finally:
        for handle in handles:
            handle.remove()
    trace.logits = check_logits(output, 1)
    for name in [name for name in trace.outputs if runs[name] > 1]:
        del trace.outputs[name]
    return trace


def _outside_attention(model: nn.Module) -> Iterator[tuple[str, nn.Module]]:
    """Give all modules below a model, by name, that are not attention and do not lie in it, each once."""
    seen: set[nn.Module] = {model}
    waiting = [("", model)]
    while waiting:
        path, module = waiting.pop()
        if path:
            yield path, module
        for name, child in module.named_children():
            # By class or by name; what holds attention is a block.
            if child not in seen and not _ATTENTION.fullmatch(name) and not _is_attention(child):
                seen.add(child)
                waiting.append((f"{path}.{name}" if path else name, child))


def _is_attention(module: nn.Module) -> bool:
    inner = (part for part in module.modules() if part is not module)
    return is_attention(type(module).__name__) and not any(
        is_attention(type(part).__name__) for part in inner
    )
