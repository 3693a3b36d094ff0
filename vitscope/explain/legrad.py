"""LeGrad: where more attention would speak for a class, layer by layer."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch

from vitscope.capture.blocks import find_blocks
from vitscope.capture.tape import capture
from vitscope.errors import CaptureError
from vitscope.explain.rollout import over_patches
from vitscope.explain.targets import check_logits, choose_targets
from vitscope.records.heatmap import Heatmap

if TYPE_CHECKING:
    from torch import Tensor, nn

    from vitscope.capture.blocks import Blocks
    from vitscope.records.attention import Attention

__all__ = ["legrad"]


def legrad(
    model: nn.Module,
    images: Tensor,
    *,
    targets: Tensor | None = None,
    **layout: Any,  # noqa: ANN401 - capture's own
) -> Heatmap:
    """Return LeGrad, one map an image.

    With Z_l the tokens that leave block l, what the head would say of them is s_l = head(norm(mean over
    tokens of Z_l)), at the class c. E_l[key] = mean over heads and queries of relu(∂s_l/∂A_l), A after
    softmax; the map is Σ_l E_l at the patches. A layer's attention acts on its own s_l alone.

    *Source*: Bousselham et al. 2024, arXiv 2404.03214, section 3. The mean is over all tokens, the class
    token and registers among them, as in the authors' code, whatever the model's own head reads: through the
    class token alone, the last layer would know one query. *Differs*: s_l is a logit, where the paper has the
    similarity to a text; all layers are summed, as in the paper, where the code begins at the last but one;
    nothing is scaled to 0…1.

    Args:
        model: A vision transformer in evaluation mode, from float images to logits `[image, class]`.
        images: `[image, channel, row, column]`, as the model takes them, on its device.
        targets: `[image]`, the class of each image, whole numbers; the predicted classes where left out.
        **layout: `grid`, `prefix` and `pool`, as `vitscope.capture` takes them.

    Returns:
        Maps `[image, row, column]` on the grid of patches, float32, each ≥ 0, in the logit's unit.

    Raises:
        CaptureError: The model has no chain of global self-attention, one in each of its blocks, gives no
            logits, or its head does not follow the last block at once.
        InputError: The targets are not one class of the model an image.
        NotFiniteError: The logits are not finite.
    """
    blocks = _blocks(model)
    with torch.inference_mode(False), torch.enable_grad():
        # The images carry the graph, so that a frozen model has one as well.
        given = images.detach().clone().requires_grad_()
        with capture(model, **layout) as tape, blocks.recording() as record:
            model(given)
        attention = tape.attention()
        chosen = choose_targets(targets, check_logits(attention.logits, len(given)))
        _check_matched(attention, blocks)
        means = [tokens.mean(dim=1) for tokens in record.tokens(len(given))]
        slopes = _head_slopes(blocks, means, given, chosen, tokens=attention.tokens)
        relevance = torch.zeros_like(attention.weights[0][:, 0, 0, :]).detach()
        for weight, mean, slope in zip(attention.weights, means, slopes, strict=True):
            (gradient,) = torch.autograd.grad(mean, weight, slope)
            relevance = relevance + gradient.relu().mean(dim=(1, 2))
    return Heatmap(
        values=over_patches(relevance[:, None], attention),
        method="LeGrad",
        targets=chosen.cpu().numpy(),
        options={"layers": len(attention.weights)},
    )


def _blocks(model: nn.Module) -> Blocks:
    try:
        return find_blocks(model)
    except CaptureError as error:
        hint = "Grad-CAM and the gradient methods need no transformer"
        raise CaptureError(str(error), hint=hint) from error


def _head_slopes(
    blocks: Blocks, means: list[Tensor], images: Tensor, targets: Tensor, *, tokens: int
) -> tuple[Tensor, ...]:
    """Return ∂s_l/∂(mean over tokens of Z_l), a tensor `[image, channel]` for each block."""
    stacked = torch.cat([mean.detach() for mean in means]).requires_grad_()
    # Where all tokens are the mean, any pooling gives it, and any norm of each token alone acts on it.
    logits = blocks.readout(stacked[:, None].expand(-1, tokens, -1), images.detach())
    score = logits.gather(1, targets.repeat(len(means))[:, None]).sum()
    (slopes,) = torch.autograd.grad(score, stacked)
    return tuple(slopes.reshape(len(means), len(targets), -1))


def _check_matched(attention: Attention, blocks: Blocks) -> None:
    names = attention.layers
    matched = len(names) == len(blocks) and all(
        f"{name}.".startswith(f"{block}.") for name, block in zip(names, blocks.names, strict=True)
    )
    if not matched:
        raise CaptureError(
            f"{len(names)} attention layers, first {names[0]}, do not stand one in each of"
            f" {len(blocks)} blocks, first {blocks.names[0]}",
            hint="relevance and gradient rollout need no blocks",
        )
