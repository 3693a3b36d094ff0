"""The models of `conformance.py`, cut where they allow it, and each library's own explicit attention."""

from __future__ import annotations

from contextlib import nullcontext
from copy import deepcopy
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING, Any
from unittest.mock import patch

import timm
import torch
import torchvision
import transformers
from torch import Tensor, nn

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

CLASSES = 5
# Vision transformers of timm, cut to 64 pixels and two layers; some need more or other cuts.
# fmt: off
CUT = (
    "vit_tiny_patch16_224", "vit_small_patch16_rope_224", "deit_tiny_patch16_224",
    "deit_tiny_distilled_patch16_224", "deit3_small_patch16_224", "flexivit_small",
    "vit_base_patch16_clip_224", "vit_base_patch16_siglip_224", "vit_base_patch16_siglip_gap_224",
    "vit_small_patch16_dinov3", "vit_medium_patch16_reg4_gap_256", "vit_dlittle_patch16_reg1_gap_256",
    "vit_dpwee_patch16_reg1_gap_256", "vit_relpos_small_patch16_224", "vit_srelpos_small_patch16_224",
    "vit_tiny_r_s16_p8_224", "beit_base_patch16_224", "beitv2_base_patch16_224",
    "eva02_base_patch16_clip_224", "xcit_nano_12_p16_224",
)
# As they are: stages, windows, convolutions.
WHOLE = (
    "crossvit_9_240", "swin_tiny_patch4_window7_224", "swinv2_tiny_window8_256", "swinv2_cr_tiny_224",
    "levit_128s", "mvitv2_tiny", "pvt_v2_b0", "twins_svt_small", "twins_pcpvt_small", "pit_ti_224",
    "visformer_tiny", "nest_tiny", "maxvit_nano_rw_256", "coatnet_nano_rw_224", "coat_lite_tiny",
    "efficientformer_l1", "efficientformerv2_s0", "mobilevit_xxs", "mobilevitv2_050",
    "mobilenetv4_hybrid_medium", "fastvit_sa12", "gcvit_xxtiny", "edgenext_xx_small", "poolformer_s12",
    "caformer_s18", "volo_d1_224", "davit_tiny", "hiera_tiny_224", "nextvit_small", "tiny_vit_5m_224",
    "efficientvit_b0", "efficientvit_m0", "repvit_m0_9", "swiftformer_xs", "shvit_s1", "lowformer_b0",
    "csatv2", "halonet26t", "botnet26t_256", "lambda_resnet26t", "mixer_s32_224", "resnet18",
    "convnext_atto", "vitamin_small_224",
)
# fmt: on
SIZES: dict[str, Any] = {"img_size": 64, "depth": 2}
TIMM: dict[str, dict[str, Any]] = {
    **dict.fromkeys(CUT, SIZES),
    "vit_tiny_patch16_384": {"depth": 2},
    "vit_small_patch14_dinov2": {"img_size": 56, "depth": 2},
    "vit_small_patch14_reg4_dinov2": {"img_size": 56, "depth": 2},
    "eva02_tiny_patch14_224": {"img_size": 56, "depth": 2},
    "naflexvit_base_patch16_gap": {"depth": 2},
    "samvit_base_patch16_224": SIZES | {"window_size": 2},
    "cait_xxs24_224": SIZES | {"depth_token_only": 1},
    "convit_tiny": SIZES | {"depth": 3, "local_up_to_layer": 2},
    "tnt_s_patch16_224": {"depth": 2},
    **{name: {} for name in WHOLE},
}
TINY = {
    "hidden_size": 32,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "intermediate_size": 64,
    "image_size": 32,
    "patch_size": 8,
    "num_labels": CLASSES,
}
TRANSFORMERS = {
    "ViT": ("ViT", {}),
    "ViT-MSN": ("ViTMSN", {}),
    "DeiT": ("DeiT", {}),
    "BEiT": ("Beit", {}),
    "Data2Vec-Vision": ("Data2VecVision", {}),
    "I-JEPA": ("IJepa", {}),
    "DINOv2": ("Dinov2", {}),
    "DINOv2, the pool told": ("Dinov2", {"pool": "cls"}),
    "DINOv2 with registers, the pool told": ("Dinov2WithRegisters", {"pool": "cls"}),
}


@dataclass
class Case:
    """A model, the images it takes, and what its own code says its attention is.

    Attributes:
        library: Whose model it is.
        name: Its name there.
        make: Makes the model.
        own: Runs it by its explicit code: the weights of each layer, in a graph to the logits, and these.
        told: What `capture` is told of the layout.
    """

    library: str
    name: str
    make: Callable[[], nn.Module]
    own: Callable[[nn.Module, Tensor], tuple[list[Tensor], Tensor]]
    told: dict[str, Any] = field(default_factory=dict)


class Logits(nn.Module):
    """A model of transformers that returns logits alone."""

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = network

    def forward(self, images: Tensor) -> Tensor:
        """Return logits `[image, class]`."""
        logits: Tensor = self.network(images).logits
        return logits


def timm_own(model: nn.Module, images: Tensor) -> tuple[list[Tensor], Tensor]:
    """Run with the fused kernels off; what the dropout of attention is given are the weights.

    A model that has neither calls softmax itself, on its attention alone.
    """
    found: list[Tensor] = []
    fused = [module for module in model.modules() if hasattr(module, "fused_attn")]
    handles = [
        module.attn_drop.register_forward_pre_hook(lambda _, args: found.append(args[0])) for module in fused
    ]
    softmax = torch.Tensor.softmax

    def spy(scores: Tensor, *args: Any, **kwargs: Any) -> Tensor:
        found.append(softmax(scores, *args, **kwargs))
        return found[-1]

    for module in fused:
        module.fused_attn = False
    try:
        with nullcontext() if fused else patch.object(torch.Tensor, "softmax", spy):
            return found, model(images)
    finally:
        for handle, module in zip(handles, fused, strict=True):
            handle.remove()
            module.fused_attn = True


def transformers_own(model: nn.Module, images: Tensor) -> tuple[list[Tensor], Tensor]:
    """Run a copy that was made without fused kernels, and is asked for its attentions."""
    network = model.network
    explicit = type(network)._from_config(deepcopy(network.config), attn_implementation="eager").eval()
    explicit.load_state_dict(network.state_dict())
    output = explicit(images, output_attentions=True)
    return list(output.attentions), output.logits


def multihead(
    attend: nn.MultiheadAttention, found: list[Tensor], query: Tensor, *_: Tensor, **__: Any
) -> Any:
    """`nn.MultiheadAttention` over itself, batch first, in plain products."""
    images, tokens, width = query.shape
    three = query @ attend.in_proj_weight.T + attend.in_proj_bias
    cut = three.view(images, tokens, 3, attend.num_heads, -1).permute(2, 0, 3, 1, 4)
    scores = cut[0] @ cut[1].transpose(-2, -1) / cut.shape[-1] ** 0.5
    weights = scores.exp() / scores.exp().sum(dim=-1, keepdim=True)
    found.append(weights)
    mixed = (weights @ cut[2]).transpose(1, 2).reshape(images, tokens, width)
    return mixed @ attend.out_proj.weight.T + attend.out_proj.bias, None


def torchvision_own(model: nn.Module, images: Tensor) -> tuple[list[Tensor], Tensor]:
    found: list[Tensor] = []
    attending = [module for module in model.modules() if isinstance(module, nn.MultiheadAttention)]
    for module in attending:
        module.forward = partial(multihead, module, found)
    try:
        return found, model(images)
    finally:
        for module in attending:
            del module.forward


def torchvision_vit() -> nn.Module:
    """ViT-B/16 as torchvision makes it, of two layers; its head starts at 0, where nothing has a gradient."""
    model = torchvision.models.VisionTransformer(64, 16, 2, 12, 768, 3072, num_classes=CLASSES)
    nn.init.normal_(model.heads.head.weight, std=0.02)
    return model


def cases() -> Iterator[Case]:
    for name, options in TIMM.items():
        make = partial(timm.create_model, name, pretrained=False, num_classes=CLASSES, **options)
        yield Case("timm", name, make, timm_own)
    yield Case("torchvision", "vit_b_16 (two layers)", torchvision_vit, torchvision_own)
    yield Case(
        "torchvision", "swin_t", partial(torchvision.models.swin_t, num_classes=CLASSES), torchvision_own
    )
    for name, (kind, told) in TRANSFORMERS.items():
        config = getattr(transformers, f"{kind}Config")
        classifier = getattr(transformers, f"{kind}ForImageClassification")
        yield Case(
            "transformers",
            name,
            lambda config=config, classifier=classifier: Logits(classifier(config(**TINY))),
            transformers_own,
            told,
        )
    shape = {"patch_size": 2, "embed_dim": 16, "depths": [2, 2], "num_heads": [2, 2], "window_size": 4}
    yield Case(
        "transformers",
        "Swin",
        lambda: Logits(
            transformers.SwinForImageClassification(
                transformers.SwinConfig(image_size=32, num_labels=CLASSES, **shape)
            )
        ),
        transformers_own,
    )


def image_side(case: Case) -> int:
    if case.library == "transformers":
        return TINY["image_size"]
    if case.library == "torchvision":
        return 64
    told = TIMM[case.name].get("img_size")
    return int(told or timm.get_pretrained_cfg(case.name).input_size[-1])
