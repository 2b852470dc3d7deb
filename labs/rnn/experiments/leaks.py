"""Leaks of texts: authors, products or documents that stand on both sides of random folds."""

import shlex
from dataclasses import replace
from pathlib import Path
from typing import Any

from common.experiments.leaks import GIVEN, Leaks, Rule
from common.explore.groups import find_group_columns, judge, share_sentences
from common.io.tables import read_cells
from common.options.config import NONE
from common.runs.comparison import narrow
from labs.rnn.columns import text_columns
from labs.rnn.experiments.config import LeaksSentimentConfig
from labs.rnn.experiments.crossval import CrossvalTexts
from labs.rnn.published import open_set
from labs.rnn.sentiment.config import RECIPES, SENTENCES, SentimentConfig
from labs.rnn.sentiment.data import NAMES, gather


class LeaksOfTexts(CrossvalTexts, Leaks):
    """Two classifiers for each fold of the texts."""

    verb = "leaks-sentiment"
    config_type = LeaksSentimentConfig
    recipes = RECIPES
    alone = {"group_column": None, "group_by": NONE}

    @classmethod
    def rules(cls, config: Any) -> list[Rule]:
        """Return what was given, and what columns of the table and sentences in common tell.

        Raises:
            DataError: there are no such data.
        """
        chosen = cls.member.suited(narrow(config, SentimentConfig))[0]
        found = gather(replace(chosen, group_by=NONE))
        whole = found.parts.get("all") or found.parts["train"]
        labels = whole.targets.tolist()
        rules = []
        if (column := chosen.group_column) is not None and whole.groups is not None:
            guess = judge(f"--group-column {column}", whole.groups, labels, config.folds)
            rules.append(Rule(GIVEN, {"group_column": column}, guess))
        persons, others, measures = _find_columns(chosen, config.folds)
        rules += [_of_column(chosen, name, config.folds) for name in persons]
        option, keys = f"--group-by {SENTENCES}", share_sentences(whole.texts)
        guess = judge(option, keys, labels, config.folds)
        rules.append(Rule(SENTENCES, {"group_by": SENTENCES}, guess))
        rules += [_of_column(chosen, name, config.folds) for name in others]
        return rules + [_of_column(chosen, name, config.folds, name) for name in measures]


def _find_columns(config: SentimentConfig, folds: int) -> tuple[list[str], list[str], list[str]]:
    """Return the columns of a table that may be groups; see `find_group_columns`."""
    table = Path(config.data).expanduser()
    if config.data in NAMES or not table.exists():
        return [], [], []
    table = open_set(table, config.form).train
    if table.is_dir():
        return [], [], []
    used = {*text_columns(config.text_column), config.label_column, config.group_column or ""}
    return find_group_columns(read_cells(table, config.form), used, folds)


def _of_column(config: SentimentConfig, name: str, folds: int, measure: str = "") -> Rule:
    """Return the groups that a column of the table gives, with near-copies of their texts."""
    found = gather(replace(config, group_by=NONE, group_column=name))
    whole = found.parts.get("all") or found.parts["train"]
    assert whole.groups is not None
    option = f"--group-column {shlex.quote(name)}"
    guess = judge(option, whole.groups, whole.targets.tolist(), folds)
    return Rule(name, {"group_column": name}, guess._replace(measure=measure))
