"""What keeping the features of a frozen backbone saves.

    python benchmarks/transfer.py

EfficientNet-Lite0, trained on ImageNet, gets a new classifier for 500 digits scaled to 128x128
pixels, and 10 epochs, twice: its features computed anew in every epoch, and kept from the first.
All else is the same, so the figures of all epochs must agree to 1e-5. Times are CPU times of this
process with one torch thread, from the loaded data to the trained run, with the evaluation after
each epoch and the checkpoints.
"""

import sys
import tempfile
import time
from types import SimpleNamespace
from typing import Any

import torch
from machine import describe

from common.config import build
from labs.classification.config import ClassificationConfig
from labs.classification.job import Images

OPTIONS = {
    **{"model": "efficientnet-lite0", "weights": "efficientnet-lite0"},
    **{"transfer": "feature-extraction", "data": "digits", "limit": 500, "image_size": 128},
    **{"augment": "none", "epochs": 10, "learning_rate": 3e-3, "threads": 1},
}
TOLERANCE = 1e-5


class Recomputing(Images):
    """The same without kept features."""

    def keepable(self, samples: int) -> str | None:
        return None


def train(kind: type[Images], folder: str) -> tuple[float, list[dict[str, Any]]]:
    """Return the CPU seconds of a training, and its history."""
    config = build(ClassificationConfig, ("options", {**OPTIONS, "run_dir": folder}))
    job, splits = kind.start(config, [])
    silent: Any = SimpleNamespace(epoch=lambda *_, **__: None, progress=lambda *_: None)
    begun = time.process_time()
    job.train(splits, silent, lambda text: None)
    return time.process_time() - begun, list(job.run.history)


def main() -> None:
    torch.set_num_threads(1)
    print(describe())
    with tempfile.TemporaryDirectory() as folder:
        recomputed, plain = train(Recomputing, folder)
        kept, cached = train(Images, folder)
    names = [name for name in plain[0] if "second" not in name]
    difference = max(
        abs(one[name] - other[name])
        for one, other in zip(plain, cached, strict=True)
        for name in names
    )
    print(f"CPU seconds of 10 epochs: recomputed {recomputed:.1f}, kept {kept:.1f}")
    print(f"{recomputed / kept:.1f} times as fast; figures differ by at most {difference:.1e}")
    if difference > TOLERANCE:
        sys.exit(f"the figures differ by more than {TOLERANCE:g}")


if __name__ == "__main__":
    main()
