"""Several processes that share passes over images end where one alone does, also in failing."""

from __future__ import annotations

import json
import os
import signal
from contextlib import chdir

import numpy as np
import pytest
import torch
from typer.testing import CliRunner

from tests.oracles.forked import shared
from tests.trainers.runs import pictures
from vitscope.cli.main import app
from vitscope.data.sources import DataSpec, load_split
from vitscope.errors import DataError, VitscopeError
from vitscope.inference.classifier import load
from vitscope.inference.meeting import joined
from vitscope.inference.prediction import predict
from vitscope.inference.processes import processes
from vitscope.inference.sharing import sharing
from vitscope.records.predictions import Predictions


def digits(count):
    return load_split(DataSpec(source="digits"), "test").take(range(count))


@pytest.fixture(scope="module")
def model(tiny_run):
    return load(tiny_run / "best.pth")


def passes(rank, model, count, size, folder):
    """Predict twice, into a folder and not; return what this process has of both, and what it counted."""
    counted = []
    with processes(torch.device("cpu")) as here, joined(here) as meeting:
        scratch, store = (folder / "scratch", folder / "kept") if here.main else (None, None)
        with sharing(meeting, scratch):
            ways = {"batch_size": size, "progress": counted.append}
            kept = predict(model, digits(count), features=True, store=store, **ways)
            passing = predict(model, digits(count), half=True, **ways)
            if here.main:
                kept.write(folder / "kept")
            found = [np.array(each) for each in (kept.logits, kept.features, passing.logits)]
        lonely = predict(model, digits(count), batch_size=size).logits
    return *found, lonely, sum(counted), kept.names


@pytest.mark.slow
@pytest.mark.parametrize(
    ("world", "count", "size"),
    [(2, 150, 64), (2, 150, 128), (3, 22, 5), (3, 10, 256), (2, 3, 1)],
    ids=["whole batches", "the CPU's batches", "uneven", "more processes than batches", "one by one"],
)
def test_processes_share_a_pass_bit_for_bit(tmp_path, model, world, count, size):
    answers = shared(world, passes, model, count, size, tmp_path)
    alone = predict(model, digits(count), batch_size=size, features=True, store=tmp_path / "alone")
    alone.write(tmp_path / "alone")
    halved = predict(model, digits(count), batch_size=size, half=True)
    for answer in answers:
        assert not isinstance(answer, str), answer
        logits, features, passing, lonely, counted, names = answer
        np.testing.assert_array_equal(logits, alone.logits)
        np.testing.assert_array_equal(features, alone.features)
        np.testing.assert_array_equal(passing, halved.logits)
        np.testing.assert_array_equal(lonely, alone.logits)  # outside the block each predicts for itself
        assert counted == 2 * count
        assert names == alone.names
    files = {path.name for path in (tmp_path / "alone").iterdir()}
    assert {path.name for path in (tmp_path / "kept").iterdir()} == files
    assert not (tmp_path / "scratch").exists()
    for name in ("logits.npy", "features.npy", "samples.parquet"):
        assert (tmp_path / "kept" / name).read_bytes() == (tmp_path / "alone" / name).read_bytes()


def failing(rank, model, folder, where, error):
    """Fail in one process, in the middle of a pass; return how each one leaves, and with what words."""

    def act(_):
        if rank == where:
            raise error

    try:
        with processes(torch.device("cpu")) as here, joined(here) as meeting, sharing(meeting, folder):
            predict(model, digits(40), batch_size=5, progress=act)
    except BaseException as left:
        code = left.code if isinstance(left, SystemExit) else getattr(left, "exit_code", None)
        return type(left).__name__, code, str(left)
    return None


@pytest.mark.parametrize(
    ("where", "error", "first", "second"),
    [
        (0, DataError("bad ü", hint="try"), ("DataError", 3, "bad ü"), ("SystemExit", 3, "3")),
        (
            1,
            DataError("bad ü", hint="try"),
            ("_FailedElsewhere", 3, "process 1 of 2: bad ü"),
            ("SystemExit", 3, "3"),
        ),
        (
            1,
            KeyboardInterrupt(),
            ("_FailedElsewhere", 130, "process 1 of 2: interrupted"),
            ("SystemExit", 130, "130"),
        ),
        (0, SystemExit(143), ("SystemExit", 143, "143"), ("SystemExit", 143, "143")),
        (
            1,
            ValueError("😀" * 5000),
            ("_FailedElsewhere", 1, f"process 1 of 2: ValueError: {'😀' * 588}"),
            ("SystemExit", 1, "1"),
        ),
    ],
)
def test_a_failure_in_one_process_stops_all(tmp_path, model, where, error, first, second):
    assert shared(2, failing, model, tmp_path / "scratch", where, error) == [first, second]


def vanishing(rank, model, folder):
    def act(_):
        if rank == 1:
            os._exit(9)

    try:
        with processes(torch.device("cpu")) as here, joined(here) as meeting, sharing(meeting, folder):
            predict(model, digits(40), batch_size=5, progress=act)
    except VitscopeError as error:
        return error.exit_code, str(error)


def test_a_process_that_was_killed_is_said(tmp_path, model):
    answers = shared(2, vanishing, model, tmp_path / "scratch")
    assert answers == [(4, "another of the 2 processes has ended"), "died"]


def command(rank, folder, words, out, change):
    """Run the command line as this process of several, in its own words where they are to differ."""
    words = [*words, "--out", str(out), *change.get(rank, ())]
    with chdir(folder):
        answer = CliRunner().invoke(app, [str(word) for word in words])
    return answer.exit_code, answer.stdout, answer.stderr


def evaluated(folder):
    """Return the numbers of an evaluation, and the files that it consists of."""
    files = {str(path.relative_to(folder)) for path in folder.rglob("*")}
    return json.loads((folder / "metrics.json").read_text()), files


@pytest.mark.slow
def test_evaluate_is_shared(tiny_run, tmp_path):
    words = ["evaluate", tiny_run / "best.pth", "--limit", "90", "--batch-size", "20", "--calibrate"]
    foreign = pictures(tmp_path / "foreign", [(8, 8)], mode="L", each=6)
    words += ["--ood", foreign, "--corruptions", "--kinds", "contrast"]
    answers = shared(2, command, tmp_path, words, "two", {})
    assert [answer[0] for answer in answers] == [0, 0], answers
    assert answers[1][1:] == ("", "")
    code, stdout, stderr = command(0, tmp_path, words, "one", {})
    assert code == 0, stderr
    assert answers[0][1].replace("two", "one") == stdout
    assert evaluated(tmp_path / "two") == evaluated(tmp_path / "one")
    for part in ("predictions", "held_out"):
        one, two = (Predictions.load(tmp_path / name / part) for name in ("one", "two"))
        np.testing.assert_array_equal(one.logits, two.logits)
        np.testing.assert_array_equal(one.features, two.features)
    assert not list(tmp_path.glob(".*"))


@pytest.mark.slow
@pytest.mark.parametrize(
    ("change", "code", "line"),
    [
        ({1: ["--data", "nowhere"]}, 3, "error: process 1 of 2: there is no data"),
        ({0: ["--data", "nowhere"]}, 3, "error: there is no data"),
        ({0: ["--conformal", "2"], 1: ["--conformal", "2"]}, 2, "error: expected --conformal"),
    ],
    ids=["the second", "the first", "both"],
)
def test_evaluate_fails_with_one_line(tiny_run, tmp_path, change, code, line):
    answers = shared(2, command, tmp_path, ["evaluate", tiny_run / "best.pth", "--quiet"], "out", change)
    assert [answer[0] for answer in answers] == [code, code], answers
    assert answers[1][1:] == ("", "")
    assert answers[0][2].startswith(line), answers
    assert answers[0][2].count("error:") == 1
    assert not list(tmp_path.iterdir())


def signalled(rank, folder, words, number):
    from vitscope.inference import prediction

    forward = prediction.forward_halving

    def slow(*arguments):
        if rank == 1:
            os.kill(os.getpid(), number)
        return forward(*arguments)

    prediction.forward_halving = slow
    if number == signal.SIGTERM:
        from vitscope.cli.main import _terminated

        signal.signal(signal.SIGTERM, _terminated)
    return command(rank, folder, words, "out", {})


@pytest.mark.slow
@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_a_signal_to_one_stops_all(tiny_run, tmp_path, number, code):
    words = ["evaluate", tiny_run / "best.pth", "--limit", "40", "--batch-size", "5"]
    answers = shared(2, signalled, tmp_path, words, number)
    assert [answer[0] for answer in answers] == [code, code], answers
    assert "process 1 of 2" in answers[0][2]
    assert not list(tmp_path.iterdir())
