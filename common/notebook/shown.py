"""A run that shows itself: its verdict, curves and pictures, in the cell of a notebook."""

import os
from collections.abc import Sequence
from html import escape
from pathlib import Path
from typing import Any

from common.history import Row
from common.notebook import cell
from common.report import plots
from common.report.html import data_url, read_report
from common.runs.folder import open_run
from common.runs.lab import load_lab

_OPEN = 2  # sections of a report that are open: the result and the learning curves
_STYLE = """<style>
.labs-run img { max-width: 100%; padding: .5rem; background: white; }
.labs-run figure { margin: 1rem 0; }
.labs-run td, .labs-run th { text-align: right; }
.labs-run th:first-child { text-align: left; }
.labs-run .wide { overflow-x: auto; }
.labs-run pre { white-space: pre-wrap; }
.labs-run summary { cursor: pointer; }
</style>"""


class ShownRun:
    """A run folder, as a notebook has it; every command takes it where it takes a folder.

    Args:
        path: the run folder.

    Raises:
        RunError: there is no run in it.
    """

    def __init__(self, path: "str | os.PathLike[str]"):
        self.path = Path(path)
        self._run = open_run(self.path)

    def __fspath__(self) -> str:
        return str(self.path)

    @property
    def finished(self) -> bool:
        """Whether training, the test and the report are done."""
        return self._run.finished

    @property
    def history(self) -> list[Row]:
        """A row of figures for each epoch so far."""
        return self._run.history

    @property
    def metrics(self) -> dict[str, Any]:
        """What came out: figures of validation, test and baselines.

        Raises:
            RunError: the run is not finished.
        """
        found: dict[str, Any] = self._run.read("metrics")
        return found

    @property
    def verdict(self) -> str:
        """The result in a sentence or two; of a run that is not finished, how to go on with it."""
        if not self.finished:
            return (
                f"{self.path} is not finished: {len(self.history)} epochs are done. Go on with "
                "resume(), or with the command that began it"
            )
        return cell.in_python(read_report(self._run.report).verdict)

    def resume(self, **options: Any) -> "ShownRun":
        """Go on with a run that was stopped, from where it was saved; returns it.

        Args:
            options: `device`, or `epochs` of a finished run that is to be longer.
        """
        lab = load_lab(self._run.read("environment")["lab"])
        words = [f"--{name}={value}" for name, value in options.items()]
        cell.run(lab.group, lab.program, [self._run.job, "--resume", str(self.path), *words])
        return self

    def __repr__(self) -> str:
        return f"Run {self.path}: {self.verdict}"

    def _repr_html_(self) -> str:
        """Show its report: the verdict, the result and the curves; the other parts open by a click.

        Of a run that is not finished: its curves so far.
        """
        if not self.finished:
            curves = [("Learning curves", _curves(self.history))]
            return _page(f"Run {self.path.name}", self.verdict, curves)
        report = read_report(self._run.report)
        return _page(report.title, self.verdict, report.sections)


def _page(title: str, verdict: str, sections: Sequence[tuple[str, str]]) -> str:
    parts = [
        f"<details{' open' if number < _OPEN else ''}><summary><b>{name}</b></summary>{content}"
        "</details>"
        for number, (name, content) in enumerate(sections)
    ]
    head = f"<h3>{escape(title)}</h3><p>{escape(verdict)}</p>"
    return f"{_STYLE}<div class='labs-run'>{head}{''.join(parts)}</div>"


def _curves(history: Sequence[Row]) -> str:
    measured = [name for row in history[-1:] for name in row if name.startswith("validation/")]
    names = [name.partition("/")[2] for name in measured if name != "validation/loss"]
    picture = plots.png(plots.learning_curves(history, metric=next(iter(names), "accuracy")))
    return f'<img alt="The epochs so far." src="{data_url("png", picture)}">'
