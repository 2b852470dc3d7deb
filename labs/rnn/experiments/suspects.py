"""Texts whose labels are likely wrong."""

from typing import Any

from common.cleaning.samples import Texts
from common.cleaning.suspects import FindSuspects
from labs.rnn.experiments.crossval import CrossvalTexts


class SuspectTexts(FindSuspects):
    """The suspects among texts."""

    crossval, train = CrossvalTexts, "sentiment"

    @classmethod
    def samples(cls, config: Any, card: dict[str, Any]) -> Texts:
        """Return the texts, whose names say all."""
        return Texts()
