"""Every command in the README and on the lab's pages is one that the lab takes."""

import re
import shlex
from pathlib import Path

import pytest

from common.cli import TrainCommand
from common.config import build
from labs.rnn.__main__ import group

ROOT = Path(__file__).parents[2]
PAGES = ("README.md", "README.ko.md", *(f"docs/{path.name}" for path in ROOT.glob("docs/rnn*.md")))
COMMANDS = sorted(
    {
        line
        for page in PAGES
        for block in re.findall(r"```sh\n(.*?)```", (ROOT / page).read_text("utf-8"), re.DOTALL)
        for line in re.findall(r"-m labs\.rnn (.+)", block)
    }
)


def test_the_pages_show_commands():
    assert len(COMMANDS) >= 12


@pytest.mark.parametrize("line", COMMANDS)
def test_a_command_on_a_page_is_understood(line):
    name, *words = shlex.split(line, comments=True)
    command = group.commands[name]
    context = command.make_context(name, words)
    if isinstance(command, TrainCommand):
        assert [word for word in context.args if word.startswith("-")] == []
        fields = command.config.__dataclass_fields__
        given = {k: v for k, v in context.params.items() if k in fields and v is not None}
        build(command.config, ("options", given))


@pytest.mark.parametrize(
    ("command", "recipe"),
    [
        (command, recipe)
        for command in group.commands.values()
        if isinstance(command, TrainCommand)
        for recipe in command.recipes
    ],
    ids=lambda each: getattr(each, "name", each),
)
def test_a_recipe_is_a_config(command, recipe):
    build(command.config, (recipe, command.recipes[recipe]))
