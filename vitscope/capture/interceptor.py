"""The function mode that sees attention being computed, fused or by hand."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol
from weakref import ref

import torch
from torch.nn import functional as F
from torch.overrides import TorchFunctionMode

from vitscope.capture.explicit import DotProduct
from vitscope.capture.joining import JOINS, Joined
from vitscope.capture.lineage import CHANGED, Lineage, Mark, Root, tensors_in, version
from vitscope.capture.moving import MOVES, moves_tokens
from vitscope.capture.multihead import multi_head
from vitscope.capture.product import (
    PRODUCTS,
    Factor,
    find_factors,
    is_stochastic,
    makes_scores,
    shown,
    with_factor,
)
from vitscope.capture.reading import LAYER_BITS, READS, Read, read_by
from vitscope.errors import NotFiniteError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from torch import Tensor

__all__ = ["Interceptor", "Listener"]

_SOFTMAX = frozenset({torch.softmax, torch.Tensor.softmax, F.softmax, torch.special.softmax})
_HOLDERS = (torch.Tensor, tuple, list)


class Listener(Protocol):
    """What is told of attention."""

    @property
    def active(self) -> bool:
        """Whether the model is running."""

    @property
    def module(self) -> str:
        """The running module's name."""

    def heard(self, weights: Tensor, *, shape: tuple[int, ...], before: int) -> None:
        """The running module computed attention with these weights, after these recorded ones, a bit each."""

    def unused(self, root: Root) -> None:
        """A softmax never met its values, or not as attention does."""

    def mixed(self) -> None:
        """The running module moves what attention has put out between tokens, and is no attention."""


class Interceptor(TorchFunctionMode):
    """Let every call through but attention, which is computed with its weights in sight.

    Weights made by hand are followed from the softmax, or from scores that are normalised by hand, to the
    product with the values: the factor that stands there is what is told, whatever was done to it on the way,
    if it is a mean over keys.

    Args:
        listener: What is told of the weights.
    """

    def __init__(self, listener: Listener) -> None:
        super().__init__()
        self._listener = listener
        self._lineage = Lineage()
        self.joined = Joined()
        self._layers = self._tokens = 0
        self._told: list[tuple[ref[Tensor], int | None, tuple[Root, ...]]] = []

    def __torch_function__(
        self,
        func: Callable[..., Any],
        types: Iterable[type],
        args: tuple[Any, ...] = (),
        kwargs: dict[str, Any] | None = None,
    ) -> Any:  # noqa: ANN401 - whatever the function returns
        """Pass the call on, or compute attention explicitly."""
        kwargs = kwargs or {}
        if not self._listener.active:
            return func(*args, **kwargs)
        if func is F.scaled_dot_product_attention:
            return self._dot_product(args, kwargs)
        if func is F.multi_head_attention_forward:
            return self._multi_head(args, kwargs)
        if func in _SOFTMAX:
            return self._softmax(func, args, kwargs)
        if func in PRODUCTS:
            return self._product(func, args, kwargs)
        result = func(*args, **kwargs)
        # Most calls read a shape or the like; before the first attention nothing is marked.
        if self._lineage and (
            result is None or (isinstance(result, _HOLDERS) and type(result) is not torch.Size)
        ):
            self._lineage.follow(func, args, kwargs, result)
            if func in MOVES:
                self._move(func, args, kwargs, result)
            if func in READS:
                self._read(func, args, kwargs, result)
        if func in JOINS and not self._layers:
            self.joined.note(args, kwargs, result)
        return result

    def before(self, values: object) -> int:
        """Return which recorded attentions these tensors were made from, a bit each."""
        return self._lineage.layers(tensors_in(values)) >> LAYER_BITS

    def read(self, values: object) -> Read:
        """Return what these tensors were read from, since the last attention."""
        return Read(self._lineage.layers(tensors_in(values)) & (1 << LAYER_BITS) - 1)

    def settle(self) -> None:
        """Tell of the softmaxes that never met their values, and forget them: the model has returned."""
        for kept, written, roots in self._told:
            if (weights := kept()) is not None and version(weights) != written:
                for root in roots:
                    root.fault = CHANGED
        for root in self._lineage.roots:
            if root.fault or (root.dim is not None and root.layer is None):
                self._listener.unused(root)
        self.forget()

    def forget(self) -> None:
        """Forget what is not settled: a new forward pass begins, or the block ends."""
        self._lineage.clear()
        self._told.clear()
        self.joined.clear()
        self._layers = 0

    def _dot_product(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Tensor:
        output, weights = DotProduct(*args, **kwargs).compute()
        value = kwargs["value"] if "value" in kwargs else args[2]
        self._hear(weights, output, tuple(weights.shape), given=(args, kwargs), value=value)
        return output

    def _multi_head(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> tuple[Tensor, Tensor | None]:
        (output, given), weights = multi_head(args, kwargs)
        layer = self._hear(weights, output, tuple(weights.shape), given=(args, kwargs), value=None)
        if given is not None:
            root = Root(self._listener.module, tuple(weights.shape), dim=weights.ndim - 1, layer=layer)
            self._lineage.roots.append(root)
            if given is weights:
                self._told.append((ref(given), version(given), (root,)))
            mark = Mark(self._lineage.of(output).layers, (root,), same=given.shape == weights.shape)
            self._lineage.put(given, mark)
        self._lineage.put(output, Mark(self._lineage.of(output).layers))
        return output, given

    def _softmax(self, func: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]) -> Tensor:
        weights: Tensor = func(*args, **kwargs)
        dim = kwargs.get("dim", args[1] if len(args) > 1 else None)
        axis = dim % weights.ndim if isinstance(dim, int) and weights.ndim else -1
        layers = self._lineage.layers(tensors_in((args, kwargs)))
        if weights.ndim >= 2:
            root = Root(self._listener.module, tuple(weights.shape), axis, weights, version(weights))
            self._lineage.plant(weights, root, layers=layers)
        return weights

    def _product(self, func: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:  # noqa: ANN401
        factor = self._weights_among(find_factors(func, args, kwargs))
        if factor is None:
            result = func(*args, **kwargs)
            self._lineage.follow(func, args, kwargs, result)
            if self._lineage.of(result).layers and self._mixes(func, args):
                self._listener.mixed()
            if makes_scores(result) and not self._lineage.of(result).roots:
                root = Root(self._listener.module, tuple(result.shape))
                self._lineage.plant(result, root, layers=self._lineage.of(result).layers)
            return result
        mark = self._lineage.of(factor.tensor)
        met = [root.layer for root in mark.roots if root.layer is not None]
        if met and len(met) == len(mark.roots):
            return self._again(func, args, mark)
        alone = mark.roots[0] if mark.same else None
        sure = alone is not None and alone.intact and alone.dim == factor.axis
        if not sure and not is_stochastic(factor.tensor, axis=factor.axis):
            return self._no_mean(func, args, factor.tensor, mark)
        kept, used = shown(factor, alone)
        result = func(*with_factor(args, factor.place, used))
        layer = self._hear(kept, result, tuple(factor.tensor.shape), given=args, value=factor.values)
        for each in mark.roots:
            each.layer, each.weights = layer if each.layer is None else each.layer, None
        self._told.append((ref(kept), version(kept), mark.roots))
        return result

    def _mixes(self, func: Callable[..., Any], args: tuple[Any, ...]) -> bool:
        """Whether a factor is a matrix of the model's own, token by token, on the tokens' side."""
        count = self._tokens
        operands = list(tensors_in(args))
        own = [each.shape[-2:] == (count, count) and not self._lineage.of(each).layers for each in operands]
        if len(operands) != 2 or own.count(True) != 1:
            return False
        other = operands[own.index(False)]
        if func is torch.einsum:
            return other.ndim > 2 and other.shape[-1] != count
        return own[0] and other.ndim > 2 and other.shape[-2] == count

    def _weights_among(self, factors: list[Factor]) -> Factor | None:
        """Return the factor that is made of weights, if it is plain which it is."""
        held = [factor for factor in factors if self._lineage.of(factor.tensor).roots]
        if not held:
            square = (
                f for f in factors if f.tensor.ndim > 2 and f.tensor.shape[-1] == f.tensor.shape[-2] > 1
            )
            return next((f for f in square if is_stochastic(f.tensor, axis=f.axis)), None)
        new = [f for f in held if any(root.layer is None for root in self._lineage.of(f.tensor).roots)]
        chosen = new or held
        return chosen[0] if len({factor.place for factor in chosen}) == 1 else None

    def _again(self, func: Callable[..., Any], args: tuple[Any, ...], mark: Mark) -> Any:  # noqa: ANN401
        """The weights of an attention that was told meet other values: the same matrix, or another one."""
        result = func(*args)
        if not mark.same:
            for root in mark.roots:
                root.fault = "meets other values in another form"
        layers = self._lineage.layers(args)
        for root in mark.roots:
            layers |= 0 if root.layer is None else 1 << root.layer + LAYER_BITS
        self._lineage.put(result, Mark(layers))
        return result

    def _no_mean(self, func: Callable[..., Any], args: tuple[Any, ...], weights: Tensor, mark: Mark) -> Any:  # noqa: ANN401
        """The weights meet values, and are no mean over them."""
        if not bool(torch.isfinite(weights).all()):
            raise NotFiniteError(
                f"the attention of {self._listener.module} is not finite",
                hint="use another checkpoint or image",
            )
        result = func(*args)
        for root in mark.roots:
            root.fault = "meets the values with weights that do not sum to 1, or are negative"
        self._lineage.put(result, Mark(self._lineage.layers(args)))
        return result

    def _hear(
        self, weights: Tensor, output: Tensor, shape: tuple[int, ...], *, given: object, value: object
    ) -> int:
        """Tell of an attention and mark its output; return its number."""
        before = self.before(given)
        self._listener.heard(weights, shape=shape, before=before)
        layer = self._layers
        if self._lineage.of(value).fresh:
            root = Root(self._listener.module, shape, layer=layer)
            root.fault = "meets values that are another attention's output"
            self._lineage.roots.append(root)
        self._lineage.put(output, Mark((before | 1 << layer) << LAYER_BITS, fresh=True))
        self._layers += 1
        self._tokens = weights.shape[-1]
        return layer

    def _read(
        self, func: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any], result: object
    ) -> None:
        read = read_by(func, args, kwargs, tokens=self._tokens)
        if read and isinstance(result, torch.Tensor):
            self._lineage.put(result, Mark(self._lineage.of(result).layers | read))

    def _move(
        self, func: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any], result: object
    ) -> None:
        mark = self._lineage.of(result)
        if mark.layers and not mark.roots and moves_tokens(func, args, kwargs, tokens=self._tokens):
            self._listener.mixed()
