"""Checks a file in a process of its own, which may hang or crash without harm."""

import contextlib
import math
import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path
from pkgutil import resolve_name

from labs.lessons.student import Problem, Student

_SECONDS = 120  # of computing that a check may take
_SPARE = 5  # seconds of computing more, after which the system ends what no thread of it can
_WAITING = 1200  # seconds until it is done, for it waits where many share the machine


def judge(number: int, path: Path) -> str | None:
    """Return what is wrong with a student's file, or None if it does what the lesson asks."""
    import torch

    torch.manual_seed(0)
    try:
        resolve_name(f"labs.lessons.checks.lesson{number:02}:check")(Student(path))
    except Problem as problem:
        return str(problem)
    return None


def judge_apart(number: int, path: Path, seconds: float = _SECONDS) -> str | None:
    """Return what `judge` does, from another process.

    Args:
        number: of the lesson.
        path: the student's file.
        seconds: of computing, after which the process is ended; a slow or busy machine takes
            longer for them.
    """
    words = [sys.executable, "-m", "labs.lessons.run", str(number), str(path.absolute())]
    try:
        done = subprocess.run(
            [*words, str(seconds)],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            encoding="utf-8",
            timeout=_WAITING,
            check=False,
        )
    except subprocess.TimeoutExpired:
        return f"your file is not done after {_WAITING} seconds: what does it wait for?"
    if done.returncode == 0:
        return None
    if done.returncode == -getattr(signal, "SIGXCPU", 0):
        return _endless(seconds)
    said = done.stderr.strip().splitlines()
    return said[-1] if said else f"your file ended Python, with the code {done.returncode}"


def _say(problem: str) -> None:
    print(" ".join(problem.split()), file=sys.stderr, flush=True)


def _endless(seconds: float) -> str:
    return (
        f"your file is not done after {seconds:g} seconds of computing: is there a loop without an "
        "end?"
    )


def _end_after(seconds: float) -> None:
    """End this process when it has computed for so long."""
    while time.process_time() < seconds:
        time.sleep(0.5)
    _say(_endless(seconds))
    os._exit(1)


def _limit(seconds: float) -> None:
    """Have the system end this process where a computation never lets go of the interpreter."""
    with contextlib.suppress(ImportError):  # Windows has no such limits
        import resource

        most = math.ceil(seconds) + _SPARE
        resource.setrlimit(resource.RLIMIT_CPU, (most, most + _SPARE))


if __name__ == "__main__":
    sys.stderr.reconfigure(encoding="utf-8")  # type: ignore[union-attr]
    _limit(float(sys.argv[3]))
    threading.Thread(target=_end_after, args=(float(sys.argv[3]),), daemon=True).start()
    found = judge(int(sys.argv[1]), Path(sys.argv[2]))
    if found is not None:
        _say(found)
        sys.exit(1)
