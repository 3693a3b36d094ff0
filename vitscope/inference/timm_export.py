"""A folder that timm loads, by `timm.create_model("local-dir:FOLDER", pretrained=True)`."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import torch
from timm.layers.patch_embed import PatchEmbed
from timm.models.resnet import ResNet
from timm.models.vision_transformer import VisionTransformer

from vitscope.checkpoint.state import explain_mismatch
from vitscope.checkpoint.tensorfile import write_tensors
from vitscope.errors import InputError
from vitscope.inference.equivalence import SAME, SAME_HALF, check_logits, probe_logits, probe_pixels
from vitscope.inference.tensor_export import halved
from vitscope.paths import write_json

if TYPE_CHECKING:
    from pathlib import Path

    from torch import nn

    from vitscope.data.preprocessing import Preprocessing
    from vitscope.inference.classifier import Classifier

__all__ = ["export_timm", "timm_architecture"]

_POOLS = {"cls": "token", "mean": "avg"}


def timm_architecture(model: Classifier) -> tuple[str, dict[str, Any]]:
    """Return the name by which timm builds a model's network, and the arguments.

    Raises:
        InputError: timm builds no such network.
    """
    kind, _, name = model.architecture.partition(":")
    architecture, arguments = "", dict(model.options)
    if kind == "timm":
        architecture = name.partition(".")[0]
    elif kind == "vitscope" and name.startswith("timm:"):
        architecture, arguments = name.partition(":")[2].partition(".")[0], {}
        if _fits(architecture, sized := {"img_size": model.options["image_size"]}, model):
            arguments = sized
    elif kind == "vitscope" and _is_vit(model.network):
        architecture, arguments = "vit_tiny_patch16_224", _vit_arguments(model.options)
    elif kind == "vitscope" and type(model.network) is ResNet:
        architecture, arguments = "resnet18", {}
    if not architecture or not _fits(architecture, arguments, model):
        raise InputError(
            f"timm has no architecture like this {model.name}",
            hint="export it as safetensors or onnx" if kind else "export it as onnx",
        )
    return architecture, {"in_chans": model.preprocessing.channels} | arguments


def _is_vit(network: nn.Module) -> bool:
    return type(network) is VisionTransformer and type(network.patch_embed) is PatchEmbed


def _vit_arguments(options: dict[str, Any]) -> dict[str, Any]:
    pool = _POOLS[options["pool"]]
    return {
        "img_size": options["image_size"],
        "patch_size": options["patch_size"],
        "embed_dim": options["width"],
        "depth": options["depth"],
        "num_heads": options["heads"],
        "mlp_ratio": options["mlp_ratio"],
        "global_pool": pool,
        "class_token": pool == "token",
    }


def _fits(architecture: str, arguments: dict[str, Any], model: Classifier) -> bool:
    """Tell whether timm's network takes the arguments, and has the weights of ours by name and shape."""
    import timm

    chosen = {"num_classes": len(model.classes), "in_chans": model.preprocessing.channels} | arguments
    try:
        with torch.device("meta"):
            theirs = timm.create_model(architecture, **chosen)
    except TypeError:
        return False
    shapes = {key: tuple(tensor.shape) for key, tensor in theirs.state_dict().items()}
    return not explain_mismatch(shapes, model.network.state_dict())


def export_timm(model: Classifier, folder: Path, *, half: bool = False) -> dict[str, Any]:
    """Write `model.safetensors` and `config.json` into a folder, load it through timm, and compare.

    Args:
        model: On the CPU.
        folder: A folder that is there.
        half: Keep the weights in float16; timm computes with them in float32.

    Returns:
        `architecture` and `model_args` as timm takes them, `digest` of the tensors as written, and
        `largest_difference` of the logits.

    Raises:
        InputError: timm builds no such network, or loads another one.
        NotFiniteError: A weight is not finite, or too large for half precision.
        EnvironmentFault: The folder cannot be written.
    """
    architecture, arguments = timm_architecture(model)
    state = model.network.state_dict()
    digest = write_tensors(folder / "model.safetensors", halved(state) if half else state, {"format": "pt"})
    write_json(
        folder / "config.json",
        {
            "architecture": architecture,
            "num_classes": len(model.classes),
            "label_names": list(model.classes),
            "model_args": arguments,
            "pretrained_cfg": _pretrained(model.network, model.preprocessing, len(model.classes)),
        },
    )
    tolerance = SAME_HALF if half else SAME
    difference = _difference(model, folder, tolerance)
    return {
        "architecture": architecture,
        "model_args": arguments,
        "digest": digest,
        "largest_difference": difference,
    }


def _pretrained(network: nn.Module, form: Preprocessing, classes: int) -> dict[str, Any]:
    """Return how timm prepares an image, and which layers it would replace for other images and classes."""
    known: dict[str, Any] = getattr(network, "pretrained_cfg", None) or {}
    first, head = ("patch_embed.proj", "head") if isinstance(network, VisionTransformer) else ("conv1", "fc")
    short = form.resize if isinstance(form.resize, int) else max(form.resize or form.size)
    return {
        "custom_load": False,
        "input_size": [form.channels, *form.size],
        "fixed_input_size": bool(known.get("fixed_input_size", isinstance(network, VisionTransformer))),
        "interpolation": form.interpolation,
        "crop_pct": _crop_share(max(form.size), short),
        "crop_mode": "squash" if isinstance(form.resize, tuple) else "center",
        "mean": list(form.mean),
        "std": list(form.std),
        "num_classes": classes,
        "pool_size": known.get("pool_size"),
        "first_conv": known.get("first_conv", first),
        "classifier": known.get("classifier", head),
    }


def _crop_share(size: int, short: int) -> float:
    """Return the share of the resized picture that is cut out, such that ⌊size / share⌋ is `short` again."""
    share = size / short
    return share if math.floor(size / share) == short else size / (short + 0.5)


def _difference(model: Classifier, folder: Path, tolerance: float) -> float:
    import timm

    from vitscope.inference.classifier import Classifier

    theirs = timm.create_model(f"local-dir:{folder}", pretrained=True).float().eval()
    loaded = Classifier(theirs, classes=model.classes, preprocessing=model.preprocessing)
    pixels = probe_pixels(model)
    return check_logits(
        probe_logits(model, pixels), probe_logits(loaded, pixels), tolerance=tolerance, what="timm"
    )
