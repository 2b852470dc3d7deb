"""What five folds and test-time augmentation gain over single runs, on digits that none had seen.

python benchmarks/folds.py [SEED ...]      # 0 1 2 when not given; about 8 minutes each on two cores

mnist5k is cut into five folds. For each, a single LeNet-5 learns from the others; and these others
are cut into five folds of their own, whose networks answer by their mean. So each of the 5,000
digits is answered once by a single run and once by five, and both again with changed copies
(`--tta auto`). All train with `--recipe quick`. Gains are paired, over all digits.
"""

import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np
import torch
from machine import describe

from common.metrics.main_metric import ACCURACY
from common.metrics.metrics import Array
from common.training.task import probabilities
from labs.classification.job import ClassifyImages

FOLDS = 5
MODEL = ("--model", "lenet5", "--image-size", "28", "--batch-size", "64", "--epochs", "10")
OPTIONS = (*MODEL, "--learning-rate", "8e-3", "--folds", str(FOLDS))
WAYS = ("single", "single, copies", "five", "five, copies")


def main() -> None:
    print(describe())
    print(f"{'seed':<6}{''.join(f'{way:>16}' for way in WAYS)}   gains over single (95 %)")
    for seed in map(int, sys.argv[1:] or (0, 1, 2)):
        with tempfile.TemporaryDirectory() as folder:
            answers, targets = measure(Path(folder), seed)
        rows = {way: ACCURACY.statistics(each, targets) for way, each in answers.items()}
        values = "".join(f"{ACCURACY.compute(rows[way]):>16.4f}" for way in WAYS)
        gains = [describe_gain(rows[way], rows[WAYS[0]]) for way in WAYS[1:]]
        print(f"{seed:<6}{values}   {'; '.join(gains)}", flush=True)


def measure(folder: Path, seed: int) -> tuple[dict[str, Array], Array]:
    """Return what each way says of all digits, (5000,), and what is true of them."""
    outer = crossvalidate(folder, "outer", "mnist5k", seed)
    found: dict[str, list[Array]] = {way: [] for way in WAYS}
    targets = []
    for number, job in enumerate(outer, 1):
        splits = job.load_splits()
        mine = [splits[name] for name in ("train", "validation")]
        path = folder / f"{number}.npz"
        images = torch.cat([each.images for each in mine]).squeeze(1).numpy()
        np.savez(path, images=images, labels=torch.cat([each.targets for each in mine]).numpy())
        inner = crossvalidate(folder, f"inner-{number}", str(path), seed)
        for way, jobs in (("single", [job]), ("five", inner)):
            for name, copies in ((way, False), (f"{way}, copies", True)):
                found[name].append(answer(jobs, splits["test"].images, copies=copies))
        targets.append(splits["test"].targets.numpy())
    return {way: np.concatenate(each) for way, each in found.items()}, np.concatenate(targets)


def crossvalidate(folder: Path, name: str, data: str, seed: int) -> list[ClassifyImages]:
    """Train a network for each fold of some data, and return them."""
    seeds = ("--seed", str(seed), "--split-seed", str(seed))
    where = ("--run-dir", str(folder), "--name", name)
    words = ("crossval", "--data", data, *OPTIONS, *seeds, *where)
    command = [sys.executable, "-m", "labs.classification", *words]
    subprocess.run(command, check=True, capture_output=True)
    members = folder / "classification" / name / "members"
    return [ClassifyImages.open_trained(members / f"fold-{n}", "cpu") for n in range(1, FOLDS + 1)]


def answer(jobs: list[ClassifyImages], images: torch.Tensor, *, copies: bool) -> Array:
    """Return the classes that networks say by the mean of their probabilities, (N,)."""
    shares = []
    for job in jobs:
        job.copies = job.choose_copies("auto") if copies else ()
        shares.append(probabilities(job.answers(images)["outputs"]))
    return np.asarray(np.mean(shares, 0).argmax(1))


def describe_gain(rows: Array, others: Array) -> str:
    """Return the gain of a way over another, with the interval of a paired bootstrap."""
    gain = ACCURACY.compare_runs([rows], [others], None)
    low, high = gain["difference_interval"]
    return f"{gain['difference']:+.4f} ({low:+.4f} to {high:+.4f})"


if __name__ == "__main__":
    main()
