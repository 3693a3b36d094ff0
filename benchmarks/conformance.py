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
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import timm
import torch
import torchvision
import transformers
from conformance_models import CLASSES, Case, cases, image_side
from torch import Tensor, nn

import vitscope
from vitscope.capture.tape import capture
from vitscope.errors import CaptureError
from vitscope.explain.gradients import attention_gradients
from vitscope.paths import write_text

if TYPE_CHECKING:
    from vitscope.records.attention import Attention

TABLE = Path(__file__).parents[1] / "docs" / "conformance.md"
# Largest differences allowed: of weights, of logits, of gradients relative to the largest one.
WEIGHTS, LOGITS, GRADIENTS = 1e-5, 1e-4, 1e-3


@dataclass
class Verdict:
    """What came of a case, as a row of the table."""

    case: Case
    outcome: str
    said: str


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
