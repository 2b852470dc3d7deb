"""Runs that another one learns from: as its teacher, or by taking their weights."""

from pathlib import Path
from typing import NamedTuple

from common.errors import RunError
from common.images.load import ImageCard
from common.options.config import CROPS, LABEL_RULES, build, flag, read_toml
from common.runs.folder import Run, open_run
from labs.classification.config import ClassificationConfig

_SPLIT = (
    *("data", "test", "path_column", "label_column", *LABEL_RULES, *CROPS),
    *("split_column", "group_column", "group_by", "limit", "split_seed"),
)
_HARMLESS = ("decoding", "fit", "per_class", "imbalanced")  # leave the split of the images as it is


class Source(NamedTuple):
    """A run that another one learns from."""

    run: Run
    config: ClassificationConfig
    card: ImageCard


def read(option: str, path: Path) -> Source:
    """Return a run that an option, with its value, names.

    Raises:
        RunError: there is no such run, or it is no single run.
    """
    try:
        run = open_run(path, "classification", "train")
    except RunError as error:
        raise RunError(
            f"{option}: {error}; give the folder of a finished run of `train`"
        ) from error
    config = build(ClassificationConfig, (str(run.config), read_toml(run.config)))
    return Source(run, config, ImageCard.from_dict(run.read("data")))


def doubt(who: str, source: Source, config: ClassificationConfig, card: ImageCard) -> str:
    """Say why a source may have trained on images that a run is tested on; "" if it cannot.

    It cannot where both have the same images and split, which a fingerprint tells, or else the same
    options of data and split, where only sizes, colors, or the training split differ. `who` calls
    the source at the beginning of a sentence; config and card are of the run that learns.
    """
    if card.fingerprint == source.card.fingerprint:
        return ""
    differ = [name for name in _SPLIT if getattr(config, name) != getattr(source.config, name)]
    if not differ and _looks_otherwise(source, config, card):
        return ""
    reasons = [
        f"{flag(name)} was {getattr(source.config, name)}, and is {getattr(config, name)} here"
        for name in differ
    ]
    return (
        f"{who} was trained on other images or on another split "
        f"({'; '.join(reasons) or 'the data has changed since'}), so it may have learned from "
        "validation and test images of this run, whose figures can then be better than they would "
        "be on new images."
    )


def _looks_otherwise(source: Source, config: ClassificationConfig, card: ImageCard) -> bool:
    """Say whether the same images at other sizes or in other colors, or fewer, explain it all."""
    evaluated = ("validation", "test")
    if any(card.counts[name] != source.card.counts[name] for name in evaluated):
        return False
    shapes = [(each.channels, each.image_size) for each in (card, source.card)]
    other = any(getattr(config, n) != getattr(source.config, n) for n in _HARMLESS)
    return shapes[0] != shapes[1] or other
