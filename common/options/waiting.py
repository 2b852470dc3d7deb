"""Shows what takes long: what is being done, how far it is, and the time left.

A step of `common.steps` that has taken 2 s is shown: on a terminal in a line that moves, in a pipe
by a line at once and by another one every 10 s. What is shorter says nothing. In a pipe, a step
that begins late waits for its line up to 10 s, so that the log of a long run stays short.
"""

import contextlib
import sys
import threading
import time
from collections.abc import Iterator
from typing import TYPE_CHECKING

import click

from common import steps
from common.steps import Step

if TYPE_CHECKING:
    from rich.live import Live
    from rich.text import Text

PATIENCE = 2.0  # seconds that a step takes before it is shown
INTERVAL = 10.0  # seconds between two lines of the same step in a pipe
_TICK = 0.25
_BAR = 24  # letters

_drawn_elsewhere = 0  # how many bars of their own are on the terminal


@contextlib.contextmanager
def shown() -> Iterator[None]:
    """Show the steps that take long inside the block."""
    teller = _Teller()
    try:
        with steps.heard_by(teller):
            yield
    finally:
        teller.stop()


@contextlib.contextmanager
def elsewhere() -> Iterator[None]:
    """Leave the terminal to a bar that the block draws; `long_step` is for it to show."""
    global _drawn_elsewhere
    _drawn_elsewhere += 1
    try:
        yield
    finally:
        _drawn_elsewhere -= 1


def long_step(now: float, outside: Step | None = None) -> Step | None:
    """Return the innermost step that has taken long, of those inside another one."""
    inside = steps.current()
    if outside in inside:
        inside = inside[inside.index(outside) + 1 :]
    long = [each for each in inside if now - each.begun >= PATIENCE]
    return long[-1] if long else None


class _Teller(threading.Thread):
    """Looks at the steps several times a second, from the first one on."""

    def __init__(self) -> None:
        super().__init__(daemon=True)
        self._lock, self._wake, self._over = threading.RLock(), threading.Event(), False
        self._live: Live | None = None
        self._last: Step | None = None  # of which the last line is
        self._said = 0.0  # when that was

    def begun(self) -> None:
        """Hear that a step has begun."""
        if self.ident is None:
            self.start()
        self._wake.set()

    def ended(self) -> None:
        """Hear that a step has ended; before its results are shown the line is taken away."""
        if not steps.current():
            self._wake.clear()
            self._clear()

    def stop(self) -> None:
        """End; nothing is shown any more."""
        self._over = True
        self._wake.set()
        self._clear()

    def run(self) -> None:
        """Look, again and again."""
        while not self._over:
            self._wake.wait()
            with self._lock:
                self._look(time.monotonic())
            time.sleep(_TICK)

    def _look(self, now: float) -> None:
        step = long_step(now)
        if sys.stderr.isatty():
            if _drawn_elsewhere:
                self._clear()
            elif step is not None and self._live is None and not self._over:
                self._live = _draw()
        elif step is not None:
            quiet = now - max(self._said, *(each.told for each in (step, *steps.current())))
            begun = min(each.begun for each in (step, *steps.current()))
            soon = min(max(PATIENCE, (now - begun) / 15), INTERVAL)
            if quiet >= (INTERVAL if step is self._last else soon):
                self._last, self._said = step, now
                click.echo(step.say(now), err=True)

    def _clear(self) -> None:
        with self._lock:
            if self._live is not None:
                self._live.stop()
                self._live = None


def _draw() -> "Live":
    from rich.console import Console
    from rich.live import Live

    live = Live(
        console=Console(stderr=True, highlight=False, markup=False, emoji=False),
        get_renderable=lambda: line(long_step(time.monotonic())),
        refresh_per_second=5,
        transient=True,
        redirect_stdout=sys.stdout.isatty(),  # in a pipe are the results
    )
    live.start()
    return live


def line(step: Step | None) -> "Text":
    """Return what a terminal shows of a step: a bar where it is known how far it is."""
    from rich.text import Text

    if step is None:
        return Text("")
    text = Text(no_wrap=True, overflow="ellipsis")
    if step.total:
        full = round(_BAR * min(step.done / step.total, 1.0))
        text.append("━" * full, "cyan").append("━" * (_BAR - full), "bright_black").append(" ")
    return text.append(step.say(time.monotonic()))
