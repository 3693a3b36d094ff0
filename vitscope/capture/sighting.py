"""What was seen of attention in a forward pass."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from torch import Tensor

    from vitscope.capture.reading import Read

__all__ = ["Kind", "Pass", "Seen", "Unused"]

Kind = Literal["global", "windowed", "cross", "channels", "other"]

# As many class and register tokens as a row over the patches alone may leave out.
_PREFIX = 8


@dataclass(frozen=True)
class Seen:
    """One computation of attention.

    Attributes:
        module: Where.
        shape: Of the weights.
        kind: Over what.
        weights: Its weights where they are global, `[image, head, query, key]`.
        before: The attentions of the pass that its operands were made from, a bit each.
        entry: Those that its module's own input was made from.
    """

    module: str
    shape: tuple[int, ...]
    kind: Kind
    weights: Tensor | None
    before: int = 0
    entry: int = 0


@dataclass
class Pass:
    """One forward pass of the model over some images.

    Attributes:
        images: How many images it took.
        size: Their height and width in pixels.
        seen: Every attention, in the order of computation.
        unused: What is a softmax or the like and no plain attention, and why.
        suspects: Modules that ran and are attention by name.
        mixed: Modules that move what an attention has put out between tokens, and are no attention.
        behind: How many tokens were joined behind the patches before the first attention.
        read: What the output was read from after the last attention.
        reached: The attentions that the output was made from, a bit each; None where it holds no tensor.
        logits: What the model returned, where it is a tensor with a row an image.
    """

    images: int
    size: tuple[int, int]
    seen: list[Seen] = field(default_factory=list)
    unused: list[Unused] = field(default_factory=list)
    suspects: dict[str, None] = field(default_factory=dict)
    mixed: dict[str, None] = field(default_factory=dict)
    behind: int = 0
    reached: int | None = None
    read: Read | None = None
    logits: Tensor | None = None


@dataclass(frozen=True)
class Unused:
    """A softmax, or scores, that did not turn out to be attention.

    Attributes:
        module: Where.
        shape: Its shape.
        dim: The axis along which it sums to 1; None for scores.
        fault: Why; empty where it never met values at all.
    """

    module: str
    shape: tuple[int, ...]
    dim: int | None
    fault: str

    def looks_like_attention(self, tokens: int | None) -> bool:
        """Whether it may weigh tokens: by a matrix, or by a row of about as many numbers."""
        if self.fault:
            return True
        sides = [side for side in self.shape if side > 1]
        if len(sides) > 3 or (len(self.shape) > 2 and self.shape[-1] == self.shape[-2] > 1):
            return True
        size = self.shape[self.dim] if self.dim is not None else 0
        return tokens is not None and tokens - _PREFIX <= size <= tokens
