"""A run made of runs: what a comparison compares, each member a run of its own in `members/`.

A kind of comparison derives from `Members` and says what it trains, and what it makes of that.
Members that are finished are not trained again, so the whole can be stopped and gone on with.
"""

import dataclasses
import sys
import time
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar, Generic, Self, TypeVar

import click

from common.errors import ConfigError
from common.files import write_text
from common.options import terminal
from common.options.config import TrainingConfig, build, read_toml, to_toml
from common.runs import commands
from common.runs import folder as runs
from common.runs.conclude import conclusion_of
from common.runs.folder import Run
from common.runs.job import Job, Splits
from common.training.compute import Compute

C = TypeVar("C", bound=TrainingConfig)
Jobs = Mapping[str, Any]  # the jobs of the members by the member's name


class Members(ABC, Generic[C]):
    """A run made of runs.

    Attributes:
        lab: the lab's name.
        verb: the command that trains it.
        config_type: the class of its config.
        recipes: values by the recipe's name.
        member: the class of its members' job.
        run: the run folder.
        config: of the whole.
    """

    lab: ClassVar[str]
    verb: ClassVar[str]
    config_type: ClassVar[type[Any]]
    recipes: ClassVar[commands.Recipes] = {}
    member: ClassVar[type[Job[Any, Any]]]

    def __init__(self, run: Run, config: C):
        self.run, self.config = run, config

    # --- what a kind of comparison says ---------------------------------------------------------

    @classmethod
    @abstractmethod
    def plan(cls, config: C) -> dict[str, Any]:
        """Return the config of each member by its name, in the order in which they train.

        Raises:
            ConfigError: such a config has nothing to compare.
        """

    @classmethod
    @abstractmethod
    def stem(cls, config: C) -> str:
        """Return what run folders are named after."""

    @abstractmethod
    def measure(self, jobs: Jobs) -> dict[str, Any]:
        """Return what metrics.json says of the finished members, but for the seconds."""

    @abstractmethod
    def write_report(self, jobs: Jobs, metrics: Mapping[str, Any]) -> None:
        """Draw the figures, and write the report."""

    @abstractmethod
    def show(self, metrics: Mapping[str, Any]) -> None:
        """Print the result."""

    @classmethod
    def located(cls, config: C) -> C:
        """Return the config with all that its members share made explicit."""
        return config.located()

    @classmethod
    def refuse(cls, job: Any, splits: Splits) -> None:
        """Refuse what there is nothing to compare in, before there is a run folder.

        Args:
            job: one of the members.
            splits: its data.

        Raises:
            InputError: this data has nothing to compare.
        """

    def train_member(self, job: Any, label: str) -> bool:
        """Train a member to its end; says whether it is to be measured.

        Args:
            job: the member, perhaps half trained.
            label: its name and number, for a person.
        """
        terminal.note(f"{label}: {job.run.path}")
        splits = job.load_splits()
        with terminal.display(job.config.epochs, [f"validation/{job.main_metric.name}"]) as display:
            job.train(splits, display, terminal.note)
        conclusion_of(job).conclude_member(splits)
        return True

    # --- what all of them do --------------------------------------------------------------------

    @classmethod
    def command(
        cls,
        *,
        recipe: str | None,
        config_path: Path | None,
        resume: Path | None,
        options: dict[str, Any],
        problems: list[str],
    ) -> None:
        """Start a run, or go on with one, train what is left of it, and show the result.

        The arguments are those of `common.runs.commands.train`.
        """
        begun = time.perf_counter()
        if resume is None:
            config = commands.layered(
                cls.config_type, cls.recipes, recipe, config_path, options, problems
            )
            whole, device = cls.start(config, sys.argv), None
        else:
            device = commands.resume_device(options, problems, recipe, config_path)
            whole = cls.reopen(resume)
        if whole.run.finished:
            terminal.note(f"{whole.run.path} is finished: nothing to do")
        else:
            program = f"python -m labs.{cls.lab} {cls.verb}"
            with whole.run.locked(), terminal.saved_in(whole.run.path, program):
                whole.train(device, begun)
        whole.show(whole.run.read("metrics"))
        click.echo(f"Report: {whole.run.report}")

    @classmethod
    def start(cls, config: C, command: Sequence[str] = ()) -> Self:
        """Make a new run folder; nothing is left behind when a config is wrong.

        Args:
            config: what to train.
            command: the words of the command line, for the record.

        Raises:
            InputError: the device or the name cannot be had, or a member cannot be trained: its
                options contradict each other, or its data or model cannot be had.
        """
        config = cls.located(config)
        plan = cls.plan(config).values()
        if problems := dict.fromkeys(each for member in plan for each in member.problems()):
            raise ConfigError(list(problems))
        for member in {dataclasses.replace(each, seed=config.seed): each for each in plan}.values():
            cls.refuse(*cls.member.check(member))
        run = runs.create(Path(config.run_dir), cls.lab, config.name, cls.stem(config))
        about = {"lab": cls.lab, "job": cls.verb, "command": list(command)}
        run.write(
            "environment",
            {**about, **runs.environment(str(Compute(config.device, config.precision)))},
        )
        write_text(run.config, to_toml(config))  # the last: it makes the folder a run
        return cls(run, config)

    @classmethod
    def reopen(cls, path: Path) -> Self:
        """Return the run in a folder.

        Raises:
            RunError: there is no such run.
            ConfigError: its config.toml was changed into something wrong.
        """
        run = runs.open_run(path, cls.lab, cls.verb)
        return cls(run, build(cls.config_type, (str(run.config), read_toml(run.config))))

    @classmethod
    def report(cls, path: Path) -> None:
        """Write the report of a finished run again.

        Raises:
            RunError: there is no such run, or it is not finished.
        """
        whole = cls.reopen(path)
        metrics = whole.run.read("metrics")
        members = {name: whole._member(name, "cpu") for name in cls.plan(whole.config)}
        jobs = {name: job for name, job in members.items() if job.run.finished}
        whole.write_report(jobs, metrics)
        click.echo(f"Report: {whole.run.report}")

    def train(self, device: str | None, begun: float) -> None:
        """Train the members that are not finished, and conclude.

        Args:
            device: another device than the config's.
            begun: when the command began, by `time.perf_counter`.
        """
        names = list(self.plan(self.config))
        terminal.note(f"{self.verb}: {len(names)} runs in {self.run.path}")
        prepared = time.perf_counter() - begun
        jobs: dict[str, Any] = {}
        for number, name in enumerate(names, 1):
            job = self._member(name, device)
            label = f"{number} of {len(names)}, {name}"
            if job.run.finished or self.train_member(job, label):
                jobs[name] = job
        concluding = time.perf_counter()
        seconds = [job.run.read("metrics")["seconds"] for job in jobs.values()]
        metrics = {**self.measure(jobs), "seconds": {"train": 0.0, "total": 0.0}}
        metrics["seconds"]["train"] = sum(each["train"] for each in seconds)
        self.write_report(jobs, metrics)
        total = prepared + sum(each["total"] for each in seconds)
        metrics["seconds"]["total"] = total + time.perf_counter() - concluding
        self.run.write("metrics", metrics)

    def _member(self, name: str, device: str | None) -> Any:
        return self.member.member(self.run, name, self.plan(self.config)[name], device)
