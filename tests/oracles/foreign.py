"""Models of other libraries with drawn weights, and the files in which their users keep them."""

from __future__ import annotations

import warnings

import numpy as np
import timm
import torch
from PIL import Image
from safetensors.torch import save_file
from torchvision import models

TIMM, TORCHVISION = "test_vit.r160_in1k", "shufflenet_v2_x0_5"


def timm_model(name=TIMM, **options):
    torch.manual_seed(0)
    return timm.create_model(name, pretrained=False, **options).eval()


def torchvision_model(name=TORCHVISION, **options):
    torch.manual_seed(0)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return models.get_model(name, weights=None, **options).eval()


def plain(model):
    """The state as tensors of their own, as safetensors wants them."""
    return {name: tensor.clone().contiguous() for name, tensor in model.state_dict().items()}


def written(state, path, metadata=None):
    if path.suffix == ".safetensors":
        save_file(state, path, metadata=metadata)
    else:
        torch.save(state, path)
    return path


def picture(width=301, height=204, seed=0):
    draw = np.random.default_rng(seed)
    coarse = Image.fromarray(draw.integers(0, 256, (9, 13, 3), dtype=np.uint8))
    return coarse.resize((width, height), Image.Resampling.BICUBIC)


def hugging_face(folder, *, classes=3, side=32, processor=None):
    """A small ViT in a folder, with its image processor; returns both."""
    from transformers import ViTConfig, ViTForImageClassification, ViTImageProcessor

    names = ("cat", "dog", "eel", "owl")[:classes] if classes <= 4 else [f"class {i}" for i in range(classes)]
    config = ViTConfig(
        hidden_size=32,
        num_hidden_layers=2,
        num_attention_heads=2,
        intermediate_size=64,
        image_size=side,
        patch_size=8,
        id2label=dict(enumerate(names)),
        label2id={name: index for index, name in enumerate(names)},
    )
    torch.manual_seed(0)
    model = ViTForImageClassification(config).eval()
    with torch.no_grad():
        model.classifier.weight.mul_(20)
    processor = processor or ViTImageProcessor(size={"height": side, "width": side})
    model.save_pretrained(folder)
    processor.save_pretrained(folder)
    return model, processor
