"""A metric of one's own: a function in a Python file, `FILE:function`, and what it may do wrong."""

import inspect
import math
import sys
import traceback
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any

from common.errors import ConfigError
from common.metrics.metrics import Array
from common.suggest import suggest

_PROBABILITIES = {"probabilities", "probs", "y_prob", "y_proba", "y_score"}  # with scikit-learn's
_WRONG = (Exception, SystemExit)  # what a user's code may raise; Ctrl-C is nobody's mistake


@dataclass(frozen=True)
class OwnMetric:
    """A user's function of truth and answers."""

    spec: str  # as it was given
    path: Path
    name: str
    function: Callable[[Array, Array], Any]
    of_probabilities: bool  # whether it asks for them, and not for classes
    larger_is_better: bool

    def measure(self, truth: Array, answers: Array) -> float:
        """Call the function with copies of both.

        Raises:
            ConfigError: it raises, or returns no finite number.
        """
        try:
            found = self.function(truth.copy(), answers.copy())
        except _WRONG as error:
            raise ConfigError(f"metric {self.spec} {_raised(error, self.path)}") from error
        value = _number(found)
        if value is None:
            raise ConfigError(
                f"metric {self.spec} returned {_short(found)}, which is no number; it must return "
                "one number"
            )
        if not math.isfinite(value):
            raise ConfigError(
                f"metric {self.spec} returned {value} for {len(truth):,} rows; it must return a "
                "finite number"
            )
        return value

    def measure_draw(self, truth: Array, answers: Array) -> float:
        """Call the function with rows that a bootstrap drew, of which some may leave it undefined.

        Returns:
            NaN where it raises or returns no number, as where only one class was drawn.
        """
        try:
            with warnings.catch_warnings(action="ignore"):
                value = _number(self.function(truth, answers))
        except _WRONG:
            return math.nan
        return math.nan if value is None or math.isinf(value) else value


def load(spec: str) -> OwnMetric:
    """Return the metric that `FILE:function` names.

    Raises:
        ConfigError: there is no such file or function, or the file cannot be run.
    """
    file, _, name = spec.rpartition(":")
    path = Path(file).expanduser()
    if not file or not name:
        raise ConfigError(
            f"metric {spec}: expected a metric's name, or FILE:function such as my_metrics.py:score"
        )
    if not path.is_file():
        raise ConfigError(f"metric {spec}: there is no file {path}")
    found = vars(_run(path, spec))
    functions = [each for each, value in found.items() if callable(value) and each[0] != "_"]
    if name not in functions:
        there = ", ".join(functions) or "none"
        raise ConfigError(
            f"metric {spec}: {path} has no function {name}; it has: {there}"
            f"{suggest(name, functions)}"
        )
    function = found[name]
    return OwnMetric(
        spec,
        path,
        name,
        function,
        of_probabilities=_second_parameter(function, spec) in _PROBABILITIES,
        larger_is_better=bool(getattr(function, "larger_is_better", True)),
    )


def _run(path: Path, spec: str) -> ModuleType:
    module = ModuleType(f"own_metrics_{path.stem}")
    module.__file__ = str(path)
    sys.modules[module.__name__] = module  # dataclasses and pickles look for it
    try:
        code = compile(path.read_bytes(), str(path), "exec")
        with _beside(path):
            exec(code, module.__dict__)
    except _WRONG as error:
        raise ConfigError(f"metric {spec} cannot be read: it {_raised(error, path)}") from error
    return module


@contextmanager
def _beside(path: Path) -> Iterator[None]:
    """Let a file import those beside it, as when Python runs it."""
    folder = str(path.absolute().parent)
    sys.path.insert(0, folder)
    try:
        yield
    finally:
        sys.path.remove(folder)


def _second_parameter(function: Callable[..., Any], spec: str) -> str:
    """Return the name of the second argument."""
    try:
        signature = inspect.signature(function)
    except ValueError:  # a function of C, which does not say
        return ""
    try:
        bound = signature.bind(None, None)
    except TypeError as error:
        raise ConfigError(
            f"metric {spec} must take two arguments, the truth and the answers; it takes "
            f"{signature}"
        ) from error
    return [*bound.arguments, ""][1]


def _raised(error: BaseException, path: Path) -> str:
    """Say what was raised, and in which line of the user's file."""
    if isinstance(error, SyntaxError):
        where = f"line {error.lineno}: "
    else:
        frames = traceback.extract_tb(error.__traceback__)
        lines = [frame.lineno for frame in frames if frame.filename == str(path)]
        where = f"line {lines[-1]}: " if lines else ""
    said = " ".join(str(error).split())
    return f"raised {type(error).__name__} ({where}{said or 'without a word'})"


def _number(value: Any) -> float | None:
    """Return a number of Python, numpy or torch as a float, None where it is none."""
    try:
        return None if isinstance(value, str) else float(getattr(value, "item", lambda: value)())
    except (TypeError, ValueError, RuntimeError, OverflowError):
        return None


def _short(value: Any) -> str:
    text = " ".join(repr(value).split())
    return text if len(text) <= 60 else f"{text[:59]}…"
