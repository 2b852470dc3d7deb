"""What commands print: notes, tables, sentences, and the progress of a run.

Only click is imported here; rich comes when something is shown.
"""

import contextlib
import re
import signal
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from common.errors import DataError, RunFailed, Stopped
from common.options import waiting
from common.shortage import name_shortage
from common.steps import Step, step

if TYPE_CHECKING:
    from rich.console import Console
    from rich.progress import Progress as RichBar

    from common.history import Progress, Row

# C0 and C1 controls, and marks that turn the direction of all that follows.
_COMMANDS = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]")
_SIGPIPE = getattr(signal, "SIGPIPE", 13)  # Windows has none


def stderr() -> "Console":
    """Return the console for progress and notes, which a pipe does not get."""
    from rich.console import Console

    class Reporting(Console):
        def on_broken_pipe(self) -> None:
            raise BrokenPipeError  # rich would exit with 1

    return Reporting(
        stderr=True,
        highlight=False,
        markup=False,
        emoji=False,
        soft_wrap=True,
        force_jupyter=False,  # `common.notebook.cell` shows in a notebook what is written here
        force_terminal=None if sys.stderr.isatty() else False,  # whatever FORCE_COLOR says
    )


def plain(text: str) -> str:
    """Return a text that commands no terminal: names may hold what clears it or turns the writing.

    Such characters are shown as their escapes; lines and tabs stay.
    """
    return _COMMANDS.sub(lambda found: repr(found[0])[1:-1], text)


def note(text: str) -> None:
    """Tell the user something, beside the results."""
    click.echo(plain(text), err=True)


def once(say: Callable[[str], None]) -> Callable[[str], None]:
    """Return what says each line once, where several runs read the same files."""
    told = set[str]()

    def say_once(line: str) -> None:
        if line not in told:
            told.add(line)
            say(line)

    return say_once


@contextlib.contextmanager
def busy(text: str) -> Iterator[None]:
    """Tell the user what is being done; once it takes long, for how long already."""
    note(text)
    with step(text):
        yield


class Bar:
    """Shows how far something is, and how long it will take; see `progress_bar`."""

    def __init__(self, shown: Step | None = None):
        self._step = shown or Step("")

    def move(self, share: float) -> None:
        """Say which share is done."""
        self._step.move(share)


@contextlib.contextmanager
def progress_bar(text: str) -> Iterator[Bar]:
    """Tell the user what is being done; once it takes long, how far it is and the time left."""
    note(text)
    with step(text, 1.0) as shown:
        yield Bar(shown)


def say(text: str) -> None:
    """Print a sentence, broken between words on a terminal."""
    import shutil

    width, text = shutil.get_terminal_size().columns, plain(text)
    click.echo(click.wrap_text(text, width) if sys.stdout.isatty() else text)


def show_table(title: str, columns: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    """Print a table, drawn on a terminal and plain in a pipe; a notebook draws it by itself."""
    from rich import box
    from rich.console import Console
    from rich.table import Table

    drawn = sys.stdout.isatty()
    table = Table(box=box.ROUNDED if drawn else box.ASCII2)
    for index, column in enumerate(columns):
        numbers = index > 0 and all(_is_figure(row[index]) for row in rows)
        table.add_column(plain(column), justify="right" if numbers else "left", overflow="fold")
    for row in rows:
        table.add_row(*map(plain, row))
    # Names may look like markup: a folder [cat], a file :cat:.png.
    width = None if drawn else 10_000  # a name that is cut can be neither searched nor copied
    console = Console(width=width, highlight=False, markup=False, emoji=False, force_jupyter=False)
    with console.capture() as text:  # rich would exit with 1 when the reader of a pipe has gone
        console.print(plain(title), style="bold", soft_wrap=True)
        console.print(table)
    if draw := getattr(sys.stdout, "draw_table", None):
        draw(title, columns, rows, click.unstyle(text.get()))
    else:
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
    if not (low == low and high == high):
        return f"{difference:+.4f} (interval unknown)"
    return f"{difference:+.4f} ({low:+.4f} to {high:+.4f})"


def interval_text(interval: Sequence[Any]) -> str:
    """Write an interval for a table, such as `0.8123 to 0.8456`."""
    if any(end is None or end != end for end in interval):
        return "unknown"
    return " to ".join(map(figure_text, interval))


class Display:
    """Shows a run: a line per epoch, and on a terminal a bar with time left and live figures."""

    def __init__(
        self,
        max_epochs: int,
        figures: Sequence[str],
        console: "Console",
        bar: "RichBar | None",
        shown: Step | None = None,
    ):
        self._max_epochs, self._console, self._bar = max_epochs, console, bar
        self._step = shown or Step("training", max_epochs)
        self._figures = dict.fromkeys(["train/loss", "validation/loss", *figures])
        self._job = bar.add_task("starting", total=None, figures="") if bar else None

    def progress(self, progress: "Progress") -> None:
        """Move the bar."""
        self._step.text = f"epoch {progress.epoch + 1}/{self._max_epochs}"
        self._step.move(progress.epoch + progress.update / progress.updates)
        if self._bar is None or self._job is None:
            return
        figures = "  ".join(f"{name} {value:.4f}" for name, value in progress.figures.items())
        self._bar.update(
            self._job,
            description=self._step.text,
            total=self._max_epochs * progress.updates,
            completed=progress.epoch * progress.updates + progress.update,
            figures=f"{progress.samples_per_second:,.0f} samples/s  {figures}",
        )

    def epoch(self, row: "Row", best: bool) -> None:
        """Print an epoch's line; a star marks the best so far."""
        figures = "  ".join(
            f"{name} {figure_text(row[name])}" for name in self._figures if name in row
        )
        star = " *" if best else ""
        self._step.told = time.monotonic()
        self._console.print(
            f"epoch {row['epoch']:>3}/{self._max_epochs}  {figures}  {row['seconds']:.1f} s{star}"
        )


@contextlib.contextmanager
def display(max_epochs: int, figures: Sequence[str]) -> Iterator[Display]:
    """Show a run while the block lasts: losses, and the given figures such as `validation/f1`."""
    console = stderr()
    with step("training", max_epochs) as shown, _bar(console, shown) as bar:
        yield Display(max_epochs, figures, console, bar, shown)


@contextlib.contextmanager
def saved_in(run: Path, command: str) -> Iterator[None]:
    """Tell a user whose run is stopped inside the block how to go on with it.

    Args:
        run: the run folder.
        command: what trains it, such as `python -m labs.rnn sentiment`.
    """
    again = f"Go on with: {command} --resume {run}"
    try:
        yield
    except Stopped as stopped:
        raise Stopped(stopped.signum, f"stopped; the run is saved. {again}") from stopped
    except BrokenPipeError as gone:  # nobody reads on, as after `| head`; nobody asked to train on
        raise Stopped(_SIGPIPE, f"stopped; the run is saved. {again}") from gone
    except DataError as error:
        raise DataError(f"{error}; what was trained is saved. {again}") from error
    except Exception as error:
        if shortage := name_shortage(error):
            raise RunFailed(f"{shortage}. What was trained is saved. {again}") from error
        raise


class ManyDisplay(Display):
    """Shows one of many runs: on a terminal, a bar over all of them with the time left."""

    def __init__(self, bar: "RichBar | None", shown: Step | None = None):
        self._bar, self._job = bar, bar.add_task("", total=1.0, figures="") if bar else None
        self._step = shown or Step("training", 1.0)
        self._title, self._before, self._share = "", 0.0, 0.0
        self._run, self._runs, self._epochs = 0, 1, 1

    def begin(self, title: str, before: float, share: float) -> None:
        """Say what comes, and which share of all work is done before it and by it."""
        self._title, self._before, self._share = title, before, share

    def run(self, run: int, runs: int, epochs: int) -> None:
        """Say which of its runs comes, from 0 on, and how long it trains."""
        self._run, self._runs, self._epochs = run, runs, epochs
        self._move(0.0)

    def progress(self, progress: "Progress") -> None:
        """Move the bar."""
        self._move(progress.epoch + progress.update / progress.updates)

    def epoch(self, row: "Row", best: bool) -> None:
        """Move the bar."""
        self._move(row["epoch"])

    def _move(self, epochs: float) -> None:
        done = (self._run + epochs / self._epochs) / self._runs
        self._step.text = self._title
        self._step.move(self._before + self._share * done)
        if self._bar is not None and self._job is not None:
            run = f"run {self._run + 1} of {self._runs}, " if self._runs > 1 else ""
            self._bar.update(
                self._job,
                description=self._title,
                completed=self._step.done,
                figures=f"{run}epoch {epochs:.1f}/{self._epochs}",
            )


@contextlib.contextmanager
def display_many() -> Iterator[ManyDisplay]:
    """Show many runs while the block lasts."""
    with step("training", 1.0) as shown, _bar(stderr(), shown) as bar:
        yield ManyDisplay(bar, shown)


@contextlib.contextmanager
def _bar(console: "Console", outside: Step) -> "Iterator[RichBar | None]":
    """Draw a bar on a terminal while the block lasts, and beside it what takes long in a step."""
    if not console.is_terminal:
        yield None
        return
    from rich.progress import BarColumn, ProgressColumn, TextColumn, TimeRemainingColumn
    from rich.progress import Progress as RichBar
    from rich.text import Text

    class Figures(ProgressColumn):
        def render(self, task: Any) -> Text:
            now = time.monotonic()
            long = waiting.long_step(now, outside)
            return Text(task.fields["figures"] if long is None else long.say(now))

    columns = (
        TextColumn("{task.description}"),
        BarColumn(bar_width=24),
        TextColumn("{task.percentage:>3.0f} %"),
        TimeRemainingColumn(compact=True),
        Figures(),
    )
    with waiting.elsewhere(), RichBar(*columns, console=console, transient=True) as bar:
        yield bar
