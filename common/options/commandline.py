"""The labs' command lines: options from a config, errors as sentences, exit codes."""

import dataclasses
import functools
import os
import re
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from pkgutil import resolve_name
from typing import Any

import click

from common.errors import ConfigError, LabError, Stopped
from common.options import config as configs
from common.options import terminal, waiting
from common.shortage import name_shortage
from common.signals import handled_by, raise_stopped
from common.suggest import suggest
from common.threads import wait_briefly
from common.torchrun import launched, speaking

_GROUPS = ("Options", "Data", "Model", "Transfer", "Teacher", "Training", "Trials", "Run")
_SHOWN_CHOICES = 8  # more than this many are not listed in --help


class LabGroup(click.Group):
    """A lab's commands; a mistyped one is answered with the nearest, a former one with the new.

    Args:
        args: of `click.Group`.
        renamed: the name of today by a former one.
        kwargs: of `click.Group`.
    """

    def __init__(self, *args: Any, renamed: Mapping[str, str] | None = None, **kwargs: Any):
        super().__init__(*args, **kwargs)
        self.renamed = renamed or {}

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """Find the command that the first argument names."""
        if args and args[0] in self.renamed:
            raise click.UsageError(f"{args[0]} is now called {self.renamed[args[0]]}", ctx)
        if args and not args[0].startswith("-") and self.get_command(ctx, args[0]) is None:
            commands = self.list_commands(ctx)
            near = suggest(args[0], commands)
            raise click.UsageError(
                f"no command {args[0]!r}; there are: {', '.join(commands)}{near}", ctx
            )
        found = super().resolve_command(ctx, args)
        if launched().follows and not getattr(found[1], "trains", False):
            ctx.exit()  # of several processes, the first does alone what is no training
        return found

    def invoke(self, ctx: click.Context) -> Any:
        """Run the command; when the reader of a pipe has gone, as `head` does, end quietly."""
        try:
            return super().invoke(ctx)
        except BrokenPipeError:
            _print_nowhere()
            ctx.exit()


class ConfigCommand(click.Command):
    """A command with an option for each field of a config, whose values arrive as text.

    The options are made when the command is looked at: a lab has many commands with dozens of
    options each, and a command line asks for one.

    Args:
        args: of `click.Command`.
        config: `module:class` of the config.
        only: the fields that become options; all when None.
        kwargs: of `click.Command`.
    """

    def __init__(self, *args: Any, config: str, only: Sequence[str] | None = None, **kwargs: Any):
        self._config, self._only = config, only
        self.fields: list[dataclasses.Field[Any]] = []
        super().__init__(*args, **kwargs)
        self.context_settings["ignore_unknown_options"] = True
        self.context_settings["allow_extra_args"] = True

    @functools.cached_property
    def config(self) -> type[configs.TrainingConfig]:
        """The class of the config."""
        kind: type[configs.TrainingConfig] = resolve_name(self._config)
        return kind

    def get_params(self, ctx: click.Context) -> list[click.Parameter]:
        """Return the command's own parameters and, made now, those of the config."""
        if not self.fields:
            self.add_options()
        return super().get_params(ctx)

    def add_options(self) -> None:
        """Make an option for each field of the config."""
        kinds = configs.field_types(self.config)
        every = configs.options_of(self.config)
        self.fields = [each for each in every if self._only is None or each.name in self._only]
        self.params += [_click_option(field, *kinds[field.name]) for field in self.fields]

    def invoke(self, ctx: click.Context) -> Any:
        """Hand the given options to the command as one dict, with what is no option of it."""
        self.gather(ctx)
        known = [option for parameter in self.params for option in parameter.opts]
        ctx.params["problems"] = _unknown_options(ctx.args, known)
        return super().invoke(ctx)

    def gather(self, ctx: click.Context) -> None:
        """Put the given options into one dict, `options`."""
        names = {field.name for field in self.fields}
        given = {name: ctx.params.pop(name) for name in names if name in ctx.params}
        ctx.params["options"] = {name: x for name, x in given.items() if x not in (None, ())}

    def format_options(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """List the command's own options, then each group of the config's."""
        groups: dict[str, list[tuple[str, str]]] = {}
        parameters = self.get_params(ctx)
        of_field = {field.name: field.metadata["group"] for field in self.fields}
        for parameter in parameters:
            if record := parameter.get_help_record(ctx):
                groups.setdefault(of_field.get(parameter.name or "", "Options"), []).append(record)
        for title in sorted(groups, key=_GROUPS.index):
            with formatter.section(title):
                formatter.write_dl(groups[title])


class TrainCommand(ConfigCommand):
    """A command that trains: a config's options, over a recipe and a file, or a run to go on with.

    It receives `recipe`, `config_path`, `resume`, `options` and `problems`, as
    `common.runs.commands.train` takes them.

    Args:
        args: of `click.Command`.
        recipes: `module:name` of values by the recipe's name; None for none.
        resumes: whether it makes a run, with which it can go on.
        kwargs: of `ConfigCommand`.
    """

    def __init__(self, *args: Any, recipes: str | None = None, resumes: bool = True, **kwargs: Any):
        super().__init__(*args, **kwargs)
        self._recipes, self._resumes, self.trains = recipes, resumes, resumes

    @functools.cached_property
    def recipes(self) -> Mapping[str, Any]:
        """Values by the recipe's name."""
        return resolve_name(self._recipes) if self._recipes else {}

    def add_options(self) -> None:
        """Make the options of the recipe, the file and the run, and those of the config."""
        super().add_options()
        path = click.Path(path_type=Path)
        recipes = f"Begin with a recipe's values: {', '.join(self.recipes)}."
        again = "Begin with a file's values; RUN/config.toml repeats a run."
        stopped = "Go on with a run that was stopped."
        self.params[:0] = [
            click.Option(["--recipe"], metavar="NAME", help=recipes, hidden=not self.recipes),
            click.Option(["--config", "config_path"], metavar="FILE", type=path, help=again),
        ]
        if self._resumes:
            resume = click.Option(["--resume"], metavar="RUN", type=path, help=stopped)
            self.params.insert(2, resume)


class FileCommand(ConfigCommand):
    """A command on a file that a run was not trained on, with options on how it is written.

    They are those that the configs of the runs name in `of_files`, and reach the command as a dict,
    `options`. What is no option is refused: else it would be among the inputs.

    Args:
        args: of `click.Command`.
        configs: `module:class` of each config.
        only: those of the options that there are; all when None.
        of_run: whether the command takes a run, whose values hold where none are given.
        kwargs: of `click.Command`.
    """

    def __init__(
        self,
        *args: Any,
        configs: Sequence[str],
        only: Sequence[str] | None = None,
        of_run: bool = True,
        **kwargs: Any,
    ):
        self._configs, self._of_run = configs, of_run
        super().__init__(*args, config=configs[0], only=only, **kwargs)
        self.context_settings.update(ignore_unknown_options=False, allow_extra_args=False)

    def invoke(self, ctx: click.Context) -> Any:
        """Hand the given options to the command."""
        self.gather(ctx)
        return click.Command.invoke(self, ctx)

    def add_options(self) -> None:
        """Make an option for each field; what has a default is as it was in the run."""
        every = {
            field.name: (field, configs.field_types(kind)[field.name])
            for kind in map(resolve_name, reversed(self._configs))
            for field in configs.options_of(kind)
            if field.name in kind.of_files and (self._only is None or field.name in self._only)
        }
        self.fields = [field for field, _ in every.values()]
        self.params += [
            _click_option(field, *kind, of_run=self._of_run) for field, kind in every.values()
        ]


def main(group: click.Group, program: str) -> None:
    """Run a lab's command line and exit.

    Exit codes: 0; 1 when a run fails; 2 for wrong use or bad input; 128 + n after signal n.
    """
    _begin_in_utf8()
    wait_briefly()
    try:
        with handled_by(raise_stopped), speaking(), waiting.shown():
            code = group.main(prog_name=program, standalone_mode=False) or 0
    except click.ClickException as error:
        error.show()
        code = error.exit_code
    except (LabError, Stopped) as error:
        _tell(error.problems if isinstance(error, ConfigError) else [str(error)])
        code = error.exit_code
    except Exception as error:
        if not (shortage := name_shortage(error)):
            raise
        _tell([shortage])
        code = 1
    sys.exit(code)


def _tell(problems: Sequence[str]) -> None:
    """Print errors; where the terminal or the reader of the pipe has gone, nobody is told."""
    who = f" in process {launched().rank}" if launched().follows else ""
    try:
        for problem in problems:
            terminal.note(f"Error{who}: {problem}")
    except OSError:
        _print_nowhere()


def _print_nowhere() -> None:
    """Let what is still to be printed go nowhere, or Python would end with an error of its own."""
    nowhere = os.open(os.devnull, os.O_WRONLY)
    for stream in (sys.stdout, sys.stderr):
        os.dup2(nowhere, stream.fileno())


def _begin_in_utf8() -> None:
    """Begin again in Python's UTF-8 mode (PEP 540) where names of files could not be in Korean."""
    if sys.getfilesystemencoding() != "utf-8":
        os.environ["PYTHONUTF8"] = "1"
        os.execv(sys.executable, [sys.executable, *sys.orig_argv[1:]])


def _click_option(
    field: "dataclasses.Field[Any]", kind: type, optional: bool, *, of_run: bool = False
) -> click.Option:
    """Return the option of a field; `of_run`, when it is not given it is as in the run."""
    flag = configs.flag(field.name)
    default = field.default
    if kind is bool:
        shown = f"{flag}/--no-{flag[2:]}"
        text = f"{field.metadata['help']}  [default: {'on' if default else 'off'}]"
        return click.Option([shown], default=None, help=text)
    choices = field.metadata["choices"]
    if field.metadata["repeated"]:
        text = f"{field.metadata['help']}; may be given several times"
        return click.Option([flag, field.name], type=str, multiple=True, metavar="TEXT", help=text)
    words = {int: "INTEGER", float: "NUMBER", str: "TEXT", tuple: "LIST"}
    listed = "|".join(choices) if len(choices) <= _SHOWN_CHOICES else "NAME"
    text = field.metadata["help"]
    if of_run and field.name not in configs.FORM:
        text = f"{re.split('; |, found', text)[0]}; as in the run when not given"
    elif default is not None:
        value = ",".join(default) if isinstance(default, tuple) else default
        text += f"  [default: {value if value != '' else configs.NONE}]"
    names = [flag, field.name]
    return click.Option(names, type=str, default=None, metavar=listed or words[kind], help=text)


def _unknown_options(extra: Sequence[str], known: Sequence[str]) -> list[str]:
    """Say what is wrong with each argument; a value after an unknown option goes with it."""
    problems: list[str] = []
    for before, argument in zip(["", *extra], extra, strict=False):
        if argument.startswith("-"):
            name = argument.partition("=")[0]
            problems.append(f"no option {name}{suggest(name, known)}")
        elif not before.startswith("-") or "=" in before:
            problems.append(f"unexpected argument {argument!r}")
    return problems
