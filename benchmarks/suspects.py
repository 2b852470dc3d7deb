"""How well flipped labels are found, and what the patch of them is worth beside its placebo.

python benchmarks/suspects.py

Of mnist5k, 4,000 digits train and 1,000 test. A tenth of the training labels is flipped at random;
the test labels are right. LeNet-5 is cross-validated on the 4,000, `suspects` ranks its answers,
and its patch of all suspects, looked at by nobody, is compared with its placebo over three seeds.
"""

import json
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np
from machine import cpu_seconds, describe

from common.cleaning.suspects import Answers
from common.images.known import load_embedded
from labs.classification.experiments.crossval import CrossvalImages

FLIPPED, TEST, RECALL = 0.1, 100, 0.90  # of the training labels; digits of a class; asked for
OPTIONS = ("--model", "lenet5", "--epochs", "10", "--learning-rate", "0.008", "--threads", "1")


def main() -> None:
    print(describe())
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        flipped = write_digits(folder / "digits.npz")
        run, patch = folder / "classification" / "cv", folder / "patch.csv"
        run_lab(
            "crossval", "--data", folder / "digits.npz", *OPTIONS, "--name", "cv", folder=folder
        )
        print_found(run, flipped)
        run_lab("suspects", run, "--write", patch)
        words = ("compare-patch", run, "--patch", patch, "--name", "compared")
        run_lab(*words, folder=folder)
        print_gain(folder / "classification" / "compared")
    print(f"{cpu_seconds():.0f} CPU s in all")


def write_digits(path: Path) -> set[int]:
    """Write the digits with flipped labels; returns the rows of these."""
    whole = load_embedded("mnist5k").parts["all"]
    images, labels = whole.images[:, 0].numpy(), whole.targets.numpy().copy()
    rng = np.random.default_rng(0)
    order = [rng.permutation(np.flatnonzero(labels == digit)) for digit in range(10)]
    test = np.concatenate([rows[:TEST] for rows in order])
    train = np.concatenate([rows[TEST:] for rows in order])
    given = labels[train]
    rows = rng.permutation(len(train))[: round(FLIPPED * len(train))]
    given[rows] = (given[rows] + rng.integers(1, 10, len(rows))) % 10
    np.savez(
        path,
        **{"x_train": images[train], "y_train": given},
        **{"x_test": images[test], "y_test": labels[test]},
    )
    return set(rows.tolist())


def run_lab(*words: object, folder: Path | None = None) -> None:
    """Run a command of the lab."""
    where = [] if folder is None else ["--run-dir", folder]
    command = [sys.executable, "-m", "labs.classification", *words, *where]
    ended = subprocess.run(list(map(str, command)), capture_output=True, text=True, check=False)
    if ended.returncode:
        sys.exit(ended.stderr)


def print_found(run: Path, flipped: set[int]) -> None:
    """Print precision and recall: of all suspects, and of the first that reach the recall."""
    found = Answers.read(CrossvalImages.reopen(run)).list_suspects()
    hits = np.cumsum([int(each.sample.rpartition("/")[2]) in flipped for each in found])
    accuracy = json.loads((run / "metrics.json").read_text())["accuracy"]
    print(f"flipped {len(flipped):,}; accuracy out of fold, by the flipped labels: {accuracy:.4f}")
    print(f"suspects {len(found)}: precision {hits[-1] / len(found):.4f}", end=", ")
    print(f"recall {hits[-1] / len(flipped):.4f}")
    enough = np.flatnonzero(hits >= RECALL * len(flipped))
    if len(enough):
        print(f"precision at recall {RECALL}: {hits[enough[0]] / (enough[0] + 1):.4f}")
    else:
        print(f"recall {RECALL} is not reached")


def print_gain(run: Path) -> None:
    """Print the accuracies, and the patch's leads."""
    compared = json.loads((run / "metrics.json").read_text())["compared"]
    for name, entry in compared.items():
        of_seeds = ", ".join(f"{value:.4f}" for value in entry["accuracy_of_seeds"])
        print(f"{name:<10} test accuracy {entry['accuracy']:.4f} ({of_seeds})")
    for words, name in (("its placebo", "difference"), ("the labels as given", "over_given")):
        low, high = compared["patch"][f"{name}_interval"]
        print(f"patch over {words}: {compared['patch'][name]:+.4f} ({low:+.4f} to {high:+.4f})")


if __name__ == "__main__":
    main()
