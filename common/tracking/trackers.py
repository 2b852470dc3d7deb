"""Where a run is shown beside its own folder: one small interface, and who implements it.

    with tracked(("tensorboard",), path, "classification") as log:
        for row in epochs(...):
            log(row)

Names are those of the history: `train/loss`, `validation/accuracy`. A run that goes on continues
its curves: rows of epochs that are shown already, which come again first, are passed over.
"""

import contextlib
import math
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from importlib.util import find_spec
from pathlib import Path
from pkgutil import resolve_name
from typing import Any, ClassVar, NamedTuple

from common.errors import ConfigError
from common.history import Row
from common.options.config import read_toml
from common.options.terminal import note
from common.steps import step
from common.torchrun import launched

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
    if launched().follows:  # which shows nothing, and need not log in
        return
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
    """Yield a function that shows a row of the history; it passes over what is shown already.

    A tracker that fails then is left out: training goes on.
    """
    with _opened(names, run, lab) as trackers:

        def log(row: Row) -> None:
            for name, tracker in list(trackers.items()):
                if not _has_shown(name, run, partial(_log_row, tracker, row)):
                    del trackers[name]

        yield log


def log_result(
    names: Sequence[str], run: Path, lab: str, metrics: Mapping[str, Any], rows: Sequence[Row]
) -> None:
    """Show what a run came to; a tracker that fails takes nothing from the run.

    Args:
        names: of the trackers.
        run: the run folder, with its pictures and its report.
        lab: whose run it is.
        metrics: what metrics.json holds.
        rows: the history, of which those are shown that are not yet.
    """
    test = {f"test/{name}": value for name, value in metrics.get("test", {}).items()}
    report, pictures = run / "report.html", sorted((run / "figures").glob("*.png"))
    figures = _numbers({"best_epoch": metrics.get("best_epoch"), **test})
    result = Result(figures, pictures, report if report.is_file() else None)

    def show(name: str) -> None:
        with _opened([name], run, lab) as trackers:
            for tracker in trackers.values():
                for row in rows:
                    _log_row(tracker, row)
                tracker.log_result(result)

    for name in names:
        _has_shown(name, run, partial(show, name))


def _log_row(tracker: Tracker, row: Row) -> None:
    if row["epoch"] > tracker.last:
        figures = _numbers({name: row[name] for name in row if name != "epoch"})
        tracker.log_epoch(row["epoch"], figures)


def _has_shown(name: str, run: Path, show: Callable[[], object]) -> bool:
    """Show something, and say whether that worked: a run needs no tracker to go on."""
    try:
        show()
    except Exception as error:  # which are those of another program, and of the network
        why = (str(error).splitlines() or [type(error).__name__])[0]
        note(f"--track {name} failed, and the run goes on without it: {why}; all is in {run}")
        return False
    return True


def _kind(name: str) -> type[Tracker]:
    kind: type[Tracker] = resolve_name(_KINDS[name])
    return kind


@contextlib.contextmanager
def _opened(names: Sequence[str], run: Path, lab: str) -> Iterator[dict[str, Tracker]]:
    if launched().follows:  # of several processes, the first one shows the run
        names = ()
    check(names)
    options = read_toml(run / "config.toml") if names else {}
    with contextlib.ExitStack() as stack:
        trackers = {}
        for name in names:
            with step(f"opening {name}"):
                trackers[name] = tracker = _kind(name)(run, lab, options)
            stack.callback(_has_shown, name, run, tracker.close)
        yield trackers


def _numbers(values: Mapping[str, Any]) -> dict[str, float]:
    """Return what a curve can be drawn through."""
    return {
        name: float(value)
        for name, value in values.items()
        if isinstance(value, int | float) and math.isfinite(value)
    }
