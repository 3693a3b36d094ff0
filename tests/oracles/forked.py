"""Several processes that share a job, as `torchrun` starts them, but forked: nothing is imported anew."""

from __future__ import annotations

import faulthandler
import multiprocessing
import os
import socket
import time
import traceback

import torch

_PATIENCE = 100


def shared(world, job, *arguments):
    """Call `job(rank, *arguments)` in so many processes; return what each gave, or the trace of its error."""
    # OpenMP's threads do not survive a fork: a process told of more than one waits for them for ever.
    torch.set_num_threads(1)
    context = multiprocessing.get_context("fork")
    port = _free_port()
    pipes, children = [], []
    for rank in range(world):
        ours, theirs = context.Pipe(duplex=False)
        child = context.Process(target=_work, args=(rank, world, port, theirs, job, arguments), daemon=True)
        child.start()
        theirs.close()
        pipes.append(ours)
        children.append(child)
    until = time.monotonic() + _PATIENCE
    answers = [_answer(pipe, until) for pipe in pipes]
    for child in children:
        child.join(max(1.0, until - time.monotonic()))
        child.kill()
    return answers


def _answer(pipe, until):
    if not pipe.poll(max(1.0, until - time.monotonic())):
        return "no answer"
    try:
        return pipe.recv()
    except EOFError:
        return "died"


def _free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def _work(rank, world, port, pipe, job, arguments):
    os.environ |= {
        "RANK": str(rank),
        "LOCAL_RANK": str(rank),
        "WORLD_SIZE": str(world),
        "MASTER_ADDR": "127.0.0.1",
        "MASTER_PORT": str(port),
    }
    faulthandler.dump_traceback_later(_PATIENCE - 20)  # where it hangs, for whoever reads why nobody answered
    try:
        pipe.send(job(rank, *arguments))
    except BaseException as error:
        pipe.send(f"{type(error).__name__}: {error}\n{traceback.format_exc()}")
