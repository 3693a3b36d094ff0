"""What maps of attention cost over the plain forward pass, beside other tools.

    python benchmarks/attention.py [--models vit-tiny vit-b16] [--batches 1 64] [--threads 2] [--seconds 5]

ViT-Tiny on 32x32 pixels (65 tokens) and ViT-B/16 on 224x224 (197), with seeded weights and images. Every
contestant is a process of its own, one after the other. The first run tells its memory: the largest resident
set less what was resident once the model and the images were made. Then it alternates with the plain pass, so
that what slows the machine slows both, and medians are compared, each contestant with the plain pass of its
own process. A run that lasts longer than `--seconds` is its own measurement, and such a plain pass is
measured once for all. The processor's time, over all threads, stands beside the clock's: on a machine that
does other things the clock means little, and with `--threads 1` the processor's time still means something.

The others: the method of vit-explain (Gildenblat 2020) as it is used, an image at a time, and for a batch,
which its code cannot do; Hugging Face's eager attention with `output_attentions`, its matrices multiplied out
as usual; pytorch-grad-cam (`pip install grad-cam`) as its documentation sets it up for these models.
"""

from __future__ import annotations

import argparse
import importlib.util
import multiprocessing
import resource
import time
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING, Any, NamedTuple

from attention_contestants import CONTESTANTS, MODELS, RIVALS, plain, vit

if TYPE_CHECKING:
    from attention_contestants import Run

OVER_PLAIN, FASTER = 1.3, 2.0
REPEATS = 40


class Cost(NamedTuple):
    """Seconds by the clock and of the processor, of a run and of the plain pass beside it; memory in MB."""

    wall: float
    cpu: float
    plain_wall: float
    plain_cpu: float
    memory: float

    @property
    def ratio(self) -> float:
        """How many plain passes a run lasts."""
        return self.wall / self.plain_wall

    @property
    def cpu_ratio(self) -> float:
        """The same in the processor's time."""
        return self.cpu / self.plain_cpu


def timed(run: Run) -> tuple[float, float]:
    """Return the seconds of a run by the clock and of the processor."""
    wall, cpu = time.perf_counter(), time.process_time()
    run()
    return time.perf_counter() - wall, time.process_time() - cpu


def compare(run: Run, beside: Run, first: tuple[float, float], given: dict[str, Any]) -> list[float]:
    """Return the median seconds of `run` and of the plain pass beside it, by the clock and the processor."""
    known = given["plain"]
    if first[0] > given["seconds"]:
        return [*first, *(known or timed(beside))]
    timed(beside)
    rows: list[tuple[float, ...]] = []
    while len(rows) < REPEATS and (not rows or sum(row[0] + row[2] for row in rows) < given["seconds"]):
        rows.append((*timed(run), *timed(beside)))
    return [median(column) for column in zip(*rows, strict=True)]


def work(name: str, given: dict[str, Any], pipe: Any) -> None:
    """Measure one contestant, in this process."""
    import torch

    # A limit below what the machine has left: without it the system may end some other process.
    used, left = resident("VmSize"), resident("MemAvailable", Path("/proc/meminfo"))
    resource.setrlimit(resource.RLIMIT_AS, (int((used + 0.9 * left) * 2**20),) * 2)
    torch.set_num_threads(given["threads"])
    model, own = vit(given["model"]), vit(given["model"])
    side = MODELS[given["model"]]["img_size"]
    images = torch.randn(given["batch"], 3, side, side)
    run, beside = CONTESTANTS[name](own, images), plain(model, images)
    before = resident("VmRSS")
    Path("/proc/self/clear_refs").write_text("5")  # the largest resident set counts from here on
    try:
        first = timed(run)
    except (RuntimeError, MemoryError) as error:
        pipe.send(str(error).splitlines()[0])
        return
    memory = resident("VmHWM") - before
    pipe.send(Cost(*compare(run, beside, first, given), memory))


def resident(key: str, path: Path = Path("/proc/self/status")) -> float:
    """Return what the system says of memory, in MB."""
    line = next(line for line in path.read_text().splitlines() if line.startswith(f"{key}:"))
    return int(line.split()[1]) / 1024


def measure(name: str, given: dict[str, Any]) -> Cost | str:
    """Measure one contestant in a fresh process; what it says where it fails, as without memory."""
    if name == "pytorch-grad-cam" and importlib.util.find_spec("pytorch_grad_cam") is None:
        return "not installed: pip install grad-cam"
    context = multiprocessing.get_context("spawn")
    ours, theirs = context.Pipe(duplex=False)
    process = context.Process(target=work, args=(name, given, theirs))
    process.start()
    theirs.close()
    try:
        answer: Cost | str = ours.recv()
    except EOFError:
        answer = "ended without an answer"
    process.join()
    return answer


def compete(model: str, batch: int, options: argparse.Namespace) -> dict[str, Cost]:
    """Measure all contestants on a model and a batch, and print a line for each."""
    print(f"\n{model}, {batch} images", flush=True)
    print(f"  {'':24}{'seconds':>10}{'CPU s':>10}{'of plain':>10}{'CPU':>8}{'peak MB':>10}")
    given = vars(options) | {"model": model, "batch": batch, "plain": None}
    costs: dict[str, Cost] = {}
    for name in CONTESTANTS:
        cost = measure(name, given)
        if isinstance(cost, str):
            print(f"  {name:24}{cost}", flush=True)
            continue
        if cost.plain_wall > options.seconds:
            given["plain"] = (cost.plain_wall, cost.plain_cpu)
        costs[name] = cost
        shown = f"{cost.wall:10.4f}{cost.cpu:10.4f}{cost.ratio:10.2f}{cost.cpu_ratio:8.2f}{cost.memory:10.0f}"
        print(f"  {name:24}{shown}", flush=True)
    return costs


def judge(costs: dict[str, Cost], batch: int) -> None:
    """Print whether rollout keeps its promises, by the clock; those against rivals are for a batch."""
    if "vitscope rollout" not in costs:
        print("  NOT MET no rollout was measured")
        return
    ours = costs["vitscope rollout"]
    says("rollout in plain passes", ours.ratio, ours.cpu_ratio, met=ours.ratio <= OVER_PLAIN)
    for name in RIVALS:
        if batch > 1 and name in costs:
            times = costs[name].ratio / ours.ratio
            cpu = costs[name].cpu_ratio / ours.cpu_ratio
            says(f"{name} in our rollouts", times, cpu, met=times >= FASTER)


def says(what: str, times: float, cpu: float, *, met: bool) -> None:
    print(f"  {'met    ' if met else 'NOT MET'} {what}: {times:.2f} (processor {cpu:.2f})")


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--models", nargs="+", choices=MODELS, default=list(MODELS))
    parser.add_argument("--batches", type=int, nargs="+", default=[1, 64])
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--seconds", type=float, default=5.0, help="of alternating runs a contestant")
    options = parser.parse_args()
    print(f"rollout: at most {OVER_PLAIN} plain passes; rivals: at least {FASTER:g} rollouts, for a batch")
    print(f"{options.threads} threads, median of at most {REPEATS} alternating runs in {options.seconds:g} s")
    for model in options.models:
        for batch in options.batches:
            judge(compete(model, batch, options), batch)


if __name__ == "__main__":
    main()
