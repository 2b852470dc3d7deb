"""The options of the lab's experiments."""

from dataclasses import dataclass

from common.experiments.options import CrossvalOptions
from labs.classification.config import ClassificationConfig


@dataclass(frozen=True)
class CrossvalConfig(CrossvalOptions, ClassificationConfig):
    """What `crossval` takes."""
