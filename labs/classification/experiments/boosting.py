"""Gradient boosting on what a network's last layer gets of images, as a member of an ensemble."""

import time
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import torch
from safetensors.numpy import load_file, save
from torch import Tensor

from common.ensembles.members import BOOSTING
from common.ensembles.trees import Trees
from common.errors import RunError
from common.files import write_bytes
from common.runs.folder import Run
from common.runs.job import Outputs, Splits
from common.runs.tta.copies import Copy
from labs.classification import task
from labs.classification.job import ClassifyImages, ReadImages
from labs.classification.transfer import frozen_features


class Boosted:
    """Trees on the last hidden features of a classifier, which answers whatever else is asked.

    Args:
        job: the classifier.
        run: of the ensemble, which keeps the trees.

    Raises:
        RunError: the network does not end with a linear layer.
    """

    def __init__(self, job: ClassifyImages, run: Run):
        self._job, self.run, self._trees = job, Run(run.path), Trees({}, np.empty(0), np.empty(0))
        self.run.best = run.path / f"{BOOSTING}.safetensors"
        size = task.augmentation(job.config, job.card).output_size(job.card.image_size)
        head = frozen_features.find_head(job.model, (job.card.channels, size, size))
        if head is None:
            raise RunError(
                f"--boosting: {job.run.path} has no linear layer at its end, whose features could "
                "be taken; name another run first"
            )
        self._head = head

    def __getattr__(self, name: str) -> Any:
        return getattr(self._job, name)

    def fit(self, train: Any, move: Callable[[float], None]) -> None:
        """Fit the trees to the training split alone, and keep them with the seconds it took."""
        begun = time.perf_counter()
        self._job.load_best()
        with frozen_features.headless(self._job.model, self._head):
            features = self._job.predict_splits({"train": train}, ["train"])["train"]["outputs"]
        seed, targets = self._job.config.seed, self._job.targets(train)
        trees = Trees.fit(features.flatten(1).numpy(), targets, seed, move)
        self.run.write(BOOSTING, {"seconds": time.perf_counter() - begun})
        write_bytes(self.run.best, save(trees.as_arrays()))  # the last: it says that it is done

    def load_best(self) -> None:
        """Read the trees, and put its weights into the network."""
        self._job.load_best()
        self._trees = Trees.from_arrays(load_file(self.run.best))

    def predict_splits(self, splits: Splits, names: Sequence[str]) -> dict[str, Outputs]:
        """Return logits (N, C) of splits."""
        with frozen_features.headless(self._job.model, self._head):
            found = self._job.predict_splits(splits, names)
        return {name: {"outputs": self._logits(each["outputs"])} for name, each in found.items()}

    def answers(self, inputs: Any) -> Outputs:
        """Return logits (N, C) of images."""
        with frozen_features.headless(self._job.model, self._head):
            found = self._job.answers(inputs)
        return {"outputs": self._logits(found["outputs"])}

    def answer_chunks(self, read: ReadImages) -> tuple[list[str], Tensor]:
        """Return the names of images with logits for them, (N, C)."""
        with frozen_features.headless(self._job.model, self._head):
            names, features = self._job.answer_chunks(read)
        return names, self._logits(features)

    def choose_copies(self, spec: str) -> tuple[Copy, ...]:
        """Refuse copies, of which features would be averaged in place of answers.

        Raises:
            RunError: always.
        """
        raise RunError("--tta: gradient boosting answers images as they are; leave it out")

    def _logits(self, features: Tensor) -> Tensor:
        logits = self._trees.logits(features.flatten(1).numpy(), len(self._job.card.classes))
        return torch.from_numpy(logits)
