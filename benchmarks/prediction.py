"""`vitscope evaluate` against the bare forward passes of the same model, on image files.

    python benchmarks/prediction.py best.pth --data FOLDER [--batch-size 256] [--repeats 3]

The bare passes run over ready float tensors made before the clock starts: no reading, no decoding.
The command runs as a process of its own, from start to end; what its figures took is
subtracted, since they do not grow with the images.
"""

from __future__ import annotations

import argparse
import re
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import torch

import vitscope
from vitscope.cli.subjects import data_of


def bare(checkpoint: str, data: str | None, batch_size: int) -> tuple[float, int]:
    """Return the seconds of the forward passes alone, and the number of images."""
    model = vitscope.load(checkpoint)
    images = vitscope.load_split(data_of(model, data, "test"), "test")
    batches = [
        model.preprocessing.normalize(pixels) for pixels in images.batches(model.preprocessing, batch_size)
    ]
    with torch.inference_mode():
        model(batches[0])
        began = time.perf_counter()
        for batch in batches:
            model(batch)
        return time.perf_counter() - began, len(images)


def command(checkpoint: str, data: str | None, batch_size: int) -> tuple[float, float, str]:
    """Return the seconds of the whole process, those of its figures, and what it said of its parts."""
    with tempfile.TemporaryDirectory() as folder:
        line = [
            sys.executable,
            "-m",
            "vitscope",
            "evaluate",
            checkpoint,
            "--verbose",
            "--batch-size",
            str(batch_size),
        ]
        line += ["--out", str(Path(folder) / "out")] + ([] if data is None else ["--data", data])
        began = time.perf_counter()
        answer = subprocess.run(line, capture_output=True, text=True, check=True)
        seconds = time.perf_counter() - began
    parts = next(row for row in answer.stderr.splitlines() if row.startswith("seconds: "))
    figures = re.search(r"figures ([\d.]+)", parts)
    return seconds, float(figures.group(1)) if figures else 0.0, parts


def main() -> None:
    """Measure in turn, and print medians and their ratio."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("checkpoint")
    parser.add_argument("--data")
    parser.add_argument("--batch-size", type=int, default=256)
    parser.add_argument("--repeats", type=int, default=3)
    given = parser.parse_args()
    plain, whole, drawn = [], [], []
    for _ in range(given.repeats):
        seconds, count = bare(given.checkpoint, given.data, given.batch_size)
        plain.append(seconds)
        seconds, figures, parts = command(given.checkpoint, given.data, given.batch_size)
        whole.append(seconds)
        drawn.append(figures)
        print(parts)
    without = [total - figures for total, figures in zip(whole, drawn, strict=True)]
    print(f"{count:,} images, batches of {given.batch_size}, {torch.get_num_threads()} threads")
    print(f"bare forward passes      {statistics.median(plain):8.2f} s")
    print(f"the command, no figures  {statistics.median(without):8.2f} s")
    ratios = [total / base for total, base in zip(without, plain, strict=True)]
    each = ", ".join(f"{ratio:.3f}" for ratio in ratios)
    print(f"ratio, pair by pair      {statistics.median(ratios):8.3f}   ({each})")


if __name__ == "__main__":
    main()
