"""Each method of the table as a function of a model and a batch, with the options that a user can set."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch

from vitscope.capture.tape import capture
from vitscope.errors import InputError
from vitscope.explain.flow import attention_flow
from vitscope.explain.gradcam import grad_cam
from vitscope.explain.gradients import attention_gradients
from vitscope.explain.integrated import gradient_x_input, integrated_gradients
from vitscope.explain.legrad import legrad
from vitscope.explain.occlusion import occlusion
from vitscope.explain.raw import raw_attention
from vitscope.explain.relevance import gradient_rollout, relevance
from vitscope.explain.rollout import rollout
from vitscope.explain.sampled import gradient_shap, smoothgrad
from vitscope.explain.targets import check_logits

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from torch import Tensor, nn

    from vitscope.records.attention import Attention, Fusion
    from vitscope.records.heatmap import Heatmap

__all__ = ["MAPS"]


def _rollout(
    model: nn.Module,
    images: Tensor,
    *,
    targets: Tensor | None = None,  # noqa: ARG001 - explains no class
    fuse: Fusion = "mean",
    discard: float = 0.0,
    layers: Sequence[int] | None = None,
    **layout: Any,  # noqa: ANN401 - capture's own
) -> Heatmap:
    attention = _attention(model, images, heads=fuse, **layout)
    return rollout(attention, fuse=fuse, discard=discard, layers=layers)


def _raw(
    model: nn.Module,
    images: Tensor,
    *,
    targets: Tensor | None = None,  # noqa: ARG001 - explains no class
    layer: int = -1,
    head: int | Fusion = "mean",
    **layout: Any,  # noqa: ANN401 - capture's own
) -> Heatmap:
    if isinstance(head, str):
        return raw_attention(_attention(model, images, heads=head, **layout), layer)[0]
    heads = raw_attention(_attention(model, images, heads=None, **layout), layer)
    if not -len(heads) <= head < len(heads):
        raise InputError(f"expected a head in 0 … {len(heads) - 1}, got {head}")
    return heads[head]


def _gradient_rollout(
    model: nn.Module,
    images: Tensor,
    *,
    targets: Tensor | None = None,
    **layout: Any,  # noqa: ANN401 - capture's own
) -> Heatmap:
    return gradient_rollout(attention_gradients(model, images, targets=targets, **layout))


def _relevance(
    model: nn.Module,
    images: Tensor,
    *,
    targets: Tensor | None = None,
    **layout: Any,  # noqa: ANN401 - capture's own
) -> Heatmap:
    return relevance(attention_gradients(model, images, targets=targets, **layout))


def _flow(
    model: nn.Module,
    images: Tensor,
    *,
    targets: Tensor | None = None,  # noqa: ARG001 - explains no class
    fuse: Fusion = "mean",
    **layout: Any,  # noqa: ANN401 - capture's own
) -> Heatmap:
    return attention_flow(_attention(model, images, heads=fuse, **layout), fuse=fuse)


def _attention(model: nn.Module, images: Tensor, *, heads: Fusion | None, **layout: Any) -> Attention:  # noqa: ANN401
    """Return the attention of one forward pass, once its logits are finite."""
    with torch.inference_mode(), capture(model, heads=heads, **layout) as tape:
        model(images)
    attention = tape.attention()
    if attention.logits is not None:
        check_logits(attention.logits, len(images))
    return attention


MAPS: Mapping[str, Callable[..., Heatmap]] = {
    "rollout": _rollout,
    "raw": _raw,
    "gradient-rollout": _gradient_rollout,
    "relevance": _relevance,
    "flow": _flow,
    "legrad": legrad,
    "grad-cam": grad_cam,
    "integrated-gradients": integrated_gradients,
    "gradient-x-input": gradient_x_input,
    "smoothgrad": smoothgrad,
    "occlusion": occlusion,
    "gradient-shap": gradient_shap,
}
