"""Gradients of a class's logit by every attention weight: what the class-wise maps are made from."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import torch
from torch.utils.checkpoint import CheckpointError

from vitscope.capture.tape import capture
from vitscope.errors import CaptureError, InputError
from vitscope.explain.targets import check_logits, choose_targets

if TYPE_CHECKING:
    from typing import Any

    from torch import Tensor, nn

    from vitscope.records.attention import Attention

__all__ = ["AttentionGradients", "attention_gradients"]


@dataclass(frozen=True, eq=False)
class AttentionGradients:
    """The attention of a chain of layers, and how one class's logit of each image changes with it.

    Attributes:
        attention: The attention, each head kept, without a graph.
        gradients: One tensor a layer, ∂y_c/∂A `[image, head, query, key]`, A after softmax.
        targets: `[image]`, the class c of each image.

    Raises:
        InputError: The shapes do not fit together.
    """

    attention: Attention
    gradients: list[Tensor]
    targets: Tensor

    def __post_init__(self) -> None:
        expected = [list(weight.shape) for weight in self.attention.weights]
        got = [list(gradient.shape) for gradient in self.gradients]
        if got != expected:
            raise InputError(f"expected gradients of the weights' shapes {expected}, got {got}")
        if tuple(self.targets.shape) != (len(self.attention),):
            raise InputError(f"expected {len(self.attention)} targets, got {list(self.targets.shape)}")


def attention_gradients(
    model: nn.Module,
    images: Tensor,
    *,
    targets: Tensor | None = None,
    **layout: Any,  # noqa: ANN401 - capture's own
) -> AttentionGradients:
    """Return a batch's attention and its gradients, one class an image, from one pass forward and one back.

    No gradient of a parameter is made or changed, and the model may be frozen. An image's gradients do not
    depend on the other images of the batch, since its logits do not (evaluation mode).

    Args:
        model: A classifier in evaluation mode, from float images to logits `[image, class]`.
        images: `[image, channel, row, column]`, as the model takes them, on its device.
        targets: `[image]`, the class of each image, whole numbers; the predicted classes where left out.
        **layout: `grid`, `prefix` and `pool`, as `vitscope.capture` takes them.

    Raises:
        CaptureError: The model has no chain of global self-attention, gives no logits, or a layer's weights
            do not lie on the way to them.
        InputError: The targets are not one class of the model an image.
        NotFiniteError: The logits are not finite.
    """
    with torch.inference_mode(False), torch.enable_grad():
        # The images carry the graph, so that a frozen model has one as well.
        given = images.detach().clone().requires_grad_()
        with capture(model, **layout) as tape:
            model(given)
        attention = tape.attention()
        logits = check_logits(attention.logits, len(given))
        chosen = choose_targets(targets, logits)
        score = logits.gather(1, chosen[:, None]).sum()
        found = _slopes(score, attention)
    gradients = [gradient for gradient in found if gradient is not None]
    if len(gradients) < len(found):
        lost = [name for name, gradient in zip(attention.layers, found, strict=True) if gradient is None]
        raise CaptureError(
            f"the logits do not depend on the recorded weights of {', '.join(lost[:2])}",
            hint="rollout needs no gradients",
        )
    weights = [weight.detach() for weight in attention.weights]
    return AttentionGradients(replace(attention, weights=weights, logits=logits.detach()), gradients, chosen)


def _slopes(score: Tensor, attention: Attention) -> tuple[Tensor | None, ...]:
    hint = "turn gradient checkpointing off: model.set_grad_checkpointing(False)"
    cut = [
        name
        for name, weight in zip(attention.layers, attention.weights, strict=True)
        if not weight.requires_grad
    ]
    if cut:
        raise CaptureError(f"{cut[0]} computes its attention without gradients", hint=hint)
    try:
        return torch.autograd.grad(score, attention.weights, allow_unused=True)
    except CheckpointError as error:
        raise CaptureError("the model computes its layers a second time, unseen", hint=hint) from error
