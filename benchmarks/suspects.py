"""How well flipped labels are found, and what the patch of them is worth beside its placebo.

    python benchmarks/suspects.py [NETWORK ...]     # lenet5 and mlp when not given

Of mnist5k, 4,000 digits train and 1,000 test. A tenth of the training labels is flipped at random;
the test labels are right. Two networks are cross-validated on the 4,000: LeNet-5, whose random
changes keep it from learning labels by heart, and a perceptron that has none. `suspects` ranks
their answers, and the patch of all suspects, looked at by nobody, is compared with its placebo over
three seeds. All of that five times, each with another thousand digits for the test, so that what
the patch gains is said of all 5,000.
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
from common.metrics.main_metric import ACCURACY
from common.metrics.metrics import Array
from common.options.config import PLACEBO
from labs.classification.experiments.crossval import CrossvalImages
from labs.classification.job import ClassifyImages

FLIPPED, TEST, RECALL = 0.1, 100, 0.90  # of the training labels; digits of a class; asked for
PARTS = 5  # of the digits, each of which is once for the test
PATCHES = ("patch", "placebo")
NETWORKS = {
    "lenet5": ("--model", "lenet5", "--epochs", "10", "--learning-rate", "0.008"),
    "mlp": ("--model", "mlp", "--epochs", "20", "--learning-rate", "0.001", "--augment", "none"),
}


def main() -> None:
    print(describe())
    for name in sys.argv[1:] or NETWORKS:
        before = cpu_seconds()
        found = []
        for part in range(PARTS):
            print(f"{name}, test digits {part + 1} of {PARTS}:", flush=True)
            with tempfile.TemporaryDirectory() as folder:
                found.append(measure(Path(folder), NETWORKS[name], part))
        print_gains({way: np.concatenate([rows[way] for rows in found], 1) for way in found[0]})
        print(f"{cpu_seconds() - before:.0f} CPU s", flush=True)


def measure(folder: Path, options: Sequence[str], part: int) -> dict[str, Array]:
    """Print what is found with a network; returns whether runs are right, (seeds, digits)."""
    data, patch = folder / "digits.npz", folder / "patch.csv"
    flipped = write_digits(data, part)
    run_lab("crossval", "--data", data, *options, "--threads", "1", "--name", "cv", folder=folder)
    run = folder / "classification" / "cv"
    print_found(run, flipped)
    run_lab("suspects", run, "--write", patch)
    run_lab("compare-patch", run, "--patch", patch, "--name", "compared", folder=folder)
    return list_right(folder / "classification" / "compared")


def write_digits(path: Path, part: int) -> set[int]:
    """Write the digits with flipped labels; returns the rows of these.

    Args:
        path: the file.
        part: which of the digits are for the test, from 0.
    """
    whole = load_embedded("mnist5k").parts["all"]
    images, labels = whole.images[:, 0].numpy(), whole.targets.numpy().copy()
    rng = np.random.default_rng(0)
    order = [rng.permutation(np.flatnonzero(labels == digit)) for digit in range(10)]
    low, high = part * TEST, (part + 1) * TEST
    test = np.concatenate([rows[low:high] for rows in order])
    train = np.concatenate([np.delete(rows, slice(low, high)) for rows in order])
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


def list_right(run: Path) -> dict[str, Array]:
    """Return whether each run of a comparison is right on each test digit, by its variant."""
    right: dict[str, list[Array]] = {}
    for member in sorted(run.glob("members/*")):
        job = ClassifyImages.open_trained(member, "cpu")
        splits = job.load_splits()
        outputs = job.predict_splits(splits, ["test"])["test"]
        patch = job.config.patch
        way = "as given" if patch is None else PATCHES[patch.startswith(PLACEBO)]
        rows = ACCURACY.statistics(job.decide(outputs), job.targets(splits["test"]))
        right.setdefault(way, []).append(rows)
    return {way: np.stack(rows) for way, rows in right.items()}


def print_gains(right: dict[str, Array]) -> None:
    """Print the accuracies over all digits, and the patch's leads."""
    for way, rows in right.items():
        of_seeds = ", ".join(f"{value:.4f}" for value in rows.mean(1))
        print(f"{way:<10} accuracy on {rows.shape[1]:,} digits {rows.mean():.4f} ({of_seeds})")
    for way in ("placebo", "as given"):
        gain = ACCURACY.compare_runs([*right["patch"]], [*right[way]], None)
        low, high = gain["difference_interval"]
        print(f"patch over {way}: {gain['difference']:+.4f} ({low:+.4f} to {high:+.4f})")


if __name__ == "__main__":
    main()
