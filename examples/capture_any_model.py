"""Attention rollout of a model that vitscope knows nothing about: here a timm ViT with random weights."""

import timm
import torch

import vitscope

model = timm.create_model("vit_tiny_patch16_224", pretrained=False).eval()
images = torch.randn(2, 3, 224, 224)
with torch.no_grad(), vitscope.capture(model) as tape:
    logits = model(images)
attention = tape.attention()
maps = vitscope.rollout(attention).values

print(f"{len(attention.weights)} layers, each {list(attention.weights[0].shape)}: image, head, query, key")
print(
    f"maps {list(maps.shape)}: image, row, column; the class token keeps {1 - maps[0].sum():.1%} of the first"
)
