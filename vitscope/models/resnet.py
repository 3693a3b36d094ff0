"""ResNet-18 for small images."""

from __future__ import annotations

from timm.models.resnet import BasicBlock, ResNet
from torch import nn

__all__ = ["resnet18"]


def resnet18(
    *, classes: int, image_size: int, channels: int, dropout: float = 0.0, drop_path: float = 0.0
) -> ResNet:
    """Build ResNet-18; up to 64 pixels with a 3×3 stem of stride 1 and no max-pool, above with the 7×7 stem.

    The small stem keeps the whole resolution of a 32×32 image for the first stage, as in the CIFAR networks.

    *Source*: He et al. 2016, arXiv 1512.03385; timm's `ResNet`.
    """
    network = ResNet(
        BasicBlock,  # type: ignore[arg-type]  # timm annotates the class as an instance
        (2, 2, 2, 2),
        num_classes=classes,
        in_chans=channels,
        drop_rate=dropout,
        drop_path_rate=drop_path,
    )
    if image_size <= 64:
        stem = nn.Conv2d(channels, 64, kernel_size=3, stride=1, padding=1, bias=False)
        nn.init.kaiming_normal_(stem.weight, mode="fan_out", nonlinearity="relu")
        network.conv1 = stem  # type: ignore[assignment]  # declared as one of timm's deep stems
        network.maxpool = nn.Identity()  # type: ignore[assignment]
    return network
