"""The memory run: trains its members one after another, and tells them apart."""

import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import click

from common import cli, commands, files
from common import run as runs
from common.checkpoint import load_weights
from common.cli import Display
from common.compute import Compute
from common.config import build, read_toml, to_toml
from common.errors import NonFiniteError
from common.rows import Row
from common.run import Run
from common.training import Progress
from labs.rnn.memory import gradients, report
from labs.rnn.memory.config import CELLS, RECIPES, MemoryConfig
from labs.rnn.memory.member import LAB, Member, compared, measured, start_name
from labs.rnn.memory.plots import START_COLORS, Curve, Reach
from labs.rnn.memory.tasks import TASKS

VERB = "memory"
_COMMAND = f"python -m labs.{LAB} {VERB}"
_SEQUENCES = 100  # over which the norm of a gradient is a mean


def train(
    *,
    recipe: str | None,
    config_path: Path | None,
    resume: Path | None,
    options: dict[str, Any],
    problems: list[str],
) -> None:
    """Start a run, or go on with one, train what is left of it, and show the result.

    The arguments are those of `common.commands.train`.
    """
    begun = time.perf_counter()
    if resume is None:
        config = commands.layered(MemoryConfig, RECIPES, recipe, config_path, options, problems)
        run, device = start(config, sys.argv), None
    else:
        device = commands.resume_device(options, problems, recipe, config_path)
        run, config = reopen(resume)
    if run.finished:
        cli.note(f"{run.path} is finished: nothing to do")
    else:
        with run.locked(), cli.saved_in(run.path, _COMMAND):
            _train(run, config, device, begun)
    _show(run, config)


def start(config: MemoryConfig, command: Sequence[str]) -> Run:
    """Make a new run folder; nothing is left behind when the config is wrong.

    Args:
        config: what to train.
        command: the words of the command line, for the record.

    Raises:
        InputError: the device or the name cannot be had, or the config cannot be trained.
    """
    compute = Compute(config.device, config.precision)
    for member in compared(config).values():
        splits, card = Member.load(member)
        Member(member, compute, card).check(splits)
    run = runs.create(Path(config.run_dir), LAB, config.name, f"{VERB}-{config.task}")
    about = {"lab": LAB, "job": VERB, "command": list(command)}
    run.write("environment", {**about, **runs.environment(str(compute))})
    files.write_text(run.config, to_toml(config))  # the last: it makes the folder a run
    return run


def reopen(path: Path) -> tuple[Run, MemoryConfig]:
    """Return a memory run and its config.

    Raises:
        RunError: there is no such run.
        ConfigError: its config.toml was changed into something wrong.
    """
    run = runs.open_run(path, LAB, VERB)
    return run, build(MemoryConfig, (str(run.config), read_toml(run.config)))


def write_report(path: Path) -> None:
    """Write the report of a finished run again.

    Raises:
        RunError: there is no such run, or it is not finished.
    """
    run, config = reopen(path)
    found = run.read("metrics")["members"]
    _report(run, config, _members(run, config, "cpu"), found)
    click.echo(f"Report: {run.report}")


def _members(run: Run, config: MemoryConfig, device: str | None) -> dict[str, Member]:
    plan = compared(config) | measured(config)
    return {name: Member.member(run, name, member, device) for name, member in plan.items()}


def _train(run: Run, config: MemoryConfig, device: str | None, begun: float) -> None:
    """Train the members that are not finished, and conclude."""
    cli.note(f"the {config.task} task, {run.read('environment')['device']}; {run.path}")
    jobs = _members(run, config, device)
    prepared = time.perf_counter() - begun
    main, found = compared(config), dict[str, dict[str, Any]]()
    for number, (name, job) in enumerate(jobs.items(), 1):
        try:
            if not job.run.finished:
                _train_member(job)
        except NonFiniteError as error:  # as can be without clipping
            if name in main:
                raise
            cli.note(f"{number} of {len(jobs)}: {name} is left out: {error}")
            continue
        found[name] = _found(job, name in main)
        cli.note(f"{number} of {len(jobs)}: {name} {_line(found[name], config)}")
    concluding = time.perf_counter()
    _report(run, config, jobs, found)
    seconds = [member["seconds"] for member in found.values()]
    total = prepared + sum(each["total"] for each in seconds) + time.perf_counter() - concluding
    trained = sum(each["train"] for each in seconds)
    run.write("metrics", {"members": found, "seconds": {"train": trained, "total": total}})


def _report(
    run: Run, config: MemoryConfig, jobs: Mapping[str, Member], found: report.Members
) -> None:
    trained = {name: jobs[name] for name in found}
    measurable = {name: job for name, job in trained.items() if name in measured(config)}
    report.write(run, config, found, _curves(trained, found), _reaches(measurable, found))


def _train_member(job: Member) -> None:
    splits = job.load_splits()
    with cli.display(job.config.epochs, ()) as display:
        job.train(splits, _Bar(display), cli.note)
    job.conclude(splits, 0.0)


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
    figures, name = job.run.read("metrics"), job.headline.name
    task = job.task({})
    [baseline] = figures["baselines"].values()
    learned = [
        row["epoch"] * job.config.updates
        for row in job.run.history
        if row[f"validation/{name}"] < task.goal
    ]
    better = baseline["lead_interval"][0] > 0
    result = report.BETTER if better else report.NO_BETTER
    return {
        "cell": job.cell,
        "length": job.length,
        "start": start_name(job.config),
        "clip": job.config.clip,
        "main": main,
        "result": report.LEARNED if figures["test"][name] < task.goal else result,
        "learned_after": learned[0] if learned else None,
        **figures,
    }


def _line(found: Mapping[str, Any], config: MemoryConfig) -> str:
    headline = TASKS[config.task].headline
    return (
        f"{found['result']}: test {headline.label} {found['test'][headline.name]:.4g}, "
        f"{found['seconds']['train']:.1f} s"
    )


def _curves(jobs: Mapping[str, Member], found: report.Members) -> dict[int, list[Curve]]:
    """Return the errors of the members that are compared, by length."""
    curves: dict[int, list[Curve]] = {}
    for name, job in jobs.items():
        if found[name]["main"]:
            history = job.run.history
            updates = [row["epoch"] * job.config.updates for row in history]
            errors = [row[f"validation/{job.headline.name}"] for row in history]
            curves.setdefault(job.length, []).append(Curve(job.cell, updates, errors))
    return curves


def _reaches(jobs: Mapping[str, Member], found: report.Members) -> list[Reach]:
    """Measure how far the gradients of members reach, before training and after it."""
    before: dict[tuple[str, str], Reach] = {}
    after: list[Reach] = []
    for name, job in jobs.items():
        task, start = job.task({}), start_name(job.config)
        inputs, targets = job.load_splits()["test"]
        batch = inputs[:_SEQUENCES], targets[:_SEQUENCES]
        model = job.build_model()
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


def _show(run: Run, config: MemoryConfig) -> None:
    """Print the table of a finished run, and what to make of it."""
    found = run.read("metrics")["members"]
    shown = report.table(config, found)
    cli.show_table(f"the {config.task} task", shown.columns, shown.rows)
    cli.say(report.verdict(config, found))
    click.echo(f"Report: {run.report}")
