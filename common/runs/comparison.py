"""A run made of runs: a comparison trains variants of a config, and judges all by one rule.

A kind of comparison derives from `Comparison` and says what varies, and what else is measured and
shown of a variant. Each variant is trained once for each seed; each of these runs is a member, a
run of its own in `members/`. Members that are finished are not trained again, so a comparison can
be stopped and gone on with.
"""

import contextlib
import dataclasses
import sys
import time
from abc import ABC
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path
from statistics import fmean, median
from typing import Any, ClassVar, Generic, NamedTuple, Self, TypeVar

import click

from common.errors import ConfigError
from common.files import write_text
from common.metrics.main_metric import MainMetric
from common.metrics.metrics import Array
from common.options import terminal
from common.options.config import TrainingConfig, build, options_of, read_toml, to_toml
from common.options.times import parse_time
from common.report.html import PictureSaver, Section, Table
from common.runs import commands
from common.runs import folder as runs
from common.runs.conclude import conclusion_of
from common.runs.differences import (
    Entry,
    describe_differences,
    draw_bars,
    find_best,
    list_differences,
    show_difference,
)
from common.runs.folder import Run
from common.runs.job import Job, Outputs, Splits, Suited, groups_of
from common.runs.limits.trial import TooLittle
from common.training.compute import Compute

RULE = "seeds and test items"
"""How variants are judged; comparisons that older versions made were judged by other rules."""

C = TypeVar("C", bound=TrainingConfig)
M = TypeVar("M", bound=TrainingConfig)
Jobs = Mapping[str, Any]  # the jobs of the members by the member's name


class Tested(NamedTuple):
    """The finished runs of a variant, which differ in their seeds, on the test split."""

    jobs: Sequence[Any]  # with their best weights in the model
    splits: Splits
    outputs: Sequence[Outputs]  # what the task of each collects of the test split
    rows: Sequence[Array]  # of each what its test items add to the main metric, (N, ...)


class Comparison(ABC, Generic[C]):
    """A run made of runs.

        class Depths(Comparison[DepthsConfig]):
            lab, verb, config_type, member = "rnn", "compare-depths", DepthsConfig, Sentiment
            main_metric = BALANCED_ACCURACY
            heading, about = "Depths", "What varies is the number of layers."

            @classmethod
            def variants(cls, config):
                return {f"{layers} layers": {"layers": layers} for layers in (1, 2, 3)}

    Attributes:
        lab: the lab's name.
        verb: the command that trains it.
        config_type: the class of its config: that of its members, with more options.
        recipes: values by the recipe's name.
        member: the class of its members' job.
        main_metric: by which variants are compared.
        heading: what the report is called.
        about: sentences for the report that say what is compared, and what to look at.
        by_validation: whether the others are compared with the variant that is best on
            validation, not with the first.
        run: the run folder.
        config: of the whole.
        may_train: asked before each member that is to train; where it says no, training ends.
    """

    lab: ClassVar[str]
    verb: ClassVar[str]
    config_type: ClassVar[type[Any]]
    recipes: ClassVar[commands.Recipes] = {}
    member: ClassVar[type[Job[Any, Any]]]
    main_metric: ClassVar[MainMetric]
    heading: ClassVar[str]
    about: ClassVar[str]
    by_validation: ClassVar[bool] = False

    def __init__(self, run: Run, config: C, reasons: Sequence[str] = ()):
        self.run, self.config, self.reasons = run, config, reasons
        self.may_train: Callable[[str], bool] = lambda name: True

    # --- what a kind of comparison says ---------------------------------------------------------

    @classmethod
    def variants(cls, config: C) -> dict[str, dict[str, Any]]:
        """Return the values of each variant that differ from the config's, by its name.

        Raises:
            ConfigError: such a config has nothing to compare.
        """
        return {}

    @classmethod
    def name_member(cls, config: C, variant: str, seed: int) -> str:
        """Return the name of a run, which is also that of its folder."""
        name = variant.replace(":", "-")
        return f"{name}-{seed}" if hasattr(config, "seeds") else name

    @classmethod
    def plan(cls, config: C) -> dict[str, Any]:
        """Return the config of each member by its name, in the order in which they train."""
        return {
            cls.name_member(config, variant, seed): narrow(
                config, cls.member.config_type, **changes, seed=seed
            )
            for variant, changes in cls.variants(config).items()
            for seed in list_seeds(config)
        }

    @classmethod
    def stem(cls, config: C) -> str:
        """Return what run folders are named after."""
        return f"{cls.verb}-{Path(getattr(config, 'data', '')).stem}"

    @classmethod
    def located(cls, config: C) -> C:
        """Return the config with all that its members share made explicit."""
        return config.located()

    @classmethod
    def to_check(cls, plan: Sequence[Any], config: C) -> Sequence[Any]:
        """Return the members of a plan that are built before there is a run folder.

        Members that differ in their seeds alone stumble over the same things.
        """
        return list({dataclasses.replace(each, seed=config.seed): each for each in plan}.values())

    @classmethod
    def refuse(cls, config: C, job: Any, splits: Splits) -> None:
        """Refuse what there is nothing to compare in, before there is a run folder.

        Args:
            config: of the whole.
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
        conclusion_of(job).conclude_member(splits, keep=partial(self.keep, job, splits))
        return True

    def keep(self, job: Any, splits: Splits, outputs: Mapping[str, Outputs]) -> None:
        """Keep more of a member that has just been measured than its figures.

        Args:
            job: the member.
            splits: its data.
            outputs: what its task collects of `validation` and `test`.
        """

    def measure_variant(self, tested: Tested) -> dict[str, Any]:
        """Return what else is measured of a variant."""
        return {}

    def measure_others(self, jobs: Jobs) -> dict[str, tuple[dict[str, Any], Sequence[Array]]]:
        """Return what is compared beside the variants, and is no network.

        Args:
            jobs: the finished members.

        Returns:
            By the name, figures as of a variant, and its rows as in `Tested`.
        """
        return {}

    def show_variant(self, entry: Entry) -> dict[str, str]:
        """Return what the table shows of a variant, by the column; an empty column is left out."""
        name, label, text = self.main_metric.name, self.main_metric.label, self.main_metric.text
        return {
            f"validation {label}": text(entry[f"validation_{name}"]),
            f"test {label}": text(entry[name]),
            "95 % interval": " to ".join(map(text, entry.get(f"{name}_interval", ()))),
            "difference (95 %)": show_difference(entry),
        }

    def sections(
        self, jobs: Jobs, metrics: Mapping[str, Any], save_picture: PictureSaver
    ) -> list[Section]:
        """Return what else the report shows.

        Args:
            jobs: the finished members.
            metrics: what metrics.json holds.
            save_picture: saves a figure, and returns it for a section.
        """
        return []

    def translate(self, metrics: Mapping[str, Any]) -> Mapping[str, Any]:
        """Return what metrics.json of an older version holds as this version writes it."""
        return {"rule": RULE, **metrics}

    # --- what all of them do, unless they are of another kind -----------------------------------

    def measure(self, jobs: Jobs) -> dict[str, Any]:
        """Return what metrics.json says of the finished members, but for the seconds.

        Of each variant that is its figure, and the difference from the one of reference.
        """
        found, groups = {}, None
        for name, mine in self.group_jobs(jobs).items():
            splits = mine[0].load_splits()
            groups = groups_of(splits["test"])  # the same of each: they share one split
            found[name] = self._test(mine, splits, groups)
        found |= self.measure_others(jobs)
        self.compare_variants(found, groups)
        compared = {name: entry for name, (entry, _) in found.items()}
        source = next(iter(jobs.values())).card.source
        seeds = len(list_seeds(self.config))
        return {"compared": compared, "rule": RULE, "source": source, "seeds": seeds}

    def compare_variants(
        self,
        found: Mapping[str, tuple[dict[str, Any], Sequence[Array]]],
        groups: Array | None,
    ) -> None:
        """Put into the figures of each variant how it differs from that of reference.

        Args:
            found: figures and rows, as in `Tested`, by the variant.
            groups: what each test item belongs to, (N,), where that is known.
        """
        reference = self.reference({name: entry for name, (entry, _) in found.items()})
        for name, (entry, rows) in found.items():
            if name != reference:
                entry |= self.main_metric.compare_runs(rows, found[reference][1], groups)

    def reference(self, compared: Mapping[str, Entry]) -> str:
        """Return the variant with which the others are compared."""
        if self.by_validation:
            return find_best(compared, self.main_metric)
        return next(iter(compared))

    def title(self, metrics: Mapping[str, Any]) -> str:
        """Return what the report is called."""
        return f"{self.heading}: {metrics['source']}"

    def verdict(self, metrics: Mapping[str, Any]) -> str:
        """Say which variants are better or worse than another, and which cannot be told apart."""
        compared, label = metrics["compared"], self.main_metric.label
        first = self.reference(compared)
        said = []
        if self.by_validation:
            figure = self.main_metric.text(compared[first][self.main_metric.name])
            said.append(f"{first} has the best validation {label}; on test it has {figure}.")
        said += describe_differences(
            list_differences(compared),
            f"Better than {first} by test {label}",
            f"Not to be told apart from {first} by test {label}",
            f"Worse than {first} by test {label}",
        )
        if metrics["rule"] != RULE:
            said.append(_describe_rule(metrics["rule"]))
        return " ".join(said)

    def table(self, metrics: Mapping[str, Any]) -> tuple[list[str], list[list[str]]]:
        """Return columns, and a row for each variant."""
        rows = [
            {"": name, **self.show_variant(entry)} for name, entry in metrics["compared"].items()
        ]
        columns = [column for column in rows[0] if any(row[column] for row in rows)]
        return columns, [[row[column] for column in columns] for row in rows]

    def overview(
        self, jobs: Jobs, metrics: Mapping[str, Any], save_picture: PictureSaver
    ) -> Section:
        """Show the variants in a table and side by side, and their learning curves."""
        from common.report import plots

        name, label = self.main_metric.name, self.main_metric.label
        compared, rule = metrics["compared"], _describe_rule(metrics["rule"])
        histories = {
            variant: [job.run.history for job in mine]
            for variant, mine in self.group_jobs(jobs).items()
        }
        text = (
            f"{metrics['source']}. {self.about} Runs of each variant: {metrics['seeds']}, which "
            "share one split; the best epoch is chosen on validation, and the test split is used "
            f"once a run. Figures are means over the seeds. {rule}"
        )
        pictures = (
            save_picture(
                "compared",
                f"Test {label}; in color what the others are compared with. {rule}",
                draw_bars(compared, name, f"test {label}", self.reference(compared)),
            ),
            save_picture(
                "curves",
                f"Validation {label} after each epoch, a line for each seed.",
                plots.histories(histories, f"validation/{name}", label),
            ),
        )
        return Section("Side by side", text, Table(*self.table(metrics)), pictures)

    def show(self, metrics: Mapping[str, Any]) -> None:
        """Print the table, and what came out."""
        terminal.show_table(metrics["source"], *self.table(metrics))
        terminal.say(self.verdict(metrics))

    def write_report(self, jobs: Jobs, metrics: Mapping[str, Any]) -> None:
        """Draw the pictures, and write the report; the arguments are those of `sections`."""
        from common.runs import sections

        save_picture = PictureSaver(self.run.figures)
        parts = [
            self.overview(jobs, metrics, save_picture),
            *self.sections(jobs, metrics, save_picture),
            *sections.settings(self.run),
        ]
        sections.write_report(self.run, self.title(metrics), self.verdict(metrics), parts)

    def group_jobs(self, jobs: Jobs) -> dict[str, list[Any]]:
        """Return the jobs of each variant, one for each seed, where all of them have finished."""
        config = self.config
        members = {
            variant: [self.name_member(config, variant, seed) for seed in list_seeds(config)]
            for variant in self.variants(config)
        }
        return {
            variant: [jobs[name] for name in names]
            for variant, names in members.items()
            if all(name in jobs for name in names)
        }

    def _test(
        self, jobs: Sequence[Any], splits: Splits, groups: Array | None
    ) -> tuple[dict[str, Any], Sequence[Array]]:
        """Return the figures of a variant, and its rows as in `Tested`."""
        metric = self.main_metric
        targets = jobs[0].targets(splits["test"])
        outputs = []
        for job in jobs:
            job.load_best()
            outputs.append(job.predict_splits(splits, ["test"])["test"])
        rows = [
            metric.statistics(job.decide(each), targets)
            for job, each in zip(jobs, outputs, strict=True)
        ]
        found = [job.run.read("metrics") for job in jobs]
        entry = {
            **metric.measure_runs(rows, groups),
            f"validation_{metric.name}": fmean(each["validation"][metric.name] for each in found),
            "parameters": sum(p.numel() for p in jobs[0].model.parameters()),
            "seconds": fmean(each["seconds"]["train"] for each in found),
            **self.measure_variant(Tested(jobs, splits, outputs, rows)),
        }
        return entry, rows

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
            with whole.locked(), terminal.saved_in(whole.run.path, program):
                whole.train(device, begun)
        whole.show(whole.translate(whole.run.read("metrics")))
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
        config, reasons = cls._suited(cls.located(config))
        if unsuited := config.problems():  # with what was chosen for the data
            raise ConfigError(unsuited)
        plan = cls.plan(_share_time(config, len(cls.plan(config)))).values()
        if problems := dict.fromkeys(each for member in plan for each in member.problems()):
            raise ConfigError(list(problems))
        jobs = []
        for member in cls.to_check(list(plan), config):
            with _sharing_time(config, len(plan)):
                job, splits = cls.member.check(member)
                if job.timed is not None:
                    job.timed.check_epoch()
            cls.refuse(config, job, splits)
            jobs.append(job)
        if config.total_updates is not None:
            epochs = job.config.epochs if job.timed is None else job.timed.asked
            config = dataclasses.replace(config, epochs=epochs, total_updates=None)
        config, limits = _settle(config, jobs, len(plan))
        reasons = [*reasons, *limits]
        about = {"lab": cls.lab, "job": cls.verb, "command": list(command)}
        about |= runs.environment(str(Compute(config.device, config.precision)))
        run = runs.create(Path(config.run_dir), cls.lab, config.name, cls.stem(config))
        run.write("environment", about)
        if reasons:
            run.write("chosen", {"reasons": list(reasons)})
        write_text(run.config, to_toml(config))  # the last: it makes the folder a run
        return cls(run, config, reasons)

    @classmethod
    def _suited(cls, config: C) -> Suited[C]:
        """Choose what suits the data for all members alike, but for what they differ in."""
        differ = {name for changes in cls.variants(config).values() for name in changes}
        before = narrow(config, cls.member.config_type)
        before = dataclasses.replace(before, given=config.given | differ)
        chosen, reasons = cls.member.for_config(before).suited(before)
        names = {field.name for field in options_of(cls.member.config_type)}
        if chosen.total_updates is not None:
            names -= {"epochs"}  # which follow from it
        changes = {name: getattr(chosen, name) for name in names}
        changes = {name: x for name, x in changes.items() if x != getattr(before, name)}
        return Suited(dataclasses.replace(config, **changes, given=config.given | names), reasons)

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
        metrics = whole.translate(whole.run.read("metrics"))
        members = {name: whole.open_member(name, "cpu") for name in cls.plan(whole.config)}
        jobs = {name: job for name, job in members.items() if job.run.finished}
        whole.write_report(jobs, metrics)
        click.echo(f"Report: {whole.run.report}")

    def locked(self) -> contextlib.AbstractContextManager[None]:
        """Keep other processes from training in the run's folder."""
        return self.run.locked()

    def train(self, device: str | None, begun: float) -> None:
        """Train the members that are not finished, and conclude.

        Args:
            device: another device than the config's.
            begun: when the command began, by `time.perf_counter`.
        """
        names = list(self.plan(self.config))
        terminal.note(f"{self.verb}: {len(names)} runs in {self.run.path}")
        for reason in self.reasons:
            terminal.note(f"chosen: {reason}")
        prepared = time.perf_counter() - begun
        jobs: dict[str, Any] = {}
        for number, name in enumerate(names, 1):
            job = self.open_member(name, device)
            label = f"{number} of {len(names)}, {name}"
            if not job.run.finished and not self.may_train(name):
                return
            if job.run.finished or self.train_member(job, label):
                jobs[name] = job
        concluding = time.perf_counter()
        seconds = [job.run.read("metrics")["seconds"] for job in jobs.values()]
        metrics = self.measure(jobs)
        self.write_report(jobs, metrics)
        total = prepared + sum(each["total"] for each in seconds)
        metrics["seconds"] = {
            "train": sum(each["train"] for each in seconds),
            "total": total + time.perf_counter() - concluding,
        }
        self.run.write("metrics", metrics)

    def open_member(self, name: str, device: str | None) -> Any:
        """Return the job of a member of the plan, whose run is made if it is not there."""
        return self.member.member(self.run, name, self.plan(self.config)[name], device)


def _share_time(config: C, runs: int) -> C:
    """Return a config with the part of the time that each of its runs has."""
    if config.time is None:
        return config
    return dataclasses.replace(config, time=f"{max(1, int(parse_time(config.time) / runs))}s")


@contextlib.contextmanager
def _sharing_time(config: C, runs: int) -> Iterator[None]:
    """Say of the whole time what a run inside the block says of its part."""
    try:
        yield
    except TooLittle as error:
        raise error.share(parse_time(str(config.time)), runs) from None


def _settle(config: C, jobs: Sequence[Any], runs: int) -> tuple[C, list[str]]:
    """Return a config with the batches and the epochs that fit all its runs, and the reasons.

    Args:
        config: of the comparison.
        jobs: of runs that were tried.
        runs: how many there will be.
    """
    reasons = []
    if config.fit_batch:
        size = min(job.config.batch_size for job in jobs)
        config = dataclasses.replace(config, batch_size=size, fit_batch=False)
        reasons.append(f"batches of {size}: what fits {jobs[0].compute.device} in all runs")
    if config.time is not None:
        share = min(job.timed.epochs / job.timed.asked for job in jobs)
        epochs = max(1, int(share * config.epochs))
        reasons.append(
            f"{epochs} of {config.epochs} epochs: {runs} runs share --time {config.time}"
        )
        config = dataclasses.replace(config, epochs=epochs, time=None)
    return config, reasons


def list_seeds(config: TrainingConfig) -> range:
    """Return the seeds of each variant; a config without a number of them names one."""
    return range(config.seed, config.seed + getattr(config, "seeds", 1))


def narrow(config: TrainingConfig, kind: type[M], **changes: Any) -> M:
    """Return the config of a member, which has some of the fields of the comparison's.

    Args:
        config: of the comparison.
        kind: the class of the member's.
        changes: values that differ.
    """
    values = {field.name: getattr(config, field.name) for field in dataclasses.fields(kind)}
    changes |= {"given": config.given | changes.keys()}
    return kind(**{**values, "name": None, **changes})


def time_each(call: Callable[[Any], object], items: Sequence[Any]) -> float:
    """Return the median time of a call with one item in milliseconds; one more call warms up."""
    seconds = []
    for item in [items[0], *items]:
        begun = time.perf_counter()
        call(item)
        seconds.append(time.perf_counter() - begun)
    return 1000 * median(seconds[1:])


def _describe_rule(rule: str) -> str:
    if rule == RULE:
        return f"Intervals of 95 % are bootstraps over {RULE}."
    return f"Judged by {rule}, as comparisons were then."
