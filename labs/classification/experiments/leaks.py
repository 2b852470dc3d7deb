"""Leaks of images: persons, places or bursts that stand on both sides of random folds."""

from dataclasses import replace
from typing import Any

from common.errors import ConfigError
from common.experiments.leaks import GIVEN, Leaks, Rule
from common.explore.groups import judge
from common.images.load import find_files, find_keys
from common.options.config import GROUP_RULES, NONE, ROWS
from common.runs.comparison import narrow
from labs.classification.config import RECIPES, ClassificationConfig
from labs.classification.experiments.config import LeaksConfig
from labs.classification.experiments.crossval import CrossvalImages


class LeaksOfImages(CrossvalImages, Leaks):
    """Two networks for each fold of the images."""

    verb = "leaks"
    config_type = LeaksConfig
    recipes = RECIPES
    alone = {"group_column": NONE, "group_by": NONE}

    @classmethod
    def rules(cls, config: Any) -> list[Rule]:
        """Return what the table says, and what the files' names and times do.

        Raises:
            ConfigError: the images are in no files of their own.
            DataError: there are no such data.
        """
        plain = replace(narrow(config, ClassificationConfig), group_by=NONE)
        given = find_files(config, config.kind, "required")
        if given is None:
            raise ConfigError(f"{cls.verb}: --data {config.data} has no files, whose names tell")
        listed = find_files(plain, config.kind, "required")
        assert listed is not None
        labels = [file.label for file in listed.files]
        rules = []
        if any(file.group is not None for file in given.files):
            option = [f"--group-column {config.group_column}"]
            option += [f"--group-by {config.group_by}"] if config.group_by != NONE else []
            option += ["(the default)"] if option == [f"--group-column {ROWS}"] else []
            named = " ".join(option)
            keys = [file.group for file in given.files]
            rules.append(Rule(GIVEN, {}, judge(named, keys, labels, config.folds)))
        for rule in GROUP_RULES:
            guess = judge(f"--group-by {rule}", find_keys(rule, listed), labels, config.folds)
            rules.append(Rule(rule, {"group_by": rule}, guess))
        return rules
