"""The options of the lab's experiments."""

from dataclasses import dataclass

from common.experiments.options import CrossvalOptions, LearningCurveOptions, SearchOptions
from labs.autoencoder.config import AutoencoderConfig


@dataclass(frozen=True)
class CrossvalConfig(CrossvalOptions, AutoencoderConfig):
    """What `crossval` takes."""


@dataclass(frozen=True)
class LearningCurveConfig(LearningCurveOptions, AutoencoderConfig):
    """What `learning-curve` takes."""


@dataclass(frozen=True)
class SearchConfig(SearchOptions, AutoencoderConfig):
    """What `search` takes."""
