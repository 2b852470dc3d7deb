"""Pseudo-labels: a cross-validation again, whose networks also learn from samples without labels.

The labels are those that the network of the same fold is sure of in a finished cross-validation; it
never saw the fold, so neither do they (Lee 2013, "Pseudo-Label: the simple and efficient
semi-supervised learning method for deep neural networks"; a network that learns from another's
labels, once, as in Xie et al. 2020, "Self-training with Noisy Student", section 2). What that gains
is measured on the same samples, of the same folds.
"""

from abc import abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from statistics import fmean
from typing import Any, ClassVar

import click
import numpy as np
from typing_extensions import override

from common.errors import ConfigError, DataError, RunError
from common.experiments.crossval import Crossval, list_repeats
from common.experiments.out_of_fold import OutOfFold
from common.metrics.main_metric import MainMetric
from common.options import terminal
from common.options.config import NONE, flag, options_of, read_toml
from common.pseudo import report
from common.pseudo.label import Held, Labelled, Unlabelled, count_updates, find_held, label, look_at
from common.pseudo.options import ONLY
from common.pseudo.rows import write_rows
from common.report.html import PictureSaver, Section, Table
from common.runs.comparison import Jobs
from common.runs.folder import Run, open_run
from common.runs.job import Say

_KEPT = "pseudo"  # what was labelled, as `Run.read` knows it, and the folder of the tables
_NEAR = 0.02  # below the probability that smoothed targets have, where samples become few
_FREE = {*ONLY, "unlabelled", "metrics", "tune"}  # options that may differ from CROSSVAL's


class PseudoLabels(Crossval):
    """A network for each fold that also learns from samples which its like has labelled.

    Attributes:
        crossval: the kind of cross-validation whose networks label.
    """

    verb = "pseudo-label"
    heading = "Pseudo-labels"
    crossval: ClassVar[type[Crossval]]

    # --- what a lab says --------------------------------------------------------------------------

    @classmethod
    @abstractmethod
    def find(cls, job: Any, path: str, say: Say) -> Unlabelled:
        """Read samples without labels, as a run sees them.

        Args:
            job: of one of the folds.
            path: where they are.
            say: called with a line on what is left out, or not used.

        Raises:
            DataError: they cannot be read.
        """

    @classmethod
    @abstractmethod
    def sketch(cls, items: Any) -> Any:
        """Return by what copies of samples are known, for each of them."""

    @classmethod
    @abstractmethod
    def number_copies(cls, config: Any, sketches: Sequence[Any]) -> list[int]:
        """Number all samples; those that are copies of one another, or nearly, share a number."""

    # --- how it starts ----------------------------------------------------------------------------

    @classmethod
    def command(
        cls,
        *,
        crossval: str | None = None,
        unlabelled: str | None = None,
        options: dict[str, Any],
        **given: Any,
    ) -> None:
        """Label and train, with the options of the cross-validation but for those that are given.

        Raises:
            UsageError: there are two sources of options.
        """
        if given["recipe"] is not None:
            raise click.UsageError("--recipe: the options are those of CROSSVAL; leave it out")
        if "epochs" in options and given["resume"] is None:
            if options.get("same_updates"):
                raise click.UsageError("--same-updates: goes in place of --epochs; give one")
            options = {"same_updates": False, **options}
        if crossval is not None:
            if given["resume"] is not None or given["config_path"] is not None:
                raise click.UsageError(
                    "--resume and --config name a run of pseudo-label, which knows its CROSSVAL; "
                    "give no other"
                )
            named = {"crossval": crossval, "unlabelled": unlabelled or NONE}
            options = {**cls._options_of(Path(crossval)), **named, **options}
        super().command(options=options, **given)

    @classmethod
    def _options_of(cls, path: Path) -> dict[str, Any]:
        """Return the values of a cross-validation's config."""
        values = read_toml(cls._open(path).run.config)
        names = {field.name for field in options_of(cls.crossval.config_type)}
        return {name: value for name, value in values.items() if name in names}

    @classmethod
    def _open(cls, path: Path) -> Crossval:
        """Return the finished cross-validation whose networks label.

        Raises:
            RunError: there is no such run, it is not finished, or it tells no classes.
        """
        run = open_run(path, cls.lab)
        kinds = {kind.verb: kind for kind in (cls.crossval, cls)}  # those of a round before, too
        if run.job not in kinds:
            raise RunError(
                f"{path} was trained by `{run.job}`; pseudo-label takes a finished "
                f"`{cls.crossval.verb}`"
            )
        run.read("metrics")  # it must be finished
        whole = kinds[run.job].reopen(path)
        if "probabilities" not in whole.kinds(whole.config):
            raise RunError(f"{path}: its samples have no single class each, so none can be given")
        return whole

    @classmethod
    def start(cls, config: Any, command: Sequence[str] = ()) -> "PseudoLabels":
        """Label the samples, and make a new run folder; nothing is left where none gets a label.

        Raises:
            RunError: there is no such cross-validation, or its data have changed.
            ConfigError: it or the samples are not named, or another option differs from its own.
            DataError: the samples cannot be read, or no network is sure of any.
        """
        if config.crossval is None or config.unlabelled is None:
            raise ConfigError(
                "pseudo-label: name CROSSVAL, a finished cross-validation, and UNLABELLED samples"
            )
        config = cls.located(config)
        before = cls._open(Path(config.crossval))
        for field in options_of(cls.crossval.config_type):
            name = field.name
            theirs, ours = (getattr(each, name) for each in (before.config, config))
            if field.metadata["saved"] and name not in _FREE and ours != theirs:
                raise ConfigError(f"{flag(name)} {ours}: CROSSVAL has {theirs}, which both need")
        folds, found, unlabelled = cls._label(config, before)
        whole = super().start(config, command)
        assert isinstance(whole, cls)
        whole._keep(folds, found, unlabelled)
        return whole

    @classmethod
    def _label(
        cls, config: Any, before: Crossval
    ) -> tuple[dict[str, Held], dict[str, Labelled], Unlabelled]:
        """Return what is known of the folds, what their networks label, and the samples."""
        kind, members = before.member, before.run.path / "members"
        device = None if config.device == before.config.device else config.device
        jobs = {name: kind.reopen(members / name, device) for name in before.plan(before.config)}
        first = next(iter(jobs.values()))
        unlabelled = cls.find(first, config.unlabelled, terminal.note)
        with terminal.busy(f"reading the folds of {before.run.path}"):
            folds = {name: look_at(job, cls.sketch) for name, job in jobs.items()}
        known = [sketch for fold in folds.values() for sketch in fold.sketches]
        numbers = cls.number_copies(config, [*known, cls.sketch(unlabelled.items)])
        held = find_held(numbers, list(folds.values()), len(unlabelled.names))
        if hint := describe_ceiling(config, len(first.card.classes)):
            terminal.note(hint)
        found = label(jobs, unlabelled, held, config.threshold)
        if not any(len(each.rows) for each in found.values()):
            copies = max(each.copies for each in found.values())
            raise DataError(
                f"{config.unlabelled}: of its {len(unlabelled.names):,} {cls.samples} no network "
                f"of {before.run.path} is sure with a probability of {config.threshold:g} or more"
                + (f", but for copies of what it is judged on (up to {copies:,})" * (copies > 0))
                + "; a lower --threshold may do"
            )
        return folds, found, unlabelled

    def _keep(
        self, folds: Mapping[str, Held], found: Mapping[str, Labelled], unlabelled: Unlabelled
    ) -> None:
        """Write a table for each fold, and how many there are."""
        before = self._open(Path(self.config.crossval))
        card = Run(before.run.path / "members" / next(iter(folds))).read("data")
        classes, kept = card["classes"], {}
        for name, each in found.items():
            labels = [classes[number] for number in each.classes]
            names = [unlabelled.names[row] for row in each.rows]
            write_rows(self._table_of(name), names, labels, each.shares.tolist())
            kept[name] = {
                "counts": np.bincount(each.classes, minlength=len(classes)).tolist(),
                "learned": folds[name].learned.tolist(),
                "copies": each.copies,
                "updates": folds[name].updates,
                "epochs": folds[name].epochs,
            }
        about = {"samples": len(unlabelled.names), "classes": classes, "folds": kept}
        self.run.write(_KEPT, about)  # the last: then all tables are there

    def _table_of(self, name: str) -> Path:
        return self.run.path / _KEPT / f"{name}.csv"

    # --- what it trains ---------------------------------------------------------------------------

    def train(self, device: str | None, begun: float) -> None:
        """Train what is left, as a cross-validation does; missing labels are given again."""
        if not (self.run.path / f"{_KEPT}.json").is_file():
            self._keep(*self._label(self.config, self._open(Path(self.config.crossval))))
        super().train(device, begun)

    @override
    def open_member(self, name: str, device: str | None) -> Any:
        """Open the run of a fold, or make it: with its pseudo-labels, and for as many updates."""
        config = self.plan(self.config)[name]
        if not Run(self.run.path / "members" / name).config.is_file():
            config = self._with_labels(name, config)
        return self.member.member(self.run, name, config, device)

    def _with_labels(self, name: str, config: Any) -> Any:
        """Return the config of a fold that learns from its table, too, for as many updates."""
        kept = self.run.read(_KEPT)["folds"][name]
        if not any(kept["counts"]):
            return config
        config = replace(config, pseudo=str(self._table_of(name).absolute()))
        if not self.config.same_updates:
            return config
        job, splits = self.member.check(config)
        each = count_updates(job, splits["train"])
        return replace(config, epochs=max(1, round(kept["updates"] / each)))

    # --- what is measured -------------------------------------------------------------------------

    def measure(self, jobs: Jobs) -> dict[str, Any]:
        """Return also what the pseudo-labels gain, and what they are."""
        found = super().measure(jobs)
        before = self._open(Path(self.config.crossval))
        metric: MainMetric = next(iter(jobs.values())).main_metric
        gains = [
            self._compare(metric, names, jobs, before.run) for names in list_repeats(self.config)
        ]
        theirs = before.run.read("metrics")
        kept = self.run.read(_KEPT)
        found["pseudo"] = {
            "threshold": self.config.threshold,
            "unlabelled": Path(self.config.unlabelled).name,
            "before": {
                **{name: theirs[name] for name in (metric.name, f"{metric.name}_interval")},
                "of_folds": theirs["of_folds"],
            },
            "gain": fmean(each["difference"] for each in gains),
            "gain_interval": np.mean(
                [each["difference_interval"] for each in gains], axis=0
            ).tolist(),
            "epochs": [job.config.epochs for job in jobs.values()],
            **kept,
        }
        return found

    def _compare(
        self, metric: MainMetric, names: Sequence[str], jobs: Jobs, before: Run
    ) -> dict[str, Any]:
        """Return how much better the answers out of fold are than those of the cross-validation."""
        ours = OutOfFold.join([OutOfFold.read(jobs[name].run) for name in names])
        theirs = OutOfFold.join(
            [OutOfFold.read(Run(before.path / "members" / name)) for name in names]
        )
        if not np.array_equal(ours.targets, theirs.targets):
            raise RunError(f"{before.path} was judged on other samples: its data have changed")
        with_, without = (
            [metric.statistics(each.decided, each.targets)] for each in (ours, theirs)
        )
        return metric.compare_runs(with_, without, ours.groups)

    # --- what is shown ----------------------------------------------------------------------------

    def verdict(self, metrics: Mapping[str, Any]) -> str:
        """Say whether pseudo-labels help, and how many there are."""
        return report.verdict(self.metric, metrics, self.samples)

    def table(self, metrics: Mapping[str, Any]) -> tuple[list[str], list[list[str]]]:
        """Return a row for each fold, and one for all: without and with pseudo-labels."""
        return report.list_folds(self.metric, metrics)

    def overview(
        self, jobs: Jobs, metrics: Mapping[str, Any], save_picture: PictureSaver
    ) -> Section:
        """Show the gain, fold by fold and of all together."""
        return report.show_gain(self.metric, metrics, self.samples, save_picture)

    def sections(
        self, jobs: Jobs, metrics: Mapping[str, Any], save_picture: PictureSaver
    ) -> list[Section]:
        """Show what was labelled, and the folds as a cross-validation does."""
        folds = Crossval.overview(self, jobs, metrics, save_picture)
        folds = replace(folds, table=Table(*Crossval.table(self, metrics)))
        return [report.show_labels(metrics), folds, *super().sections(jobs, metrics, save_picture)]

    def show(self, metrics: Mapping[str, Any]) -> None:
        """Print the gain, the labels, and what came out."""
        terminal.show_table(metrics["source"], *self.table(metrics))
        terminal.show_table("Pseudo-labels", *report.list_classes(metrics["pseudo"]))
        terminal.say(self.verdict(metrics))


def describe_ceiling(config: Any, classes: int) -> str:
    """Say where smoothed targets keep networks from being as sure as is asked; "" where not."""
    smoothing = config.label_smoothing
    ceiling = 1 - smoothing * (1 - 1 / classes)
    if not smoothing or config.threshold < ceiling - _NEAR:
        return ""
    return (
        f"--threshold {config.threshold:g}: CROSSVAL's --label-smoothing {smoothing:g} teaches "
        f"networks a probability of {ceiling:.3g}, so few samples of few classes may reach it; a "
        "lower one, or a cross-validation without smoothing, labels more"
    )
