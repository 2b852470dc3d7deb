"""Signals that ask to end: noted while a loop runs, so that it can save; else an exception.

They are Ctrl-C's SIGINT, SIGTERM, and the SIGHUP of a terminal that closes.
"""

import contextlib
import os
import signal
import stat
import threading
from collections.abc import Callable, Iterator
from types import FrameType

from common.errors import Stopped

Handler = Callable[[int, FrameType | None], object]

_WATCHED = [signal.SIGINT, signal.SIGTERM]
if hasattr(signal, "SIGHUP"):  # Windows has none
    _WATCHED.append(signal.SIGHUP)


def _watched() -> list[signal.Signals]:
    """Return the signals to handle: a SIGHUP that is ignored stays so, as nohup has it."""
    always = (signal.SIGINT, signal.SIGTERM)
    return [each for each in _WATCHED if each in always or signal.getsignal(each) != signal.SIG_IGN]


def raise_stopped(signum: int, frame: FrameType | None = None) -> None:
    """Handle a signal where nothing needs to be saved first."""
    raise Stopped(signum)


def _leave_dead_terminal() -> None:
    """Let what is printed go nowhere where the terminal was closed: writing to it is an error."""
    for descriptor in (1, 2):
        try:
            dead = stat.S_ISCHR(os.fstat(descriptor).st_mode) and not os.isatty(descriptor)
        except OSError:  # it was closed before
            continue
        if dead:
            os.dup2(os.open(os.devnull, os.O_WRONLY), descriptor)


@contextlib.contextmanager
def handled_by(handler: Handler) -> Iterator[None]:
    """Give the signals that ask to end to a handler inside the block; only the main thread can.

    Processes forked inside the block, such as DataLoader workers, inherit the handler. Ctrl-C
    reaches them too, but it is for their parent to end them, which it does with SIGTERM.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    owner = os.getpid()

    def handle(signum: int, frame: FrameType | None) -> None:
        if os.getpid() == owner:
            _leave_dead_terminal()
            handler(signum, frame)
        elif signum == signal.SIGTERM:
            os._exit(128 + signum)

    before = {signum: signal.signal(signum, handle) for signum in _watched()}
    try:
        yield
    finally:
        for signum, old in before.items():
            signal.signal(signum, old)


@contextlib.contextmanager
def noted() -> Iterator[Callable[[], int]]:
    """Note signals inside the block instead of handling them.

    Yields:
        A function that returns the signal that came since it was last asked, or 0. One that came
        and was never asked for is sent again when the block has ended.
    """
    came = [0]

    def note(signum: int, frame: FrameType | None) -> None:
        came[0] = signum

    def take() -> int:
        signum, came[0] = came[0], 0
        return signum

    try:
        with handled_by(note):
            yield take
    finally:
        if came[0]:
            signal.raise_signal(came[0])
