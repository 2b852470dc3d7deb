"""Ensembles of classifiers of images, and of regressions on them."""

from collections.abc import Callable, Sequence

import numpy as np
from torch import Tensor

from common.ensembles.forms import Classes, Form, Labels, Numbers
from common.ensembles.members import Member
from common.ensembles.together import Together
from common.errors import RunError
from common.images.load import ImageCard
from common.metrics.main_metric import MainMetric
from common.metrics.metrics import Array
from common.runs.folder import Run
from common.runs.tta.copies import Copy
from labs.classification.config import ClassificationConfig
from labs.classification.experiments.boosting import Boosted
from labs.classification.job import ClassifyImages, ReadImages


class ImagesTogether(Together[ClassificationConfig, ImageCard], ClassifyImages):
    """Classifiers of images that answer together; each reads the images at its own size."""

    kind = ClassifyImages

    @classmethod
    def form_of(cls, members: Sequence[Member]) -> Form:
        """Return the form of classes, labels or numbers."""
        first = members[0].jobs[0]
        forms: dict[str, Callable[[MainMetric], Form]] = {
            "class": Classes,
            "labels": Labels,
            "number": Numbers,
        }
        return forms[first.config.kind](first.main_metric)

    @classmethod
    def boosting_of(cls, first: ClassifyImages, run: Run) -> Boosted:
        """Return gradient boosting on the features of a classifier; see `Together.boosting_of`."""
        if first.config.kind != "class":
            raise RunError(f"--boosting: {first.run.path} tells no classes, which the trees do")
        return Boosted(first, run)

    @property
    def thresholds(self) -> Array:
        """The mean of the members' thresholds, with their weights, (C,)."""
        each = [np.mean([job.thresholds for job in member.jobs], 0) for member in self.members]
        return np.asarray(self.combination.weights @ np.stack(each))

    def combine(self, values: Sequence[Array]) -> dict[str, Tensor]:
        """Return the outputs of the members together; see `Together.combine`."""
        if not self.config.several:
            return super().combine(values)
        return dict(
            self.form.outputs(
                self.combination.answer(np.stack(values), self.form) + self.thresholds
            )
        )

    def choose_copies(self, spec: str) -> tuple[Copy, ...]:
        """Refuse copies: each member would need its own.

        Raises:
            RunError: always.
        """
        raise RunError(f"--tta: {self.run.path} is an ensemble; give one of its members")

    def answer_chunks(self, read: ReadImages) -> tuple[list[str], Tensor]:
        """Return the names of images with the outputs of the members together, (N, ...)."""
        names: list[str] = []
        together: list[Array] = []
        for member in self.members:
            answered = [job.answer_chunks(read) for job in member.jobs]
            names = answered[0][0]
            said = [
                self.form.values(job, {"outputs": outputs})
                for job, (_, outputs) in zip(member.jobs, answered, strict=True)
            ]
            together.append(self.form.mean(said))
        return names, self.combine(together)["outputs"]
