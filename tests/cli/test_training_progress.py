"""What is said of a run while it goes on: speed, time left, and the best so far."""

from __future__ import annotations

import re

import pytest

from vitscope.cli.training_progress import Bar, Lines, Pace
from vitscope.trainers.observer import Plan


class Clock:
    now = 100.0

    def __call__(self):
        return self.now


def row(epoch, accuracy=0.5):
    names = ("train_loss", "train_accuracy", "validation_loss")
    return {
        "epoch": float(epoch),
        "validation_accuracy": accuracy,
        "images_per_second": 1234.4,
    } | dict.fromkeys(names, 0.25)


def test_the_time_left_is_of_the_whole_run():
    """Ten images a second, and 5 s of validating after each of 4 epochs of 50 images: 40 s in all."""
    clock = Clock()
    pace = Pace(Plan(epochs=4, done=0, steps=5, images=50), clock)
    assert pace.seconds_left is pace.images_per_second is None
    for step in range(5):
        clock.now += 1
        pace.advance(10)
        assert pace.images_per_second == pytest.approx(10)
        assert pace.seconds_left == pytest.approx(19 - step)
    clock.now += 5
    pace.next_epoch()
    assert pace.images_per_second is None
    assert pace.seconds_left == pytest.approx(30)
    clock.now += 1
    pace.advance(10)
    assert pace.images_per_second == pytest.approx(10)


def test_a_resumed_run_counts_what_was_done_but_not_its_time():
    clock = Clock()
    pace = Pace(Plan(epochs=4, done=2, steps=5, images=50, begun=30), clock)
    assert (pace.done, pace.total) == (130, 200)
    clock.now += 2
    pace.advance(10)
    assert pace.images_per_second == pytest.approx(5)
    assert pace.seconds_left == pytest.approx(12)


def test_one_step_an_epoch():
    clock = Clock()
    pace = Pace(Plan(epochs=3, done=0, steps=1, images=64), clock)
    for left in (8, 4, 0):
        clock.now += 4
        pace.advance(64)
        pace.next_epoch()
        assert pace.seconds_left == pytest.approx(left)


def test_lines_tell_speed_best_and_time_left(tmp_path, capsys):
    lines = Lines()
    lines.begin(tmp_path, Plan(epochs=10, done=0, steps=1, images=4))
    for epoch, accuracy, best in ((1, 0.4, True), (2, 0.6, True), (3, 0.5, False)):
        lines.advance(4)
        lines.epoch(row(epoch, accuracy), best=best)
    told = capsys.readouterr().err.splitlines()
    assert told[1] == "10 epochs of 1 step: a batch holds all images"
    assert "epoch  3/10" in told[4]
    assert "1,234 images/s  best 60.0% (epoch 2)" in told[4]
    assert re.search(r"  0:00:0\d left$", told[4])


def test_the_last_line_has_no_time_left(tmp_path, capsys):
    lines = Lines()
    lines.begin(tmp_path, Plan(epochs=1, done=0, steps=1, images=4))
    lines.advance(4)
    lines.epoch(row(1), best=True)
    assert "left" not in capsys.readouterr().err


@pytest.mark.parametrize("kind", [Lines, Bar])
def test_the_best_before_is_known_after_a_resume(kind, tmp_path, capsys):
    history = tuple(row(epoch, accuracy) for epoch, accuracy in ((1, 0.3), (2, 0.9), (3, 0.8)))
    shown = kind()
    shown.begin(tmp_path, Plan(epochs=5, done=3, steps=2, images=4, begun=2, history=history, best_epoch=2))
    if kind is Bar:
        task = shown._progress.tasks[0]
        assert (task.completed, task.total) == (14, 20)
        assert (task.fields["best"], task.description) == ("best 90.0% (epoch 2)", "epoch 4/5")
    shown.advance(2)
    shown.epoch(row(4, 0.7), best=False)
    if kind is Bar:
        assert shown._progress.tasks[0].fields["best"] == "best 90.0% (epoch 2)"
        assert shown._progress.tasks[0].description == "epoch 5/5"
        assert re.fullmatch(r"\d+:\d\d:\d\d left", shown._progress.tasks[0].fields["left"])
        shown.end()
    told = capsys.readouterr().err
    assert "from epoch 4 on" in told
    assert kind is Bar or "best 90.0% (epoch 2)" in told


def test_a_bar_is_not_drawn_for_every_step(tmp_path, capsys):
    bar = Bar()
    bar.begin(tmp_path, Plan(epochs=1, done=0, steps=10_000, images=10_000))
    drawn = []
    bar._draw = lambda *_: drawn.append(bar.pace.done)
    bar._drawn = float("inf")
    for _ in range(10_000):
        bar.advance(1)
    assert drawn == []
    assert bar.pace.done == 10_000
    bar.end()
