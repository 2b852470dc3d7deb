"""Where a run is shown beside its own folder: one small interface, and who implements it.

    with tracked(("tensorboard",), path, "classification") as log:
        for row in epochs(...):
            log(row)

Names are those of the history: `train/loss`, `validation/accuracy`. A run that goes on continues
its curves: rows of epochs that are shown already, which come again first, are passed over.
"""

import contextlib
import math
import os
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Mapping, Sequence
from importlib.util import find_spec
from pathlib import Path
from pkgutil import resolve_name
from typing import Any, ClassVar, NamedTuple

from common.errors import ConfigError
from common.history import Row
from common.options.config import read_toml
from common.steps import step

_KINDS = {
    "tensorboard": "common.tracking.on_tensorboard:TensorBoard",
    "wandb": "common.tracking.on_wandb:WeightsAndBiases",
}


class Result(NamedTuple):
    """What a run came to."""

    figures: Mapping[str, float]  # such as test/accuracy
    pictures: Sequence[Path]
    report: Path | None  # of a run that has one


class Tracker(ABC):
    """Shows one run.

    Attributes:
        package: what is to be installed.
        last: the last epoch that is shown already, 0 where none is.
    """

    package: ClassVar[str]
    last: int

    @abstractmethod
    def __init__(self, run: Path, lab: str, options: Mapping[str, Any]):
        """Begin to show the run in a folder, or go on with it.

        Args:
            run: the run folder.
            lab: whose run it is.
            options: what its config.toml holds: the hyperparameters.

        Raises:
            ConfigError: it cannot be shown.
        """

    @classmethod
    def check(cls) -> None:
        """Refuse what could not be shown, before anything is trained.

        Raises:
            ConfigError: saying what to do.
        """
        if find_spec(cls.package) is None:
            raise ConfigError(
                f"--track {cls.package}: the package is not installed; install it with: "
                f"pip install {cls.package}"
            )

    @abstractmethod
    def log_epoch(self, epoch: int, figures: Mapping[str, float]) -> None:
        """Add a point to each curve; epochs count from 1."""

    @abstractmethod
    def log_result(self, result: Result) -> None:
        """Show what the run came to, its pictures and its report."""

    @abstractmethod
    def close(self) -> None:
        """Write what waits to be written."""


def check(names: Sequence[str]) -> None:
    """Refuse trackers that could not show a run.

    Raises:
        ConfigError: saying of each what to do.
    """
    problems = []
    for name in names:
        try:
            _kind(name).check()
        except ConfigError as error:
            problems += error.problems
    if problems:
        raise ConfigError(problems)


@contextlib.contextmanager
def tracked(names: Sequence[str], run: Path, lab: str) -> Iterator[Callable[[Row], None]]:
    """Yield a function that shows a row of the history; it passes over what is shown already."""
    with _opened(names, run, lab) as trackers:

        def log(row: Row) -> None:
            figures = _numbers({name: row[name] for name in row if name != "epoch"})
            for tracker in trackers:
                if row["epoch"] > tracker.last:
                    tracker.log_epoch(row["epoch"], figures)

        yield log


def log_result(names: Sequence[str], run: Path, lab: str, metrics: Mapping[str, Any]) -> None:
    """Show what a run came to.

    Args:
        names: of the trackers.
        run: the run folder, with its pictures and its report.
        lab: whose run it is.
        metrics: what metrics.json holds.
    """
    test = {f"test/{name}": value for name, value in metrics.get("test", {}).items()}
    report, pictures = run / "report.html", sorted((run / "figures").glob("*.png"))
    figures = _numbers({"best_epoch": metrics.get("best_epoch"), **test})
    with _opened(names, run, lab) as trackers:
        for tracker in trackers:
            tracker.log_result(Result(figures, pictures, report if report.is_file() else None))


def _kind(name: str) -> type[Tracker]:
    kind: type[Tracker] = resolve_name(_KINDS[name])
    return kind


@contextlib.contextmanager
def _opened(names: Sequence[str], run: Path, lab: str) -> Iterator[list[Tracker]]:
    if os.environ.get("RANK", "0") != "0":  # of several processes, the first one shows the run
        names = ()
    check(names)
    options = read_toml(run / "config.toml") if names else {}
    with contextlib.ExitStack() as stack:
        trackers = []
        for name in names:
            with step(f"opening {name}"):
                tracker = _kind(name)(run, lab, options)
            trackers.append(stack.enter_context(contextlib.closing(tracker)))
        yield trackers


def _numbers(values: Mapping[str, Any]) -> dict[str, float]:
    """Return what a curve can be drawn through."""
    return {
        name: float(value)
        for name, value in values.items()
        if isinstance(value, int | float) and math.isfinite(value)
    }
