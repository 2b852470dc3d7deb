"""Texts whose labels are likely wrong, and whether it helps to put them right."""

from typing import Any

from common.cleaning.compare import PatchComparison
from common.cleaning.samples import Texts
from common.cleaning.suspects import FindSuspects
from common.metrics.main_metric import BALANCED_ACCURACY
from labs.rnn.experiments.config import ComparePatchConfig
from labs.rnn.experiments.crossval import CrossvalTexts
from labs.rnn.sentiment.job import Sentiment


class SuspectTexts(FindSuspects):
    """The suspects among texts."""

    crossval, train = CrossvalTexts, "sentiment"

    @classmethod
    def samples(cls, config: Any, card: dict[str, Any]) -> Texts:
        """Return the texts, whose names say all."""
        return Texts()


class PatchedTexts(PatchComparison):
    """Classifiers with a patch, with a placebo of it, and without."""

    lab, crossval = "rnn", CrossvalTexts.verb
    config_type, member = ComparePatchConfig, Sentiment
    main_metric = BALANCED_ACCURACY
