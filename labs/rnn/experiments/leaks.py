"""Leaks of texts: authors, products or documents that stand on both sides of random folds."""

from dataclasses import replace
from typing import Any

from common.experiments.leaks import GIVEN, Leaks, Rule
from common.explore.groups import judge, share_sentences
from common.options.config import NONE
from common.runs.comparison import narrow
from labs.rnn.experiments.config import LeaksSentimentConfig
from labs.rnn.experiments.crossval import CrossvalTexts
from labs.rnn.sentiment.config import RECIPES, SENTENCES, SentimentConfig
from labs.rnn.sentiment.data import gather


class LeaksOfTexts(CrossvalTexts, Leaks):
    """Two classifiers for each fold of the texts."""

    verb = "leaks-sentiment"
    config_type = LeaksSentimentConfig
    recipes = RECIPES
    alone = {"group_column": None, "group_by": NONE}

    @classmethod
    def rules(cls, config: Any) -> list[Rule]:
        """Return what a column of the table says, and what sentences in common do.

        Raises:
            DataError: there are no such data.
        """
        chosen = cls.member.suited(narrow(config, SentimentConfig))[0]
        found = gather(replace(chosen, group_by=NONE))
        whole = found.parts.get("all") or found.parts["train"]
        labels = whole.targets.tolist()
        rules = []
        if config.group_column is not None and whole.groups is not None:
            option = f"--group-column {config.group_column}"
            rules.append(Rule(GIVEN, {}, judge(option, whole.groups, labels, config.folds)))
        option, keys = f"--group-by {SENTENCES}", share_sentences(whole.texts)
        guess = judge(option, keys, labels, config.folds)
        rules.append(Rule(SENTENCES, {"group_by": SENTENCES}, guess))
        return rules
