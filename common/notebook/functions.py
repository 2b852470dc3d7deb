"""Commands as functions: what a shell takes is one line of Python, with the same names.

    classification.train(data="mnist5k", model="lenet5", epochs=3)

is `python -m labs.classification train --data mnist5k --model lenet5 --epochs 3`. Nothing is listed
here twice: names, help and what is wrong with a value come from the command.
"""

import contextlib
import inspect
import io
import json
import keyword
import os
from collections.abc import Callable, Iterable, Mapping, Sequence
from inspect import Parameter
from typing import Any

import click

from common.errors import ConfigError
from common.notebook import cell
from common.notebook.shown import ShownRun
from common.options.commandline import ConfigCommand
from common.options.config import NONE
from common.suggest import suggest

_WIDTH = 88  # letters of a line of help


class Commands:
    """The commands of a group, as its attributes.

    Args:
        program: what comes before a command in a shell.
        load: returns the group, when it is first needed.
        words: those that lead to a command, where it is one.
    """

    def __init__(self, program: str, load: Callable[[], click.Group], words: Sequence[str] = ()):
        self._program, self._load, self._words = program, load, words

    def __getattr__(self, name: str) -> "Function":
        """Return a command by its name in Python."""
        known = {} if name.startswith("_") else {python_name(each): each for each in self._names()}
        if name not in known:
            raise AttributeError(f"{self._program}: no command {name!r}{suggest(name, known)}")
        return Function(self._program, self._load, [*self._words, known[name]])

    def __dir__(self) -> list[str]:
        return sorted(map(python_name, self._names()))

    def __repr__(self) -> str:
        return f"{self._program}: {', '.join(dir(self))}"

    def _names(self) -> list[str]:
        found = self._command()
        return list(found.commands) if isinstance(found, click.Group) else []

    def _command(self) -> click.Command:
        """Return what the words lead to."""
        found: click.Command = self._load()
        for word in self._words:
            assert isinstance(found, click.Group)
            found = found.commands[word]
        return found


class Function(Commands):
    """A command, to be called; where it is a group of others, they are its attributes."""

    def __call__(self, *arguments: Any, **options: Any) -> Any:
        """Run the command.

        Args:
            arguments: what a shell takes without a name: runs, paths.
            options: by the name of the option, as `split_seed` of `--split-seed`; one that is a
                keyword of Python ends with `_`. A switch is True or False; several values are a
                list, or a dict where they are NAME=VALUE.

        Returns:
            The run that was made or gone on with; with `format="json"` what was found; else None.

        Raises:
            LabError: as `common.notebook.cell.run` does.
            Stopped: the cell was interrupted, and the run is saved.
        """
        words = [*self._words, *spell(self._command(), arguments, options)]
        as_data = options.get("format") == "json" and "output" not in options
        printed = io.StringIO()
        with contextlib.redirect_stdout(printed) if as_data else contextlib.nullcontext():
            made = cell.run(self._load(), self._program, words)
        if as_data:
            return json.loads(printed.getvalue())
        resumed = options.get("resume")
        path = next(iter(made), None) if resumed is None else resumed
        return None if path is None else ShownRun(path)

    @property
    def __signature__(self) -> inspect.Signature:
        """Arguments and options, for editors and `help`."""
        every = parameters_of(self._command())
        placed = [each for each in every.values() if isinstance(each, click.Argument)]
        named = [name for name, each in every.items() if isinstance(each, click.Option)]
        return inspect.Signature(
            [
                *map(_place, placed),
                *(Parameter(name, Parameter.KEYWORD_ONLY, default=None) for name in named),
            ]
        )

    @property
    def __doc__(self) -> str:  # type: ignore[override]
        """The help of the command."""
        command, name = self._command(), " ".join([self._program, *self._words])
        context = click.Context(
            command, info_name=name, terminal_width=_WIDTH, max_content_width=_WIDTH
        )
        return command.get_help(context)

    def __repr__(self) -> str:
        return f"{self._program} {' '.join(self._words)}: a function; help() tells what it takes"


def python_name(name: str) -> str:
    """Return the name of a command or an option, such as `--split-seed`, as Python can have it."""
    plain = name.lstrip("-").replace("-", "_")
    return f"{plain}_" if keyword.iskeyword(plain) else plain


def parameters_of(command: click.Command) -> dict[str, click.Parameter]:
    """Return the arguments and options of a command by their names in Python."""
    every = command.get_params(click.Context(command))
    return {python_name(max(each.opts, key=len)): each for each in every if each.expose_value}


def spell(
    command: click.Command, arguments: Iterable[Any], options: Mapping[str, Any]
) -> list[str]:
    """Return what a function was given as the words of a shell, without the command's name.

    Raises:
        ConfigError: a switch is neither True nor False.
    """
    known = parameters_of(command)
    fields = {each.name for each in command.fields} if isinstance(command, ConfigCommand) else set()
    words = []
    for name, value in options.items():
        option = known.get(name)
        if not isinstance(option, click.Option):  # the command says that there is none
            words += [f"--{name.replace('_', '-')}", _text(value)]
        elif option.is_flag:
            words += _switch(name, option, value)
        elif value is None:
            words += [option.opts[0], NONE] if option.name in fields else []
        else:
            several = option.multiple
            texts = _texts(value) if several else [_text(value)]
            words += [word for text in texts for word in (option.opts[0], text)]
    placed = [text for each in arguments for text in _texts(each)]
    return [*words, *(["--"] if any(text[:1] == "-" for text in placed) else []), *placed]


def _switch(name: str, option: click.Option, value: Any) -> list[str]:
    if value not in (True, False, None):
        raise ConfigError(f"{name}={value!r}: expected True or False")
    if value:
        return option.opts[:1]
    return option.secondary_opts[:1] if value is False else []


def _texts(value: Any) -> list[str]:
    """Return one text for each of several values."""
    if isinstance(value, Mapping):
        return [f"{name}={_text(each)}" for name, each in value.items()]
    return [_text(each) for each in (value if isinstance(value, list | tuple) else [value])]


def _text(value: Any) -> str:
    """Write a value as a shell would have it."""
    if isinstance(value, list | tuple | Mapping):
        return ",".join(_texts(value))
    return os.fspath(value) if isinstance(value, os.PathLike) else str(value)


def _place(argument: click.Parameter) -> Parameter:
    """Return how Python calls an argument that has no name."""
    if argument.nargs == -1:
        return Parameter(argument.name or "", Parameter.VAR_POSITIONAL)
    needed = Parameter.empty if argument.required else None
    return Parameter(argument.name or "", Parameter.POSITIONAL_ONLY, default=needed)
