"""The memory run: trains its members one after another, and tells them apart."""

from collections.abc import Mapping
from typing import Any

from common.errors import NonFiniteError
from common.history import Progress, Row
from common.options import terminal
from common.options.terminal import Display
from common.report.html import PictureSaver, Section
from common.runs.comparison import Comparison, Jobs
from common.runs.conclude import conclusion_of
from common.training.checkpoint import load_weights
from labs.rnn.memory import gradients, report
from labs.rnn.memory.config import CELLS, RECIPES, MemoryConfig
from labs.rnn.memory.member import LAB, Member, compared, measured, start_name
from labs.rnn.memory.plots import START_COLORS, Curve, Reach

_SEQUENCES = 100  # over which the norm of a gradient is a mean


class Memory(Comparison[MemoryConfig]):
    """Cells on one task at growing lengths, and how far their gradients reach."""

    lab, verb = LAB, "memory"
    config_type, recipes, member = MemoryConfig, RECIPES, Member

    @classmethod
    def plan(cls, config: MemoryConfig) -> dict[str, MemoryConfig]:
        """Return the members that are compared, and those whose gradients are measured."""
        return compared(config) | measured(config)

    @classmethod
    def stem(cls, config: MemoryConfig) -> str:
        """Name the task."""
        return f"{cls.verb}-{config.task}"

    def train_member(self, job: Member, label: str) -> bool:
        """Train a member; one that fails as it can without clipping is left out."""
        splits = job.load_splits()
        try:
            with terminal.display(job.config.epochs, ()) as display:
                job.train(splits, _Bar(display), terminal.note)
        except NonFiniteError as error:
            if job.run.path.name in compared(self.config):
                raise
            terminal.note(f"{label} is left out: {error}")
            return False
        conclusion_of(job).conclude_member(splits, baselines=True)
        main_metric, figures = job.main_metric, job.run.read("metrics")
        terminal.note(
            f"{label}, {_result(job, figures)}: test {main_metric.label} "
            f"{figures['test'][main_metric.name]:.4g}, {figures['seconds']['train']:.1f} s"
        )
        return True

    def measure(self, jobs: Jobs) -> dict[str, Any]:
        """Return the figures of the members, and what became of each."""
        main = compared(self.config)
        return {"members": {name: _found(job, name in main) for name, job in jobs.items()}}

    def translate(self, metrics: Mapping[str, Any]) -> Mapping[str, Any]:
        """Name the task, too."""
        return {**metrics, "source": f"the {self.config.task} task"}

    def title(self, metrics: Mapping[str, Any]) -> str:
        """Name the task."""
        return f"What a cell keeps: the {self.config.task} task"

    def table(self, metrics: Mapping[str, Any]) -> tuple[list[str], list[list[str]]]:
        """Return columns, and a row for each cell and length."""
        return report.table(self.config, metrics["members"])

    def verdict(self, metrics: Mapping[str, Any]) -> str:
        """Say of each length which cells learned."""
        return report.verdict(self.config, metrics["members"])

    def overview(
        self, jobs: Jobs, metrics: Mapping[str, Any], save_picture: PictureSaver
    ) -> Section:
        """Show who learned what at which length."""
        found = metrics["members"]
        return report.show_result(self.config, found, _curves(jobs, found), save_picture)

    def sections(
        self, jobs: Jobs, metrics: Mapping[str, Any], save_picture: PictureSaver
    ) -> list[Section]:
        """Show how far gradients reach, where that was measured, and how to repeat the run."""
        chosen = measured(self.config)
        measurable = {name: job for name, job in jobs.items() if name in chosen}
        reaches = _reaches(measurable, metrics["members"])
        shown = [report.show_reach(self.config, reaches, save_picture)] if reaches else []
        return [*shown, report.repeat(self.run)]


class _Bar(Display):
    """Shows a bar while a member trains, but no line for each of its epochs."""

    def __init__(self, display: Display):
        self._display = display

    def progress(self, progress: Progress) -> None:
        """Move the bar."""
        self._display.progress(progress)

    def epoch(self, row: Row, best: bool) -> None:
        """Print nothing."""


def _found(job: Member, main: bool) -> dict[str, Any]:
    """Return what metrics.json says of a member: its own figures, and what became of it."""
    figures, name = job.run.read("metrics"), job.main_metric.name
    goal = job.task({}).goal
    learned = [
        row["epoch"] * job.config.updates
        for row in job.run.history
        if row[f"validation/{name}"] < goal
    ]
    return {
        "cell": job.cell,
        "length": job.length,
        "start": start_name(job.config),
        "clip": job.config.clip,
        "main": main,
        "result": _result(job, figures),
        "learned_after": learned[0] if learned else None,
        **figures,
    }


def _result(job: Member, figures: Mapping[str, Any]) -> str:
    """Say what became of a member, compared with the answer without memory."""
    if figures["test"][job.main_metric.name] < job.task({}).goal:
        return report.LEARNED
    [baseline] = figures["baselines"].values()
    return report.BETTER if baseline["lead_interval"][0] > 0 else report.NO_BETTER


def _curves(jobs: Jobs, found: report.Members) -> dict[int, list[Curve]]:
    """Return the errors of the members that are compared, by length."""
    curves: dict[int, list[Curve]] = {}
    for name, job in jobs.items():
        if found[name]["main"]:
            history = job.run.history
            updates = [row["epoch"] * job.config.updates for row in history]
            errors = [row[f"validation/{job.main_metric.name}"] for row in history]
            curves.setdefault(job.length, []).append(Curve(job.cell, updates, errors))
    return curves


def _reaches(jobs: Jobs, found: report.Members) -> list[Reach]:
    """Measure how far the gradients of members reach, before training and after it."""
    before: dict[tuple[str, str], Reach] = {}
    after: list[Reach] = []
    for name, job in jobs.items():
        task, start = job.task({}), start_name(job.config)
        inputs, targets = job.load_splits()["test"]
        batch = inputs[:_SEQUENCES], targets[:_SEQUENCES]
        model = job.initial_model()
        untrained = gradients.gradient_norms(model, task, batch)
        before[job.cell, start] = Reach(job.cell, False, start, True, untrained, "")
        load_weights(job.run.best, model)
        trained = gradients.gradient_norms(model, task, batch)
        clipped = job.config.clip is not None
        after.append(Reach(job.cell, True, start, clipped, trained, found[name]["result"]))
    starts = list(START_COLORS)
    return sorted(
        [*before.values(), *after],
        key=lambda each: (CELLS.index(each.cell), each.trained, starts.index(each.start)),
    )
