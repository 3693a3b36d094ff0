"""What rollout costs over the plain forward pass: ViT-Tiny, 32×32 pixels, patches of 4.

Plain and captured passes alternate, so that what slows the machine slows both; medians are compared.

    python benchmarks/attention.py --repeats 7 --threads 2
"""

from __future__ import annotations

import argparse
import time
from statistics import median
from typing import TYPE_CHECKING

import torch
from timm.models.vision_transformer import VisionTransformer

from vitscope.capture.tape import capture
from vitscope.explain.rollout import rollout

if TYPE_CHECKING:
    from collections.abc import Callable

LIMIT = 1.35


def vit_tiny() -> VisionTransformer:
    torch.manual_seed(0)
    model = VisionTransformer(img_size=32, patch_size=4, embed_dim=192, depth=12, num_heads=3, num_classes=10)
    return model.eval()


def seconds(work: Callable[[], object]) -> float:
    start = time.perf_counter()
    work()
    return time.perf_counter() - start


@torch.inference_mode()
def compare(model: VisionTransformer, batch: int, repeats: int) -> tuple[float, float, float]:
    """Return the median seconds of a plain pass, of a captured one, and of capture and rollout."""
    images = torch.randn(batch, 3, 32, 32)

    def captured() -> None:
        with capture(model, heads="mean"):
            model(images)

    def whole() -> None:
        with capture(model, heads="mean") as tape:
            model(images)
        rollout(tape.attention())

    def plain_pass() -> None:
        model(images)

    rows = [tuple(map(seconds, (plain_pass, captured, whole))) for _ in range(repeats + 1)]
    plain, seen, rolled = (median(column) for column in zip(*rows[1:], strict=True))
    return plain, seen, rolled


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--repeats", type=int, default=7)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--batches", type=int, nargs="+", default=[1, 64, 256])
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    model = vit_tiny()
    print(f"torch {torch.__version__}, {options.threads} threads, median of {options.repeats}")
    print(f"{'images':>6} {'plain':>10} {'captured':>10} {'rollout':>10} {'ratio':>6}")
    for batch in options.batches:
        plain, seen, rolled = compare(model, batch, options.repeats if batch > 1 else 10 * options.repeats)
        times = " ".join(f"{1e3 * each:7.1f} ms" for each in (plain, seen, rolled))
        print(f"{batch:6d} {times} {rolled / plain:6.2f}")
    print(f"the aim: at most {LIMIT:g} at 256 images")


if __name__ == "__main__":
    main()
