"""What it saves that freed memory is kept for the next batch, and what it costs.

    python benchmarks/allocator.py            # on noise
    python benchmarks/allocator.py FOLDER     # on 1,000 images of a folder with class folders

A new classifier trains on EfficientNet-Lite0, frozen, which sees the images at 160x160 pixels in
batches of 64. Each training has a process of its own, with one torch thread; the two settings take
turns. The time is the CPU time from the loaded data to the trained run, the memory the most that
the process ever had.
"""

import os
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
from machine import describe
from PIL import Image

from common.options.config import build

ROUNDS = 3
# glibc's own default value; that the user sets anything keeps the toolkit from doing so.
PLAIN = {"MALLOC_ARENA_TEST": "8"}
LITE = "efficientnet-lite0"
OPTIONS = {
    **{"model": LITE, "weights": LITE, "transfer": "feature-extraction", "augment": "none"},
    **{"limit": 1000, "image_size": 160, "batch_size": 64, "epochs": 1, "threads": 1},
}


def write_noise(folder: Path) -> None:
    """Write 1,000 color images of 32x32 pixels in 10 classes."""
    numbers = np.random.default_rng(0)
    for row in range(1000):
        path = folder / str(row % 10) / f"{row}.png"
        path.parent.mkdir(exist_ok=True)
        Image.fromarray(numbers.integers(0, 256, (32, 32, 3), np.uint8)).save(path)


def train(data: str) -> None:
    """Train once in this process; prints seconds and megabytes."""
    from labs.classification.config import ClassificationConfig
    from labs.classification.job import ClassifyImages

    class InBatches(ClassifyImages):
        """Features are computed in every step, in the batches that were asked for."""

        def keepable(self, samples: int) -> str | None:
            return None

    with tempfile.TemporaryDirectory() as runs:
        options = {**OPTIONS, "data": data, "run_dir": runs}
        job, splits = InBatches.start(build(ClassificationConfig, ("options", options)), [])
        silent: Any = SimpleNamespace(epoch=lambda *_, **__: None, progress=lambda *_: None)
        begun = time.process_time()
        job.train(splits, silent, lambda text: None)
        seconds = time.process_time() - begun
    print(seconds, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024)


def measured(data: str, settings: dict[str, str]) -> tuple[float, float]:
    """Train in a process of its own; returns CPU seconds and megabytes."""
    command = [sys.executable, __file__, data, "once"]
    done = subprocess.run(
        command, env={**os.environ, **settings}, capture_output=True, text=True, check=True
    )
    seconds, megabytes = map(float, done.stdout.split())
    return seconds, megabytes


def compare(data: str) -> None:
    """Let the two settings take turns."""
    rounds = [(measured(data, PLAIN), measured(data, {})) for _ in range(ROUNDS)]
    ratios = [kept[0] / plain[0] for plain, kept in rounds]
    for name, results in zip(("given back", "kept"), zip(*rounds, strict=True), strict=True):
        seconds, megabytes = (statistics.median(values) for values in zip(*results, strict=True))
        print(f"{name:12}{seconds:8.1f} CPU s{megabytes:8.0f} MB at most")
    print(f"ratios of the times: {', '.join(f'{ratio:.2f}' for ratio in ratios)}")


def main() -> None:
    print(describe())
    if sys.argv[1:]:
        compare(sys.argv[1])
        return
    with tempfile.TemporaryDirectory() as folder:
        write_noise(Path(folder))
        compare(folder)


if __name__ == "__main__":
    train(sys.argv[1]) if sys.argv[2:] == ["once"] else main()
