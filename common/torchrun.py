"""What torchrun says of this process: which of several it is.

    torchrun --nproc-per-node 2 -m labs.classification train

starts the same command twice. The first process, rank 0, speaks for all: it alone prints, draws and
writes; the others are its followers. Torch is not imported here.
"""

import contextlib
import os
import time
from collections.abc import Iterator
from typing import NamedTuple

import click

from common.errors import LabError, Stopped

_PATIENCE = 5.0  # seconds


class Launch(NamedTuple):
    """The place of this process among those that one command started."""

    rank: int = 0
    size: int = 1
    local_rank: int = 0  # among those of this machine
    local_size: int = 1

    @property
    def follows(self) -> bool:
        """Whether another process speaks for it."""
        return self.rank > 0

    @property
    def machines(self) -> int:
        """How many machines there are, where each has as many processes."""
        return self.size // self.local_size

    @property
    def program(self) -> str:
        """What starts a module of Python as this process was started."""
        if self.size == 1:
            return "python -m"
        machines = f"--nnodes {self.machines} " if self.machines > 1 else ""
        return f"torchrun {machines}--nproc-per-node {self.local_size} -m"


def launched() -> Launch:
    """Read what torchrun has set in the environment; where there is nothing, one process."""
    names = ("RANK", "WORLD_SIZE", "LOCAL_RANK", "LOCAL_WORLD_SIZE")
    values = [os.environ.get(name, "") for name in names]
    whole = all(value.isascii() and value.isdecimal() for value in values)
    return Launch(*map(int, values)) if whole and int(values[1]) > 1 else Launch()


@contextlib.contextmanager
def speaking() -> Iterator[None]:
    """Let a follower say nothing inside the block, and no process what torch logs of several.

    What goes wrong goes wrong in all most often, and the first process says so. Torchrun then ends
    the others; one that is still there after a while has an error of its own, which is to be said.
    """
    if launched().size == 1:
        yield
        return
    os.environ.setdefault("TORCH_CPP_LOG_LEVEL", "ERROR")  # read when torch is imported
    if not launched().follows:
        yield
        return
    with (
        open(os.devnull, "w", encoding="utf-8") as nothing,
        contextlib.redirect_stdout(nothing),
        contextlib.redirect_stderr(nothing),
    ):
        try:
            try:
                yield
            except (LabError, click.ClickException):
                time.sleep(_PATIENCE)
                raise
        except Stopped as stopped:  # also in that while
            raise SystemExit(stopped.exit_code) from None
