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
from labs.classification.config import ClassificationConfig


@dataclass(frozen=True)
class CrossvalConfig(CrossvalOptions, ClassificationConfig):
    """What `crossval` takes."""


@dataclass(frozen=True)
class LearningCurveConfig(LearningCurveOptions, ClassificationConfig):
    """What `learning-curve` takes."""


@dataclass(frozen=True)
class SearchConfig(SearchOptions, ClassificationConfig):
    """What `search` takes."""


@dataclass(frozen=True)
class LeaksConfig(LeaksOptions, ClassificationConfig):
    """What `leaks` takes."""


@dataclass(frozen=True)
class ComparePatchConfig(ComparePatchOptions, ClassificationConfig):
    """What `compare-patch` takes."""


@dataclass(frozen=True)
class PseudoLabelConfig(PseudoOptions, CrossvalConfig):
    """What `pseudo-label` takes."""

    paths: ClassVar = {**ClassificationConfig.paths, "crossval": ()}
