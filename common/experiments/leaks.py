"""Leaks: the same model under random folds and under folds that keep groups whole.

What samples belong together is guessed, or given. Where the figure of random folds is better, by
more than chance, models know samples by their companions: that share of the figure is a promise
that new groups will break. The difference is taken on the same samples, each answered once under
either rule, and its interval draws whole groups.
"""

import dataclasses
from abc import abstractmethod
from collections.abc import Mapping, Sequence
from typing import Any, ClassVar, NamedTuple

import numpy as np

from common.errors import ConfigError, DataError
from common.experiments.crossval import Crossval, read_names
from common.experiments.out_of_fold import OutOfFold
from common.explore.groups import Guess
from common.metrics.metrics import Array
from common.metrics.named import NamedMetric, Needs, find_metric
from common.options import terminal
from common.report import plots
from common.report.html import PictureSaver, Section, Table
from common.report.plots import Bar
from common.runs.comparison import Jobs, narrow

RULES = RANDOM, GROUPED = "random", "grouped"
AUTO, GIVEN = "auto", "given"
_METRICS: dict[Needs, tuple[str, ...]] = {"classes": ("f1", "accuracy"), "numbers": ("mae", "rmse")}


class Rule(NamedTuple):
    """A way to say which samples belong together."""

    name: str  # as --guess takes it
    values: Mapping[str, Any]  # of the config, which follow it
    guess: Guess


class Leaks(Crossval):
    """Two models for each fold: of a random one, and of one that keeps groups whole."""

    verb = "leaks"
    heading = "Leaks"
    about = (
        "A leak is what random folds promise and new groups do not keep, since models know samples "
        "by their companions in training."
    )
    alone: ClassVar[Mapping[str, Any]]
    """The values of a config in which no sample belongs to another."""

    @classmethod
    @abstractmethod
    def rules(cls, config: Any) -> list[Rule]:
        """Return the ways to say which samples belong together, the likeliest first."""

    @classmethod
    def start(cls, config: Any, command: Sequence[str] = ()) -> "Leaks":
        """Make a new run folder, with the rule that is tried in its config.

        Raises:
            ConfigError: there is no such rule, or the job's answers have no such metrics.
            DataError: no rule gives groups.
        """
        if not cls.kinds(config):
            raise ConfigError(f"{cls.verb}: goes with one class, or one number, of each sample")
        rules = cls.rules(config)
        records = [[rule.guess.option, rule.guess.describe()] for rule in rules]
        terminal.show_table("What may belong together", ["option", "groups"], records)
        rule = choose(rules, config)
        given = config.given | rule.values.keys()
        config = dataclasses.replace(config, **rule.values, given=given)
        whole = super(Crossval, cls).start(config, command)
        guesses = [rule.guess._asdict() for rule in rules]
        whole.run.write("groups", {"tried": rule.guess.option, "guesses": guesses})
        return whole

    @classmethod
    def plan(cls, config: Any) -> dict[str, Any]:
        """Return the config of each model: those of random folds, and those of groups."""
        kind = cls.member.config_type
        return {
            f"{rule}-fold-{fold}": narrow(config, kind, fold=fold, **values)
            for rule, values in ((RANDOM, cls.alone), (GROUPED, {}))
            for fold in range(1, config.folds + 1)
        }

    @classmethod
    def to_check(cls, plan: Sequence[Any], config: Any) -> Sequence[Any]:
        """Return the first fold of each rule."""
        return plan[:: config.folds]

    # --- what is measured -------------------------------------------------------------------------

    def measure(self, jobs: Jobs) -> dict[str, Any]:
        """Return the metrics under both rules, and the gaps with their intervals."""
        first, kind = next(iter(jobs.values())), self.kinds(self.config)[0]
        of_folds = {rule: self._read(jobs, rule) for rule in RULES}
        random, grouped = (_join_sorted(of_folds[rule]) for rule in RULES)
        groups = grouped.groups
        assert groups is not None
        assert np.array_equal(random.targets, grouped.targets)

        def answers(whole: OutOfFold) -> Array:
            return self.answers_of(first, whole)[kind]

        found = []
        for metric in map(find_metric, _METRICS[kind]):
            values = [
                [metric.value(part.targets, answers(part)) for part, _ in parts]
                for parts in of_folds.values()
            ]
            both = answers(random), answers(grouped)
            found.append(_compare(metric, grouped.targets, groups, both, values))
        tried = self.run.read("groups")
        return {
            "source": first.config.describe_whole(first.card.source),
            "title": first.config.title,
            "samples": len(groups),
            "groups": len(np.unique(groups)),
            "option": tried["tried"],
            "guesses": tried["guesses"],
            "gaps": found,
        }

    def _read(self, jobs: Jobs, rule: str) -> list[tuple[OutOfFold, list[str]]]:
        """Return of each fold of a rule the answers, and what its samples are called."""
        mine = [job for name, job in jobs.items() if name.startswith(rule)]
        return [(OutOfFold.read(job.run), read_names(job.run)) for job in mine]

    # --- what is shown ----------------------------------------------------------------------------

    def verdict(self, metrics: Mapping[str, Any]) -> str:
        """Say whether there is a leak, how large it is, and what to type from now on."""
        gap, option = metrics["gaps"][0], metrics["option"]
        label, [low, high] = gap["label"], gap["gap_interval"]
        figures = (
            f"{metrics['title']} has a {label} of {gap[RANDOM]:.4f} under random folds and of "
            f"{gap[GROUPED]:.4f} where the {metrics['groups']:,} groups stay whole; the gap is "
            f"{gap['gap']:+.4f} (95 % interval {low:+.4f} to {high:+.4f})"
        )
        tried = next(guess for guess in metrics["guesses"] if guess["option"] == option)
        if low > 0 and (measure := tried.get("measure")):
            return (
                f"Either a leak, or a shift by {measure}: {figures}. Where numbers of {measure} "
                "tell who or what a sample is of, random folds leak; where they measure something, "
                "the lower figure is that of values never seen."
            )
        if low > 0:
            return (
                f"Random folds leak: {figures}. On new groups the lower figure is to be expected. "
                f"From now on type {option}."
            )
        if high < 0:
            return f"Random folds do not promise too much: {figures}."
        return (
            f"No leak is to be seen: {figures}, which holds 0. {option} costs nothing where groups "
            "are known to be real."
        )

    def table(self, metrics: Mapping[str, Any]) -> tuple[list[str], list[list[str]]]:
        """Return a row for each metric."""
        rows = [
            [
                gap["label"],
                *(f"{gap[rule]:.4f} ({_interval(gap[f'{rule}_interval'])})" for rule in RULES),
                f"{gap['gap']:+.4f}",
                _interval(gap["gap_interval"], "+"),
            ]
            for gap in metrics["gaps"]
        ]
        return ["", "random folds (95 %)", "groups whole (95 %)", "gap", "95 % interval"], rows

    def overview(
        self, jobs: Jobs, metrics: Mapping[str, Any], save_picture: PictureSaver
    ) -> Section:
        """Show both figures, in a table and side by side."""
        gap = metrics["gaps"][0]
        bars = [Bar(f"{rule} folds", gap[rule], tuple(gap[f"{rule}_interval"])) for rule in RULES]
        text = (
            f"{metrics['source']}. {self.about} The same model is trained on {self.config.folds} "
            f"random folds, and on as many that keep the groups by {metrics['option']} whole. "
            f"Each of the {metrics['samples']:,} {self.samples} is answered once under either "
            "rule, by a model that had not seen it. Intervals draw whole groups; that of the gap "
            "is at least as wide as that of the gaps of the folds, which differ by chance, too."
        )
        pictures = (
            save_picture(
                "gap",
                f"{gap['label']} out of fold; a gap that is no chance is a leak.",
                plots.bars(bars, f"{gap['label']} out of fold"),
            ),
        )
        return Section("Random folds and whole groups", text, Table(*self.table(metrics)), pictures)

    def sections(
        self, jobs: Jobs, metrics: Mapping[str, Any], save_picture: PictureSaver
    ) -> list[Section]:
        """Show what was guessed."""
        guesses = [Guess(**each) for each in metrics["guesses"]]
        rows = [[each.option, each.describe()] for each in guesses]
        text = "Ways to say what belongs together, the likeliest first. --guess tries another."
        return [Section("What may belong together", text, Table(["option", "groups"], rows))]

    def show(self, metrics: Mapping[str, Any]) -> None:
        """Print both figures, the gap, and what came out."""
        terminal.show_table(metrics["source"], *self.table(metrics))
        terminal.say(self.verdict(metrics))


def choose(rules: Sequence[Rule], config: Any) -> Rule:
    """Return the rule that is asked for, by name or option, or the first that may be one.

    Raises:
        ConfigError: there is no such rule, or there are two.
        DataError: it gives no groups.
    """
    if config.guess != AUTO:
        found = [rule for rule in rules if config.guess in (rule.name, rule.guess.option)]
        if not found:
            known = ", ".join([AUTO, *(rule.name for rule in rules)])
            raise ConfigError(f"--guess {config.guess}: expected one of {known}")
        if len(found) > 1:
            options = " or ".join(f'--guess "{rule.guess.option}"' for rule in found)
            raise ConfigError(f"--guess {config.guess}: two are called so; give {options}")
        if problem := found[0].guess.problem:
            raise DataError(f"--guess {config.guess}: these are no groups: {problem}")
        return found[0]
    if rule := find_first(rules):
        return rule
    numbers = [f"--guess {rule.name}" for rule in rules if not rule.guess.problem]
    hint = f"; {' or '.join(numbers)} tries numbers, which may measure something" if numbers else ""
    raise DataError(
        f"--data {config.data}: nothing tells of what belongs together, so no leak can be shown; "
        f"where you know it, give --group-column{hint}"
    )


def find_first(rules: Sequence[Rule]) -> Rule | None:
    """Return the first rule that may be one, and whose groups are no measure of something."""
    return next((each for each in rules if not (each.guess.problem or each.guess.measure)), None)


def _join_sorted(parts: Sequence[tuple[OutOfFold, Sequence[str]]]) -> OutOfFold:
    """Return all answers in an order that does not depend on the folds."""
    whole = OutOfFold.join([part for part, _ in parts])
    names = [name for _, each in parts for name in each]
    pairs = zip(names, whole.targets.tolist(), strict=True)
    rows = np.array([f"{name}\n{truth}" for name, truth in pairs]).argsort(kind="stable")
    return OutOfFold(
        {name: output[rows] for name, output in whole.outputs.items()},
        whole.decided[rows],
        whole.targets[rows],
        None if whole.groups is None else whole.groups[rows],
    )


def _compare(
    metric: NamedMetric,
    truth: Array,
    groups: Array,
    answers: Sequence[Array],
    of_folds: Sequence[Sequence[float]],
) -> dict[str, Any]:
    """Return a metric under both rules, and how much better it is under random folds.

    Args:
        metric: which it is.
        truth: (N,) of the samples.
        groups: (N,) that are drawn as wholes.
        answers: under each rule, (N, ...).
        of_folds: the metric of each fold, under each rule.
    """
    random, grouped = answers
    found = [metric.measure(truth, each, groups) for each in answers]
    gap, sign = metric.compare(truth, random, grouped, groups), metric.larger_is_better * 2 - 1
    ends = sorted([sign * gap.low, sign * gap.high])
    record: dict[str, Any] = {
        "name": metric.name,
        "label": metric.label,
        "gap": sign * gap.difference,
        "gap_interval": _widen(ends, sign * gap.difference, of_folds),
    }
    for rule, each, values in zip(RULES, found, of_folds, strict=True):
        record |= {rule: each.value, f"{rule}_interval": [each.low, each.high]}
        record[f"{rule}_folds"] = list(values)
    return record


def _widen(ends: Sequence[float], gap: float, of_folds: Sequence[Sequence[float]]) -> list[float]:
    """Return an interval that is at least as wide as that of the folds' gaps (Student's t).

    Drawing samples does not count that other weights to begin with give other models; that the
    gaps of folds differ does.
    """
    from scipy import stats

    gaps = np.array(of_folds[0]) - np.array(of_folds[1])
    half = stats.t.ppf(0.975, len(gaps) - 1) * gaps.std(ddof=1) / len(gaps) ** 0.5
    return [min(ends[0], gap - half), max(ends[1], gap + half)]


def _interval(ends: Sequence[float], sign: str = "") -> str:
    return " to ".join(f"{end:{sign}.4f}" for end in ends)
