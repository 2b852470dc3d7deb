"""How long each cell takes to learn to add two numbers that stand far apart among 200.

    python benchmarks/memory.py

An LSTM and a GRU train as `memory --recipe long` trains them, three seeds each. The plain RNN, from
its default start, gets all of three minutes at each of several learning rates, and so several times
their updates. Times are CPU times of this process with one torch thread, validation included.
"""

import contextlib
import time

import torch
from machine import describe

from common import training
from common.options.config import build
from common.training import optim
from common.training.compute import Compute
from labs.rnn.memory.config import RECIPES, MemoryConfig
from labs.rnn.memory.member import Member

LENGTH = 200
SECONDS = 180.0
UPDATES = {"rnn": 12_000, "lstm": 2_000, "gru": 2_000}


def race(cell: str, rate: float, seed: int) -> None:
    """Train one cell until its updates or the time are used up, and print how it went."""
    options = {"cells": (cell,), "lengths": (str(LENGTH),), "learning_rate": rate, "seed": seed}
    config = build(MemoryConfig, ("recipe", RECIPES["long"]), ("benchmark", options))
    splits, card = Member.load(config)
    job = Member(config, Compute(), card)
    task, train = job.task(splits), job.batches(splits["train"], training=True)
    epochs = UPDATES[cell] // len(train)
    stream = training.epochs(
        job.model,
        task,
        train,
        job.batches(splits["validation"]),
        job.optimizer(),
        max_epochs=epochs,
        schedule=optim.schedule("cosine", steps_per_epoch=len(train), epochs=epochs),
        clip=config.clip,
        seed=seed,
    )
    begun, learned = time.process_time(), "never"
    with contextlib.closing(stream):
        for row in stream:
            spent = time.process_time() - begun
            updates = row["epoch"] * len(train)
            if learned == "never" and row["validation/mse"] < task.goal:
                learned = f"{updates:,} updates, {spent:.0f} s"
            if spent > SECONDS:
                break
    error = training.evaluate(job.model, task, job.batches(splits["test"]))["mse"]
    print(
        f"{cell:5} {rate:7g} {seed:5} {learned:>20} {updates:9,} {spent:7.0f} {error:10.5f}",
        flush=True,
    )


def main() -> None:
    torch.set_num_threads(1)
    print(describe())
    print(f"adding task, T = {LENGTH}; always saying 1 has a mean squared error of {1 / 6:.4f}")
    print(
        f"{'cell':5} {'rate':>7} {'seed':>5} {'below 0.01 after':>20} {'updates':>9} "
        f"{'CPU s':>7} {'test MSE':>10}"
    )
    for seed in range(3):
        for cell in ("lstm", "gru"):
            race(cell, RECIPES["long"].get("learning_rate", 1e-2), seed)
    for rate in (1e-2, 3e-3, 1e-3):
        race("rnn", rate, 0)


if __name__ == "__main__":
    main()
