"""Every command in the README and on a lab's pages is one that the lab takes."""

import re
import runpy
import shlex
from importlib import import_module
from pathlib import Path

import click
import pytest

from common.options.commandline import ConfigCommand, TrainCommand
from common.options.config import build
from labs.__main__ import LABS, labs

ROOT = Path(__file__).parents[1]
PAGES = [ROOT / "README.md", ROOT / "README.ko.md", *sorted(ROOT.glob("docs/**/*.md"))]
GROUPS = {lab: import_module(f"labs.{lab}.__main__").lab.group for lab in LABS}
GROUPS[""] = labs  # the commands on runs of any lab
PICTURES = runpy.run_path(str(ROOT / "docs/site/pictures.py"))["ALL"]
GUIDES = [page for page in PAGES if page.stem in ("which-lab", "coming-from")]
COMMANDS = sorted(
    {
        found
        for page in PAGES
        for block in re.findall(r"```sh\n(.*?)```", page.read_text("utf-8"), re.DOTALL)
        for found in re.findall(r"-m labs(?:\.(\w+))? (.+)", block)
    }
    | {
        found
        for page in GUIDES
        for found in re.findall(
            r"`python -m labs(?:\.(\w+))? ([^-`][^`]*)`", page.read_text("utf-8")
        )
    }
    | {
        re.fullmatch(r"labs\.(\w+) (.+)", command).groups()
        for picture in PICTURES.values()
        for command in picture.commands
    }
)


@pytest.mark.parametrize("lab", LABS)
def test_the_pages_show_commands_of_every_lab(lab):
    assert len([line for name, line in COMMANDS if name == lab]) >= 8


@pytest.mark.parametrize(("lab", "line"), COMMANDS)
def test_a_command_on_a_page_is_understood(lab, line):
    name, *words = shlex.split(line, comments=True)
    command = GROUPS[lab].commands[name]
    context = command.make_context(name, words)
    while isinstance(command, click.Group):
        name, command, words = command.resolve_command(
            context, [*context._protected_args, *context.args]
        )
        context = command.make_context(name, words)
    if isinstance(command, ConfigCommand):
        assert [word for word in context.args if word.startswith("-")] == []
        fields = command.config.__dataclass_fields__
        given = {k: v for k, v in context.params.items() if k in fields and v is not None}
        build(command.config, ("options", given))


@pytest.mark.parametrize("page", GUIDES, ids=lambda page: str(page.relative_to(ROOT)))
def test_an_option_that_is_named_beside_another_program_is_there(page):
    ours = re.findall(r"^\|.*\|(.*)\|$", page.read_text("utf-8"), re.MULTILINE)  # the last column
    known = {
        option
        for group in GROUPS.values()
        for command in group.commands.values()
        for parameter in command.get_params(click.Context(command))
        for option in parameter.opts
    }
    assert {*re.findall(r"(?<=[` ])--[a-z][\w-]*", "\n".join(ours))} - {"--help"} <= known


@pytest.mark.parametrize(
    ("command", "recipe"),
    [
        pytest.param(command, recipe, id=f"{lab} {name} {recipe}")
        for lab, group in GROUPS.items()
        for name, command in group.commands.items()
        if isinstance(command, TrainCommand)
        for recipe in command.recipes
    ],
)
def test_a_recipe_is_a_config(command, recipe):
    build(command.config, (recipe, command.recipes[recipe]))


def test_every_page_stands_in_the_index_of_the_site():
    index = (ROOT / "docs/index.md").read_text("utf-8")
    listed = {*re.findall(r"^(?:.* <)?([\w/-]+)>?$", index, re.MULTILINE)}
    assert {path.stem for path in ROOT.glob("docs/*.md")} - {"index"} <= listed


def test_every_picture_is_made_by_commands():
    folder = ROOT / "docs/pictures"
    there = {str(path.relative_to(folder)) for path in folder.glob("**/*.*")}
    assert there == set(PICTURES)


def test_the_gallery_says_the_commands_above_each_picture():
    page = (ROOT / "docs/gallery.md").read_text("utf-8")
    shown = [name for name in PICTURES if name.startswith("gallery/")]
    for section in page.split("\n## ")[1:]:
        for name in [name for name in shown if f"(pictures/{name})" in section]:
            shown.remove(name)
            for command in PICTURES[name].commands:
                assert f"python -m {command}\n" in section
    assert not shown
