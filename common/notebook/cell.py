"""A cell of a notebook: runs a command, shows how far it is, and is stopped with all saved.

In the kernel of a notebook, what a command says on the way stands in one block of the cell, which
is rewritten: its last lines, and below them a bar for what takes long. The results are printed
below it, and pictures are shown where the command names them. Elsewhere, as in a script, a command
shows what it shows on a terminal.
"""

import contextlib
import html
import io
import re
import sys
import threading
import time
import warnings
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, Protocol

import click

from common import steps
from common.errors import ConfigError, LabError, RunFailed, Stopped
from common.options import waiting
from common.runs import folder
from common.shortage import name_shortage
from common.signals import handled_by, raise_stopped
from common.steps import Step
from common.threads import wait_briefly

_TICK = 0.5  # seconds between two looks at the block
_FIRST, _LAST = 12, 12  # lines of the block that are shown, where it has more
_PICTURE = re.compile(r"picture: (.+\.png)", re.IGNORECASE)
_RESUME = r"python -m labs\.(\w+) ([\w-]+) --resume "
_AGAIN = [
    re.compile(_RESUME + r"(.+?) --epochs (\d+)"),
    re.compile(_RESUME + "(.+)$", re.MULTILINE),
]


def kernel() -> Any | None:
    """Return IPython's shell in the kernel of a notebook; elsewhere None."""
    found = sys.modules.get("IPython")
    shell = found.get_ipython() if found is not None else None
    return shell if hasattr(shell, "kernel") else None


def prepare() -> None:
    """Let a notebook show a figure that a cell ends with, and draw Korean in all plots.

    Their look stays as it is: a font is added, for letters that the others lack.
    """
    shell = kernel()
    if shell is not None:
        from matplotlib.figure import Figure

        from common.report import plots

        plots.add_korean_font()
        warnings.filterwarnings("ignore", "IProgress not found")  # tqdm's; its bars are not shown
        shell.display_formatter.formatters["image/png"].for_type(Figure, plots.png)


def run(group: click.Group, program: str, words: Sequence[str]) -> list[Path]:
    """Run a command as its words would in a shell; returns the run folders that it left.

    Args:
        group: the commands.
        program: what comes before the words in a shell.
        words: the command and what is given to it.

    Raises:
        LabError: what a shell would be told, in one message.
        Stopped: the cell was interrupted; what was trained is saved, and the message says how to
            go on.
    """
    wait_briefly()
    with _as_typed([program, *words]), _told(), shown(), folder.noted() as made:
        try:
            with handled_by(raise_stopped):
                code = group.main(list(words), prog_name=program, standalone_mode=False)
        except SystemExit as ended:
            code = ended.code
        if isinstance(code, int) and code:
            raise RunFailed(f"{program} {words[0]} ended with code {code}; it says above why")
    return [path for path in made if path.is_dir()]  # those of trials are gone


@contextlib.contextmanager
def shown() -> Iterator[None]:
    """Show notes and steps of the block: in a notebook in its cell, else as a command does."""
    if kernel() is None:
        with waiting.shown():
            yield
        return
    block = _Block()
    try:
        with (
            _Results(sys.stdout) as out,
            _Lines(block) as err,
            contextlib.redirect_stdout(out),
            contextlib.redirect_stderr(err),
            steps.heard_by(block),
        ):
            yield
    finally:
        block.stop()


class Stream(Protocol):
    """What takes lines."""

    def write(self, text: str, /) -> object:
        """Take a line."""

    def flush(self) -> object:
        """Show what was taken."""


class _Lines(io.TextIOBase):
    """A stream that hands on whole lines, and shows the pictures that they name."""

    def __init__(self, stream: "Stream"):
        self._stream, self._begun = stream, ""

    def write(self, text: str) -> int:
        """Take a text, which may end within a line."""
        *whole, self._begun = (self._begun + text).split("\n")
        for line in whole:
            self._stream.write(f"{in_python(line)}\n")
            if picture := _PICTURE.fullmatch(line):
                self._stream.flush()  # or the line would come after it
                _show_picture(Path(picture[1]))
        return len(text)

    def close(self) -> None:
        """Hand on what is left."""
        if self._begun:
            self.write("\n")
        super().close()


class _Results(_Lines):
    """What a command prints; tables are those of a page, where names in Korean keep the columns."""

    def draw_table(
        self, title: str, columns: Sequence[str], rows: Sequence[Sequence[str]], text: str
    ) -> None:
        """Show a table; `text` is how a terminal has it."""
        from IPython.display import display

        self._stream.flush()  # or what was printed would come after it
        display({"text/plain": text, "text/html": _table(title, columns, rows)}, raw=True)


def _table(title: str, columns: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Return a table of texts as HTML; the first one of a row names it."""
    head = "".join(f"<th>{html.escape(name)}</th>" for name in columns)
    body = "".join(
        f"<tr><th style='text-align: left'>{html.escape(name)}</th>"
        f"{''.join(f'<td>{html.escape(cell)}</td>' for cell in cells)}</tr>"
        for name, *cells in rows
    )
    caption = f"<p><b>{html.escape(title)}</b></p>" if title else ""
    return f"{caption}<table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>"


class _Block(threading.Thread):
    """What a command says on the way, in one output of the cell, which is rewritten."""

    def __init__(self) -> None:
        super().__init__(daemon=True)
        self._lock, self._over = threading.Lock(), threading.Event()
        self._lines: list[str] = []
        self._handle: Any = None
        self._shown: dict[str, str] = {}
        self.start()

    def begun(self) -> None:
        """Hear that a step has begun; it is looked at several times a second."""

    def ended(self) -> None:
        """Hear that a step has ended."""

    def write(self, text: str, /) -> None:
        """Add a line; the first one is shown at once, above all that the command prints."""
        self._lines.append(text)
        if self._handle is None:
            self.flush()

    def flush(self) -> None:
        """Show all lines."""
        self._show(waiting.long_step(time.monotonic()))

    def run(self) -> None:
        """Look, again and again."""
        while not self._over.wait(_TICK):
            self.flush()

    def stop(self) -> None:
        """Show the lines without a bar, for the last time."""
        self._over.set()
        self.join()
        self._show(None)

    def _show(self, step: Step | None) -> None:
        from IPython.display import display

        with self._lock:
            data = _draw(list(self._lines), step)
            nothing = self._handle is None and not any(data.values())
            if nothing or data == self._shown:
                return
            if self._handle is None:
                self._handle = display(data, raw=True, display_id=True)
            else:
                self._handle.update(data, raw=True)
            self._shown = data


def _draw(lines: Sequence[str], step: Step | None) -> dict[str, str]:
    """Return lines, and a bar for a step, as a notebook takes them."""
    if (more := len(lines) - _FIRST - _LAST) > 0:
        lines = [*lines[:_FIRST], f"... {more} lines ...\n", *lines[-_LAST:]]
    text, bar = "".join(lines), ""
    page = f"<pre>{html.escape(text)}</pre>" if text else ""
    if step is not None:
        bar = step.say(time.monotonic())
        share = f' value="{step.done / step.total:.3f}"' if step.total and step.done else ""
        label = html.escape(bar)
        page += f'<progress{share} aria-label="{label}"></progress> {label}'
    return {"text/plain": text + bar, "text/html": page}


def _show_picture(path: Path) -> None:
    from IPython.display import Image, display

    display(Image(filename=str(path)))


@contextlib.contextmanager
def _as_typed(words: Sequence[str]) -> Iterator[None]:
    """Let the record of a run hold what a shell would have been told."""
    before, sys.argv = sys.argv, list(words)
    try:
        yield
    finally:
        sys.argv = before


@contextlib.contextmanager
def _told() -> Iterator[None]:
    """Make one message of what goes wrong, in words of Python."""
    try:
        yield
    except click.ClickException as error:
        raise ConfigError(error.format_message()) from None
    except (LabError, Stopped) as error:
        error.args = (in_python(str(error)),)
        raise
    except Exception as error:
        if shortage := name_shortage(error):
            raise RunFailed(shortage) from error
        raise


def in_python(text: str) -> str:
    """Return a text whose command lines for going on with a run are lines of Python."""

    def translate(found: re.Match[str]) -> str:
        lab, verb, path, *epochs = found.groups()
        more = f", epochs={epochs[0]}" if epochs else ""
        return f"{lab}.{verb.replace('-', '_')}(resume={path!r}{more})"

    for pattern in _AGAIN:
        text = pattern.sub(translate, text)
    return text
