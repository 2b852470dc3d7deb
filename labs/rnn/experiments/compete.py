"""The whole way of a competition of texts."""

from pathlib import Path
from typing import Any

from common.compete.compete import Compete
from common.compete.plan import Rung
from common.runs.comparison import narrow
from labs.rnn.experiments.config import CrossvalSentimentConfig
from labs.rnn.experiments.crossval import CrossvalTexts
from labs.rnn.experiments.leaks import LeaksOfTexts
from labs.rnn.explore import texts
from labs.rnn.sentiment.config import RECIPES, SentimentConfig
from labs.rnn.sentiment.suit import estimate_seconds

_CHOSEN = ("encoding", "cell")  # with one of these the user has chosen the model
_LADDER: dict[str, dict[str, Any]] = {
    "n-grams": {"encoding": "n-gram-bag"},
    "lstm": {},
    "gru": {"cell": "gru"},
}


class CompeteWithTexts(Compete):
    """From labelled texts to a submission."""

    lab = "rnn"
    config_type = CrossvalSentimentConfig
    recipes = RECIPES
    crossval = CrossvalTexts
    leaks = LeaksOfTexts
    estimate_seconds = staticmethod(estimate_seconds)

    @classmethod
    def ladder(cls, config: Any) -> list[Rung]:
        """Return a linear model on n-grams first, then networks beside one."""
        config = narrow(config, SentimentConfig)
        if {*_CHOSEN} & config.given:
            return [cls.make_rung(config, config.stem, {})]
        return [cls.make_rung(config, name, values) for name, values in _LADDER.items()]

    def explore(self, config: Any, output: Path) -> None:
        """Write the page on what the texts are."""
        texts.command(narrow(config, SentimentConfig), output)
