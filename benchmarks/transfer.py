"""What weights from elsewhere save: time, with features that are kept; labels, at equal time.

    python benchmarks/transfer.py             # both
    python benchmarks/transfer.py kept        # kept features against recomputed ones
    python benchmarks/transfer.py scratch     # feature extraction against training from scratch

Both are of EfficientNet-Lite0, trained on ImageNet. Times are CPU times of this process with one
torch thread, from the loaded data to the trained run, with checkpoints.

kept: it gets a new classifier for 500 digits scaled to 128x128 pixels, and 10 epochs, twice: its
features computed again in every epoch, and kept from the first. All else is the same, so the
figures of all epochs must agree to 1e-5.

scratch: on 10 and on 100 digits of each class of mnist5k at 64x64 pixels, a new classifier trains
on kept features for 30 epochs. The same network then trains from random weights for at least as
long: as many epochs as fill the time that the first took, the passes through the backbone counted,
and of the second only what it trains, not its evaluation after each epoch. It does so with three
learning rates, each for the whole time, of which the one with the best mean validation accuracy
counts. Three seeds; the interval is over seeds and test images. All 500 validation images are used
in both, and the test images once a run.
"""

import sys
import tempfile
import time
from collections.abc import Sequence
from types import SimpleNamespace
from typing import Any, NamedTuple

import numpy as np
import torch
from machine import describe

from common.metrics.metrics import seeds_interval
from common.options.config import build
from labs.classification.config import ClassificationConfig
from labs.classification.job import ClassifyImages

LITE = "efficientnet-lite0"
EXTRACTION = {"model": LITE, "weights": LITE, "transfer": "feature-extraction"}
COMMON = {"augment": "none", "threads": 1}
KEPT = {
    **{**EXTRACTION, **COMMON, "data": "digits", "limit": 500, "image_size": 128},
    **{"epochs": 10, "learning_rate": 3e-3},
}
DIGITS = {
    **{**COMMON, "data": "mnist5k", "image_size": 64, "batch_size": 16, "ema": "none"},
    **{"warmup": 0, "label_smoothing": 0},
}
EPOCHS, HEAD_RATE = 30, 3e-3
RATES = (1e-3, 3e-3, 1e-2)
SEEDS = (0, 1, 2)
TOLERANCE = 1e-5


class Recomputing(ClassifyImages):
    """The same without kept features."""

    def keepable(self, samples: int) -> str | None:
        return None


class Trained(NamedTuple):
    """A training: its CPU seconds, the job with its best weights, its data, and its history."""

    seconds: float
    job: ClassifyImages
    splits: Any
    history: list[dict[str, Any]]


def train(options: dict[str, Any], kind: type[ClassifyImages] = ClassifyImages) -> Trained:
    """Train with such options."""
    with tempfile.TemporaryDirectory() as folder:
        config = build(ClassificationConfig, ("options", {**options, "run_dir": folder}))
        job, splits = kind.start(config, [])
        silent: Any = SimpleNamespace(epoch=lambda *_, **__: None, progress=lambda *_: None)
        begun = time.process_time()
        job.train(splits, silent, lambda text: None)
        return Trained(time.process_time() - begun, job, splits, list(job.run.history))


class Measured:
    """What a training came to.

    Attributes:
        rate: of learning.
        epochs: how many.
        seconds: CPU time, without the evaluations after each epoch where no features are kept.
        validation: accuracy.
        correct: whether each test image is right, (N,).
    """

    def __init__(self, trained: Trained):
        job, self.epochs = trained.job, len(trained.history)
        self.rate = job.config.learning_rate
        begun = time.process_time()
        self.validation = _right(trained, "validation").mean()
        evaluation = 0.0 if job.config.weights else time.process_time() - begun
        self.seconds = trained.seconds - self.epochs * evaluation
        self.correct = _right(trained, "test")


def _right(trained: Trained, name: str) -> Any:
    job, split = trained.job, trained.splits[name]
    found = job.predict_splits(trained.splits, [name])[name]
    return (job.decide(found) == job.targets(split)).astype(float)


def kept() -> None:
    """Compare kept features with recomputed ones."""
    plain, cached = train(KEPT, Recomputing), train(KEPT)
    names = [name for name in plain.history[0] if "second" not in name]
    difference = max(
        abs(one[name] - other[name])
        for one, other in zip(plain.history, cached.history, strict=True)
        for name in names
    )
    print(f"CPU seconds of 10 epochs: recomputed {plain.seconds:.1f}, kept {cached.seconds:.1f}")
    print(
        f"{plain.seconds / cached.seconds:.1f} times as fast; figures differ by at most "
        f"{difference:.1e}"
    )
    if difference > TOLERANCE:
        sys.exit(f"the figures differ by more than {TOLERANCE:g}")


def scratch(per_class: int) -> None:
    """Compare feature extraction with the same network from scratch, at equal time."""
    options = {**DIGITS, "per_class": per_class}
    extraction = {**options, **EXTRACTION, "epochs": EPOCHS, "learning_rate": HEAD_RATE}
    print(f"\n{per_class} images of each class, seeds {SEEDS}")
    print(f"{'':>20}{'rate':>8}{'epochs':>8}{'CPU s':>8}{'validation':>12}{'test':>8}", flush=True)
    runs = [Measured(train({**extraction, "seed": seed})) for seed in SEEDS]
    show("feature extraction", runs)
    longest = max(run.seconds for run in runs)
    rivals = [rival(options, rate, longest) for rate in RATES]
    best = max(rivals, key=lambda found: float(np.mean([run.validation for run in found])))
    lead = np.array([one.correct - other.correct for one, other in zip(runs, best, strict=True)])
    low, high = seeds_interval(lead)
    print(
        f"feature extraction minus scratch at {best[0].rate:g}, its best rate by validation: "
        f"{lead.mean():+.4f} ({low:+.4f} to {high:+.4f})"
    )


def rival(options: dict[str, Any], rate: float, seconds: float) -> list[Measured]:
    """Train from scratch with each seed, for at least so many seconds of training."""
    options = {**options, "model": LITE, "learning_rate": rate}
    trial = Measured(train({**options, "epochs": 1}))
    epochs, runs = max(1, int(seconds / trial.seconds)), []
    for seed in SEEDS:
        while True:
            run = Measured(train({**options, "epochs": epochs, "seed": seed}))
            if run.seconds >= seconds:
                break
            epochs += max(1, round(epochs * (seconds / run.seconds - 1)))
        runs.append(run)
    show("scratch", runs)
    return runs


def show(name: str, runs: Sequence[Measured]) -> None:
    """Print the means of runs, and the least of their epochs and seconds."""
    validation = np.mean([run.validation for run in runs])
    test = np.mean([run.correct.mean() for run in runs])
    epochs, seconds = min(run.epochs for run in runs), min(run.seconds for run in runs)
    print(
        f"{name:>20}{runs[0].rate:>8g}{epochs:>8}{seconds:>8.1f}{validation:>12.4f}{test:>8.4f}",
        flush=True,
    )


def main() -> None:
    torch.set_num_threads(1)
    given = sys.argv[1:] or ["kept", "scratch"]
    if not set(given) <= {"kept", "scratch"}:
        sys.exit(f"expected kept or scratch; given: {' '.join(given)}")
    print(describe())
    if "kept" in given:
        kept()
    if "scratch" in given:
        for per_class in (10, 100):
            scratch(per_class)


if __name__ == "__main__":
    main()
