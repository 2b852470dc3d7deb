"""Leaks of images: persons, places or bursts that stand on both sides of random folds."""

import shlex
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from common.errors import ConfigError
from common.experiments.leaks import AUTO, GIVEN, Leaks, Rule, find_first
from common.explore.groups import Guess, find_group_columns, judge
from common.images.listed import ListedImages
from common.images.load import find_files, find_keys
from common.images.tables.listing import find_columns
from common.images.tables.locate import locate
from common.io.tables import read_cells
from common.options.config import GROUP_RULES, NONE, ROWS
from common.runs.comparison import narrow
from common.training.splits import number_groups
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
        listed = find_files(replace(plain, **cls.alone), config.kind, "required")
        assert listed is not None
        rules = []
        if not torch.equal(_number(given), _number(listed)):
            option = [f"--group-column {config.group_column}"]
            option += [f"--group-by {config.group_by}"] if config.group_by != NONE else []
            option += ["(the default)"] if option == [f"--group-column {ROWS}"] else []
            rules.append(Rule(GIVEN, {}, _judge(" ".join(option), given, config.folds)))
        persons, others, measures = _find_columns(plain, config.folds)
        rules += [_of_column(plain, name, listed, config.folds) for name in persons]
        for name in GROUP_RULES:
            rules.append(_of_files(name, listed, config, find_first(rules)))
        rules += [_of_column(plain, name, listed, config.folds) for name in others]
        return rules + [_of_column(plain, name, listed, config.folds, name) for name in measures]


def _find_columns(
    config: ClassificationConfig, folds: int
) -> tuple[list[str], list[str], list[str]]:
    """Return the columns of a table that may be groups; see `find_group_columns`."""
    table = locate(Path(config.data).expanduser())
    if not table.is_file():
        return [], [], []
    columns, _ = find_columns(table, config, config.kind, "required")
    taken = (*config.crops_in_table, *config.columns_beside, config.group_column)
    used = (columns.path, *columns.labels, *taken)
    return find_group_columns(read_cells(table, config.form), used, folds)


def _of_column(
    config: ClassificationConfig, name: str, alone: ListedImages, folds: int, measure: str = ""
) -> Rule:
    """Return the groups that a column of the table gives."""
    listed = find_files(replace(config, group_column=name), config.kind, "required")
    assert listed is not None
    guess = _judge(f"--group-column {shlex.quote(name)}", listed, folds)
    guess = _compare(guess, _number(listed), alone)._replace(measure=measure)
    return Rule(name, {"group_column": name}, guess)


def _of_files(rule: str, alone: ListedImages, config: LeaksConfig, first: Rule | None) -> Rule:
    """Return the groups that names, times or pixels of files give.

    A network looks at the pixels where it is asked for, or no rule before it would be tried.
    """
    option, labels = f"--group-by {rule}", [file.label for file in alone.files]
    problem = ""
    if rule == "features" and config.guess not in (rule, option):
        if config.guess != AUTO or first is not None:
            problem = f"not looked at; --guess {rule} compares the images"
        elif len(labels) > _MOST_SEEN:
            problem = (
                f"more than {_MOST_SEEN:,} images, which take long; --guess {rule} compares them"
            )
    if problem:
        guess = judge(option, [None] * len(labels), labels, config.folds)
        return Rule(rule, {"group_by": rule}, guess._replace(problem=problem))
    keys = find_keys(rule, alone)
    together = number_groups([file.group for file in alone.files], keys)
    if any(file.group is not None for file in alone.files):
        keys = [str(number) for number in together.tolist()]
    guess = _compare(judge(option, keys, labels, config.folds), together, alone)
    return Rule(rule, {"group_by": rule}, guess)


def _judge(option: str, listed: ListedImages, folds: int) -> Guess:
    """Say whether a column, or what was given, may be groups.

    Each class has to be in enough of them; numbers, and any number of labels, are no classes.
    """
    one = listed.numeric or listed.several
    labels = [None if one else file.label for file in listed.files]
    return judge(option, [file.group for file in listed.files], labels, folds)


def _number(listed: ListedImages) -> Tensor:
    return number_groups([file.group for file in listed.files])


def _compare(guess: Guess, groups: Tensor, alone: ListedImages) -> Guess:
    """Return a guess with its problem where it keeps no more together than random folds do."""
    if guess.problem or not torch.equal(groups, _number(alone)):
        return guess
    return guess._replace(problem="no more than the parts of a photo, which never stand apart")
