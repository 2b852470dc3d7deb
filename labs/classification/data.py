"""The lab's data: a config's images, with classes or numbers to tell."""

from pathlib import Path

from common import image_data
from common.errors import DataError
from common.image_data import ImageCard
from common.images import ImageSet
from labs.classification.config import ClassificationConfig
from labs.classification.names import needs_color


def load(config: ClassificationConfig) -> tuple[dict[str, ImageSet], ImageCard]:
    """Load a config's images as `train`, `validation` and `test`, with their card.

    Raises:
        DataError: there is no such set, folder or table, or it cannot be used.
    """
    if config.numeric and Path(config.data).expanduser().is_dir():
        raise DataError(
            f"--loss {config.loss} predicts numbers; give a CSV with a column of them, not a folder"
        )
    splits, card = image_data.load(config, color=needs_color(config.model), numeric=config.numeric)
    if not config.numeric and len(card.classes) < 2:
        known = f"only one class, {card.classes[0]!r}" if card.classes else "no classes"
        raise DataError(f"--data {config.data}: {known}; a classifier needs two")
    return splits, card
