"""LeGrad from explicit attention, image by image and layer by layer: the definition, read aloud."""

from __future__ import annotations

import numpy as np
import torch


def layer_gradients(model, image, target):
    """∂s_l/∂A_l of each layer, `[head][query][key]`, by a timm vision transformer's own explicit code."""
    weights, outputs, handles = [], [], []
    for block in model.blocks:
        block.attn.fused_attn = False
        handles.append(
            block.attn.attn_drop.register_forward_pre_hook(lambda _, args: weights.append(args[0]))
        )
        handles.append(block.register_forward_hook(lambda *all_: outputs.append(all_[2])))
    model(image[None])
    for handle in handles:
        handle.remove()
    found = []
    for block, weight, tokens in zip(model.blocks, weights, outputs, strict=True):
        block.attn.fused_attn = True
        mean = tokens[0].sum(dim=0) / tokens.shape[1]
        score = model.head(model.fc_norm(model.norm(mean)))[target]
        (gradient,) = torch.autograd.grad(score, weight, retain_graph=True)
        found.append(gradient[0].tolist())
    return found


def legrad_map(gradients, grid, prefix):
    """The sum over layers of the mean over heads and queries of relu(∂s_l/∂A_l), `[row, column]`."""
    tokens = len(gradients[0][0])
    total = [0.0] * tokens
    for layer in gradients:
        for key in range(tokens):
            values = [max(head[query][key], 0.0) for head in layer for query in range(tokens)]
            total[key] += sum(values) / len(values)
    return np.array(total[prefix:]).reshape(grid)
