"""The options of the lab's experiments."""

from dataclasses import dataclass

from common.experiments.options import CrossvalOptions, LearningCurveOptions, SearchOptions
from labs.detection.config import DetectionConfig


@dataclass(frozen=True)
class CrossvalConfig(CrossvalOptions, DetectionConfig):
    """What `crossval` takes."""


@dataclass(frozen=True)
class LearningCurveConfig(LearningCurveOptions, DetectionConfig):
    """What `learning-curve` takes."""


@dataclass(frozen=True)
class SearchConfig(SearchOptions, DetectionConfig):
    """What `search` takes."""
