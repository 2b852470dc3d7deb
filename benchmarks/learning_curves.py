"""Whether learning curves foretell: the error with all of the data, from at most half of it.

python benchmarks/learning_curves.py

Three sets, ten draws each. A draw is the command as it is typed: five nested shares, three seeds of
its own. A power law through the runs on at most half of the data foretells the mean of the three
with all of it. Counted is how often that lies inside the 95 % interval, and how wide it is.
"""

import json
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

from machine import cpu_seconds, describe

from common.experiments.learning_curve import Point, check_forecast

DRAWS, SEEDS = 10, 3
SETS = {
    "mnist5k": "labs.classification learning-curve --data mnist5k --limit 2500 "
    "--model linear --epochs 20",
    "tweets": "labs.rnn learning-curve-sentiment --encoding n-gram-bag --limit 2500",
    "digits": "labs.autoencoder learning-curve --data digits --epochs 10",
}


def main() -> None:
    print(describe())
    print(f"{'set':<10}{'inside':>8}{'widest':>8}{'median width':>14}{'CPU s':>8}", flush=True)
    held = 0
    for name, words in SETS.items():
        before = cpu_seconds()
        checks = [check_forecast(points) for points in measure(words.split())]
        found = [check for check in checks if check is not None]
        widths = [check["high"] / check["low"] for check in found]
        inside = sum(check["inside"] for check in found)
        held += inside
        print(f"{name:<10}{inside:>5}/{len(checks)}{max(widths):>8.2f}", end="")
        print(f"{statistics.median(widths):>14.2f}{cpu_seconds() - before:>8.0f}", flush=True)
    print(f"inside: {held} of {DRAWS * len(SETS)}")


def measure(words: list[str]) -> list[list[Point]]:
    """Train a curve for each draw; returns the points of each."""
    with tempfile.TemporaryDirectory() as folder:
        options = ["--seeds", str(DRAWS * SEEDS), "--threads", "1"]
        command = [sys.executable, "-m", *words, *options, "--run-dir", folder, "--name", "curve"]
        ended = subprocess.run(command, capture_output=True, text=True, check=False)
        if ended.returncode:
            sys.exit(ended.stderr)
        [path] = Path(folder).glob("*/curve/metrics.json")
        points = [Point(**each) for each in json.loads(path.read_text())["points"]]
    seeds = range(DRAWS * SEEDS)  # of each share, one after another
    return [
        [point for seed in seeds[draw::DRAWS] for point in points[seed :: len(seeds)]]
        for draw in range(DRAWS)
    ]


if __name__ == "__main__":
    main()
