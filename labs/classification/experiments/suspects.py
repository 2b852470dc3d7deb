"""Images whose labels are likely wrong."""

from typing import Any

from common.cleaning.samples import Images
from common.cleaning.suspects import FindSuspects
from common.images.decode import White
from labs.classification.experiments.crossval import CrossvalImages


class SuspectImages(FindSuspects):
    """The suspects among images."""

    crossval, train = CrossvalImages, "train"

    @classmethod
    def samples(cls, config: Any, card: dict[str, Any]) -> Images:
        """Return the images, with the scale of those of more than 8 bits."""
        return Images(config, config.kind, White(*card["white"]))
