"""Masked images in plain loops: pixel by pixel, token by token."""

from __future__ import annotations

import torch


def plain_losses(predicted, images, hidden):
    """Return each image's mean absolute error over the pixels of its hidden patches and all channels."""
    count, channels, side, _ = images.shape
    grid = int(hidden.shape[1] ** 0.5)
    patch = side // grid
    losses = []
    for image in range(count):
        total, pixels = 0.0, 0
        for row in range(side):
            for column in range(side):
                place = (row // patch) * grid + column // patch
                if not hidden[image, place]:
                    continue
                pixels += 1
                for channel in range(channels):
                    value = (channel * patch + row % patch) * patch + column % patch
                    total += abs(
                        float(predicted[image, place, value]) - float(images[image, channel, row, column])
                    )
        losses.append(total / pixels / channels)
    return losses


def plain_forward(model, images, hidden):
    """Run the transformer with the parts of timm's own forward pass, tokens replaced one by one."""
    encoder = model.encoder
    tokens = encoder.patch_embed(images).clone()
    for image in range(len(images)):
        for place in range(tokens.shape[1]):
            if hidden[image, place]:
                tokens[image, place] = model.mask_token[0, 0]
    if encoder.cls_token is not None:
        tokens = torch.cat([encoder.cls_token.expand(len(images), -1, -1), tokens], dim=1)
    tokens = encoder.pos_drop(tokens + encoder.pos_embed)
    for block in encoder.blocks:
        tokens = block(tokens)
    tokens = encoder.fc_norm(encoder.norm(tokens))
    return model.decoder(tokens[:, encoder.num_prefix_tokens :])
