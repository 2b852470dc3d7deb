"""SIGINT and SIGTERM: noted while a loop runs, so that it can save; else an exception."""

import contextlib
import os
import signal
import threading
from collections.abc import Callable, Iterator
from types import FrameType

from common.errors import Stopped

Handler = Callable[[int, FrameType | None], object]

_WATCHED = (signal.SIGINT, signal.SIGTERM)


def raise_stopped(signum: int, frame: FrameType | None = None) -> None:
    """Handle a signal where nothing needs to be saved first."""
    raise Stopped(signum)


@contextlib.contextmanager
def handled_by(handler: Handler) -> Iterator[None]:
    """Give SIGINT and SIGTERM to a handler inside the block; only the main thread can.

    Processes forked inside the block, such as DataLoader workers, inherit the handler. Ctrl-C
    reaches them too, but it is for their parent to end them, which it does with SIGTERM.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    owner = os.getpid()

    def handle(signum: int, frame: FrameType | None) -> None:
        if os.getpid() == owner:
            handler(signum, frame)
        elif signum == signal.SIGTERM:
            os._exit(128 + signum)

    before = {signum: signal.signal(signum, handle) for signum in _WATCHED}
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
