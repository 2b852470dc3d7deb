"""Every command in the README and on the lab's page is one that the lab takes."""

import re
import shlex
from pathlib import Path

import pytest

from common.config import build
from labs.classification.__main__ import group
from labs.classification.config import RECIPES, ClassificationConfig

ROOT = Path(__file__).parents[2]
COMMANDS = sorted(
    {
        line
        for page in ("README.md", "README.ko.md", "docs/classification.md")
        for block in re.findall(r"```sh\n(.*?)```", (ROOT / page).read_text("utf-8"), re.DOTALL)
        for line in re.findall(r"-m labs\.classification (.+)", block)
    }
)


def test_the_pages_show_commands():
    assert len(COMMANDS) >= 8


@pytest.mark.parametrize("line", COMMANDS)
def test_a_command_on_a_page_is_understood(line):
    name, *words = shlex.split(line)
    context = group.commands[name].make_context(name, words)
    if name == "train":
        assert [word for word in context.args if word.startswith("-")] == []
        fields = ClassificationConfig.__dataclass_fields__
        given = {k: v for k, v in context.params.items() if k in fields and v is not None}
        build(ClassificationConfig, ("options", given))


@pytest.mark.parametrize("recipe", RECIPES)
def test_a_recipe_is_a_config(recipe):
    build(ClassificationConfig, (recipe, RECIPES[recipe]))
