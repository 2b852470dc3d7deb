"""Detection on somebody's own photos, as one types it, over split seeds: mAP50 and seconds.

python benchmarks/own_boxes.py raccoon                     # a folder, a data.yaml, a COCO JSON
python benchmarks/own_boxes.py raccoon --total-updates 200 # with any options
"""

import json
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

from machine import cpu_seconds, describe

SPLIT_SEEDS = (0, 1, 2)


def main() -> None:
    if len(sys.argv) < 2:
        sys.exit("expected the photos: python benchmarks/own_boxes.py FOLDER [options of train]")
    print(describe())
    data, *options = sys.argv[1:]
    print(f"{'split':>5}{'epochs':>8}{'best':>6}{'validation':>12}{'test':>8}", end="")
    print(f"{'total s':>9}{'CPU s':>8}", flush=True)
    with tempfile.TemporaryDirectory() as folder:
        found = [measure(seed, Path(data), options, Path(folder)) for seed in SPLIT_SEEDS]
    print(f"mean test mAP50 {statistics.mean(found):.4f}")


def measure(seed: int, data: Path, options: list[str], folder: Path) -> float:
    """Run the command with a split, print its figures, and return the test mAP50."""
    words = ["--data", str(data), "--split-seed", str(seed), "--run-dir", str(folder)]
    program = [sys.executable, "-m", "labs.detection", "train", *words, "--name", str(seed)]
    before = cpu_seconds()
    result = subprocess.run([*program, *options], capture_output=True, text=True, check=False)
    if result.returncode:
        sys.exit(result.stderr)
    if seed == SPLIT_SEEDS[0]:
        print(*(line for line in result.stderr.splitlines() if line.startswith("chosen")), sep="\n")
    run = folder / "detection" / str(seed)
    metrics = json.loads((run / "metrics.json").read_text(encoding="utf-8"))
    epochs = len((run / "history.jsonl").read_text(encoding="utf-8").splitlines())
    validation, test = (metrics[name]["map50"] for name in ("validation", "test"))
    print(f"{seed:>5}{epochs:>8}{metrics['best_epoch']:>6}{validation:>12.4f}{test:>8.4f}", end="")
    print(f"{metrics['seconds']['total']:>9.0f}{cpu_seconds() - before:>8.0f}", flush=True)
    return float(test)


if __name__ == "__main__":
    main()
