"""What every method is given: normalised images, and a model that treats each of them alone."""

from __future__ import annotations

from typing import TYPE_CHECKING

from vitscope.errors import InputError, UsageError

if TYPE_CHECKING:
    from torch import Tensor, nn

__all__ = ["check_images", "check_mode"]


def check_images(images: Tensor) -> None:
    """Check that images are a batch of normalised ones.

    Raises:
        InputError: They are not floats `[image, channel, row, column]`, or there is none.
    """
    if images.ndim != 4 or not images.dtype.is_floating_point or 0 in images.shape:
        raise InputError(
            f"expected normalised float images [image, channel, row, column], "
            f"got {images.dtype} {list(images.shape)}",
            hint="Classifier.prepare makes them from pictures",
        )


def check_mode(model: nn.Module) -> None:
    """Check that no part of a model is in training mode, as dropout and batch norm must not be.

    Raises:
        UsageError: A part is; the message names it.
    """
    training = [name for name, module in model.named_modules() if module.training]
    if training:
        raise UsageError(
            f"{training[0] or 'the model'} is in training mode, where images change each other's output",
            hint="call model.eval() first",
        )
