"""Whether what each sense adds is told where the truth is known.

    python benchmarks/senses.py [TABLE ...]      # tables by number, 0 1 2 when not given: trains
    python benchmarks/senses.py --write FOLDER   # writes the table and its images alone

Digits of mnist5k, drowned in noise, are PNG files that a table names. Beside each stand columns
that were made from its digit, so that it is known what they tell:

- `weight`, a number: 10, 13 or 16 by the remainder of the digit divided by 3, give or take 1.5; one
  cell in twenty is empty;
- `city`, one of five: each stands for two digits, and is right in 45 of 100 rows, else random;
- `note`, a short Korean text: two words that say nothing, and in 80 of 100 rows one that says
  whether the digit is even;
- `title`, a short text of three random words, which says nothing: whoever finds that it adds
  something is wrong.

Several such tables are drawn. Of each a run is trained, and its own report of what each sense adds
is held against the truth.
"""

import argparse
import csv
import json
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np
from machine import cpu_seconds, describe
from PIL import Image

from common.images.known import load_embedded

CITIES = ("서울", "부산", "Daegu", "Incheon", "Jeju")
FILLERS = tuple(
    f"{front}{end}" for front in ("종이", "책상", "나무", "구름", "바다") for end in "를가도"
)
PARITY = (("짝수", "짝수라고"), ("홀수", "홀수라고"))
TITLES = tuple(
    front + end for front in ("red", "old", "big", "sun", "oak") for end in ("ly", "er", "en")
)
TRUTH = {"image": True, "weight": True, "city": True, "note": True, "title": False}


def write(folder: Path, rows: int, seed: int = 0) -> Path:
    """Write images and their table, `train.csv`; returns the table."""
    rng = np.random.default_rng(seed)
    whole = load_embedded("mnist5k").parts["all"]
    chosen = rng.permutation(len(whole))[:rows]
    (folder / "images").mkdir(parents=True, exist_ok=True)
    table = folder / "train.csv"
    with table.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(["image", "digit", "weight", "city", "note", "title"])
        for number, row in enumerate(chosen.tolist()):
            digit = int(whole.targets[row])
            pixels = whole.images[row][0].numpy().astype(float)
            noisy = 0.5 * pixels + rng.normal(64, 75, pixels.shape)
            name = f"images/{number:05}.png"
            Image.fromarray(noisy.clip(0, 255).astype(np.uint8)).save(folder / name)
            writer.writerow([name, digit, *_columns(digit, rng)])
    return table


def _columns(digit: int, rng: np.random.Generator) -> list[str]:
    """Return the cells beside a digit."""
    weight = f"{10 + 3 * (digit % 3) + rng.normal(0, 1.5):.2f}" if rng.random() > 0.05 else ""
    city = CITIES[digit // 2 if rng.random() < 0.45 else rng.integers(5)]
    words = rng.choice(FILLERS, 2).tolist()
    if rng.random() < 0.8:
        words.insert(int(rng.integers(3)), str(rng.choice(PARITY[digit % 2])))
    return [weight, city, " ".join(words), " ".join(rng.choice(TITLES, 3).tolist())]


def main() -> None:
    """Train on tables, and compare what is said of senses with what is true of them."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--write", type=Path, help="folder to write the table and its images to")
    parser.add_argument("--rows", type=int, default=2000)
    parser.add_argument("--epochs", type=int, default=12)
    parser.add_argument("tables", type=int, nargs="*", default=(0, 1, 2))
    options = parser.parse_args()
    if options.write is not None:
        print(write(options.write, options.rows))
        return
    print(describe())
    before, wrong, missed = cpu_seconds(), 0, 0
    for seed in options.tables:
        with tempfile.TemporaryDirectory() as folder:
            found = measure(Path(folder), options.rows, options.epochs, seed)
        wrong, missed = wrong + found[0], missed + found[1]
    print(
        f"said to add something, and does not: {wrong}; not shown to, and does: {missed}; "
        f"{cpu_seconds() - before:.0f} CPU s"
    )


def measure(folder: Path, rows: int, epochs: int, seed: int) -> tuple[int, int]:
    """Print what a run says of its senses; returns how many it praises, or misses, wrongly."""
    table = write(folder, rows, seed)
    columns = ",".join(name for name in TRUTH if name != "image")
    words = ["train", "--data", table, "--label-column", "digit", "--with", columns]
    words += ["--model", "lenet5", "--epochs", epochs, "--run-dir", folder, "--name", "run"]
    command = [sys.executable, "-m", "labs.classification", *map(str, words), "--threads", "1"]
    subprocess.run(command, check=True, capture_output=True)
    found = json.loads((folder / "classification" / "run" / "metrics.json").read_text())
    low, high = found["test"]["accuracy_interval"]
    print(f"table {seed}: {found['test']['accuracy']:.3f} ({low:.3f} to {high:.3f})")
    for name, each in found["baselines"].items():
        print(f"  {name:24} {each['accuracy']:.3f}")
    wrong = missed = 0
    for sense, truth in TRUTH.items():
        each = found["senses"][sense]
        low, high = each["adds_interval"]
        said = low > 0
        wrong, missed = wrong + (said and not truth), missed + (truth and not said)
        remark = "" if said == truth else "  WRONG" if said else "  not shown"
        print(
            f"  without {sense:16} {each['accuracy']:.3f}: it adds {each['adds']:+.3f} "
            f"({low:+.3f} to {high:+.3f}){remark}",
            flush=True,
        )
    return wrong, missed


if __name__ == "__main__":
    main()
