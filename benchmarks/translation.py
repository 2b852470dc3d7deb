"""`translate` as a user runs it, over seeds: dates (the default) and addition.

python benchmarks/translation.py                        # both
python benchmarks/translation.py --attention bahdanau   # with any options of `translate`
"""

import json
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

from machine import describe

SEEDS = (0, 1, 2)
LEAST = 0.99
JOBS = {  # options, and the figure that is to reach LEAST
    "dates": ([], "exact_match"),
    "addition": (["--recipe", "addition"], "character_accuracy"),
}


def main() -> None:
    print(describe())
    for name, (options, figure) in JOBS.items():
        print(f"\n{name}: {figure} of at least {LEAST}")
        print(f"{'seed':>4}{'epochs':>8}{'best':>6}{'exact':>9}{'characters':>12}{'train s':>9}")
        with tempfile.TemporaryDirectory() as folder:
            runs = [run(folder, seed, options) for seed in SEEDS]
        reached = statistics.mean(metrics["test"][figure] for metrics in runs)
        seconds = max(metrics["seconds"]["train"] for metrics in runs)
        verdict = "reached" if reached >= LEAST else "missed"
        print(f"mean test {figure} {reached:.4f}: {verdict}; most training {seconds:.1f} s")


def run(folder: str, seed: int, options: list[str]) -> dict:
    """Train one seed, print its figures, and return its metrics."""
    flags = ["--seed", str(seed), "--run-dir", folder, "--name", str(seed)]
    command = [sys.executable, "-m", "labs.rnn", "translate", *options, *sys.argv[1:], *flags]
    subprocess.run(command, check=True, capture_output=True)
    trained = Path(folder, "rnn", str(seed))
    metrics = json.loads((trained / "metrics.json").read_text())
    epochs = len((trained / "history.jsonl").read_text().splitlines())
    test = metrics["test"]
    print(
        f"{seed:>4}{epochs:>8}{metrics['best_epoch']:>6}{test['exact_match']:>9.4f}"
        f"{test['character_accuracy']:>12.4f}{metrics['seconds']['train']:>9.1f}",
        flush=True,
    )
    return metrics


if __name__ == "__main__":
    main()
