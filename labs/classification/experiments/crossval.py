"""Cross-validation of a classifier: every image is answered by a network that had not seen it."""

from typing import Any, ClassVar

import numpy as np

from common.experiments.crossval import Crossval
from common.experiments.out_of_fold import OutOfFold, list_answers, shares_of
from common.images.sets import ImageSet
from common.metrics.metrics import Array
from common.metrics.named import Needs
from common.runs.job import Outputs
from common.training.task import probabilities
from labs.classification.config import RECIPES
from labs.classification.experiments.config import CrossvalConfig
from labs.classification.job import ClassifyImages


class CrossvalImages(Crossval):
    """A network for each fold of the images."""

    lab = "classification"
    config_type: ClassVar[type[Any]] = CrossvalConfig
    recipes = RECIPES
    member = ClassifyImages
    samples = "images"

    @classmethod
    def kinds(cls, config: Any) -> tuple[Needs, ...]:
        """Return what is said of a sample: a class with probabilities, or a number."""
        if config.several:
            return ()
        return ("numbers",) if config.numeric else ("classes", "probabilities")

    def answers_of(self, job: Any, whole: OutOfFold) -> dict[Needs, Array]:
        """Return what is said of each sample, by what it is."""
        if "numbers" in self.kinds(job.config):
            return {"numbers": whole.decided}
        return {"classes": whole.decided, "probabilities": shares_of(whole)}

    def describe_samples(
        self, job: ClassifyImages, split: ImageSet, outputs: Outputs
    ) -> list[dict[str, Any]]:
        """Return of each image its name, what it shows, and what the network says."""
        said, truth, classes = job.decide(outputs), job.targets(split), job.card.classes
        if job.config.numeric:
            return list_answers("image", split.names, truth.tolist(), said.tolist())
        shares = probabilities(outputs["outputs"], several=job.config.several)
        return list_answers(
            "image",
            split.names,
            [_name(classes, each) for each in truth],
            [_name(classes, each) for each in said],
            dict(zip(classes, shares.T.tolist(), strict=True)),
        )


def _name(classes: tuple[str, ...], said: Any) -> str:
    """Return a class by its number, or several labels by whether each is there."""
    return classes[said] if np.ndim(said) == 0 else "|".join(np.array(classes)[said])
