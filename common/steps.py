"""What is being done, and how far it is: said by whoever works, shown by whoever began it.

    with step("fitting PCA"):
        ...
    for view in track(views, "views"):
        ...

Steps may lie inside each other. Nothing is printed here: a command shows those that take long, see
`common.options.waiting`, and without one, as in a test or in a user's own program, nobody does.
Steps are those of the main thread; what other threads say is left out.
"""

import contextlib
import threading
import time
from collections.abc import Iterable, Iterator, Sized
from typing import Protocol, TypeVar

T = TypeVar("T")


class Step:
    """Something that is being done.

    Attributes:
        text: what, for the user.
        begun: when, by `time.monotonic`.
        total: how much there is of it; None where nobody knows.
        done: how much of that is done.
        told: when the user last saw a line of it, by `time.monotonic`; 0 when never.
        inside: the step that it is a part of, if any.
    """

    def __init__(self, text: str, total: float | None = None):
        self.text, self.total, self.done = text, total, 0.0
        self.begun, self.told = time.monotonic(), 0.0
        self.inside: Step | None = None

    def move(self, done: float) -> None:
        """Say how much is done."""
        self.done = done

    def say(self, now: float) -> str:
        """Return what is being done, how far it is and the time left, or for how long already."""
        text, seconds = self.text, now - self.begun
        if self.inside is not None and self.inside.numbered:
            text = f"{self.inside.text} {self.inside.done + 1:.0f}/{self.inside.total}, {text}"
        if not self.total or not self.done:
            return f"{text}: {clock(seconds)} so far"
        share = min(self.done / self.total, 1.0)
        return f"{text}: {100 * share:.0f} %, {clock(seconds * (1 - share) / share)} left"

    @property
    def numbered(self) -> bool:
        """Whether it is a number of things, one after the other."""
        return isinstance(self.total, int) and self.total > 1


class Listener(Protocol):
    """Who shows steps."""

    def begun(self) -> None:
        """Hear that a step has begun."""

    def ended(self) -> None:
        """Hear that a step has ended."""


_stack: list[Step] = []
_listener: Listener | None = None


def current() -> tuple[Step, ...]:
    """Return what is being done, the outermost first."""
    return tuple(_stack)


@contextlib.contextmanager
def heard_by(listener: Listener) -> Iterator[None]:
    """Tell a listener of the steps inside the block."""
    global _listener
    before, _listener = _listener, listener
    depth = len(_stack)
    try:
        yield
    finally:
        _listener = before
        del _stack[depth:]  # a signal may have come as a step began or ended


@contextlib.contextmanager
def step(text: str, total: float | None = None) -> Iterator[Step]:
    """Say what is done inside the block; `move` says how much of the total."""
    made = Step(text, total)
    if threading.current_thread() is not threading.main_thread():
        yield made
        return
    made.inside = _stack[-1] if _stack else None
    _stack.append(made)
    if _listener is not None:
        _listener.begun()
    try:
        yield made
    finally:
        if made in _stack:
            del _stack[_stack.index(made) :]  # with what a generator inside has not ended yet
        if _listener is not None:
            _listener.ended()


def track(items: Iterable[T], text: str, total: int | None = None) -> Iterator[T]:
    """Yield items, and say how many of them are done; `total` where they have no length."""
    if total is None and isinstance(items, Sized):
        total = len(items)
    with step(text, total) as made:
        for number, item in enumerate(items):
            made.move(number)
            yield item


def clock(seconds: float) -> str:
    """Write a duration: `48 s`, `3:05 min`, `2:10 h`."""
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    minutes, rest = divmod(whole, 60)
    if minutes < 60:
        return f"{minutes}:{rest:02d} min"
    return f"{minutes // 60}:{minutes % 60:02d} h"
