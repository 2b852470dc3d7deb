"""A student's file: run, and asked for what a lesson needs of it."""

import contextlib
import io
import runpy
import traceback
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any


class Problem(Exception):
    """What is wrong with a file, for the student: what was seen, not how it is mended."""


class Student:
    """What a student's file defines.

    Args:
        path: the file, which is run.

    Raises:
        Problem: it is not there, or fails as it is run.
    """

    def __init__(self, path: Path):
        self.path = path
        if not path.is_file():
            raise Problem(f"there is no file {path}")
        with self.watched("your file"):
            self._names = runpy.run_path(str(path), run_name="lesson")

    def get(self, name: str) -> Any:
        """Return a function or a value of the file.

        Raises:
            Problem: it has none of that name.
        """
        if name not in self._names:
            raise Problem(f"your file defines no `{name}`")
        return self._names[name]

    def function(self, name: str) -> Callable[..., Any]:
        """Return a function of the file; what goes wrong in it becomes a problem.

        Raises:
            Problem: it has none of that name, or it is no function.
        """
        found = self.get(name)
        if not callable(found):
            raise Problem(f"`{name}` is no function")

        def call(*args: Any, **options: Any) -> Any:
            with self.watched(f"`{name}`"):
                result = found(*args, **options)
            expect(result is not None, f"`{name}` returns nothing: does it end with a `return`?")
            return result

        return call

    @contextlib.contextmanager
    def watched(self, what: str) -> Iterator[None]:
        """Turn an error of the student's code into a problem that names its line."""
        try:
            with contextlib.redirect_stdout(io.StringIO()):
                yield
        except Problem:
            raise
        except (Exception, SystemExit) as error:
            lines = [
                each.lineno
                for each in traceback.extract_tb(error.__traceback__)
                if Path(each.filename) == self.path
            ]
            if isinstance(error, SyntaxError):
                lines = [error.lineno]
            where = f", line {lines[-1]}" if lines else ""
            kind = type(error).__name__
            raise Problem(f"{what} fails{where}: {kind}: {error}") from error


def expect(true: Any, problem: str) -> None:
    """Raise a problem where something is not as it should be."""
    if not true:
        raise Problem(problem)
