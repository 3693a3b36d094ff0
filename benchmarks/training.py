"""Our training step beside a plain loop with torchvision and beside timm's, in one run on one CPU thread.

    python benchmarks/training.py --data FOLDER [--model vit-tiny] [--batch-size 64] [--steps 2] [--rounds 3]

All train the same network on the same uint8 images with the recipe of the preset vit-tiny: crop with padding,
flip, RandAugment (2, 9), random erasing, mixup and CutMix, AdamW, clipping at 1, averaged weights.

- `vitscope`: images in one tensor, augmentation in batches, every image by its own draw (`Engine`).
- `torchvision`: a DataLoader without workers, v2 transforms image by image on PIL images, `v2.MixUp` and
  `v2.CutMix` in the collate function, torch's AdamW and clipping, an average by `AveragedModel`.
- `timm`: `create_loader` and `create_transform` without prefetcher, as its train.py does on a CPU,
  `timm.data.Mixup`, its optimizer and `ModelEmaV3`.

Rounds are interleaved. Two clocks: seconds, and seconds of the processor, which other work on the machine
bears less on. `input` are images/s of loading and augmentation alone, which is what a GPU waits for.
"""

from __future__ import annotations

import argparse

import torch
from training_contestants import PARTS, Contender, Times, Timm, Torchvision, Vitscope

from vitscope.trainers.overrides import apply_overrides, merge
from vitscope.trainers.preparation import prepare
from vitscope.trainers.presets import load_preset
from vitscope.trainers.settings import parse_settings


def report(contenders: dict[str, Contender], size: int) -> None:
    """Print images/s of the clock and of the processor, and the milliseconds an image of each part."""
    print(
        f"{'':14}{'images/s':>10}{'processor':>11}{'input/s':>10}" + "".join(f"{part:>24}" for part in PARTS)
    )
    totals, inputs = {}, {}
    for name, each in contenders.items():
        clock, busy = (sum(each.times.median(part, which) for part in PARTS) for which in (0, 1))
        totals[name], inputs[name] = size / busy, size / each.times.median(PARTS[0], 1)
        parts = "".join(f"{1000 * each.times.median(part, 1) / size:>21.3f} ms" for part in PARTS)
        print(f"{name:14}{size / clock:>10.1f}{totals[name]:>11.1f}{inputs[name]:>10.0f}{parts}")
    for name in list(contenders)[1:]:
        step, alone = totals["vitscope"] / totals[name], inputs["vitscope"] / inputs[name]
        print(f"vitscope / {name}: step {step:.2f} x, input alone {alone:.1f} x (processor's seconds)")


def main() -> None:
    """Measure in turn, and print."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--data", default="cifar10")
    parser.add_argument("--model", default="vit-tiny")
    parser.add_argument("--set", action="append", default=[], metavar="KEY=VALUE")
    parser.add_argument("--batch-size", type=int, default=64)
    parser.add_argument("--limit", type=int, default=2000)
    parser.add_argument("--steps", type=int, default=2)
    parser.add_argument("--rounds", type=int, default=3)
    given = parser.parse_args()
    torch.set_num_threads(1)
    values = merge(
        load_preset("vit-tiny"),
        {"model": {"name": given.model}, "data": {"source": given.data, "limit": given.limit}},
    )
    settings = parse_settings(apply_overrides(values, given.set) | {"batch_size": given.batch_size})
    prepared = prepare(settings)
    contenders: dict[str, Contender] = {
        "vitscope": Vitscope(settings, prepared),
        "torchvision": Torchvision(settings, prepared),
        "timm": Timm(settings, prepared),
    }
    for each in contenders.values():
        each.step()  # what is made ready on first use
        each.times = Times()
    for _ in range(given.rounds):
        for each in contenders.values():
            for _ in range(given.steps):
                each.step()
    print(
        f"{given.model}, batches of {given.batch_size}, {given.rounds * given.steps} steps each, one thread"
    )
    report(contenders, given.batch_size)


if __name__ == "__main__":
    main()
