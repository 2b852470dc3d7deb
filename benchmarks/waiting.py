"""How long the labs' defaults take on quiet cores and beside other programs, by how threads wait.

    python benchmarks/waiting.py [LAB ...]

Whole commands, on the first samples of the default data; the settings take turns. Beside: a process
on each core that never rests. Two that share a core fairly take twice as long.
"""

import itertools
import json
import os
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import NamedTuple

from machine import describe

ROUNDS = 3
LABS = {
    "autoencoder": ("train", "--limit", "1000", "--epochs", "3"),
    "classification": ("train", "--limit", "2000", "--epochs", "3"),
    "detection": ("train", "--limit", "200", "--epochs", "2"),
    "rnn": ("sentiment", "--limit", "4000", "--epochs", "2"),
}
SETTINGS = {  # what the user's environment says stays: the first is what there was before
    "300,000 turns": {"GOMP_SPINCOUNT": "300000", "OPENBLAS_THREAD_TIMEOUT": "26"},
    "as the labs do": {},
    "no turn": {"OMP_WAIT_POLICY": "PASSIVE"},
}
BESIDE = "while True: pass"


class Seconds(NamedTuple):
    """Of training alone, and of the whole command but for what Python needs to begin."""

    train: float
    total: float


def measure(lab: str, settings: dict[str, str]) -> Seconds:
    """Run a command once."""
    with tempfile.TemporaryDirectory() as folder:
        command = [sys.executable, "-m", f"labs.{lab}", *LABS[lab], "--run-dir", folder]
        environment = {**os.environ, **settings}
        subprocess.run(command, env=environment, capture_output=True, check=True)
        [metrics] = Path(folder).glob("*/*/metrics.json")
        return Seconds(**json.loads(metrics.read_text("utf-8"))["seconds"])


def measure_beside(lab: str, settings: dict[str, str]) -> Seconds:
    """Run a command once, beside a process on each core that never rests."""
    others = [subprocess.Popen([sys.executable, "-c", BESIDE]) for _ in range(os.cpu_count() or 1)]
    try:
        return measure(lab, settings)
    finally:
        for other in others:
            other.kill()


def compare(lab: str) -> None:
    """Let the settings take turns, and print the medians of the times and of their ratios."""
    runs = {"quiet": measure, "beside": measure_beside}
    rounds = [
        {
            (name, way): runs[way](lab, SETTINGS[name])
            for way, name in itertools.product(runs, SETTINGS)
        }
        for _ in range(ROUNDS)
    ]
    first = next(iter(SETTINGS))
    for part, of in enumerate(Seconds._fields):
        for name in SETTINGS:
            quiet, beside = ([row[name, way][part] for row in rounds] for way in runs)
            before = [row[first, "quiet"][part] for row in rounds]
            print(
                f"{lab:16}{of:6}{name:16}{statistics.median(quiet):8.1f} s quiet "
                f"({divide(quiet, before):.2f} of the first)"
                f"{statistics.median(beside):8.1f} s beside ({divide(beside, quiet):.2f} of quiet)",
                flush=True,
            )


def divide(times: list[float], others: list[float]) -> float:
    """Return the median ratio of times that were measured in turns."""
    return statistics.median(a / b for a, b in zip(times, others, strict=True))


def main() -> None:
    print(describe())
    for lab in sys.argv[1:] or LABS:
        compare(lab)


if __name__ == "__main__":
    main()
