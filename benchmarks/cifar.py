"""All runs of the results page, in pieces of some minutes: each call goes on where the last one stopped.

    python benchmarks/cifar.py --plan gpu --minutes 9 [--state FOLDER] [--data cifar10=FOLDER …]
    python benchmarks/cifar.py --plan cpu

A run that was stopped goes on from its `last.pth`, bit for bit on a CPU. One that is finished is evaluated on
the test split once; of the plan's pair, each with the best validation accuracy of its seeds, a comparison is
made. What was measured is kept in a JSON file beside the page, and the page is written anew from that file.
The exit code is 0 where all is done, 75 where the time was over first, and 1 where a run failed.

Utilisation is 2 · 3 · multiply-adds · images/s over what the card does in a product of two bf16 matrices:
two operations a multiply-add, and a backward pass of twice the forward pass. Images/s is the median epoch's.
"""

from __future__ import annotations

import argparse
import json
import shutil
import signal
import statistics
import sys
import time
from pathlib import Path
from typing import Any

import torch
import yaml
from cifar_page import PAIRS, PLANS, Job, page

import vitscope
from vitscope.errors import Interrupted, OutputError, VitscopeError
from vitscope.inference.cost import multiply_adds
from vitscope.inference.device import resolve_device
from vitscope.paths import folder_format, write_json, write_text
from vitscope.report.comparison import Contender, report_comparison
from vitscope.report.passes import report_evaluation
from vitscope.trainers.observer import Observer
from vitscope.trainers.overrides import apply_overrides, merge
from vitscope.trainers.preparation import anchored
from vitscope.trainers.presets import load_preset
from vitscope.trainers.settings import parse_settings
from vitscope.trainers.training import resume, train

PAGE = Path(__file__).resolve().parents[1] / "docs" / "results.md"
UNFINISHED = 75


class Alarm(Observer):
    """Stops the run under way as Ctrl-C does when the time is over: it is saved, to go on from there."""

    def __init__(self, seconds: float) -> None:
        self.end_at = time.monotonic() + seconds
        self.rung = False

    @property
    def over(self) -> bool:
        """Whether the time is over."""
        return time.monotonic() > self.end_at

    def advance(self, images: int) -> None:  # noqa: ARG002
        """Stop the run at the first step after the time."""
        if self.over and not self.rung:
            self.rung = True
            signal.raise_signal(signal.SIGINT)

    def notice(self, message: str) -> None:
        """Say what is not as could be expected."""
        print(message, flush=True)

    def epoch(self, row: dict[str, float], *, best: bool) -> None:  # noqa: ARG002
        """Say how far the run is."""
        print(f"  epoch {row['epoch']}: {row['validation_accuracy']:.2%} on validation", flush=True)


def run_job(job: Job, state: Path, sources: dict[str, str], device: str, alarm: Alarm) -> dict[str, Any]:
    """Train a job to its end, or go on with it, and evaluate it.

    Raises:
        Interrupted: The time was over; what was done is saved.
        OutputError: The state folder holds a run of another plan under this name.
    """
    folder = state / job.key
    change = {"data": {"source": sources.get(job.data, job.data)}, "epochs": job.epochs, "seed": job.seed}
    settings = anchored(parse_settings(apply_overrides(merge(load_preset(job.preset), change), job.changes)))
    config = folder / "config.yaml"
    if config.is_file() and parse_settings(yaml.safe_load(config.read_text(encoding="utf-8"))) != settings:
        raise OutputError(f"{folder} holds a run with other settings", hint="choose another --state")
    if folder_format(folder) != "vitscope.run":
        print(f"{folder.name}: {job.preset}, {job.epochs} epochs", flush=True)
        if (folder / "last.pth").is_file():
            resume(folder, device=device, observer=alarm)
        else:
            train(settings, out=folder, device=device, overwrite=True, observer=alarm)
    tested = folder / "evaluation-test"
    if folder_format(tested) != "vitscope.evaluation":
        model = vitscope.load(str(folder / "best.pth"), device=device)
        report_evaluation(model, vitscope.load_split(model.data, "test"), tested)
    return measured(job, folder, device)


def measured(job: Job, folder: Path, device: str) -> dict[str, Any]:
    """Return what a finished and evaluated run came to."""
    run = json.loads((folder / "manifest.json").read_text(encoding="utf-8"))
    metrics = json.loads((folder / "evaluation-test" / "metrics.json").read_text(encoding="utf-8"))
    rows = [line.split(",") for line in (folder / "metrics.csv").read_text().splitlines()]
    speeds = [float(row[rows[0].index("images_per_second")]) for row in rows[1:]]
    model = vitscope.load(str(folder / "best.pth"), device="cpu")
    image = torch.zeros((1, model.preprocessing.channels, *model.preprocessing.size))
    card = run["provenance"]["config"]["device"]
    return {
        "recipe": job.recipe,
        "data": job.data,
        "seed": job.seed,
        "epochs": run["result"]["epochs"],
        "best_epoch": run["result"]["best_epoch"],
        "seconds": run["result"]["seconds"],
        "validation_accuracy": run["result"]["validation_accuracy"],
        "accuracy": metrics["accuracy"],
        "interval": metrics["accuracy_interval"],
        "parameters": sum(each.numel() for each in model.parameters()),
        "images_per_second": statistics.median(speeds),
        "multiply_adds": multiply_adds(model, image),
        "matrix_rate": matrix_rate(device) if card.startswith("cuda") else None,
    }


def matrix_rate(device: str, side: int = 8192, products: int = 20) -> float | None:
    """Return the card's floating-point operations a second in products of bf16 matrices."""
    place = resolve_device(device)
    if place.type != "cuda":
        return None
    one, other = (torch.randn(side, side, dtype=torch.bfloat16, device=place) for _ in range(2))
    taken = []
    for _ in range(5):
        torch.cuda.synchronize(place)
        began = time.perf_counter()
        for _ in range(products):
            torch.matmul(one, other)
        torch.cuda.synchronize(place)
        taken.append(time.perf_counter() - began)
    return 2 * side**3 * products / min(taken)


def compare_pair(plan: str, state: Path, kept: dict[str, Any], images: Path) -> None:
    """Compare the pair's best runs by validation accuracy, and keep the difference and the figure."""
    best = []
    for name in PAIRS.get(plan, ()):
        done = [job.key for job in PLANS[plan] if job.name == name and job.found(kept["runs"])]
        if not done:
            return
        best.append(max(done, key=lambda key: kept["runs"][key]["validation_accuracy"]))
    if not best or kept.get("pair", {}).get("models") == best:
        return
    contenders = [
        Contender(
            key, str(state / key), vitscope.Predictions.load(state / key / "evaluation-test/predictions")
        )
        for key in best
    ]
    report = report_comparison(contenders, state / "comparison", overwrite=True)
    kept["pair"] = {"models": best, "difference": report.metrics()["differences"][0]}
    images.mkdir(parents=True, exist_ok=True)
    shutil.copyfile(report.folder / "figures" / "comparison.png", images / f"results-{plan}.png")


def work(given: argparse.Namespace, results: dict[str, Any], alarm: Alarm) -> int:
    """Go through the plan until it is done or the time is over; return the exit code."""
    kept = results.setdefault(given.plan, {"machine": given.machine, "runs": {}})
    sources = dict(pair.split("=", 1) for pair in given.data)
    code = 0
    for job in PLANS[given.plan]:
        if job.found(kept["runs"]):
            continue
        if kept["runs"].pop(job.key, None):  # of an earlier plan
            kept.pop("pair", None)
        if alarm.over:
            return UNFINISHED
        try:
            kept["runs"][job.key] = run_job(job, given.state, sources, given.device, alarm)
        except Interrupted as stopped:
            print(stopped)
            return UNFINISHED if alarm.rung else stopped.exit_code
        except VitscopeError as error:
            print(f"{job.key}: {error}", file=sys.stderr)
            code = 1
            continue
        write_json(given.page.with_suffix(".json"), results)
    compare_pair(given.plan, given.state, kept, given.page.parent / "images")
    return code


def main(arguments: list[str] | None = None) -> int:
    """Run a piece of a plan, and write the page."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--plan", choices=list(PLANS), default="gpu")
    parser.add_argument("--minutes", type=float, default=9.0)
    parser.add_argument("--state", type=Path, default=Path("runs/cifar"))
    parser.add_argument("--page", type=Path, default=PAGE)
    parser.add_argument("--data", action="append", default=[], metavar="NAME=FOLDER")
    parser.add_argument("--device", default="auto")
    parser.add_argument("--machine", help="What the page says of the machine; the GPU's name by default.")
    given = parser.parse_args(arguments)
    alarm = Alarm(60 * given.minutes)
    if given.machine is None:
        given.machine = torch.cuda.get_device_name() if torch.cuda.is_available() else "One CPU."
    stored = given.page.with_suffix(".json")
    results = json.loads(stored.read_text(encoding="utf-8")) if stored.is_file() else {}
    code = work(given, results, alarm)
    write_json(stored, results)
    write_text(given.page, page(results))
    return code


if __name__ == "__main__":
    sys.exit(main())
