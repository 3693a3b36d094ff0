"""A tape that records the attention of a model while it runs."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import torch
from torch import nn

from vitscope.capture.interceptor import Interceptor
from vitscope.capture.layout import Layout, find_layout
from vitscope.capture.lineage import Root, tensors_in
from vitscope.capture.running import Running
from vitscope.capture.sighting import Pass, Seen, Unused
from vitscope.capture.verdict import check_chain, classify, is_attention
from vitscope.errors import CaptureError, UsageError
from vitscope.records.attention import Attention, fuse_heads

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from torch import Tensor

    from vitscope.records.attention import Fusion, Pool

__all__ = ["Tape", "capture"]


class Tape:
    """What `capture` recorded, pass by pass. Made by `capture`."""

    def __init__(self, modules: Mapping[str, nn.Module], *, heads: Fusion | None, layout: Layout) -> None:
        self._modules = modules
        self._heads = heads
        self._layout = layout
        self._passes: list[Pass] = []
        self._current: Pass | None = None
        self._running = Running(modules, self)
        self._interceptor = Interceptor(self)

    def attention(self) -> Attention:
        """Return the attention of all images that the model saw in the block, in their order.

        After one forward pass the weights are the very tensors of the computation, so that
        `torch.autograd.grad(logits[:, target].sum(), attention.weights)` works where gradients were on and
        heads were kept. After several the passes are joined along the images, which gradients do not survive.

        Raises:
            CaptureError: The model was not run, has no attention, or not a chain of global self-attention.
        """
        if not self._passes:
            raise CaptureError(
                "the model did not run to its end inside the block",
                hint="call model(images) inside `with capture(model) as tape:`",
            )
        for made in self._passes:
            check_chain(made)
        first = self._passes[0]
        names = tuple(seen.module for seen in first.seen)
        tokens = first.seen[0].shape[-1]
        for made in self._passes[1:]:
            if made.size != first.size or tuple(seen.module for seen in made.seen) != names:
                raise CaptureError(
                    f"the passes differ: images of {first.size} and {made.size} pixels or other layers",
                    hint="capture images of one size in one block",
                )
        grid, prefix, pool = find_layout(
            self._modules[""], tokens, size=first.size, told=self._layout, read=first.read
        )
        weights = [
            _joined([made.seen[layer].weights for made in self._passes]) for layer in range(len(names))
        ]
        logits = [made.logits for made in self._passes]
        return Attention(
            weights=[weight for weight in weights if weight is not None],
            grid=grid,
            prefix=prefix,
            layers=names,
            pool=pool,
            logits=_joined(logits),
            heads=self._heads,
        )

    @property
    def active(self) -> bool:
        """Whether the model is running."""
        return self._current is not None

    @property
    def module(self) -> str:
        """The running module's name."""
        return self._running.module

    def started(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        """Begin a pass: the model was called."""
        images = _first_tensor((*args, *kwargs.values()))
        self._interceptor.forget()
        if images is None:
            raise CaptureError(
                "the model was called without a tensor of images [image, channel, row, column]",
                hint="call model(images)",
            )
        if torch._C._functorch.is_functorch_wrapped_tensor(images):
            raise CaptureError(
                "the model runs inside a transform of torch.func, whose tensors do not outlive it",
                hint="capture a plain call of the model on a batch of images",
            )
        height, width = images.shape[-2:]
        self._current = Pass(images=len(images), size=(int(height), int(width)))

    def entered(self, name: str) -> None:
        """Note a module that runs and is attention by its class."""
        if self._current is not None:
            self._current.suspects[name] = None

    def heard(self, weights: Tensor, *, shape: tuple[int, ...], before: int) -> None:
        """Note attention: its weights if they are global, only its shape otherwise."""
        if self._current is None:
            return
        module, given = self._running.call()
        kind = classify(
            shape,
            images=self._current.images,
            class_name=type(self._modules[module]).__name__,
            given=[tuple(each.shape) for each in tensors_in(given)] if module else [],
        )
        kept = None
        if kind == "global":
            kept = weights if self._heads is None else fuse_heads(weights, self._heads)
        entry = self._interceptor.before(given)
        self._current.behind = self._current.behind or self._interceptor.joined.behind(shape[-1])
        self._current.seen.append(Seen(module, shape, kind, kept, before, entry))

    def unused(self, root: Root) -> None:
        """Note a softmax whose meaning is not known."""
        if self._current is not None:
            self._current.unused.append(Unused(root.module, root.shape, root.dim, root.fault))

    def mixed(self) -> None:
        """Note that what attention has put out moves between tokens in another way."""
        if self._current is not None:
            self._current.mixed[self.module] = None

    def ended(self, output: object) -> None:
        """Keep the pass: the model returned."""
        if self._current is not None:
            made = list(tensors_in(output))
            if made:
                self._current.reached = self._interceptor.before(output)
                read = self._interceptor.read(output)
                self._current.read = read if read or all(each.ndim < 3 for each in made) else None
            self._interceptor.settle()
            if isinstance(output, torch.Tensor) and len(output) == self._current.images:
                self._current.logits = output
            self._passes.append(self._current)
        self._current = None

    @contextmanager
    def rolling(self) -> Iterator[Tape]:
        """Record inside the block; afterwards the model is as it was."""
        suspects = [
            name for name, module in self._modules.items() if name and is_attention(type(module).__name__)
        ]
        try:
            with self._running.hooked(suspects), self._interceptor:
                yield self
        finally:
            self._current = None
            self._interceptor.forget()


@contextmanager
def capture(
    model: nn.Module,
    *,
    heads: Fusion | None = None,
    grid: tuple[int, int] | None = None,
    prefix: int | None = None,
    pool: Pool | None = None,
) -> Iterator[Tape]:
    """Record the attention of every call of `model` inside the block, and leave the model as it was.

    Every call of `scaled_dot_product_attention` and of `nn.MultiheadAttention` is computed with its weights
    in sight: A = softmax(Q·Kᵀ/√d + mask), output A·V. Weights made by hand are followed from the softmax, or
    from scores, to the product with the values; what stands there is A, if it is a mean over keys. The
    model's outputs differ by rounding alone (1e-6 in float32). Calls are seen in the thread that opened the
    block, for any number of forward passes; their images are joined.

    *Differs* from hooks by name: what is recorded is found in the computation, and so is the order: each
    attention must work on what the one before put out, and the output on the last; a convolution, a shift, a
    new order of the tokens or a layer over their axis among them is an error. Names serve one end: a module
    whose class is called attention and of which nothing was recorded is an error, so that a chain is never
    silently a part. Tokens that are cut apart and joined in another order cannot be noticed, nor what mixes
    them in a scripted function before the first attention, nor heads that stand before as many images.

    Args:
        model: Any module that takes a batch of images; its dropout must be off (`model.eval()`).
        heads: Fuse the heads while recording, for a head's share of the memory; None keeps each.
        grid: Rows and columns of the patches, where the model does not tell.
        prefix: How many tokens stand before the patches, where the model does not tell.
        pool: `cls` or `mean`, what the head reads, where the model does not tell.

    Yields:
        The tape; `tape.attention()` returns the record once the model has run.

    Raises:
        UsageError: `heads` is none of these.
        CaptureError: The model hides its calls (compiled or scripted); from `tape.attention()`: it has no
            attention, or not a chain of global self-attention.
    """
    if heads not in (None, "mean", "max", "min"):
        raise UsageError(f"expected heads fused by `mean`, `max` or `min`, or None, got {heads!r}")
    # Walked once: several walks take as long as a layer of a small model.
    modules = dict(model.named_modules())
    _check_visible(modules)
    tape = Tape(modules, heads=heads, layout=Layout(grid=grid, prefix=prefix, pool=pool))
    with tape.rolling():
        yield tape


def _check_visible(modules: Mapping[str, nn.Module]) -> None:
    for name, module in modules.items():
        # torch.compile(module) holds the module as it was; module.compile() holds another way to call it.
        compiled = "_orig_mod" in module._modules or module._compiled_call_impl is not None
        if isinstance(module, nn.DataParallel) and len(module.device_ids) > 1:
            raise CaptureError(
                f"{name or 'the model'} runs on several devices at once, each in a thread of its own",
                hint="capture model.module on one device",
            )
        if compiled or isinstance(module, torch.jit.ScriptModule):
            raise CaptureError(
                f"{name or 'the model'} is {'compiled' if compiled else 'scripted'} and hides its calls",
                hint="capture the model as it was before torch.compile or torch.jit",
            )


def _first_tensor(values: tuple[object, ...]) -> Tensor | None:
    for value in values:
        if isinstance(value, torch.Tensor) and value.ndim == 4:
            return value
    return None


def _joined(tensors: list[Tensor | None]) -> Tensor | None:
    found = [tensor for tensor in tensors if tensor is not None]
    if len(found) < len(tensors):
        return None
    return found[0] if len(found) == 1 else torch.cat(found)
