"""How well flipped labels are found, and what the patch of them is worth beside its placebo.

python benchmarks/suspects.py

Of mnist5k, 4,000 digits train and 1,000 test. A tenth of the training labels is flipped at random;
the test labels are right. Two networks are cross-validated on the 4,000: LeNet-5, whose random
changes keep it from learning labels by heart, and a perceptron that has none. `suspects` ranks
their answers, and the patch of all suspects, looked at by nobody, is compared with its placebo over
three seeds.
"""

import json
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from machine import cpu_seconds, describe

from common.cleaning.suspects import Answers
from common.images.known import load_embedded
from labs.classification.experiments.crossval import CrossvalImages

FLIPPED, TEST, RECALL = 0.1, 100, 0.90  # of the training labels; digits of a class; asked for
NETWORKS = {
    "lenet5": ("--model", "lenet5", "--epochs", "10", "--learning-rate", "0.008"),
    "mlp": ("--model", "mlp", "--epochs", "20", "--learning-rate", "0.001", "--augment", "none"),
}


def main() -> None:
    print(describe())
    for name, options in NETWORKS.items():
        before = cpu_seconds()
        print(f"{name}:", flush=True)
        with tempfile.TemporaryDirectory() as folder:
            measure(Path(folder), options)
        print(f"{cpu_seconds() - before:.0f} CPU s")


def measure(folder: Path, options: Sequence[str]) -> None:
    """Print what is found with a network, and what the patch gains."""
    data, patch = folder / "digits.npz", folder / "patch.csv"
    flipped = write_digits(data)
    run_lab("crossval", "--data", data, *options, "--threads", "1", "--name", "cv", folder=folder)
    run = folder / "classification" / "cv"
    print_found(run, flipped)
    run_lab("suspects", run, "--write", patch)
    run_lab("compare-patch", run, "--patch", patch, "--name", "compared", folder=folder)
    print_gain(folder / "classification" / "compared")


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
