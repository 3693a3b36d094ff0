"""Real processes: Ctrl-C, SIGTERM, kill −9, and several at once in one folder."""

from __future__ import annotations

import os
import random
import signal
import sys
import time
from pathlib import Path

import pytest
import torch

from tests.trainers.runs import assert_same_run, small
from vitscope.checkpoint.files import load_checkpoint
from vitscope.cli.main import main
from vitscope.trainers.settings import settings_text
from vitscope.trainers.training import train

# Newer Pythons warn of threads beside a fork; a test process has none that hold a lock then.
pytestmark = pytest.mark.filterwarnings("ignore:.*multi-threaded.*fork:DeprecationWarning")

LONG = small(data={"limit": 400}, epochs=12)


class vitscope:  # noqa: N801 - used like the command
    """`vitscope train` as a forked process: nothing is imported anew; what it says goes into a file."""

    def __init__(self, *arguments, cwd, program=main):
        self.log = cwd / f"{len(list(cwd.glob('*.said')))}.said"
        self.log.touch()
        self.returncode = None
        self.pid = os.fork()
        if not self.pid:
            os._exit(_run(program, ["vitscope", "train", *map(str, arguments)], cwd, self.log))

    def said(self):
        return self.log.read_text().splitlines()

    def poll(self):
        if self.returncode is None:
            pid, status = os.waitpid(self.pid, os.WNOHANG)
            self.returncode = os.waitstatus_to_exitcode(status) if pid else None
        return self.returncode

    def wait(self, seconds=300):
        limit = time.monotonic() + seconds
        while self.poll() is None:
            assert time.monotonic() < limit, self.said()
            time.sleep(0.01)
        return self.returncode

    def send_signal(self, number):
        os.kill(self.pid, number)

    def kill(self):
        if self.poll() is None:
            self.send_signal(signal.SIGKILL)


def _run(program, arguments, cwd, log):
    """Run the command in this process as a shell would start it; return its exit code."""
    code = 1
    os.chdir(cwd)
    os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
    os.dup2(os.open(log, os.O_WRONLY), 2)
    sys.stdout, sys.stderr = os.fdopen(1, "w"), os.fdopen(2, "w")
    sys.argv = arguments
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.default_int_handler if number == signal.SIGINT else signal.SIG_DFL)
    try:
        program()
    except SystemExit as done:
        code = done.code
    finally:
        sys.stderr.flush()
    return code or 0


def begun(process):
    """Wait until training has begun."""
    while not any(line.startswith("run folder") for line in process.said()):
        assert process.poll() is None, process.said()
        time.sleep(0.01)


@pytest.fixture(scope="module")
def unbroken(tmp_path_factory):
    return train(LONG, out=tmp_path_factory.mktemp("unbroken") / "run", device="cpu").folder


@pytest.fixture
def config(tmp_path):
    (tmp_path / "config.yaml").write_text(settings_text(LONG))
    return ["--config", "config.yaml", "--out", "run", "--device", "cpu"]


@pytest.mark.slow
@pytest.mark.parametrize(
    ("number", "code", "name"), [(signal.SIGINT, 130, "Ctrl-C"), (signal.SIGTERM, 143, "SIGTERM")]
)
def test_one_signal_saves_and_says_how_to_go_on(unbroken, tmp_path, config, number, code, name):
    process = vitscope(*config, cwd=tmp_path)
    begun(process)
    time.sleep(random.uniform(0, 0.8))  # any moment will do
    process.send_signal(number)
    sent = time.monotonic()
    assert process.wait() == code
    assert time.monotonic() - sent < 5
    said = process.said()
    assert said[-2].startswith(f"error: stopped by {name}")
    assert said[-1] == "hint: go on with: vitscope train --resume run"
    assert not (tmp_path / "run" / ".lock").exists()
    assert vitscope("--resume", "run", cwd=tmp_path).wait() == 0
    assert_same_run(tmp_path / "run", unbroken)


def slow_step():
    """The command, with a first step that takes a minute: long enough to be interrupted wherever it runs."""
    clip = torch.nn.utils.clip_grad_norm_

    def slow(*arguments, **options):
        Path("stepping").touch()
        time.sleep(60)
        return clip(*arguments, **options)

    torch.nn.utils.clip_grad_norm_ = slow
    main()


@pytest.mark.slow
def test_a_second_signal_leaves_at_once(tmp_path, config):
    process = vitscope(*config, cwd=tmp_path, program=slow_step)
    while not (tmp_path / "stepping").exists():
        assert process.poll() is None, process.said()
        time.sleep(0.01)
    process.send_signal(signal.SIGINT)
    time.sleep(0.5)
    assert process.poll() is None  # it waits for the step to end
    process.send_signal(signal.SIGINT)
    assert process.wait(30) == 130
    said = " ".join(process.said())
    assert "Traceback" not in said
    assert "saved" not in said
    load_checkpoint(tmp_path / "run" / "last.pth")


@pytest.mark.slow
def test_killed_runs_resume_to_the_same_weights(unbroken, tmp_path, config):
    run, kills = tmp_path / "run", 0
    draw = random.Random(0)
    command = config
    while True:
        process = vitscope(*command, cwd=tmp_path)
        begun(process)
        if kills < 10:
            deadline = time.monotonic() + draw.uniform(0, 1.0)
            while time.monotonic() < deadline or not (run / "last.pth").exists():
                time.sleep(0.01)
        elif process.wait() == 0:
            break
        process.kill()
        if process.wait() == 0:
            break
        kills += 1
        load_checkpoint(run / "last.pth")
        command = ["--resume", "run", "--device", "cpu"]
    assert kills
    assert not list(run.glob(".*"))
    assert_same_run(run, unbroken)


@pytest.mark.slow
def test_one_of_many_processes_gets_the_folder(unbroken, tmp_path, config):
    processes = [vitscope(*config, cwd=tmp_path) for _ in range(4)]
    assert sorted(process.wait() for process in processes) == [0, 5, 5, 5]
    for process in processes:
        if process.returncode == 5:
            assert process.said()[-2] in (
                "error: another process is writing run",
                "error: the output run exists",
            )
    assert_same_run(tmp_path / "run", unbroken)
