"""Cross-validation of an autoencoder: every image is rebuilt by one that had not seen it."""

from typing import Any

from common.experiments.crossval import Crossval
from common.images.sets import ImageSet
from common.runs.job import Outputs
from labs.autoencoder.config import RECIPES
from labs.autoencoder.experiments.config import CrossvalConfig
from labs.autoencoder.job import Compression


class CrossvalImages(Crossval):
    """An autoencoder for each fold of the images."""

    lab = "autoencoder"
    config_type = CrossvalConfig
    recipes = RECIPES
    member = Compression
    samples = "images"

    def describe_samples(
        self, job: Compression, split: ImageSet, outputs: Outputs
    ) -> list[dict[str, Any]]:
        """Return of each image its name, and the squared error of a pixel."""
        errors = job.decide(outputs).tolist()
        return [
            {"image": name, "squared error": error}
            for name, error in zip(split.names, errors, strict=True)
        ]
