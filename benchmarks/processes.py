"""Two processes on two cores against one that has one of these cores: samples a second.

    python benchmarks/processes.py [lenet5|tiny-yolo]

Both train by the loop, one thread each, the same updates: LeNet-5 at batches of 256, and tiny-yolo
as it is by default. They take turns, an epoch each, so what else the machine does meets both alike.

By the clock the ratio is right on quiet cores alone: two processes wait for one another, so other
programs on either core slow down both. Beside it stands what does not count them, the processor
time that an update takes: of one process, and of the one of the two that takes more. It leaves out
only what waiting for a message takes, and is the most that quiet cores could show.
"""

import contextlib
import itertools
import multiprocessing
import os
import socket
import sys
import time
from multiprocessing.connection import Connection
from pkgutil import resolve_name
from statistics import median
from typing import Any, NamedTuple

import machine

ROUNDS = 7  # after one that warms up
COMMON = {"device": "cpu", "precision": "32", "threads": 1}
TRAINED = {
    "lenet5": (
        "labs.classification.job:ClassifyImages",
        {"model": "lenet5", "data": "mnist5k", "batch_size": 256},
    ),
    "tiny-yolo": ("labs.detection.job:Detector", {"model": "tiny-yolo", "limit": 300}),
}


class Spent(NamedTuple):
    """What an epoch took of one process."""

    samples: int  # of all processes
    clock: float  # seconds
    processor: float  # seconds, of all its threads


def main() -> None:
    print(machine.describe(), flush=True)
    os.environ["TORCH_CPP_LOG_LEVEL"] = "ERROR"  # of what torch logs of several processes
    for name in sys.argv[1:] or TRAINED:
        measure(name)


def measure(name: str) -> None:
    context = multiprocessing.get_context("spawn")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    teams = []
    with contextlib.ExitStack() as stack:
        for size in (1, 2):
            pipes = []
            for rank in range(size):
                mine, theirs = context.Pipe()
                child = context.Process(target=train, args=(theirs, name, rank, size, port))
                child.start()
                stack.callback(child.join)
                pipes.append(mine)
            teams.append(pipes)
        for pipes in teams:  # they have imported everything, and loaded the data
            assert [pipe.recv() for pipe in pipes] == ["ready"] * len(pipes)
        rounds = [[run(pipes) for pipes in teams] for _ in range(1 + ROUNDS)][1:]
        for pipe in itertools.chain.from_iterable(teams):
            pipe.send(False)
    clocks = [two.samples / two.clock * one.clock / one.samples for one, two in rounds]
    processors = [two.samples / two.processor * one.processor / one.samples for one, two in rounds]
    ones, twos = zip(*rounds, strict=True)
    print(
        f"{name}, samples/s of one process, of two, and their ratio:\n"
        f"  by the clock {median(each.samples / each.clock for each in ones):,.0f}, "
        f"{median(each.samples / each.clock for each in twos):,.0f}, {describe(clocks)}\n"
        f"  by processor time {median(each.samples / each.processor for each in ones):,.0f}, "
        f"{median(each.samples / each.processor for each in twos):,.0f}, {describe(processors)}",
        flush=True,
    )


def describe(ratios: list[float]) -> str:
    return f"{median(ratios):.2f} ({min(ratios):.2f} to {max(ratios):.2f})"


def run(pipes: list[Connection]) -> Spent:
    """Let processes train an epoch together; of what each spent, the most counts."""
    for pipe in pipes:
        pipe.send(True)
    found = [pipe.recv() for pipe in pipes]
    return Spent(*(max(column) for column in zip(*found, strict=True)))


def train(pipe: Connection, name: str, rank: int, size: int, port: int) -> None:
    """Train an epoch whenever asked to."""
    cores = sorted(os.sched_getaffinity(0))
    os.sched_setaffinity(0, {cores[rank]})
    place = {"RANK": rank, "LOCAL_RANK": rank, "WORLD_SIZE": size, "LOCAL_WORLD_SIZE": size}
    place |= {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": port, "OMP_NUM_THREADS": 1}
    os.environ |= {key: str(value) for key, value in place.items()}
    from common import training
    from common.options.config import build
    from common.training.distributed.processes import joined

    path, options = TRAINED[name]
    kind: Any = resolve_name(path)
    with joined():
        job, splits = kind.check(build(kind.config_type, ("options", {**COMMON, **options})))
        batches = job.batches(splits["train"], training=True)
        stream = training.epochs(
            job.compute.place(job.model),
            job.task(splits),
            batches,
            optimizer=job.optimizer(),
            max_epochs=2 + ROUNDS,
            compute=job.compute,
            monitor="train/loss",
        )
        pipe.send("ready")
        while pipe.recv():
            clock, processor = time.perf_counter(), time.process_time()
            next(stream)
            spent = time.perf_counter() - clock, time.process_time() - processor
            pipe.send(Spent(len(splits["train"]), *spent))


if __name__ == "__main__":
    main()
