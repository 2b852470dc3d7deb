"""Runs killed at random moments: each must come out as the run that nobody disturbed, to the bit.

    python benchmarks/kills.py
    python benchmarks/kills.py --kills 20 --only sentiment,crossval

Each job is trained once to its end. Then it is trained again, killed with SIGKILL at a random
moment (in training, while it saves, while it is measured or reported), gone on with, killed again,
and so on until it has ended; where kills are left, with another run. Weights, metrics, history and
tables of answers are compared with those of the first, but for times. A kill counts as survived
when the run that it hit comes out the same. Runs made of runs are killed like others.

Processes are forked from one that has imported everything, so that a life is training and not the
start of Python; no picture is drawn, as nothing is compared of them.
"""

import contextlib
import json
import multiprocessing
import os
import random
import shutil
import signal
import sys
import tempfile
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from importlib import import_module
from pathlib import Path
from typing import Any, NamedTuple

import click
import torch
from machine import describe
from safetensors.torch import load_file

SMALL = ("--warmup", "0", "--save-every", "0.05", "--threads", "1", "--device", "cpu")
DIGITS = ("--data", "digits", "--augment", "none")
HIDDEN = ("--hidden-size", "4", "--embedding-size", "4")


class Job(NamedTuple):
    """A command that makes a run, and how many of a hundred kills it gets."""

    lab: str
    words: tuple[object, ...]
    kills: int


TRAININGS = {
    "classification": Job(
        "classification",
        ("train", *DIGITS, "--limit", 200, "--model", "mlp", "--epochs", 4, "--batch-size", 8),
        12,
    ),
    "autoencoder": Job(
        "autoencoder",
        ("train", "--data", "digits", "--limit", 200, "--model", "vae", "--latent-size", 4)
        + ("--width", 4, "--epochs", 3, "--batch-size", 8),
        12,
    ),
    "detection": Job(
        "detection",
        ("train", "--image-size", 64, "--limit", 24, "--batch-size", 8, "--epochs", 3),
        12,
    ),
    "sentiment": Job(
        "rnn", ("sentiment", "--limit", 300, *HIDDEN, "--members", 1, "--epochs", 4), 10
    ),
    "forecast": Job(
        "rnn",
        ("forecast", "--limit", 300, "--window", 8, "--horizon", 3, "--hidden-size", 4)
        + ("--period", 2, "--epochs", 4),
        10,
    ),
    "translate": Job("rnn", ("translate", "--limit", 150, *HIDDEN, "--epochs", 3), 10),
}


def made_of_runs(folder: Path) -> dict[str, Job]:
    """Return the runs made of runs; those that are to answer together are trained here."""
    few = (*DIGITS, "--limit", 120, "--epochs", 3, "--batch-size", 16)
    members = folder / "members" / "classification"
    for model in ("linear", "mlp"):
        words = ("train", *few, "--model", model, *SMALL, "--name", model)
        finish(start("classification", (*words, "--run-dir", folder / "members"), folder))
    tables = write_competition(folder / "competition")
    return {
        "crossval": Job("classification", ("crossval", *few, "--model", "mlp", "--folds", 3), 10),
        "search": Job(
            "classification",
            ("search", *few, "--model", "mlp", "--space", "learning_rate=log:1e-4:1e-1")
            + ("--trials", 4, "--again", 1),
            10,
        ),
        "ensemble": Job(
            "classification",
            ("ensemble", members / "linear", members / "mlp", "--method", "stacking"),
            6,
        ),
        "compete": Job(
            "classification",
            ("compete", *tables, "--time", "3h", "--folds", 2, "--epochs", 2, "--model", "linear"),
            8,
        ),
    }


def write_competition(folder: Path) -> tuple[Path, Path, Path]:
    """Write 90 digits to learn from and 20 to answer; returns both folders and the sample."""
    from PIL import Image
    from sklearn.datasets import load_digits

    digits, rows = load_digits(), ["id,digit"]
    for row, (pixels, digit) in enumerate(zip(digits.images[:110], digits.target, strict=False)):
        path = folder / (f"train/{digit}/{row}.png" if row < 90 else f"test/{row}.png")
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray((pixels * 15).astype("uint8")).save(path)
        rows += [f"{row},0"] if row >= 90 else []
    (folder / "sample.csv").write_text("\n".join(rows) + "\n")
    return folder / "train", folder / "test", folder / "sample.csv"


# --- processes ------------------------------------------------------------------------------------


def live(lab: str, words: Sequence[str], output: str) -> None:
    """Run a command in this process, which leads a group of its own."""
    os.setsid()
    descriptor = os.open(output, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    os.dup2(descriptor, 1), os.dup2(descriptor, 2)
    multiprocessing.set_start_method("fork", force=True)  # of what the command itself starts
    from common.report import plots

    pixel = plots.png(plots.message("not drawn"))
    plots.png = lambda figure: pixel
    sys.argv = ["lab", *words]
    import_module(f"labs.{lab}.__main__").lab.main()


def start(lab: str, words: Sequence[object], folder: Path) -> Any:
    """Start a command; what it prints is in output.txt of the folder."""
    context = multiprocessing.get_context("forkserver")
    output = str(folder / "output.txt")
    process = context.Process(target=live, args=(lab, list(map(str, words)), output))
    process.start()
    return process


def finish(process: Any) -> None:
    """Wait until a process has ended well."""
    process.join()
    if process.exitcode != 0:
        raise RuntimeError(f"{process.name} ended with {process.exitcode}; see its output.txt")


def kill(process: Any) -> None:
    """Kill a process, and those that it has started."""
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    process.join()


def train(job: Job, folder: Path, kills: int, seconds: float, chance: random.Random) -> int:
    """Train a run to its end, killed on the way; returns how often that was.

    Args:
        job: what to train.
        folder: for the run and what it prints.
        kills: the most that it gets.
        seconds: that it takes undisturbed, from when its folder is made.
        chance: draws the moments.
    """
    run, given = folder / job.lab / "run", 0
    begin = (*job.words, *(() if job.words[0] == "ensemble" else SMALL))
    begin = (*begin, "--run-dir", folder, "--name", "run")
    while True:
        there = (run / "config.toml").exists()
        process = start(job.lab, (job.words[0], "--resume", run) if there else begin, folder)
        if given == kills:
            break
        while process.is_alive() and not (run / "config.toml").exists():
            time.sleep(0.01)
        process.join(chance.uniform(0, 0.8 * seconds))  # most lives end by a kill
        if not process.is_alive():
            break
        kill(process)
        given += 1
    finish(process)
    return given


# --- what comes out -------------------------------------------------------------------------------


def timeless(value: Any) -> Any:
    """Return nested values without those that are times."""
    if isinstance(value, dict):
        return {k: timeless(v) for k, v in value.items() if "second" not in k and k != "began"}
    return [timeless(each) for each in value] if isinstance(value, list) else value


def read(path: Path, run: Path) -> Any:
    """Return what a file of a run holds that must be the same: not where the run lies."""
    if path.suffix == ".safetensors":
        return timeless(load_file(path))
    text = path.read_text("utf-8").replace(str(run), "RUN")
    if path.suffix == ".jsonl":
        return [timeless(json.loads(line)) for line in text.splitlines()]
    return timeless(json.loads(text)) if path.suffix == ".json" else text


def same(one: Any, other: Any) -> bool:
    """Say whether two values are the same, tensors to the bit."""
    if isinstance(one, dict) and any(isinstance(each, torch.Tensor) for each in one.values()):
        return one.keys() == other.keys() and all(torch.equal(one[k], other[k]) for k in one)
    return json.dumps(one, sort_keys=True) == json.dumps(other, sort_keys=True)


def outcome(run: Path) -> dict[str, Any]:
    """Return what a run came to, by the file: of each run in it, too."""
    names = ("metrics.json", "combination.json", "history.jsonl", "*.safetensors", "*.csv")
    found = {path for name in names for path in run.rglob(name) if "checkpoints" not in path.parts}
    return {path.relative_to(run).as_posix(): read(path, run) for path in sorted(found)}


def differences(run: dict[str, Any], other: dict[str, Any]) -> list[str]:
    """Return the files that are not the same."""
    return [
        name
        for name in sorted(run.keys() | other.keys())
        if name not in run or name not in other or not same(run[name], other[name])
    ]


def torment(name: str, job: Job, kills: int, folder: Path, chance: random.Random) -> int:
    """Kill runs of a job, print what comes of each; returns how many kills changed nothing."""
    (folder / "whole").mkdir(parents=True)
    train(job, folder / "whole", 0, 0.0, chance)
    whole = folder / "whole" / job.lab / "run"
    seconds = time.time() - (whole / "config.toml").stat().st_mtime
    expected = outcome(whole)
    survived = given = runs = 0
    while given < kills:
        killed = folder / f"killed-{runs}"
        killed.mkdir()
        mine = train(job, killed, kills - given, seconds, chance)
        wrong = differences(outcome(killed / job.lab / "run"), expected)
        given, runs, survived = given + mine, runs + 1, survived + (0 if wrong else mine)
        differ = f"; DIFFERENT: {', '.join(wrong)}" if wrong else ""
        print(f"{name:<15} {survived:>3} of {given:>3} in {runs} runs{differ}", flush=True)
        if not wrong:
            shutil.rmtree(killed)
    print(f"{name:<15} {len(expected)} files compared, {seconds:.1f} s undisturbed", flush=True)
    return survived


@click.command()
@click.option("--kills", default=100, show_default=True, help="In all.")
@click.option("--only", help="Names of jobs, with commas between.")
@click.option("--at-once", default=2, show_default=True, help="Jobs that are killed at a time.")
@click.option("--seed", default=0, show_default=True, help="Of the moments.")
def main(kills: int, only: str | None, at_once: int, seed: int) -> None:
    """Kill runs of all labs at random moments, and compare what comes out."""
    multiprocessing.get_context("forkserver").set_forkserver_preload(
        [
            *(f"labs.{lab}.job" for lab in ("classification", "autoencoder", "detection")),
            *(f"labs.rnn.{job}.job" for job in ("sentiment", "forecast", "translate")),
            *("sklearn.linear_model", "sklearn.neighbors", "torch._dynamo", "rich.console"),
        ]
    )
    print(describe(), flush=True)
    begun = time.perf_counter()
    folder = Path(tempfile.mkdtemp(prefix="kills-"))
    wanted = only.split(",") if only else []
    jobs = {**TRAININGS, **({} if {*wanted} <= TRAININGS.keys() and only else made_of_runs(folder))}
    jobs = {name: jobs[name] for name in wanted or jobs}
    total = sum(job.kills for job in jobs.values())
    shares = {name: max(1, round(kills * job.kills / total)) for name, job in jobs.items()}
    with ThreadPoolExecutor(at_once) as pool:
        found = pool.map(
            lambda name: torment(
                name, jobs[name], shares[name], folder / name, random.Random(f"{seed} {name}")
            ),
            jobs,
        )
        survived = sum(found)
    given = sum(shares.values())
    print(f"{survived} of {given} kills changed no bit, in {time.perf_counter() - begun:.0f} s")
    if survived < given:
        sys.exit(f"what differs is in {folder}")
    shutil.rmtree(folder)


if __name__ == "__main__":
    main()
