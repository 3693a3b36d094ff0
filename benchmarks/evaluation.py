"""All metrics of an evaluation, from 50,000 × 1,000 logits to the size of ImageNet's training split.

    python benchmarks/evaluation.py [--size small|large|both] [--limit SECONDS]

Every contender is a process of its own, one after the other, on the same seeded logits, made on the fly.
Time counts from the first logit to the last number, without imports; the time to make the logits is measured
by itself and subtracted from all alike. Memory is the process's largest resident set less what it was after
the imports. torchmetrics is handed 256 rows at a time, as an evaluation loop does, and 10,000.

The rows `in float16` and `in float32` are like for like: the same three numbers, accuracy, calibration error
and confusion counts, of logits that lie in memory in that precision, with nothing to subtract. On a machine
that does other work too, compare the processor's seconds.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import resource
import sys
import time
from typing import Any

from evaluation_contestants import CLASSES, CONTENDERS, HeldLogits, SyntheticLogits

SIZES = {"small": 50_000, "large": 1_281_167}


def _resident() -> float:
    """Return the largest resident set so far in GB."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20


def _logits(name: str, rows: int) -> SyntheticLogits | HeldLogits:
    """Return the logits that a contender is given: in memory, where its name ends in their precision."""
    made, dtype = SyntheticLogits(rows), name.rpartition(", in ")[2]
    return HeldLogits(made, dtype) if dtype.startswith("float") else made


def _work(name: str, rows: int, pipe: Any) -> None:
    CONTENDERS[name][0](_logits(name, 2_000))()  # what is imported, or made ready, on first use
    run = CONTENDERS[name][0](_logits(name, rows))
    before, began, busy = _resident(), time.perf_counter(), time.process_time()
    numbers = run()
    seconds, busy = time.perf_counter() - began, time.process_time() - busy
    pipe.send((seconds, busy, _resident() - before, numbers))


def measure(name: str, rows: int, limit: float) -> tuple[float, float, float, dict[str, Any]] | None:
    """Run one contender in a fresh process; None where it is killed by time or memory."""
    context = multiprocessing.get_context("spawn")
    ours, theirs = context.Pipe(duplex=False)
    process = context.Process(target=_work, args=(name, rows, theirs))
    process.start()
    theirs.close()
    try:
        return ours.recv() if ours.poll(limit) else None
    except EOFError:
        return None
    finally:
        process.kill()
        process.join()


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--size", choices=(*SIZES, "both"), default="both")
    parser.add_argument("--limit", type=float, default=600.0, help="seconds for one contender")
    given = parser.parse_args()
    for size, rows in SIZES.items():
        if given.size not in (size, "both"):
            continue
        print(f"\n{rows:,} rows, {CLASSES:,} classes")
        making = (0.0, 0.0)
        for name, (_, sizes) in CONTENDERS.items():
            if size not in sizes:
                continue
            answer = measure(name, rows, given.limit)
            if answer is None:
                print(f"  {name:42} not done in {given.limit:g} s, or out of memory")
                continue
            *times, memory, numbers = answer
            if name.startswith("making"):
                making = tuple(times)
            elif ", in " not in name:
                times = [own - made for own, made in zip(times, making, strict=True)]
            print(
                f"  {name:42} {times[0]:8.2f} s {times[1]:8.2f} s of processor {memory:7.2f} GB  "
                f"{json.dumps(numbers)}"
            )
            sys.stdout.flush()


if __name__ == "__main__":
    main()
