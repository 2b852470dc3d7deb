"""Images whose labels are likely wrong, and whether it helps to put them right."""

from typing import Any

from common.cleaning.compare import PatchComparison
from common.cleaning.samples import Images
from common.cleaning.suspects import FindSuspects
from common.images.decode import White
from common.metrics.main_metric import ACCURACY
from labs.classification.experiments.config import ComparePatchConfig
from labs.classification.experiments.crossval import CrossvalImages
from labs.classification.job import ClassifyImages


class SuspectImages(FindSuspects):
    """The suspects among images."""

    crossval, train = CrossvalImages, "train"

    @classmethod
    def samples(cls, config: Any, card: dict[str, Any]) -> Images:
        """Return the images, with the scale of those of more than 8 bits."""
        return Images(config, config.kind, White(*card["white"]))


class PatchedImages(PatchComparison):
    """Classifiers with a patch, with a placebo of it, and without."""

    lab, crossval = "classification", CrossvalImages.verb
    config_type, member = ComparePatchConfig, ClassifyImages
    main_metric = ACCURACY
