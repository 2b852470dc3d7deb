"""Commands as a user runs them, over seeds: the test figure, and seconds of training.

python benchmarks/accuracy.py                                # all of COMMANDS
python benchmarks/accuracy.py rnn sentiment                  # one of them
python benchmarks/accuracy.py rnn sentiment --cell gru       # with any options
"""

import json
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

from machine import describe

SEEDS = (0, 1, 2)
COMMANDS = {  # lab and options: the figures, the first with its validation
    "classification train": ("accuracy",),
    "detection train": ("map50_95", "map50"),
    "detection train --model localizer": ("localization_accuracy", "accuracy", "mean_iou"),
    "rnn sentiment": ("balanced_accuracy",),
    "rnn translate": ("exact_match",),
    "rnn translate --recipe addition": ("character_accuracy",),
}


def main() -> None:
    print(describe())
    given = " ".join(sys.argv[1:])
    begun = [command for command in COMMANDS if given.startswith(command)]
    if given and not begun:
        sys.exit(f"expected one of: {', '.join(COMMANDS)}; given: {given}")
    for command in [given] if given else COMMANDS:
        measure(command, COMMANDS[max(begun, key=len) if given else command])


def measure(command: str, figures: tuple[str, ...]) -> None:
    """Run a command with each seed, and print its figures."""
    figure, *others = figures
    lab, *words = command.split()
    print(f"\n{command}")
    print(f"{'seed':>4}{'epochs':>8}{'best':>6}{'validation':>12}{'test':>8}", end="")
    print(f"{'train s':>9}{'total s':>9}", flush=True)
    found, seconds, also = [], [], {name: [] for name in others}
    with tempfile.TemporaryDirectory() as folder:
        for seed in SEEDS:
            options = ["--seed", str(seed), "--run-dir", folder, "--name", str(seed)]
            program = [sys.executable, "-m", f"labs.{lab}", *words, *options]
            subprocess.run(program, check=True, capture_output=True)
            run = Path(folder, lab, str(seed))
            metrics = json.loads((run / "metrics.json").read_text(encoding="utf-8"))
            epochs = len((run / "history.jsonl").read_text(encoding="utf-8").splitlines())
            found.append(metrics["test"][figure])
            seconds.append(metrics["seconds"]["train"])
            for name, values in also.items():
                values.append(metrics["test"][name])
            print(
                f"{seed:>4}{epochs:>8}{metrics['best_epoch']:>6}"
                f"{metrics['validation'][figure]:>12.4f}{found[-1]:>8.4f}"
                f"{seconds[-1]:>9.1f}{metrics['seconds']['total']:>9.1f}",
                flush=True,
            )
    print(f"mean test {figure} {statistics.mean(found):.4f}, most training {max(seconds):.1f} s")
    for name, values in also.items():
        listed = ", ".join(f"{value:.4f}" for value in values)
        print(f"mean test {name} {statistics.mean(values):.4f} ({listed})")
    for name, values in metrics["baselines"].items():
        main_metric = next(key for key in values if f"{key}_interval" in values)
        print(f"  {name}: {main_metric} {values[main_metric]:.4f}")


if __name__ == "__main__":
    main()
