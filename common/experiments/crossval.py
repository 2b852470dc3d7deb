"""Cross-validation: a model for each fold of the data, judged on what none of its training saw.

Each fold is a member of the run: it trains on the others (of which a tenth validates, to choose the
epoch) and answers for its own samples. These answers out of fold are kept: together they are one
figure of all samples, and whatever is built on runs later stands on them. Folds that are done are
not done again.
"""

import dataclasses
import itertools
from collections.abc import Mapping, Sequence
from functools import cached_property
from pathlib import Path
from statistics import fmean, stdev
from typing import Any, ClassVar

import numpy as np

from common.errors import ConfigError
from common.experiments.offsets import tune_nested
from common.experiments.options import locate_metric
from common.experiments.out_of_fold import OutOfFold
from common.files import write_text
from common.io import delimited
from common.metrics.main_metric import MainMetric
from common.metrics.metrics import Array, is_known
from common.metrics.named import NamedMetric, Needs, find_metric
from common.options import terminal
from common.options.terminal import figure_text
from common.report import plots
from common.report.html import PictureSaver, Section, Table
from common.report.plots import Bar
from common.runs import commands
from common.runs.comparison import Comparison, Jobs, narrow
from common.runs.folder import Run
from common.runs.job import Outputs, Splits

RULE = "samples, each answered by a model that had not seen it"
POOLED = "all folds"
_LISTED = "out_of_fold.csv"
_USUAL: dict[Needs, tuple[str, ...]] = {
    "classes": ("accuracy", "balanced_accuracy", "f1", "kappa", "roc_auc", "log_loss"),
    "numbers": ("mae", "rmse", "spearman"),
}


class Crossval(Comparison[Any]):
    """A model for each fold of a job's data.

    Attributes:
        samples: what the data consists of, in plural.
    """

    verb = "crossval"
    heading = "Cross-validation"
    about: ClassVar[str] = ""
    samples: ClassVar[str] = "samples"

    @classmethod
    def plan(cls, config: Any) -> dict[str, Any]:
        """Return the config of each fold's model, in the order in which they train."""
        return {
            _name_member(config, repeat, fold): narrow(
                config,
                cls.member.config_type,
                fold=fold,
                seed=config.seed + repeat,
                split_seed=config.split_seed + repeat,
            )
            for repeat in range(config.repeats)
            for fold in _folds(config)
        }

    @classmethod
    def kinds(cls, config: Any) -> tuple[Needs, ...]:
        """Return what `answers_of` has, of which metrics can be had by their names."""
        return ()

    @classmethod
    def find_metric(cls, config: Any, option: str, spec: str) -> NamedMetric:
        """Return the metric that an option names.

        Raises:
            ConfigError: there is no such metric, or it is of what is not here.
        """
        kinds = cls.kinds(config)
        metric = find_metric(spec, "numbers" if "numbers" in kinds else "classes")
        if metric.needs not in kinds:
            raise ConfigError(f"{option} {spec}: it is of {metric.needs}, which are not here")
        return metric

    @classmethod
    def start(cls, config: Any, command: Sequence[str] = ()) -> "Crossval":
        """Make a new run folder, as `Comparison.start` does, and refuse metrics that are none."""
        for spec in config.metrics:
            cls.find_metric(config, "--metrics", spec)
        if config.tune is not None:
            kinds = cls.kinds(config)
            metric = find_metric(config.tune)
            if metric.needs != "classes" or "probabilities" not in kinds:
                raise ConfigError(f"--tune {config.tune}: expected a metric of classes, such as f1")
        tune = None if config.tune is None else locate_metric(config.tune)
        metrics = tuple(map(locate_metric, config.metrics))
        return super().start(dataclasses.replace(config, metrics=metrics, tune=tune), command)

    @classmethod
    def to_check(cls, plan: Sequence[Any], config: Any) -> Sequence[Any]:
        """Return the first fold alone: what it stumbles over, all do."""
        return plan[:1]

    def keep(self, job: Any, splits: Splits, outputs: Mapping[str, Outputs]) -> None:
        """Keep what the model of a fold says of it, for a program and for a person."""
        split = splits["test"]
        OutOfFold.of(job, outputs["test"], split).write(job.run)
        records = self.describe_samples(job, split, outputs["test"])
        write_text(listed_in(job.run), commands.separated(records, ","))

    def answers_of(self, job: Any, whole: OutOfFold) -> dict[Needs, Array]:
        """Return answers as named metrics take them, by what they are; {} where none can be had."""
        return {}

    def describe_samples(self, job: Any, split: Any, outputs: Outputs) -> list[dict[str, Any]]:
        """Return a record for each sample of a fold: which it is, what is true, what is said."""
        return []

    # --- what is measured -------------------------------------------------------------------------

    def measure(self, jobs: Jobs) -> dict[str, Any]:
        """Return the main metric out of fold, of each fold and of all, with its interval."""
        first = next(iter(jobs.values()))
        metric: MainMetric = first.main_metric
        repeats = [
            [OutOfFold.read(jobs[name].run) for name in names]
            for names in list_repeats(self.config)
        ]
        self._list_answers(jobs)
        pooled = [OutOfFold.join(parts) for parts in repeats]
        measured = [metric.measure(each.decided, each.targets, each.groups) for each in pooled]
        values = [each[metric.name] for each in measured]
        of_folds = [
            [metric.value(part.decided, part.targets) for part in parts] for parts in repeats
        ]
        ends = np.mean([each[f"{metric.name}_interval"] for each in measured], axis=0)
        groups = pooled[0].groups
        return {
            "rule": RULE,
            "source": first.config.describe_whole(first.card.source),
            "title": first.config.title,
            "samples": len(pooled[0].targets),
            "groups": None if groups is None else len(np.unique(groups)),
            metric.name: fmean(values),
            f"{metric.name}_interval": [float(end) for end in ends],
            "of_repeats": values,
            "of_folds": of_folds,
            "deviation": stdev([value for each in of_folds for value in each]),
            "metrics": self._measure_named(first, repeats, pooled),
            "tuned": self._tune(first, repeats[0], pooled[0]),
            "validation": [
                job.run.read("metrics")["validation"][metric.name] for job in jobs.values()
            ],
        }

    def _measure_named(
        self, job: Any, repeats: Sequence[Sequence[OutOfFold]], pooled: Sequence[OutOfFold]
    ) -> list[dict[str, Any]]:
        """Return a record for each other metric: of all answers together, and of the folds."""
        kinds = self.kinds(self.config)
        wanted = self.config.metrics or (_USUAL[kinds[0]] if kinds else ())
        folds = list(itertools.chain.from_iterable(repeats))
        found = []
        for spec in wanted:
            label = spec
            try:
                metric = self.find_metric(self.config, "--metrics", spec)
                label = metric.label
                found.append(self._measure_one(metric, job, folds, pooled))
            except ConfigError as error:  # the user's own function; the folds are not lost by it
                terminal.note(str(error))
                found.append({"name": spec, "label": label, "error": str(error)})
        return found

    def _measure_one(
        self, metric: NamedMetric, job: Any, folds: Sequence[OutOfFold], pooled: Sequence[OutOfFold]
    ) -> dict[str, Any]:
        of_all = [
            metric.measure(whole.targets, self.answers_of(job, whole)[metric.needs], whole.groups)
            for whole in pooled
        ]
        of_folds = [
            metric.value(part.targets, self.answers_of(job, part)[metric.needs]) for part in folds
        ]
        value, low, high = (fmean(ends) for ends in zip(*of_all, strict=True))
        return {
            "name": metric.name,
            "label": metric.label,
            "value": value,
            "interval": [low, high],
            "mean_of_folds": fmean(of_folds),
            "deviation": stdev(of_folds),
        }

    def _tune(
        self, job: Any, parts: Sequence[OutOfFold], whole: OutOfFold
    ) -> dict[str, Any] | None:
        """Return what offsets of the classes gain, where it is asked for."""
        if self.config.tune is None:
            return None
        try:
            return self._tune_for(find_metric(self.config.tune), job, parts, whole)
        except ConfigError as error:  # as of any metric of the user's own
            terminal.note(str(error))
            return None

    def _tune_for(
        self, metric: NamedMetric, job: Any, parts: Sequence[OutOfFold], whole: OutOfFold
    ) -> dict[str, Any]:
        folds = np.repeat(np.arange(len(parts)), [len(part.targets) for part in parts])
        shares = self.answers_of(job, whole)["probabilities"]
        with terminal.busy(f"tuning the classes for {metric.label}"):
            found = tune_nested(metric, whole.targets, shares, folds, whole.groups)
        return {
            "label": metric.label,
            "offsets": dict(zip(job.card.classes, found.offsets.tolist(), strict=True)),
            "plain": found.plain,
            "nested": found.nested,
            "gain": found.gain.difference,
            "gain_interval": [found.gain.low, found.gain.high],
            "seen": found.seen,
        }

    def _list_answers(self, jobs: Jobs) -> None:
        """Put the lists of all folds into one, with the fold of each sample in front."""
        listed = []
        for name, job in jobs.items():
            listed += [{"fold": name, **record} for record in read_listed(job.run)]
        write_text(listed_in(self.run), commands.separated(listed, ","))

    # --- what is shown ----------------------------------------------------------------------------

    def title(self, metrics: Mapping[str, Any]) -> str:
        """Return what the report is called."""
        return f"{self.heading}: {metrics['title']} on {metrics['source']}"

    def verdict(self, metrics: Mapping[str, Any]) -> str:
        """Say what came out, and how far the folds lie apart."""
        metric, samples = self.metric, metrics["samples"]
        figure = metric.text(metrics[metric.name])
        interval = metric.interval_text(metrics[f"{metric.name}_interval"])
        every = [value for each in metrics["of_folds"] for value in each]
        said = (
            f"Out of fold, on {samples:,} {self.samples} that the models had not seen, "
            f"{metrics['title']} has {_with_article(metric.label)} of {figure} (95 % interval "
            f"{interval}). The folds lie between {metric.text(min(every))} and "
            f"{metric.text(max(every))} (standard deviation {metric.text(metrics['deviation'])})."
        )
        if (groups := metrics["groups"]) is not None:
            said += f" No group is on both sides; the interval draws whole groups, of {groups:,}."
        if len(values := metrics["of_repeats"]) > 1:
            said += f" It is the mean of {len(values)} repetitions: {_list(metric, values)}."
        if (tuned := metrics.get("tuned")) is not None:
            said += f" {_describe_tuned(tuned)}"
        return said

    def table(self, metrics: Mapping[str, Any]) -> tuple[list[str], list[list[str]]]:
        """Return a row for each fold, and one for all."""
        metric, names = self.metric, list(self.plan(self.config))
        label = metric.label
        every = [value for each in metrics["of_folds"] for value in each]
        rows = [
            [name, metric.text(validation), metric.text(value), ""]
            for name, validation, value in zip(names, metrics["validation"], every, strict=True)
        ]
        interval = metric.interval_text(metrics[f"{metric.name}_interval"])
        mean = metric.text(fmean(metrics["validation"]))
        rows.append([POOLED, mean, metric.text(metrics[metric.name]), interval])
        return ["", f"validation {label}", f"{label} out of fold", "95 % interval"], rows

    def overview(
        self, jobs: Jobs, metrics: Mapping[str, Any], save_picture: PictureSaver
    ) -> Section:
        """Show the folds in a table and side by side, and their learning curves."""
        metric = self.metric
        every = [value for each in metrics["of_folds"] for value in each]
        bars = [Bar(name, value) for name, value in zip(jobs, every, strict=True)]
        low, high = metrics[f"{metric.name}_interval"]
        whole = Bar(POOLED, metrics[metric.name], (low, high))
        histories = {name: [job.run.history] for name, job in jobs.items()}
        text = (
            f"{metrics['source']}. {self.about} Each fold is answered by a model that was trained "
            "on the others, of which a tenth chose its epoch. The figure of all folds is that of "
            "all answers together; its interval is a bootstrap over them, and does not count that "
            f"other training data would give other models. {_LISTED} lists every answer."
        )
        pictures = (
            save_picture(
                "folds",
                f"{metric.label} of each fold, and of all together with its interval.",
                plots.bars([whole, *bars], f"{metric.label} out of fold"),
            ),
            save_picture(
                "curves",
                f"Validation {metric.label} after each epoch, a line for each fold.",
                plots.histories(histories, f"validation/{metric.name}", metric.label),
            ),
        )
        return Section("Folds", text, Table(*self.table(metrics)), pictures)

    def sections(
        self, jobs: Jobs, metrics: Mapping[str, Any], save_picture: PictureSaver
    ) -> list[Section]:
        """Show the other metrics."""
        found = []
        if metrics["metrics"]:
            text = "Of all answers together, with 95 % intervals; and of the folds each by itself."
            found.append(Section("Other metrics", text, Table(*_list_metrics(metrics["metrics"]))))
        if (tuned := metrics.get("tuned")) is not None:
            rows = [[name, f"{offset:+.2f}"] for name, offset in tuned["offsets"].items()]
            table = Table(["class", "added to the log probability"], rows)
            found.append(Section("Tuned classes", _describe_tuned(tuned), table))
        return found

    def show(self, metrics: Mapping[str, Any]) -> None:
        """Print the folds, the other metrics, and what came out."""
        terminal.show_table(metrics["source"], *self.table(metrics))
        if metrics["metrics"]:
            terminal.show_table("Out of fold", *_list_metrics(metrics["metrics"]))
        terminal.say(self.verdict(metrics))

    @cached_property
    def metric(self) -> MainMetric:
        """The main metric, which may depend on what a config learns."""
        job = self.open_member(next(iter(self.plan(self.config))), "cpu")
        found: MainMetric = job.main_metric
        return found


def _list_metrics(found: Sequence[Mapping[str, Any]]) -> tuple[list[str], list[list[str]]]:
    """Return columns, and a row for each metric."""
    columns = ["", "out of fold", "95 % interval", "mean of folds", "standard deviation"]
    rows = []
    for each in found:
        if "error" in each:
            rows.append([each["label"], each["error"], "", "", ""])
            continue
        ends = each["interval"]
        interval = " to ".join(map(figure_text, ends)) if is_known(ends) else "unknown"
        of_folds = [figure_text(each[name]) for name in ("mean_of_folds", "deviation")]
        rows.append([each["label"], figure_text(each["value"]), interval, *of_folds])
    return columns, rows


def _describe_tuned(tuned: Mapping[str, Any]) -> str:
    """Say what offsets gain, and what they seem to gain where they were chosen."""
    interval, judged = "unknown", "which may be chance"
    if is_known(ends := tuned["gain_interval"]):
        low, high = ends
        interval = f"{low:+.4f} to {high:+.4f}"
        judged = "which is shown" if low > 0 or high < 0 else judged
    return (
        f"Raising and lowering classes for {tuned['label']} changes it from "
        f"{tuned['plain']:.4f} to {tuned['nested']:.4f} on folds that did not choose how: "
        f"{tuned['gain']:+.4f} ({interval}), {judged}. On the answers that chose, "
        f"it would seem to be {tuned['seen']:.4f}."
    )


def _folds(config: Any) -> range:
    return range(1, config.folds + 1)


def list_repeats(config: Any) -> list[list[str]]:
    """Return the names of the folds of each repetition."""
    return [
        [_name_member(config, repeat, fold) for fold in _folds(config)]
        for repeat in range(config.repeats)
    ]


def _name_member(config: Any, repeat: int, fold: int) -> str:
    return f"fold-{fold}" if config.repeats == 1 else f"repeat-{repeat + 1}-fold-{fold}"


def listed_in(run: Run) -> Path:
    """Return the list of what the model of a fold says."""
    return run.path / _LISTED


def read_listed(run: Run) -> list[dict[str, str]]:
    """Return what the model of a fold says of each sample, whose name comes first."""
    return delimited.read_records(listed_in(run).read_bytes())


def read_names(run: Run) -> list[str]:
    """Return what the samples of a fold are called, in the order of its answers."""
    return [next(iter(record.values())) for record in read_listed(run)]


def _with_article(label: str) -> str:
    return f"{'an' if label.startswith(('a', 'e', 'i', 'o', 'u', 'mA')) else 'a'} {label}"


def _list(metric: MainMetric, values: Sequence[float]) -> str:
    return ", ".join(map(metric.text, values))
