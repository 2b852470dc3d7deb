"""The options of the lab's experiments."""

from dataclasses import dataclass
from typing import ClassVar

from common.cleaning.options import ComparePatchOptions
from common.experiments.options import (
    CrossvalOptions,
    LeaksOptions,
    LearningCurveOptions,
    SearchOptions,
)
from common.pseudo.options import PseudoOptions
from labs.rnn.forecast.config import ForecastConfig
from labs.rnn.sentiment.config import SentimentConfig


@dataclass(frozen=True)
class CrossvalSentimentConfig(CrossvalOptions, SentimentConfig):
    """What `crossval-sentiment` takes."""


@dataclass(frozen=True)
class CrossvalForecastConfig(CrossvalOptions, ForecastConfig):
    """What `crossval-forecast` takes."""


@dataclass(frozen=True)
class LearningCurveSentimentConfig(LearningCurveOptions, SentimentConfig):
    """What `learning-curve-sentiment` takes."""


@dataclass(frozen=True)
class LearningCurveForecastConfig(LearningCurveOptions, ForecastConfig):
    """What `learning-curve-forecast` takes."""


@dataclass(frozen=True)
class SearchSentimentConfig(SearchOptions, SentimentConfig):
    """What `search-sentiment` takes."""


@dataclass(frozen=True)
class SearchForecastConfig(SearchOptions, ForecastConfig):
    """What `search-forecast` takes."""


@dataclass(frozen=True)
class LeaksSentimentConfig(LeaksOptions, SentimentConfig):
    """What `leaks-sentiment` takes."""


@dataclass(frozen=True)
class ComparePatchConfig(ComparePatchOptions, SentimentConfig):
    """What `compare-patch` takes."""


@dataclass(frozen=True)
class PseudoLabelConfig(PseudoOptions, CrossvalSentimentConfig):
    """What `pseudo-label` takes."""

    paths: ClassVar = {**SentimentConfig.paths, "crossval": (), "unlabelled": ()}
