"""How long the labs' defaults take on quiet cores and beside other programs, whole commands.

    python benchmarks/waiting.py [LAB ...]                  # by how threads wait
    python benchmarks/waiting.py --before FOLDER [LAB ...]  # a checkout of another commit, and here

The default data, of some labs the first samples, and few epochs; what is compared takes turns.
Beside: a process on each core that never rests. Two that share a core fairly take twice as long.
"""

import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NamedTuple

from machine import describe

ROUNDS, ROUNDS_BESIDE = 3, 2
LABS = {
    "autoencoder": ("train", "--epochs", "3"),
    "classification": ("train", "--epochs", "5"),
    "detection": ("train", "--limit", "300", "--epochs", "2"),
    "rnn": ("sentiment", "--limit", "6000", "--epochs", "2"),
}
BESIDE = "while True: pass"


class Side(NamedTuple):
    """A checkout, and how its threads wait."""

    name: str
    folder: Path
    settings: dict[str, str]  # of the environment, where what the user says stays


class Seconds(NamedTuple):
    """Of a command: the clock in training, outside of it and in all, and the processor's."""

    train: float
    outside: float  # from the start of Python to the end
    total: float
    processor: float


HERE = Path(__file__).parent.parent
BY_SETTING = (
    # The first is what there is out of the box.
    Side("300,000 turns", HERE, {"GOMP_SPINCOUNT": "300000", "OPENBLAS_THREAD_TIMEOUT": "26"}),
    Side("as the labs do", HERE, {}),
    Side("no turn", HERE, {"OMP_WAIT_POLICY": "PASSIVE"}),
)


def measure(lab: str, side: Side, kept: Path) -> Seconds:
    """Run a command once; what it keeps for later runs is kept for those of its side."""
    with tempfile.TemporaryDirectory() as folder:
        command = [sys.executable, "-m", f"labs.{lab}", *LABS[lab], "--run-dir", folder]
        environment = {**os.environ, **side.settings, "LABS_CACHE": str(kept / side.name)}
        begun = time.perf_counter()
        with Path(folder, "output").open("w") as output:
            # Python looks for modules in the folder that it is started in, before all others.
            child = subprocess.Popen(
                command, cwd=side.folder, env=environment, stdout=output, stderr=output
            )
            _, status, used = os.wait4(child.pid, 0)
        child.returncode = status  # it is waited for here, for what it used
        total = time.perf_counter() - begun
        if status:
            raise SystemExit(f"{side.name}: {command} ended with {status}")
        [metrics] = Path(folder).glob("*/*/metrics.json")
        train = json.loads(metrics.read_text("utf-8"))["seconds"]["train"]
        return Seconds(train, total - train, total, used.ru_utime + used.ru_stime)


def measure_beside(lab: str, side: Side, kept: Path) -> Seconds:
    """Run a command once, beside a process on each core that never rests."""
    others = [subprocess.Popen([sys.executable, "-c", BESIDE]) for _ in range(os.cpu_count() or 1)]
    try:
        return measure(lab, side, kept)
    finally:
        for other in others:
            other.kill()


Rounds = dict[str, list[Seconds]]


def take_turns(
    run: Callable[[str, Side, Path], Seconds],
    rounds: int,
    lab: str,
    sides: Sequence[Side],
    kept: Path,
) -> Rounds:
    """Return what each side took in each round."""
    found: Rounds = {side.name: [] for side in sides}
    for _ in range(rounds):
        for side in sides:
            found[side.name].append(run(lab, side, kept))
            print(f"    {run.__name__} {side.name}: {found[side.name][-1]}", flush=True)
    return found


def compare(lab: str, sides: Sequence[Side]) -> None:
    """Print the medians of the times and of their ratios."""
    with tempfile.TemporaryDirectory() as kept:
        quiet = take_turns(measure, ROUNDS, lab, sides, Path(kept))
        beside = take_turns(measure_beside, ROUNDS_BESIDE, lab, sides, Path(kept))
    for part, of in enumerate(Seconds._fields):
        times = {name: [each[part] for each in rounds] for name, rounds in quiet.items()}
        loaded = {name: [each[part] for each in rounds] for name, rounds in beside.items()}
        for name, own in times.items():
            middle = statistics.median(own)
            ratios = [a / b for a, b in zip(own, times[sides[0].name], strict=True)]
            print(
                f"{lab:16}{of:11}{name:16}{middle:8.1f} s quiet "
                f"({statistics.median(ratios):.2f} of {sides[0].name}), "
                f"{statistics.median(loaded[name]):.1f} s beside "
                f"({statistics.median(loaded[name]) / middle:.2f} of quiet)",
                flush=True,
            )


def main(words: list[str]) -> None:
    print(describe(), flush=True)
    sides: Sequence[Side] = BY_SETTING
    if words[:1] == ["--before"]:
        sides = (Side("before", Path(words[1]).resolve(), {}), Side("here", HERE, {}))
        words = words[2:]
    for lab in words or LABS:
        compare(lab, sides)


if __name__ == "__main__":
    main(sys.argv[1:])
