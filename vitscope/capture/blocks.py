"""The blocks of a trunk: what each of them puts out, and what the head would say of it."""

from __future__ import annotations

import threading
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import torch
from torch import nn

from vitscope.capture.trunk import check_names, has_attention, stacks, stated_stages
from vitscope.errors import CaptureError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from torch import Tensor

__all__ = ["Blocks", "Recorded", "find_blocks", "find_layers"]

_HINT = 'name them: find_blocks(model, names=("blocks.0", …)), as model.named_modules() does'


@dataclass
class Recorded:
    """What the blocks put out in the last forward pass, in the order in which they ran.

    Attributes:
        names: The blocks' names, as they were found.
        outputs: `(name, tensor, version)`, one a run of a block; the version counts changes in place.
    """

    names: tuple[str, ...]
    outputs: list[tuple[str, Tensor, int | None]]

    def features(self) -> list[Tensor]:
        """Return each block's output, `[image, …]` of any shape.

        Raises:
            CaptureError: A block did not run, ran twice or in another order; or, unless in inference mode,
                its output was changed in place later.
        """
        ran = tuple(name for name, _, _ in self.outputs)
        if ran != self.names:
            wrong = next(
                (f"{name} did not run" for name in self.names if name not in ran),
                f"{len(self.names)} blocks ran {len(ran)} times, or in another order than they stand",
            )
            raise CaptureError(f"the blocks are no chain: {wrong}", hint=_HINT)
        for name, output, version in self.outputs:
            if _version(output) != version:
                raise CaptureError(f"the output of {name} was changed in place by what follows", hint=_HINT)
        return [output for _, output, _ in self.outputs]

    def tokens(self, images: int) -> list[Tensor]:
        """Return each block's output tokens, `[image, token, channel]`, of a pass over so many images.

        Raises:
            CaptureError: As `features`; or an output is of another shape, or shapes change between blocks.
        """
        outputs = self.features()
        for name, output in zip(self.names, outputs, strict=True):
            if output.ndim != 3 or len(output) != images:
                raise CaptureError(
                    f"{name} puts out {list(output.shape)} for {images} images, not [image, token, channel]",
                    hint="a chain of tokens needs a plain vision transformer",
                )
            if output.shape != outputs[0].shape:
                raise CaptureError(
                    f"the tokens change from {list(outputs[0].shape)} in {self.names[0]}"
                    f" to {list(output.shape)} in {name}",
                    hint="a chain of tokens needs the same tokens in every block",
                )
        return outputs


@dataclass(frozen=True, eq=False)
class Blocks:
    """The blocks of a model's trunk, from input to output.

    Attributes:
        model: The model.
        names: The blocks' names in it.
    """

    model: nn.Module
    names: tuple[str, ...]

    def __len__(self) -> int:
        return len(self.names)

    @contextmanager
    def recording(self) -> Iterator[Recorded]:
        """Record what the blocks put out inside the block; each forward pass begins anew.

        The tensors are those of the computation, with their graph where gradients are on; of convolutions
        they are copies. Passes of other threads are not seen.
        """
        record = Recorded(self.names, [])
        thread = threading.get_ident()

        def start(*_: object) -> None:
            if threading.get_ident() == thread:
                record.outputs.clear()

        def keep(name: str) -> Callable[..., None]:
            def hook(module: nn.Module, _: tuple[Any, ...], made: object) -> None:
                if threading.get_ident() == thread:
                    output = _tensor(made, name)
                    # What follows a bare convolution often works in its place.
                    output = output.clone() if isinstance(module, nn.Conv2d) else output
                    record.outputs.append((name, output, _version(output)))

            return hook

        with ExitStack() as handles:
            handles.enter_context(self.model.register_forward_pre_hook(start))
            for name in self.names:
                module = self.model.get_submodule(name)
                handles.enter_context(module.register_forward_hook(keep(name)))
            yield record

    def outputs(self, images: Tensor) -> list[Tensor]:
        """Run the model and return each block's output tokens, `[image, token, channel]`.

        Raises:
            CaptureError: The blocks are not a chain over the same tokens.
        """
        with self.recording() as record:
            self.model(images)
        return record.tokens(len(images))

    def readout(self, tokens: Tensor, images: Tensor) -> Tensor:
        """Return head(norm(pool(tokens))), the model's logits if its last block had put these tokens out.

        The model runs once on copies of the first image alone, and the last block's output is replaced:
        whatever norm, pooling and head it has follow, in its own code. Tokens of several blocks may be
        stacked along the first axis. The last block's own tokens give the model's logits.

        Args:
            tokens: `[row, token, channel]`, any number of rows.
            images: `[image, channel, row, column]`, of which the first is run; its content changes nothing.

        Returns:
            Logits `[row, class]`, with a graph to `tokens` where gradients are on.

        Raises:
            CaptureError: The model does not return logits of these rows.
        """
        thread = threading.get_ident()

        def replace(module: nn.Module, given: tuple[Any, ...], made: object) -> object:  # noqa: ARG001
            if threading.get_ident() != thread:
                return made
            return (tokens, *made[1:]) if isinstance(made, tuple) else tokens

        last = self.model.get_submodule(self.names[-1])
        # One row of something from before the blocks would be added to every row of tokens in silence.
        copies = 3 if len(tokens) == 2 else 2
        # First in line: whatever else listens to the block hears what the head gets.
        with last.register_forward_hook(replace, prepend=True):
            try:
                made = self.model(images[:1].repeat(copies, 1, 1, 1))
            except RuntimeError as error:
                raise self._unreadable(tokens, str(error).splitlines()[0]) from error
        logits = made if isinstance(made, torch.Tensor) else getattr(made, "logits", None)
        if not isinstance(logits, torch.Tensor) or logits.ndim != 2 or len(logits) != len(tokens):
            shape = list(logits.shape) if isinstance(logits, torch.Tensor) else type(made).__name__
            raise self._unreadable(tokens, f"it returned {shape}")
        return logits

    def _unreadable(self, tokens: Tensor, why: str) -> CaptureError:
        return CaptureError(
            f"the head does not read tokens {list(tokens.shape)} instead of those of {self.names[-1]}: {why}",
            hint="a logit lens needs a head that follows the last block at once",
        )


def find_blocks(model: nn.Module, *, names: Sequence[str] | None = None) -> Blocks:
    """Return the transformer blocks of a model's trunk.

    These are the modules with weights in an `nn.Sequential` or `nn.ModuleList`, all of which have attention
    somewhere inside, by the name of its class. A container that holds one such module, which has several of
    them inside itself, is a wrapper, and those inside count.

    Args:
        model: Any module: of timm, torchvision, Hugging Face or the user's own.
        names: The blocks' names in order, where they cannot be found.

    Raises:
        CaptureError: There are none, they stand among others without attention, or no module has a name.
    """
    if names is not None:
        return Blocks(model, check_names(model, names))
    found: list[str] = []
    for stack in stacks(model):
        attentive = [has_attention(model.get_submodule(name)) for name in stack]
        if any(attentive) and not all(attentive):
            other = stack[attentive.index(False)]
            raise CaptureError(
                f"the transformer blocks stand among others: {other} has no attention",
                hint="a chain of tokens needs a plain vision transformer",
            )
        found += stack if any(attentive) else []
    if not found:
        raise CaptureError("this model has no transformer blocks", hint=_HINT)
    return Blocks(model, tuple(found))


def find_layers(model: nn.Module, *, names: Sequence[str] | None = None) -> Blocks:
    """Return the layers of any model's trunk at which to compare what it makes of images.

    These are the modules with weights in an `nn.Sequential` or `nn.ModuleList`, the outermost ones: blocks
    of a transformer, of both parts of a hybrid, blocks or stages of a convolutional network. Where there are
    none, the stages that timm states, or else the convolutions.

    Args:
        model: Any module.
        names: The layers' names in order, where they cannot be found or others are wanted.

    Raises:
        CaptureError: There are none, or no module has a name.
    """
    if names is not None:
        return Blocks(model, check_names(model, names))
    found = [name for stack in stacks(model) for name in stack] or stated_stages(model)
    if not found:
        found = [name for name, module in model.named_modules() if isinstance(module, nn.Conv2d)]
    if not found:
        raise CaptureError("this model has neither blocks nor convolutions", hint=_HINT)
    return Blocks(model, tuple(found))


def _version(output: Tensor) -> int | None:
    return None if output.is_inference() else output._version


def _tensor(made: object, name: str) -> Tensor:
    # Hugging Face's blocks may return a tuple of which the tokens come first.
    output = made[0] if isinstance(made, tuple) and made else made
    if not isinstance(output, torch.Tensor):
        raise CaptureError(f"{name} puts out no tensor but {type(made).__name__}", hint=_HINT)
    return output
