"""The runs of `cifar.py`, and the page that tells of them."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

NOT_YET = "not measured yet"


@dataclass(frozen=True)
class Job:
    """One run of a plan: a preset on a data set, with what it changes of the preset."""

    name: str
    preset: str
    data: str
    epochs: int
    changes: tuple[str, ...] = ()
    seed: int = 0

    @property
    def key(self) -> str:
        """Its name, in the state folder and among the results."""
        return self.name if self.seed == 0 else f"{self.name}-seed{self.seed}"

    @property
    def recipe(self) -> str:
        """The preset and what is changed of it."""
        return " ".join((self.preset, *self.changes))

    def found(self, runs: dict[str, Any]) -> dict[str, Any] | None:
        """Return what was measured of it; None where nothing was, or of what an earlier plan had there."""
        run = runs.get(self.key)
        own = {"recipe": self.recipe, "data": self.data, "epochs": self.epochs, "seed": self.seed}
        return run if run is not None and own.items() <= run.items() else None


def seeded(jobs: list[Job], seeds: int) -> list[Job]:
    """All jobs with the first seed, then all with the next."""
    return [replace(job, seed=seed) for seed in range(seeds) for job in jobs]


PLANS = {
    "gpu": seeded(
        [
            Job("vit-tiny", "vit-tiny", "cifar10", 300),
            Job("resnet18", "resnet18", "cifar10", 200),
            Job("hybrid", "hybrid", "cifar10", 300),
            Job("hybrid-cifar100", "hybrid", "cifar100", 300),
            Job("cct-7-3x1", "cct-7-3x1", "cifar10", 300),
        ],
        seeds=3,
    ),
    "cpu": [
        Job(
            "airbench", "airbench", "cifar10", 4, ("model.width=32", "schedule.warmup_epochs=1", "threads=1")
        ),
        Job("vit-micro", "vit-micro", "cifar10", 8, ("threads=1",)),
    ],
    "trial": [Job("trial", "digits", "digits", 3, ("model.depth=1", "model.width=12", "model.heads=2"))],
}
PAIRS = {"gpu": ("vit-tiny", "resnet18"), "cpu": ("airbench", "vit-micro")}


HEAD = """# What was trained, and what it reached

Made by `python benchmarks/cifar.py`, which runs, stops and resumes all of it; do not edit. The epoch that is
kept is chosen on a tenth of the training images; the test split is looked at once, after that, and images are
not augmented then. In brackets: Wilson's 95 % interval over the test images.
"""
TITLES = {"gpu": "On a GPU", "cpu": "On one CPU core", "trial": "A trial"}
COLUMNS = (
    "| recipe | data | seed | epochs | training | images/s | utilisation | test accuracy |\n"
    + "|---" * 8
    + "|"
)


def page(results: dict[str, Any]) -> str:
    """Return the page: every run of the plans, measured or not."""
    parts = [HEAD]
    for plan in ("gpu", "cpu", *(["trial"] if "trial" in results else [])):
        kept = results.get(plan, {"runs": {}})
        parts += [f"## {TITLES[plan]}\n", *([kept["machine"] + "\n"] if kept["runs"] else []), COLUMNS]
        parts += [line(job, job.found(kept["runs"])) for job in PLANS[plan]]
        if "pair" in kept:
            parts.append(pair_text(plan, kept["pair"]))
        parts.append("")
    return "\n".join(parts)


def line(job: Job, run: dict[str, Any] | None) -> str:
    """Return a run's row of the table."""
    recipe = f"`{' '.join((job.preset, *(f'--set {each}' for each in job.changes)))}`"
    begin = f"| {recipe} | {job.data} | {job.seed} | {job.epochs} |"
    if run is None:
        return f"{begin} | | | {NOT_YET} |"
    low, high = run["interval"]
    share = ""
    if run["matrix_rate"]:
        share = f"{6 * run['multiply_adds'] * run['images_per_second'] / run['matrix_rate']:.0%}"
    reached = f"{run['accuracy']:.2%} [{low:.2%}, {high:.2%}]"
    return f"{begin} {run['seconds'] / 60:.1f} min | {run['images_per_second']:,.0f} | {share} | {reached} |"


def pair_text(plan: str, pair: dict[str, Any]) -> str:
    """Return what the comparison of two runs says."""
    found = pair["difference"]
    points = f"{100 * found['accuracy_difference']:+.2f}"
    low, high = (100 * bound for bound in found["accuracy_difference_score_interval"])
    return (
        f"\n`vitscope compare`: {found['model']} less {found['reference']} is {points} points "
        f"[{low:+.2f}, {high:+.2f}]; McNemar's exact p = {found['mcnemar_p']:.2g}.\n\n"
        f"![The two beside each other](images/results-{plan}.png)"
    )
