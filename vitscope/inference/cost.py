"""What a classifier costs: its parameters, its arithmetic, and its speed on this machine."""

from __future__ import annotations

import statistics
import time
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

import torch
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.utils.flop_counter import FlopCounterMode

from vitscope.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from torch import nn

    from vitscope.inference.classifier import Classifier

__all__ = ["Cost", "model_cost", "multiply_adds"]

_WARMING, _PASSES = 2, 7


@dataclass(frozen=True)
class Cost:
    """What one model costs.

    Attributes:
        parameters: Learned numbers, each counted once where layers share them; buffers are not among them.
        multiply_adds: Of one image: pairs of a multiplication and an addition in matrix products,
            convolutions and attention; activations, norms and pooling are not counted, as in most papers.
        images_per_second: Forward passes alone, without reading images.
        batch_size: Images in one pass, of the speed.
        device: What it was measured on.
    """

    parameters: int
    multiply_adds: int
    images_per_second: float
    batch_size: int
    device: str

    def metrics(self) -> dict[str, Any]:
        """Return the fields, as JSON can hold them."""
        return asdict(self)


def model_cost(model: Classifier, *, batch_size: int = 32) -> Cost:
    """Count a model's parameters and multiply-adds, and measure its speed, on its own device.

    The speed is that of the median of seven passes over images of zeros after two that warm up, the device
    waited for after each. Modes, gradients and switches of torch are afterwards as before.

    Raises:
        InputError: The batch size is below 1.
    """
    if batch_size < 1:
        raise InputError(f"expected a batch size of at least 1, got {batch_size}")
    shape = (model.preprocessing.channels, *model.preprocessing.size)
    images = torch.zeros((batch_size, *shape), device=model.device)
    with _evaluation(model):
        counted = multiply_adds(model, images[:1])
        seconds = _seconds(model, images)
    return Cost(
        parameters=sum(parameter.numel() for parameter in model.parameters()),
        multiply_adds=counted,
        images_per_second=batch_size / seconds,
        batch_size=batch_size,
        device=str(model.device),
    )


@contextmanager
def _evaluation(model: Classifier) -> Iterator[None]:
    training = {module: module.training for module in model.modules()}
    model.eval()
    try:
        with torch.inference_mode():
            yield
    finally:
        for module, flag in training.items():
            module.training = flag


def multiply_adds(network: nn.Module, image: torch.Tensor) -> int:
    """Return the multiply-adds of a forward pass in the network's present mode; see `Cost`.

    Args:
        network: Also one without memory, on the device `meta`.
        image: Its input, `[1, channel, row, column]`, on the network's device.
    """
    # The fused kernels of attention hide their products from the counter, some in one version of torch alone.
    fast = torch.backends.mha.get_fastpath_enabled()
    torch.backends.mha.set_fastpath_enabled(False)
    try:
        with sdpa_kernel(SDPBackend.MATH), FlopCounterMode(display=False) as counter:
            network(image)
    finally:
        torch.backends.mha.set_fastpath_enabled(fast)
    return int(counter.get_total_flops()) // 2


def _seconds(model: Classifier, images: torch.Tensor) -> float:
    taken: list[float] = []
    for _ in range(_WARMING + _PASSES):
        began = time.perf_counter()
        model(images)
        if images.device.type != "cpu":
            torch.accelerator.synchronize(images.device)
        taken.append(time.perf_counter() - began)
    return statistics.median(taken[_WARMING:])
