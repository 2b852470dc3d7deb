"""Leaks of images: persons, places or bursts that stand on both sides of random folds."""

import shlex
from dataclasses import replace
from pathlib import Path
from typing import Any

from common.errors import ConfigError
from common.experiments.leaks import GIVEN, Leaks, Rule
from common.explore.groups import Guess, find_group_columns, judge
from common.images.listed import ListedImages
from common.images.load import find_files, find_keys, locate
from common.images.tables.listing import find_columns
from common.io.tables import read_cells
from common.options.config import GROUP_RULES, NONE, ROWS
from common.runs.comparison import narrow
from labs.classification.config import RECIPES, ClassificationConfig
from labs.classification.experiments.config import LeaksConfig
from labs.classification.experiments.crossval import CrossvalImages

_MOST_SEEN = 20_000  # images that a network looks at, where it is not asked for


class LeaksOfImages(CrossvalImages, Leaks):
    """Two networks for each fold of the images."""

    verb = "leaks"
    config_type = LeaksConfig
    recipes = RECIPES
    alone = {"group_column": NONE, "group_by": NONE}

    @classmethod
    def rules(cls, config: Any) -> list[Rule]:
        """Return what was given, and what columns and the files' names, times and pixels tell.

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
        rules = []
        if any(file.group is not None for file in given.files):
            option = [f"--group-column {config.group_column}"]
            option += [f"--group-by {config.group_by}"] if config.group_by != NONE else []
            option += ["(the default)"] if option == [f"--group-column {ROWS}"] else []
            named = " ".join(option)
            rules.append(Rule(GIVEN, {}, _judge(named, given, config.folds)))
        persons, others = _find_columns(plain, config.folds)
        rules += [_of_column(plain, name, config.folds) for name in persons]
        rules += [_of_files(rule, listed, config) for rule in GROUP_RULES]
        return rules + [_of_column(plain, name, config.folds) for name in others]


def _find_columns(config: ClassificationConfig, folds: int) -> tuple[list[str], list[str]]:
    """Return the columns of a table that may be groups: the likely ones, and the others."""
    table = locate(Path(config.data).expanduser())
    if not table.is_file():
        return [], []
    columns, _ = find_columns(table, config, config.kind, "required")
    used = (columns.path, *columns.labels, *config.crops_in_table, config.group_column)
    return find_group_columns(read_cells(table, config.form), used, folds)


def _of_column(config: ClassificationConfig, name: str, folds: int) -> Rule:
    """Return the groups that a column of the table gives."""
    listed = find_files(replace(config, group_column=name), config.kind, "required")
    assert listed is not None
    guess = _judge(f"--group-column {shlex.quote(name)}", listed, folds)
    return Rule(name, {"group_column": name}, guess)


def _of_files(rule: str, listed: ListedImages, config: LeaksConfig) -> Rule:
    """Return the groups that names, times or pixels of files give."""
    option, labels = f"--group-by {rule}", [file.label for file in listed.files]
    if rule == "features" and len(labels) > _MOST_SEEN and config.guess != rule:
        guess = judge(option, [None] * len(labels), labels, config.folds)
        problem = f"more than {_MOST_SEEN:,} images, which take long; --guess {rule} compares them"
        return Rule(rule, {"group_by": rule}, guess._replace(problem=problem))
    guess = judge(option, find_keys(rule, listed), labels, config.folds)
    return Rule(rule, {"group_by": rule}, guess)


def _judge(option: str, listed: ListedImages, folds: int) -> Guess:
    files = listed.files
    return judge(option, [file.group for file in files], [file.label for file in files], folds)
