"""The main job as a user runs it, over seeds: test accuracy, and seconds of training.

python benchmarks/accuracy.py                       # the default: LeNet-5 on mnist5k
python benchmarks/accuracy.py --model linear        # any options of `train`
"""

import json
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

from machine import describe

SEEDS = (0, 1, 2)


def main() -> None:
    print(describe())
    print(f"{'seed':>4}{'best epoch':>12}{'validation':>12}{'test':>8}{'train s':>9}{'total s':>9}")
    accuracies, seconds = [], []
    with tempfile.TemporaryDirectory() as folder:
        for seed in SEEDS:
            options = ["--seed", str(seed), "--run-dir", folder, "--name", str(seed)]
            command = [
                sys.executable,
                "-m",
                "labs.classification",
                "train",
                *sys.argv[1:],
                *options,
            ]
            subprocess.run(command, check=True, capture_output=True)
            metrics = json.loads(
                Path(folder, "classification", str(seed), "metrics.json").read_text()
            )
            accuracies.append(metrics["test"]["accuracy"])
            seconds.append(metrics["seconds"]["train"])
            print(
                f"{seed:>4}{metrics['best_epoch']:>12}{metrics['validation']['accuracy']:>12.4f}"
                f"{accuracies[-1]:>8.4f}{seconds[-1]:>9.1f}{metrics['seconds']['total']:>9.1f}",
                flush=True,
            )
    print(
        f"mean test accuracy {statistics.mean(accuracies):.4f}, most training {max(seconds):.1f} s"
    )
    for name, values in metrics["baselines"].items():
        print(f"  {name}: {values['accuracy']:.4f}")


if __name__ == "__main__":
    main()
