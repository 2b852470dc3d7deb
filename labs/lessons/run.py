"""Checks a file in a process of its own, which may hang or crash without harm."""

import subprocess
import sys
from pathlib import Path
from pkgutil import resolve_name

from labs.lessons.student import Problem, Student

_SECONDS = 120  # that a check may take


def judge(number: int, path: Path) -> str | None:
    """Return what is wrong with a student's file, or None if it does what the lesson asks."""
    import torch

    torch.manual_seed(0)
    try:
        resolve_name(f"labs.lessons.checks.lesson{number:02}:check")(Student(path))
    except Problem as problem:
        return str(problem)
    return None


def judge_apart(number: int, path: Path) -> str | None:
    """Return what `judge` does, from another process, which is ended after two minutes."""
    words = [sys.executable, "-m", "labs.lessons.run", str(number), str(path.absolute())]
    try:
        done = subprocess.run(
            words, capture_output=True, encoding="utf-8", timeout=_SECONDS, check=False
        )
    except subprocess.TimeoutExpired:
        return f"your file is not done after {_SECONDS} seconds: is there a loop without an end?"
    if done.returncode == 0:
        return None
    said = done.stderr.strip().splitlines()
    return said[-1] if said else f"your file ended Python, with the code {done.returncode}"


if __name__ == "__main__":
    found = judge(int(sys.argv[1]), Path(sys.argv[2]))
    if found is not None:
        sys.stderr.reconfigure(encoding="utf-8")  # type: ignore[union-attr]
        print(" ".join(found.split()), file=sys.stderr)
        sys.exit(1)
