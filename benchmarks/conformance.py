"""Whose attention is captured, who is refused and why: checked against each model's own explicit code.

Random weights; depth and image size are cut where the architecture allows. A model is *captured* when every
layer's matrix equals what the model itself computes with its fused kernels off, its logits equal those of
the plain run, and the gradients of a logit by every matrix equal autograd's through that explicit code.
Exits with 1 when anything is wrong.

    python benchmarks/conformance.py                  # writes docs/conformance.md, some minutes on one core
    python benchmarks/conformance.py vit_tiny swin    # prints the models whose names hold one of these
"""

from __future__ import annotations

import argparse
import sys
import warnings
from contextlib import nullcontext
from copy import deepcopy
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any
from unittest.mock import patch

import timm
import torch
import torchvision
import transformers
from torch import Tensor, nn

import vitscope
from vitscope.capture.tape import capture
from vitscope.errors import CaptureError
from vitscope.explain.gradients import attention_gradients
from vitscope.paths import write_text

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from vitscope.records.attention import Attention

TABLE = Path(__file__).parents[1] / "docs" / "conformance.md"
CLASSES = 5
# Largest differences allowed: of weights, of logits, of gradients relative to the largest one.
WEIGHTS, LOGITS, GRADIENTS = 1e-5, 1e-4, 1e-3
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


@dataclass
class Verdict:
    """What came of a case, as a row of the table."""

    case: Case
    outcome: str
    said: str


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


def compare(case: Case, model: nn.Module, images: Tensor, seen: Attention, plain: Tensor) -> list[str]:
    """Return what is wrong with what was captured; nothing where all is right."""
    own, logits = case.own(model, images)
    if len(own) != len(seen.weights):
        return [f"{len(seen.weights)} layers captured, {len(own)} in the model's own run"]
    assert seen.logits is not None
    wrong = []
    if (seen.logits - plain).abs().max() > LOGITS:
        wrong.append("the logits differ from the plain run's")
    targets = torch.arange(len(images)) % CLASSES
    slopes = torch.autograd.grad(logits.gather(1, targets[:, None]).sum(), own)
    found = attention_gradients(model, images, targets=targets, **case.told)
    rows = zip(seen.layers, seen.weights, own, found.gradients, slopes, strict=True)
    for layer, weights, expected, gradients, slope in rows:
        if weights.shape != expected.shape or (weights - expected).abs().max() > WEIGHTS:
            wrong.append(f"the weights of {layer} differ")
        if not slope.abs().max() > 0 or (gradients - slope).abs().max() > GRADIENTS * slope.abs().max():
            wrong.append(f"the gradients of {layer} differ")
    return wrong


def judge(case: Case) -> Verdict:
    torch.manual_seed(0)
    model = case.make().eval()
    side = image_side(case)
    images = torch.randn(2, 3, side, side)
    with torch.no_grad():
        plain = model(images)
        with capture(model, **case.told) as tape:
            model(images)
    try:
        seen = tape.attention()
    except CaptureError as error:
        return Verdict(case, "no attention" if "has no attention" in str(error) else "refused", str(error))
    wrong = compare(case, model, images, seen, plain)
    if wrong:
        return Verdict(case, "WRONG", "; ".join(wrong))
    rows, columns = seen.grid
    heads = seen.weights[0].shape[1]
    return Verdict(
        case,
        "captured",
        f"{len(seen.layers)} layers of {heads} heads; {rows}x{columns} patches after {seen.prefix} tokens;"
        f" the head reads {'the class token' if seen.pool == 'cls' else 'the mean of the patches'}",
    )


def table(verdicts: list[Verdict]) -> str:
    counts = {
        outcome: sum(each.outcome == outcome for each in verdicts)
        for outcome in ("captured", "refused", "no attention", "WRONG")
    }
    packages = {
        "vitscope": vitscope.__version__,
        "torch": torch.__version__,
        "timm": timm.__version__,
        "torchvision": torchvision.__version__,
        "transformers": transformers.__version__,
    }
    lines = [
        "# Whose attention is captured",
        "",
        "Made by `python benchmarks/conformance.py`; do not edit. Random weights, small images and few",
        "layers where the architecture allows. *Captured*: each layer's matrix and the gradient of a logit",
        "by it equal those of the model's own explicit code, and the logits those of the plain run.",
        "*Refused*: `CaptureError` with the reason given here, and never a part of the layers.",
        "*No attention*: there is nothing to capture.",
        "",
        ", ".join(f"{name} {version}" for name, version in packages.items()) + ".",
        "",
        ", ".join(f"{count} {outcome}" for outcome, count in counts.items()) + ".",
        "",
        "| library | model | outcome | |",
        "|---|---|---|---|",
    ]
    for each in verdicts:
        said = each.said.replace("|", "\\|")
        lines.append(f"| {each.case.library} | {each.case.name} | {each.outcome} | {said} |")
    return "\n".join(lines) + "\n"


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("names", nargs="*", help="parts of models' names; all, and the table, where left out")
    parser.add_argument("--threads", type=int, default=1)
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    warnings.filterwarnings("ignore")
    transformers.logging.set_verbosity_error()
    verdicts = []
    for case in cases():
        if not options.names or any(part in case.name for part in options.names):
            verdicts.append(judge(case))
            print(
                f"{case.library:12} {case.name:36} {verdicts[-1].outcome:12} {verdicts[-1].said}", flush=True
            )
    if not options.names:
        write_text(TABLE, table(verdicts))
    return int(any(each.outcome == "WRONG" for each in verdicts))


if __name__ == "__main__":
    sys.exit(main())
