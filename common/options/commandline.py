"""Shared pieces of the labs' command lines: options from a config, exit codes, progress, tables.

Only click is imported here; rich comes when something is shown.
"""

import contextlib
import dataclasses
import os
import shutil
import sys
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from common.errors import ConfigError, LabError, Stopped
from common.history import Row
from common.options import config as configs
from common.signals import handled_by, raise_stopped

if TYPE_CHECKING:
    from rich.console import Console
    from rich.progress import Progress as Bar
    from torch import nn

    from common.training import Progress

_GROUPS = ("Options", "Data", "Model", "Transfer", "Teacher", "Training", "Trials", "Run")
_SHOWN_CHOICES = 8  # more than this many are not listed in --help


class LabGroup(click.Group):
    """A lab's commands; a mistyped one is answered with the nearest."""

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """Find the command that the first argument names."""
        if args and not args[0].startswith("-") and self.get_command(ctx, args[0]) is None:
            commands = self.list_commands(ctx)
            near = configs.nearest(args[0], commands)
            raise click.UsageError(
                f"no command {args[0]!r}; there are: {', '.join(commands)}{near}", ctx
            )
        return super().resolve_command(ctx, args)

    def invoke(self, ctx: click.Context) -> Any:
        """Run the command; when the reader of a pipe has gone, as `head` does, end quietly."""
        try:
            return super().invoke(ctx)
        except BrokenPipeError:
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
            ctx.exit()


class ConfigCommand(click.Command):
    """A command with an option for each field of a config, whose values arrive as text.

    Args:
        args: of `click.Command`.
        config: the class of the config.
        only: the fields that become options; all when None.
        kwargs: of `click.Command`.
    """

    def __init__(
        self,
        *args: Any,
        config: type[configs.TrainingConfig],
        only: Sequence[str] | None = None,
        **kwargs: Any,
    ):
        self.config = config
        self.fields = [each for each in _fields(config) if only is None or each[0].name in only]
        super().__init__(*args, **kwargs)
        self.params += [_click_option(field, *kind) for field, kind in self.fields]
        self.context_settings["ignore_unknown_options"] = True
        self.context_settings["allow_extra_args"] = True

    def invoke(self, ctx: click.Context) -> Any:
        """Hand the given options to the command as one dict, with what is no option of it."""
        names = {field.name for field, _ in self.fields}
        given = {name: ctx.params.pop(name) for name in names if name in ctx.params}
        ctx.params["options"] = {name: value for name, value in given.items() if value is not None}
        ctx.params["problems"] = _unknown_options(
            ctx.args, [o for p in self.params for o in p.opts]
        )
        return super().invoke(ctx)

    def format_options(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """List the command's own options, then each group of the config's."""
        groups: dict[str, list[tuple[str, str]]] = {}
        of_field = {field.name: field.metadata["group"] for field, _ in self.fields}
        for parameter in self.get_params(ctx):
            if record := parameter.get_help_record(ctx):
                groups.setdefault(of_field.get(parameter.name or "", "Options"), []).append(record)
        for title in sorted(groups, key=_GROUPS.index):
            with formatter.section(title):
                formatter.write_dl(groups[title])


class TrainCommand(ConfigCommand):
    """A command that trains: a config's options, over a recipe and a file, or a run to go on with.

    It receives `recipe`, `config_path`, `resume`, `options` and `problems`, as
    `common.runs.commands.train` takes them.
    """

    def __init__(
        self,
        *args: Any,
        config: type[configs.TrainingConfig],
        recipes: Mapping[str, Any],
        **kwargs: Any,
    ):
        super().__init__(*args, config=config, **kwargs)
        self.recipes = recipes
        path = click.Path(path_type=Path)
        self.params[:0] = [
            click.Option(
                ["--recipe"],
                metavar="NAME",
                help=f"Begin with a recipe's values: {', '.join(recipes)}.",
                hidden=not recipes,
            ),
            click.Option(
                ["--config", "config_path"],
                metavar="FILE",
                type=path,
                help="Begin with a file's values; RUN/config.toml repeats a run.",
            ),
            click.Option(
                ["--resume"], metavar="RUN", type=path, help="Go on with a run that was stopped."
            ),
        ]


def main(group: click.Group, program: str) -> None:
    """Run a lab's command line and exit.

    Exit codes: 0; 1 when a run fails; 2 for wrong use or bad input; 128 + n after signal n.
    """
    try:
        with handled_by(raise_stopped):
            code = group.main(prog_name=program, standalone_mode=False) or 0
    except click.ClickException as error:
        error.show()
        code = error.exit_code
    except (LabError, Stopped) as error:
        _complain(error)
        code = error.exit_code
    sys.exit(code)


def _complain(error: LabError | Stopped) -> None:
    problems = error.problems if isinstance(error, ConfigError) else [str(error)]
    for problem in problems:
        click.echo(f"Error: {problem}", err=True)


def _fields(config: type[Any]) -> Iterator[tuple["dataclasses.Field[Any]", tuple[type, bool]]]:
    kinds = configs.field_types(config)
    return ((field, kinds[field.name]) for field in dataclasses.fields(config))


def _click_option(field: "dataclasses.Field[Any]", kind: type, optional: bool) -> click.Option:
    flag = configs.flag(field.name)
    default = field.default
    if kind is bool:
        shown = f"{flag}/--no-{flag[2:]}"
        text = f"{field.metadata['help']}  [default: {'on' if default else 'off'}]"
        return click.Option([shown], default=None, help=text)
    choices = field.metadata["choices"]
    words = {int: "INTEGER", float: "NUMBER", str: "TEXT", tuple: "LIST"}
    metavar = (
        "|".join(choices)
        if 0 < len(choices) <= _SHOWN_CHOICES
        else "NAME"
        if choices
        else words[kind]
    )
    value = ",".join(default) if isinstance(default, tuple) else default
    shown_default = (
        "" if default is None else f"  [default: {value if value != '' else configs.NONE}]"
    )
    return click.Option(
        [flag], type=str, default=None, metavar=metavar, help=field.metadata["help"] + shown_default
    )


def _unknown_options(extra: Sequence[str], known: Sequence[str]) -> list[str]:
    """Say what is wrong with each argument; a value after an unknown option goes with it."""
    problems: list[str] = []
    for before, argument in zip(["", *extra], extra, strict=False):
        if argument.startswith("-"):
            name = argument.partition("=")[0]
            problems.append(f"no option {name}{configs.nearest(name, known)}")
        elif not before.startswith("-") or "=" in before:
            problems.append(f"unexpected argument {argument!r}")
    return problems


def stderr() -> "Console":
    """Return the console for progress and notes, which a pipe does not get."""
    from rich.console import Console

    return Console(stderr=True, highlight=False, markup=False, emoji=False, soft_wrap=True)


def note(text: str) -> None:
    """Tell the user something, beside the results."""
    click.echo(text, err=True)


def say(text: str) -> None:
    """Print a sentence, broken between words on a terminal."""
    width = shutil.get_terminal_size().columns
    click.echo(click.wrap_text(text, width) if sys.stdout.isatty() else text)


def show_table(title: str, columns: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    """Print a table, drawn on a terminal and plain in a pipe."""
    from rich import box
    from rich.console import Console
    from rich.table import Table

    drawn = sys.stdout.isatty()
    table = Table(box=box.ROUNDED if drawn else box.ASCII2)
    for index, column in enumerate(columns):
        numbers = index > 0 and all(_is_figure(row[index]) for row in rows)
        table.add_column(column, justify="right" if numbers else "left", overflow="fold")
    for row in rows:
        table.add_row(*row)
    # Names may look like markup: a folder [cat], a file :cat:.png.
    width = None if drawn else 10_000  # a name that is cut can be neither searched nor copied
    console = Console(width=width, highlight=False, markup=False, emoji=False)
    with console.capture() as text:  # rich would exit with 1 when the reader of a pipe has gone
        console.print(title, style="bold", soft_wrap=True)
        console.print(table)
    click.echo(text.get(), nl=False)


def _is_figure(text: str) -> bool:
    return not text or text[0] in "+-.0123456789"


def figure_text(value: Any) -> str:
    """Write a figure for a table: four decimals or three digits, a dash where there is none."""
    if value is None or value != value:
        return "-"
    if isinstance(value, float):
        if 0 < abs(value) < 0.01:
            return f"{value:#.3g}"
        return f"{value:.4f}" if abs(value) < 1000 else f"{value:,.0f}"
    return f"{value:,}" if isinstance(value, int) else str(value)


def lead_text(difference: float, interval: Sequence[float]) -> str:
    """Write a difference with its interval, such as `+0.0167 (+0.0080 to +0.0270)`."""
    low, high = interval
    return f"{difference:+.4f} ({low:+.4f} to {high:+.4f})"


class Display:
    """Shows a run: a line per epoch, and on a terminal a bar with time left and live figures."""

    def __init__(
        self, max_epochs: int, figures: Sequence[str], console: "Console", bar: "Bar | None"
    ):
        self._max_epochs, self._console, self._bar = max_epochs, console, bar
        self._figures = dict.fromkeys(["train/loss", "validation/loss", *figures])
        self._job = bar.add_task("starting", total=None, figures="") if bar else None

    def progress(self, progress: "Progress") -> None:
        """Move the bar."""
        if self._bar is None or self._job is None:
            return
        figures = "  ".join(f"{name} {value:.4f}" for name, value in progress.figures.items())
        self._bar.update(
            self._job,
            description=f"epoch {progress.epoch + 1}/{self._max_epochs}",
            total=self._max_epochs * progress.updates,
            completed=progress.epoch * progress.updates + progress.update,
            figures=f"{progress.samples_per_second:,.0f} samples/s  {figures}",
        )

    def epoch(self, row: Row, best: bool) -> None:
        """Print an epoch's line; a star marks the best so far."""
        figures = "  ".join(
            f"{name} {figure_text(row[name])}" for name in self._figures if name in row
        )
        star = " *" if best else ""
        self._console.print(
            f"epoch {row['epoch']:>3}/{self._max_epochs}  {figures}  {row['seconds']:.1f} s{star}"
        )


@contextlib.contextmanager
def display(max_epochs: int, figures: Sequence[str]) -> Iterator[Display]:
    """Show a run while the block lasts: losses, and the given figures such as `validation/f1`."""
    console = stderr()
    if not console.is_terminal:
        yield Display(max_epochs, figures, console, None)
        return
    from rich.progress import BarColumn, TextColumn, TimeRemainingColumn
    from rich.progress import Progress as Bar

    columns = (
        TextColumn("{task.description}"),
        BarColumn(bar_width=24),
        TextColumn("{task.percentage:>3.0f} %"),
        TimeRemainingColumn(compact=True),
        TextColumn("{task.fields[figures]}"),
    )
    with Bar(*columns, console=console, transient=True) as bar:
        yield Display(max_epochs, figures, console, bar)


@contextlib.contextmanager
def saved_in(run: Path, command: str) -> Iterator[None]:
    """Tell a user whose run is stopped inside the block how to go on with it.

    Args:
        run: the run folder.
        command: what trains it, such as `python -m labs.rnn sentiment`.
    """
    try:
        yield
    except Stopped as stopped:
        again = f"{command} --resume {run}"
        raise Stopped(
            stopped.signum, f"stopped; the run is saved. Go on with: {again}"
        ) from stopped


def show_summary(
    model: "nn.Module", input_shape: tuple[int, ...], name: str, depth: int, *, meta: bool = True
) -> None:
    """Print a model's modules to a depth, and its totals; `meta` is that of `summarize`."""
    from common.training.summary import summarize

    summary = summarize(model, input_shape, meta=meta)
    rows = [
        [
            "  " * row.depth + (row.name.rpartition(".")[2] or name),
            row.type,
            "x".join(map(str, row.output_shape[1:])) if row.output_shape else "-",
            f"{row.parameters:,}",
            f"{row.trainable_parameters:,}",
            figure_text(row.multiply_adds),
        ]
        for row in summary.folded(depth).rows
    ]
    columns = ["module", "type", "output", "parameters", "trainable", "multiply-adds"]
    show_table(f"{name} on {'x'.join(map(str, input_shape))}", columns, rows)
    click.echo(
        f"{summary.parameters:,} parameters ({summary.trainable_parameters:,} trainable, "
        f"{summary.frozen_parameters:,} frozen), {summary.parameter_megabytes:.1f} MB; "
        f"{summary.multiply_adds:,} multiply-adds for one sample"
    )
