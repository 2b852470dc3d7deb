"""`compete` on test data that it never sees, beside runs of `train` on the same.

python benchmarks/compete.py photos FOLDER [TIME]    # with train/ and test/, a folder for a class
python benchmarks/compete.py texts FILE [TIME]       # texts with labels; a fifth is for the test
python benchmarks/compete.py mask [TIME]             # the layout of benchmarks/mask_layout.py

Prints what compete says of itself (out of fold, and between which scores test sets of that size
lie), what its submission has on the test data, and that of each run of `train`, with the lead of
compete over it and the interval of a paired bootstrap. TIME is 30m when not given.
"""

import csv
import json
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import mask_layout
import numpy as np
import numpy.typing as npt
from machine import describe
from sklearn.metrics import accuracy_score, balanced_accuracy_score, f1_score

from common.io import delimited
from common.io.tables import read_cells
from labs.rnn.columns import guess_labelled

Array = npt.NDArray[Any]

METRICS: dict[str, Callable[[Array, Array], float]] = {
    "accuracy": accuracy_score,
    "balanced_accuracy": balanced_accuracy_score,
    "macro_f1": partial(f1_score, average="macro"),
}


class Set(NamedTuple):
    """A competition, with what is true of its test data.

    Attributes:
        lab: that takes it.
        files: the training data, the test data, and the sample submission.
        truth: labels by id.
        options: of `compete` and `train`.
        train: what trains an expert's runs, with their options.
    """

    lab: str
    files: Sequence[Path]
    truth: dict[str, str]
    options: Sequence[str]
    train: Sequence[Sequence[str]]


def main() -> None:
    kinds = {"photos": write_photos, "texts": write_texts, "mask": write_mask}
    if len(sys.argv) < 2 or sys.argv[1] not in kinds:
        sys.exit(__doc__)
    kind, *rest = sys.argv[1:]
    path = [] if kind == "mask" else [Path(rest.pop(0)).expanduser()]
    with tempfile.TemporaryDirectory() as folder:
        measure(kinds[kind](Path(folder), *path), Path(folder), (rest or ["30m"])[0])


def measure(found: Set, folder: Path, given: str) -> None:
    """Run compete and the expert's commands, and print the figures of all."""
    print(describe())
    begun = time.perf_counter()
    where = ("--run-dir", str(folder), "--name")
    run(found.lab, "compete", *map(str, found.files), "--time", given, *found.options, *where, "c")
    minutes = (time.perf_counter() - begun) / 60
    path = folder / found.lab / "c"
    said = json.loads((path / "metrics.json").read_text("utf-8"))
    name, label = said["metric"]["name"], said["metric"]["label"]
    for rung in said["steps"]:
        print(f"{rung['name']} out of fold {rung[name]:.4f}, {rung['seconds']:.0f} s")
    print(f"weights {said['weights']}, left out {said['left_out']}")
    metric, truth = METRICS[name], np.array([*found.truth.values()])
    answers = read_answers(path / "submission.csv", found)
    figure, (low, high) = metric(truth, answers), said["board"]
    own = said["out_of_fold"][name]
    print(f"compete, {minutes:.1f} minutes: out of fold {label} {own:.4f}; it expects")
    print(f"{low:.4f} to {high:.4f}, and has {figure:.4f} on {len(truth):,} test rows", flush=True)
    for number, words in enumerate(found.train):
        run(found.lab, *words, *where, f"t{number}")
        out = folder / f"t{number}.csv"
        run(
            found.lab,
            "submit",
            str(folder / found.lab / f"t{number}"),
            *map(str, found.files[1:]),
            "--out",
            str(out),
        )
        theirs = read_answers(out, found)
        leads = [
            metric(truth[rows], answers[rows]) - metric(truth[rows], theirs[rows])
            for rows in np.random.default_rng(0).integers(len(truth), size=(1000, len(truth)))
        ]
        low, high = np.quantile(leads, [0.025, 0.975])
        print(
            f"{words[0]} {number}: {metric(truth, theirs):.4f}; the lead of compete over it ",
            end="",
        )
        print(f"{figure - metric(truth, theirs):+.4f} ({low:+.4f} to {high:+.4f})", flush=True)


def read_answers(path: Path, found: Set) -> Array:
    """Return what a submission says of each test row, in the order of the truth."""
    rows = delimited.rows(path.read_text("utf-8"), ",", quotes=True)
    answers = dict(row for row in [*rows][1:] if row)
    return np.array([answers[name] for name in found.truth])


def run(lab: str, *words: str) -> None:
    """Run a command, whose notes go to the terminal."""
    subprocess.run([sys.executable, "-m", f"labs.{lab}", *words], check=True, stdout=sys.stderr)


def write_photos(folder: Path, source: Path) -> Set:
    """Put the test photos into one folder, without a class in their names."""
    test, truth = folder / "test", {}
    test.mkdir()
    for number, path in enumerate(sorted((source / "test").glob("*/*"))):
        truth[f"{number}"] = path.parent.name
        shutil.copy(path, test / f"{number}{path.suffix}")
    sample = write_sample(folder, truth, "airplane")
    files = (source / "train", test, sample)
    return Set("classification", files, truth, (), [["train", "--data", str(source)]])


def write_texts(folder: Path, source: Path) -> Set:
    """Cut a table of texts; every fifth row of a random order is for the test."""
    text, label, _ = guess_labelled(source, None, None)
    header, *rows = read_cells(source)
    places = [header.index(name) for name in (text, label)]
    kept = [[row[place] for place in places] for row in rows if len(row) == len(header)]
    kept = [row for row in kept if row[0].strip() and row[1]]
    order = np.random.default_rng(0).permutation(len(kept))
    parts = {"train": order[len(kept) // 5 :], "test": order[: len(kept) // 5]}
    for name, numbers in parts.items():
        write_table(folder / f"{name}.csv", ["text", "label"], [kept[n] for n in numbers])
    asked = [[str(number), kept[number][0]] for number in parts["test"]]
    write_table(folder / "asked.csv", ["id", "text"], asked)
    truth = {str(number): kept[number][1] for number in parts["test"]}
    files = (folder / "train.csv", folder / "asked.csv", write_sample(folder, truth, kept[0][1]))
    expert = ["sentiment", "--data", str(files[0]), "--test", str(folder / "test.csv")]
    return Set("rnn", files, truth, (), [expert, [*expert, "--total-updates", "2000"]])


def write_mask(folder: Path) -> Set:
    """Write the layout of the mask competition, with 270 persons for the test."""
    mask_layout.write(folder, others=mask_layout.PERSONS // 10)
    lines = (folder / "eval/answers.csv").read_text().splitlines()[1:]
    truth = dict(line.split(",") for line in lines)
    files = (folder / "train/train.csv", folder / "eval/images", folder / "eval/info.csv")
    options = mask_layout.OPTIONS
    expert = ["train", "--data", str(files[0]), *options]
    train = [expert, [*expert, "--model", "resnet20", "--total-updates", "3000"]]
    return Set("classification", files, truth, options, train)


def write_sample(folder: Path, truth: dict[str, str], label: str) -> Path:
    """Write a sample submission, with one label for all."""
    write_table(folder / "sample.csv", ["id", "label"], [[name, label] for name in truth])
    return folder / "sample.csv"


def write_table(path: Path, header: list[str], rows: Sequence[Sequence[Any]]) -> None:
    with path.open("w", encoding="utf-8", newline="") as file:
        table = csv.writer(file)
        table.writerow(header)
        table.writerows(rows)


if __name__ == "__main__":
    main()
