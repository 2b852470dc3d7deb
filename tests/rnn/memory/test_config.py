import re

import pytest

from common.errors import ConfigError
from common.options.config import build
from labs.rnn.cells import CELLS
from labs.rnn.memory import config
from labs.rnn.memory.config import RECIPES, MemoryConfig
from labs.rnn.memory.tasks import TASKS


def built(**options):
    return build(MemoryConfig, ("options", options))


def test_names_are_those_of_cells_and_tasks():
    assert tuple(CELLS) == config.CELLS
    assert tuple(TASKS) == config.TASKS


def test_lengths_are_read_as_numbers_shortest_first():
    assert built(lengths="200,50,100").steps == [50, 100, 200]


@pytest.mark.parametrize(
    ("option", "value", "message"),
    [
        ("lengths", "50,1", "--lengths 1: expected whole numbers of at least 2"),
        ("lengths", "50,ten", "--lengths ten: expected whole numbers"),
        ("lengths", "-5", "--lengths -5: expected whole numbers"),
        ("lengths", "2.5", "--lengths 2.5: expected whole numbers"),
        ("lengths", "٣", "--lengths ٣: expected whole numbers"),
        ("lengths", "50,050", "--lengths 50,050: expected each once"),
        ("lengths", "none", "--lengths: expected at least one"),
        ("cells", "none", "--cells: expected at least one"),
        ("cells", "lstm,lstm", "--cells lstm,lstm: expected each once"),
        ("cells", "lstm,gro", "did you mean gru?"),
        ("task", "add", "did you mean adding?"),
    ],
)
def test_what_is_wrong_is_said(option, value, message):
    with pytest.raises(ConfigError, match=re.escape(message)):
        built(**{option: value})


@pytest.mark.parametrize("name", RECIPES)
def test_recipes_are_configs(name):
    build(MemoryConfig, (f"recipe {name}", RECIPES[name]))
