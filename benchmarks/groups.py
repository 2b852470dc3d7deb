"""What a split that leaks promises: images of the same source on both sides of it.

    python benchmarks/groups.py

150 digits of mnist5k are drawn, 15 of each class, and each is turned, moved and scaled five times:
a source cut in five. A folder of these 750 images, in a folder for each source, is trained on as a
user would (`train --data FOLDER`), with `--group-column folder` and, from the same files in one
folder a class, without it. Both runs are then measured on the same five versions of 1,000 other
digits (`evaluate RUN --data`). What the run with groups shows of its own test split should agree
with that, within its interval; what the run without groups shows is too good. Three split seeds.
"""

import sys
import tempfile
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import torch
from machine import describe
from PIL import Image
from torchvision.transforms import v2

from common.images.known import load_embedded
from common.options.config import build
from common.runs.conclude import conclusion_of
from labs.classification.config import ClassificationConfig
from labs.classification.job import ClassifyImages

SOURCES, VERSIONS, OTHERS = 150, 5, 1000
OPTIONS = {"model": "lenet5", "augment": "none", "epochs": 30, "batch_size": 32, "threads": 1}

SILENT: Any = SimpleNamespace(progress=lambda progress: None, epoch=lambda row, best: None)


def main() -> None:
    print(describe())
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        write(root)
        print("split seed, groups: shown (95 % interval); on other sources")
        for seed in range(3):
            for groups in ("folder", "none"):
                shown, (low, high), found = measure(root, groups, seed)
                known = "kept together" if groups == "folder" else "ignored"
                print(f"{seed}, {known}: {shown:.3f} ({low:.3f} to {high:.3f}); {found:.3f}")
                sys.stdout.flush()


def write(root: Path) -> None:
    """Write the sources in three forms: grouped, without groups, and others to measure on."""
    digits = load_embedded("mnist5k").parts["all"]
    generator = np.random.default_rng(0)
    per_class = [
        generator.permutation((digits.targets == c).nonzero().flatten()) for c in range(10)
    ]
    chosen = SOURCES // 10
    seen = [row for rows in per_class for row in rows[:chosen]]
    others = [row for rows in per_class for row in rows[chosen : chosen + OTHERS // 10]]
    torch.manual_seed(0)
    change = v2.RandomAffine(25, (0.12, 0.12), (0.75, 1.25), 15)
    for rows, kinds in ((seen, ("grouped", "flat")), (others, ("others",))):
        for row in rows:
            for version in range(VERSIONS):
                pixels = Image.fromarray(change(digits.images[row])[0].numpy())
                for kind in kinds:
                    place = root / kind / str(int(digits.targets[row]))
                    place = place / f"source{row}" if kind == "grouped" else place
                    place.mkdir(parents=True, exist_ok=True)
                    pixels.save(place / f"{row}-{version}.png")


def measure(root: Path, groups: str, seed: int) -> tuple[float, list[float], float]:
    """Train a run; return what it shows, its interval, and its accuracy on other sources."""
    values = {**OPTIONS, "image_size": 28, "split_seed": seed, "run_dir": str(root / "runs")}
    values |= {
        "data": str(root / ("grouped" if groups == "folder" else "flat")),
        "group_column": groups,
    }
    job, splits = ClassifyImages.start(build(ClassificationConfig, ("options", values)), [])
    job.train(splits, SILENT, print)
    figures = conclusion_of(job).conclude(splits, 0.0)["test"]
    found = {"data": job.labelled(root / "others", lambda line: None)}
    outputs = job.predict_splits(found, ["data"])["data"]
    right = (job.decide(outputs) == job.targets(found["data"])).mean()
    return figures["accuracy"], figures["accuracy_interval"], float(right)


if __name__ == "__main__":
    main()
