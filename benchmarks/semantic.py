"""The class of each pixel on the scenes, as one types it, over seeds: mean IoU and seconds.

python benchmarks/semantic.py                              # the default, two threads
python benchmarks/semantic.py --threads 1 --seeds 0,1,2    # with any options of train
"""

import json
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

from machine import cpu_seconds, describe


def main() -> None:
    seeds, options = ["0"], sys.argv[1:]
    if "--seeds" in options:
        at = options.index("--seeds")
        seeds = options[at + 1].split(",")
        del options[at : at + 2]
    print(describe())
    print(f"{'seed':>5}{'best':>6}{'validation':>12}{'test':>8}  {'95 % interval':<17}", end="")
    print(f"{'train s':>8}{'CPU s':>8}", flush=True)
    with tempfile.TemporaryDirectory() as folder:
        found = [measure(seed, options, Path(folder)) for seed in seeds]
    print(f"mean test mean IoU {statistics.mean(found):.4f}")


def measure(seed: str, options: list[str], folder: Path) -> float:
    """Run the command with a seed, print its figures and the baselines', return the test's."""
    words = ["--task", "semantic", "--seed", seed, "--run-dir", str(folder), "--name", seed]
    program = [sys.executable, "-m", "labs.detection", "train", *words]
    before = cpu_seconds()
    result = subprocess.run([*program, *options], capture_output=True, text=True, check=False)
    if result.returncode:
        sys.exit(result.stderr)
    metrics = json.loads((folder / "detection" / seed / "metrics.json").read_text("utf-8"))
    test, low_high = metrics["test"]["mean_iou"], metrics["test"]["mean_iou_interval"]
    interval = "{:.4f} to {:.4f}".format(*low_high)
    print(f"{seed:>5}{metrics['best_epoch']:>6}{metrics['validation']['mean_iou']:>12.4f}", end="")
    print(f"{test:>8.4f}  {interval:<17}{metrics['seconds']['train']:>8.0f}", end="")
    print(f"{cpu_seconds() - before:>8.0f}", flush=True)
    for name, values in metrics["baselines"].items():
        print(f"      {name}: {values['mean_iou']:.4f}")
    return float(test)


if __name__ == "__main__":
    main()
