"""Who takes part in `benchmarks/attention.py`: functions of a model and images that return what to run.

Nothing is imported before it is asked for, so that a process holds what its contestant needs and no more.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

    from timm.models.vision_transformer import VisionTransformer
    from torch import Tensor

    Run = Callable[[], object]

MODELS: dict[str, dict[str, int]] = {
    "vit-tiny": {"img_size": 32, "patch_size": 4, "embed_dim": 192, "num_heads": 3, "num_classes": 10},
    "vit-b16": {"img_size": 224, "patch_size": 16, "embed_dim": 768, "num_heads": 12, "num_classes": 1000},
}
DEPTH = 12


def vit(name: str) -> VisionTransformer:
    import torch
    from timm.models.vision_transformer import VisionTransformer

    torch.manual_seed(0)
    return VisionTransformer(depth=DEPTH, **MODELS[name]).eval()


def plain(model: VisionTransformer, images: Tensor) -> Run:
    import torch

    return torch.inference_mode()(lambda: model(images))


def our_rollout(model: VisionTransformer, images: Tensor) -> Run:
    import torch

    from vitscope.capture.tape import capture
    from vitscope.explain.rollout import rollout

    def run() -> object:
        with torch.inference_mode(), capture(model, heads="mean") as tape:
            model(images)
        return rollout(tape.attention())

    return run


def our_relevance(model: VisionTransformer, images: Tensor) -> Run:
    from vitscope.explain.gradients import attention_gradients
    from vitscope.explain.relevance import relevance

    return lambda: relevance(attention_gradients(model, images))


def our_grad_cam(model: VisionTransformer, images: Tensor) -> Run:
    from vitscope.explain.gradcam import grad_cam

    return lambda: grad_cam(model, images)


def multiplied(matrices: list[Tensor]) -> Tensor:
    """Return the class token's row of the product of all layers, N×N matrices from the first layer on."""
    import torch

    eye = torch.eye(matrices[0].shape[-1])
    result = eye
    for matrix in matrices:
        mixed = matrix.mean(dim=1) + eye
        result = (mixed / mixed.sum(dim=-1, keepdim=True)) @ result
    return result[:, 0, 1:]


def vit_explain(model: VisionTransformer, images: Tensor, size: int = 1) -> Run:
    """Every head of every layer, heard at the attention's dropout, fused attention off."""
    import torch

    heard: list[Tensor] = []
    for block in model.blocks:
        block.attn.fused_attn = False
        block.attn.attn_drop.register_forward_hook(lambda *call: heard.append(call[-1]))

    @torch.inference_mode()
    def run() -> object:
        maps = []
        for part in images.split(size):
            heard.clear()
            model(part)
            maps.append(multiplied(heard))
        heard.clear()
        return torch.cat(maps)

    return run


def vit_explain_batched(model: VisionTransformer, images: Tensor) -> Run:
    return vit_explain(model, images, size=len(images))


def hugging_face(model: VisionTransformer, images: Tensor) -> Run:
    import torch
    from transformers import ViTConfig, ViTForImageClassification

    config = ViTConfig(
        hidden_size=model.embed_dim,
        num_hidden_layers=DEPTH,
        num_attention_heads=model.blocks[0].attn.num_heads,
        intermediate_size=4 * model.embed_dim,
        image_size=images.shape[-1],
        patch_size=model.patch_embed.patch_size[0],
        num_labels=model.num_classes,
        attn_implementation="eager",
    )
    theirs = ViTForImageClassification(config).eval()

    @torch.inference_mode()
    def run() -> object:
        return multiplied(theirs(images, output_attentions=True).attentions)

    return run


def pytorch_grad_cam(model: VisionTransformer, images: Tensor) -> Run:
    from pytorch_grad_cam import GradCAM

    rows, columns = model.patch_embed.grid_size

    def as_image(tokens: Tensor) -> Tensor:
        return tokens[:, 1:].reshape(len(tokens), rows, columns, -1).permute(0, 3, 1, 2)

    cam = GradCAM(model, [model.blocks[-1].norm1], reshape_transform=as_image)
    return lambda: cam(input_tensor=images, targets=None)


OURS = {
    "plain forward": plain,
    "vitscope rollout": our_rollout,
    "vitscope Grad-CAM": our_grad_cam,
    "vitscope relevance": our_relevance,
}
RIVALS = {
    "vit-explain's method": vit_explain,
    "the same, batched": vit_explain_batched,
    "Hugging Face + rollout": hugging_face,
    "pytorch-grad-cam": pytorch_grad_cam,
}
CONTESTANTS: dict[str, Callable[[VisionTransformer, Tensor], Run]] = OURS | RIVALS
