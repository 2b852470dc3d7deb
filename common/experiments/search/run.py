"""A search: trials of a config whose options vary, and what may be said of the best of them.

Each trial is a member of the run. Optuna proposes its options; it trains as `train` does, and is
stopped where it falls behind. The best few train once more with another seed, which shows how much
of their lead was luck. Then those that cannot be told apart from the best are named, and the
cheapest of them is chosen; it alone looks at the test split.
"""

import contextlib
import dataclasses
import functools
import math
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar

import click
import numpy as np
from optuna.trial import FrozenTrial, TrialState

from common.errors import ConfigError, DataError, NoMemoryError, NonFiniteError, RunFailed, Stopped
from common.experiments.crossval import Crossval
from common.experiments.options import MOST_TRIALS, locate_metric
from common.experiments.out_of_fold import OutOfFold
from common.experiments.search import report, space
from common.experiments.search.judge import Judge, Main, Named
from common.experiments.search.noise import Ranking, luck_of_repeats, rank
from common.experiments.search.study import REASON, Claimed, Study, name_trial
from common.files import write_text
from common.history import Row, better_direction
from common.metrics.metrics import Array
from common.options import terminal
from common.options.config import to_toml
from common.options.terminal import ManyDisplay
from common.report.html import PictureSaver
from common.reuse import reuse
from common.runs import commands
from common.runs.comparison import Comparison, Jobs
from common.runs.conclude import conclusion_of
from common.runs.folder import Run

RULE = "samples and seeds, over all pairs of trials"
CHOSEN = "chosen.toml"

_FAILED_AT_FIRST = 10  # trials, after which a search in which none has succeeded gives up
_FOLD = 100_000  # steps between the epochs of a fold and those of the next
_LOOK = 1.0  # seconds between two looks at what other processes do
_CANNOT_TRAIN = (ConfigError, DataError, NonFiniteError, NoMemoryError)

Members = Mapping[str, Any]  # configs by the members' names


class _Pruned(Exception):
    """A trial is behind the others."""


class _TakenOver(Exception):
    """Another process works at the trial, as this one slept for long."""


class Search(Comparison[Any]):
    """Trials of a config, of which one is chosen; see the module."""

    verb = "search"
    heading = "Search"
    crossval: ClassVar[type[Crossval]]  # of the same jobs: it knows what metrics of a name need

    # --- start and go on --------------------------------------------------------------------------

    @classmethod
    def command(cls, *, join: Path | None = None, **given: Any) -> None:
        """Start a search, go on with one, or help with one; the data is read once."""
        with reuse():
            if join is None:
                super().command(**given)
                return
            if given.pop("resume"):
                raise click.UsageError("--join and --resume: give one of them")
            others = given.pop("recipe"), given.pop("config_path")
            device = commands.resume_device(given["options"], given["problems"], *others)
            cls.reopen(join).help_out(device)

    @classmethod
    def located(cls, config: Any) -> Any:
        """Make the path of a metric of the user's own absolute, too."""
        if config.metric is not None:
            config = dataclasses.replace(config, metric=locate_metric(config.metric))
        return super().located(config)

    @classmethod
    def variants(cls, config: Any) -> dict[str, dict[str, Any]]:
        """Return the corners of the space: combinations in which each value is once."""
        if not config.space:
            raise ConfigError(f"--space: nothing to search; give NAME={space.FORMS}")
        kind = cls.member.config_type
        corners, _ = space.find_corners(config, kind, space.parse(config.space, kind))
        return {str(number): dict(values) for number, values in enumerate(corners)}

    @classmethod
    def plan(cls, config: Any) -> dict[str, Any]:
        """Return a config for each corner of the space; those of trials come later."""
        first = {} if config.folds is None else {"fold": 1}
        return {
            name: dataclasses.replace(space.put(config, cls.member.config_type, values), **first)
            for name, values in cls.variants(config).items()
        }

    @classmethod
    def to_check(cls, plan: Sequence[Any], config: Any) -> Sequence[Any]:
        """Check all corners here, and whether they are judged alike; return one of them."""
        if config.metric is not None:
            cls.crossval.find_metric(config, "--metric", config.metric)
        judged = []
        for member in plan:
            job, splits = cls.member.check(member)
            judged.append((job.main_metric.label, job.targets(splits[_judged_on(config)])))
        metric, samples = judged[0]
        for other, targets in judged[1:]:
            if other != metric:
                raise ConfigError(
                    f"--space: trials would be judged by {metric} and by {other}; search where one "
                    "metric judges all"
                )
            if not _are_same(samples, targets):
                raise ConfigError(
                    "--space: trials would be judged on different samples; leave out what chooses "
                    "or splits the data"
                )
        return plan[:1]

    def locked(self) -> contextlib.AbstractContextManager[None]:
        """Keep other processes from leading the search; they may help with it."""
        return self.run.locked(alone=False)

    @classmethod
    def report(cls, path: Path) -> None:
        """Write the report of a finished search again."""
        whole = cls.reopen(path)
        whole.write_report({}, whole.run.read("metrics"))
        click.echo(f"Report: {whole.run.report}")

    def train(self, device: str | None, begun: float) -> None:
        """Train what is left of the trials, alone or with others, and conclude."""
        most = self.config.most_trials
        budget = f"{self.config.minutes:g} minutes" if most == math.inf else f"{most} trials"
        terminal.note(f"{self.verb}: {budget} in {self.run.path}")
        for reason in self.reasons:
            terminal.note(f"chosen: {reason}")
        prepared = time.perf_counter() - begun
        study = self.open_study()
        with terminal.display_many() as display:
            self._work(study, device, display)
            while others := study.waited_for:
                terminal.note(f"waiting for trials of other processes: {_list(others)}")
                while study.waited_for == others:
                    time.sleep(_LOOK)
                self._work(study, device, display)
            complete = _complete(study.trials)
            if not complete:
                reasons = [trial.user_attrs.get(REASON, "") for trial in study.trials]
                raise RunFailed(f"no trial came to its end; the last one: {reasons[-1]}")
            again = self._train_again(complete, device, display)
        begun = time.perf_counter()
        metrics = self._conclude(study, again, device)
        self.write_report({}, metrics)
        metrics["seconds"]["total"] += prepared + time.perf_counter() - begun
        self.run.write("metrics", metrics)

    def help_out(self, device: str | None) -> None:
        """Train trials until none is left to begin; the process that leads concludes."""
        if self.run.finished:
            terminal.note(f"{self.run.path} is finished: nothing to do")
            return
        try:
            with terminal.display_many() as display:
                self._work(self.open_study(), device, display)
        except Stopped as stopped:
            again = f"python -m labs.{self.lab} {self.verb} --join {self.run.path}"
            said = f"stopped; the trial is saved. Go on with: {again}"
            raise Stopped(stopped.signum, said) from stopped
        terminal.note(f"no trial is left to begin; whoever leads {self.run.path} concludes")

    def open_study(self) -> Study:
        """Return the trials of the search."""
        config = self.config
        return Study(
            self.run.path,
            space.parse(config.space, self.member.config_type),
            seed=config.seed,
            maximize=self.judge.larger_is_better,
            warmup=max(1, config.epochs // 4) if config.prune else None,
        )

    @functools.cached_property
    def judge(self) -> Judge:
        """What trials are judged by: the main metric, which depends on the config, or another."""
        there = sorted(self.run.path.glob("members/*/config.toml"))
        if there:
            job = self.member.reopen(there[0].parent, "cpu")
        else:
            job, _ = self.member.check(next(iter(self.plan(self.config).values())))
        if self.config.metric is None:
            return Main(job.main_metric)
        crossval = self.crossval(self.run, self.config)
        named = crossval.find_metric(self.config, "--metric", self.config.metric)
        return Named(named, lambda answers, needs: crossval.answers_of(job, answers)[needs])

    # --- trials -----------------------------------------------------------------------------------

    def _work(self, study: Study, device: str | None, display: ManyDisplay) -> None:
        """Train trials until none is left to begin."""
        while claimed := study.claim(self._may_begin):
            try:
                self._try(study, claimed, device, display)
            except _TakenOver:
                terminal.note(f"another process has taken over trial {claimed.number}")
            finally:
                claimed.lease.release()

    def _may_begin(self, trials: Sequence[FrozenTrial]) -> bool:
        """Say whether there may be another trial beside these."""
        if len(trials) >= _FAILED_AT_FIRST and {each.state for each in trials} == {TrialState.FAIL}:
            return False
        return self._share_done(trials) < 1

    def _share_done(self, trials: Sequence[FrozenTrial]) -> float:
        """Return how much of the budget trials have used."""
        minutes = sum(trial.user_attrs.get("seconds", 0.0) for trial in trials) / 60
        most = min(self.config.most_trials, MOST_TRIALS)
        share: float = max(len(trials) / most, minutes / (self.config.minutes or math.inf))
        return share

    def _try(
        self, study: Study, claimed: Claimed, device: str | None, display: ManyDisplay
    ) -> None:
        """Train a trial, and keep what came of it."""
        most, judge, work = self.config.most_trials, self.judge, _Work()
        place = "" if most == math.inf else f" ({claimed.number + 1} of {most})"
        title = f"trial {claimed.number}{place}"
        display.begin(title, self._share_done(study.trials[: claimed.number]), 1 / min(most, 1000))
        try:
            members = self._members_of(claimed.number, claimed.parameters)
            watch = functools.partial(self._watch, study, claimed)
            answers = self._train_members(members, device, display, work, watch)
        except _Pruned as pruned:
            study.prune(claimed, str(pruned), work.facts)
            told = f"pruned, {pruned}"
        except _CANNOT_TRAIN as error:
            study.fail(claimed, _first_line(error), work.facts)
            told = f"failed: {_first_line(error)}"
        else:
            value = judge.measure(answers)  # a metric of the user's own that raises can be mended
            told = f"{judge.label} {judge.text(value)}"
            if math.isfinite(value):
                study.complete(claimed, value, work.facts)
            else:
                study.fail(claimed, f"its {judge.label} is no number", work.facts)
        shown = space.describe(claimed.parameters)
        terminal.note(f"{title}: {told} ({work.facts['seconds']:.1f} s; {shown})")

    def _members_of(self, number: int, parameters: space.Values, again: bool = False) -> Members:
        """Return the configs of a trial's runs by their names: one, or one for each fold.

        Args:
            number: of the trial.
            parameters: of the trial.
            again: whether they are those of the same trial with another seed.

        Raises:
            ConfigError: its options contradict each other.
        """
        seed = self.config.seed + number
        config = space.put(self.config, self.member.config_type, {"seed": seed, **parameters})
        if again:
            config = dataclasses.replace(config, seed=config.seed + MOST_TRIALS)
        if problems := config.problems():
            raise ConfigError(problems)
        names = self._names_of(number, again)
        if self.config.folds is None:
            return {name: config for name in names}
        return {name: dataclasses.replace(config, fold=n) for n, name in enumerate(names, 1)}

    def _train_members(
        self,
        members: Members,
        device: str | None,
        display: ManyDisplay,
        work: "_Work",
        watch: Callable[[Any, int, Row], None] = lambda job, fold, row: None,
    ) -> OutOfFold:
        """Train the runs of a trial; returns what they say of the samples that it is judged on.

        Args:
            members: their configs by their names.
            device: another device than the config's.
            display: shows the progress.
            work: is told what is trained.
            watch: called with the job, the number of the fold from 0 on, and the row of an epoch.
        """
        split = _judged_on(self.config)
        for fold, (name, config) in enumerate(members.items()):
            job = self.member.member(self.run, name, config, device)
            splits = job.load_splits()
            display.run(fold, len(members), job.config.epochs)
            work.add(job, len(splits["train"]))
            if not OutOfFold.is_there(job.run):
                job.train(splits, display, terminal.note, functools.partial(watch, job, fold))
                outputs = job.predict_splits(splits, [split])[split]
                self.judge.keep(OutOfFold.of(job, outputs, splits[split])).write(job.run)
        return OutOfFold.join(self._read(members))

    def _watch(self, study: Study, claimed: Claimed, job: Any, fold: int, row: Row) -> None:
        """Report an epoch, and stop the trial where it is behind the others."""
        if not claimed.lease.is_mine:
            raise _TakenOver
        behind = study.report(claimed, fold * _FOLD + row["epoch"], self._value_of(job, row))
        if behind and row["epoch"] < job.config.epochs:
            raise _Pruned(f"behind the median after epoch {row['epoch']}")

    def _value_of(self, job: Any, row: Row) -> float:
        """Return the figure of an epoch by which trials are pruned, in the judge's direction."""
        monitor, mode = job.monitored(job.task({}))
        for figure in (self.judge.name, job.main_metric.name):
            if f"validation/{figure}" in row:
                monitor = f"validation/{figure}"
                mode = better_direction(monitor)
                break
        same = (mode == "max") == self.judge.larger_is_better
        return float(row[monitor] if same else -row[monitor])

    def _read(self, members: Iterable[str]) -> list[OutOfFold]:
        """Return what each run of a trial says."""
        return [OutOfFold.read(self._run_of(name)) for name in members]

    def _run_of(self, member: str) -> Run:
        return Run(self.run.path / "members" / member)

    # --- what came out ----------------------------------------------------------------------------

    def _train_again(
        self, trials: Sequence[FrozenTrial], device: str | None, display: ManyDisplay
    ) -> dict[int, float | None]:
        """Train the best trials once more with another seed; returns their figures, None for none.

        With folds, those show what is luck.
        """
        if self.config.folds is not None:
            return {}
        sign = -1 if self.judge.larger_is_better else 1
        best = sorted(trials, key=lambda each: sign * _value(each))[: self.config.again]
        found: dict[int, float | None] = {}
        for place, trial in enumerate(best):
            title = f"trial {trial.number} with another seed, {place + 1} of {len(best)}"
            display.begin(title, place / len(best), 1 / len(best))
            work, members = _Work(), self._members_of(trial.number, trial.params, again=True)
            try:
                answers = self._train_members(members, device, display, work)
                found[trial.number] = value = self.judge.measure(answers)
                told = f"{self.judge.label} {self.judge.text(value)}"
            except _CANNOT_TRAIN as error:
                found[trial.number], told = None, f"failed: {_first_line(error)}"
            terminal.note(f"{title}: {told} ({work.facts['seconds']:.1f} s)")
        return found

    def _conclude(
        self, study: Study, again: Mapping[int, float | None], device: str | None
    ) -> dict[str, Any]:
        """Rank the trials, choose one, and test it; returns what metrics.json says."""
        complete = _complete(study.trials)
        members = {each.number: self._members_of(each.number, each.params) for each in complete}
        with terminal.busy(f"comparing {len(complete)} trials on the same samples"):
            answers = {number: self._read(each) for number, each in members.items()}
            ranking = self._rank(complete, list(answers.values()), again)
        entries = [_describe(trial, again) for trial in study.trials]
        for place, trial in enumerate(complete):
            compared = {"behind": ranking.behind[place], "margin": ranking.margin[place]}
            entries[trial.number] |= {name: float(value) for name, value in compared.items()}
        level = [complete[place].number for place in ranking.level]
        chosen = _choose(entries, level)
        config = dataclasses.replace(next(iter(members[chosen].values())), folds=None, fold=None)
        write_text(self.run.path / CHOSEN, to_toml(config))
        seconds = sum(entry["seconds"] for entry in entries)
        seconds += sum(
            _trained(self._run_of(name))
            for number in again
            for name in self._names_of(number, again=True)
        )
        return {
            "rule": RULE,
            "source": self._source(members[chosen]),
            "samples": sum(len(part.targets) for part in answers[chosen]),
            "trials": entries,
            "best": complete[ranking.best].number,
            "level": level,
            "chosen": chosen,
            "luck": None if ranking.luck is None else ranking.luck._asdict(),
            "corrected": ranking.chosen,
            "corrected_interval": list(ranking.chosen_interval),
            "importances": study.importances(),
            "test": self._look_at_test(next(iter(members[chosen])), device),
            "seconds": {"train": seconds, "total": seconds},
        }

    def _rank(
        self,
        complete: Sequence[FrozenTrial],
        parts: Sequence[Sequence[OutOfFold]],
        again: Mapping[int, float | None],
    ) -> Ranking:
        """Compare the trials that are complete, by what the runs of each say."""
        judge, luck, folds = self.judge, None, None
        answers = [OutOfFold.join(each) for each in parts]
        if self.config.folds is None:
            alike: dict[str, list[float]] = {}
            for trial in complete:
                more = again.get(trial.number)
                figures = alike.setdefault(repr(trial.params), [])
                figures += [_value(trial), *([] if more is None else [more])]
            luck = luck_of_repeats(alike.values())
        else:
            folds = np.array([[judge.measure(fold) for fold in each] for each in parts])
        return rank(
            [judge.resampled(each) for each in answers],
            len(answers[0].targets),
            larger_is_better=judge.larger_is_better,
            luck=luck,
            folds=folds,
            groups=answers[0].groups,
            block=judge.block,
            resamples=judge.resamples,
        )

    def _source(self, members: Members) -> str:
        name, config = next(iter(members.items()))
        described: str = config.describe_whole(self._run_of(name).read("data")["source"])
        return described

    def _look_at_test(self, member: str, device: str | None) -> dict[str, Any] | None:
        """Look at the test split, with what was chosen; where there are folds, there is none."""
        if self.config.folds is not None:
            return None
        job = self.member.reopen(self._run_of(member).path, device)
        conclusion, splits = conclusion_of(job), job.load_splits()
        job.load_best()
        if not job.run.finished:
            with terminal.busy("measuring what was chosen on the test split, and the baselines"):
                conclusion.conclude_member(splits, baselines=True)
        found = job.run.read("metrics")

        def answer() -> OutOfFold:
            outputs = job.predict_splits(splits, ["test"])["test"]
            return OutOfFold.of(job, outputs, splits["test"])

        return {
            **found["test"],
            "verdict": conclusion.verdict(found),
            **self.judge.test(answer),
        }

    # --- what is shown ----------------------------------------------------------------------------

    def verdict(self, metrics: Mapping[str, Any]) -> str:
        """Say which trials cannot be told apart from the best, which is chosen, and its figure."""
        return report.verdict(metrics, self.judge, self.config)

    def show(self, metrics: Mapping[str, Any]) -> None:
        """Print the best trials, and what came out."""
        columns, rows = report.table(metrics, self.judge)
        title = f"{metrics['source']}: {len(rows)} trials"
        terminal.show_table(title, columns, rows[: report.LISTED])
        terminal.say(self.verdict(metrics))
        click.echo(f"Chosen: {self._again_command()}")

    def _again_command(self) -> str:
        return f"python -m labs.{self.lab} {self.member.verb} --config {self.run.path / CHOSEN}"

    def write_report(self, jobs: Jobs, metrics: Mapping[str, Any]) -> None:
        """Draw the pictures, and write the report."""
        from common.runs import sections

        curves = {
            f"trial {number}": [self._run_of(name).history for name in self._names_of(number)]
            for number in metrics["level"][: report.LISTED]
        }
        parts = [
            *report.sections(
                metrics, self.judge, self.config, curves, PictureSaver(self.run.figures)
            ),
            report.chosen(
                self._again_command(), (self.run.path / CHOSEN).read_text(encoding="utf-8")
            ),
            *sections.settings(self.run),
        ]
        sections.write_report(self.run, self.title(metrics), self.verdict(metrics), parts)

    def _names_of(self, number: int, again: bool = False) -> list[str]:
        """Return the names of a trial's runs; the arguments are those of `_members_of`."""
        folds, name = self.config.folds, name_trial(number) + ("-again" if again else "")
        return [name] if folds is None else [f"{name}-fold-{each + 1}" for each in range(folds)]


class _Work:
    """What the runs of a trial have trained so far."""

    def __init__(self) -> None:
        self._runs: list[tuple[Run, float]] = []  # each with the multiply-adds of an epoch

    def add(self, job: Any, samples: int) -> None:
        """Count a job, which learns from so many samples."""
        config = job.config
        of_sample = max(
            job.work() / (config.micro_batch or config.batch_size),
            sum(weight.numel() for weight in job.model.parameters()),
        )
        self._runs.append((job.run, of_sample * samples))

    @property
    def facts(self) -> dict[str, Any]:
        """What is kept of it."""
        epochs = [len(run.history) for run, _ in self._runs]
        computed = [number * each for number, (_, each) in zip(epochs, self._runs, strict=True)]
        return {
            "epochs": sum(epochs),
            "multiply_adds": float(sum(computed)),
            "seconds": sum(_trained(run) for run, _ in self._runs),
        }


def _judged_on(config: Any) -> str:
    """Return the split on which a trial is judged: of folds, the one that tests."""
    return "validation" if config.folds is None else "test"


def _are_same(samples: Array, others: Array) -> bool:
    """Say whether samples may be the same: classes are equal, numbers may be scaled otherwise."""
    if samples.ndim == 1 and samples.dtype.kind in "iu":
        return np.array_equal(samples, others)
    return len(samples) == len(others)


def _complete(trials: Sequence[FrozenTrial]) -> list[FrozenTrial]:
    return [trial for trial in trials if trial.state is TrialState.COMPLETE]


def _first_line(error: BaseException) -> str:
    return str(error).partition("\n")[0]


def _value(trial: FrozenTrial) -> float:
    assert trial.value is not None
    return float(trial.value)


def _trained(run: Run) -> float:
    """Return the seconds of a run's epochs."""
    return float(sum(row["seconds"] for row in run.history))


def _describe(trial: FrozenTrial, again: Mapping[int, float | None]) -> dict[str, Any]:
    """Return what metrics.json says of a trial."""
    known = trial.user_attrs
    state = {TrialState.COMPLETE: "complete", TrialState.PRUNED: "pruned"}
    entry = {
        "number": trial.number,
        "state": state.get(trial.state, "failed"),
        "parameters": trial.params,
        "value": trial.value,
        "epochs": known.get("epochs", 0),
        "multiply_adds": known.get("multiply_adds", 0.0),
        "seconds": known.get("seconds", 0.0),
    }
    if REASON in known:
        entry[REASON] = known[REASON]
    if trial.number in again:
        entry["again"] = again[trial.number]
    return entry


def _choose(entries: Sequence[Mapping[str, Any]], level: Sequence[int]) -> int:
    """Return the cheapest of equally good trials; of equally cheap ones the best.

    What could not be trained with another seed is only chosen where nothing else can be.
    """
    stable = [number for number in level if entries[number].get("again", 0.0) is not None]
    return min(
        stable or level,
        key=lambda number: (entries[number]["multiply_adds"], entries[number]["behind"], number),
    )


def _list(numbers: Sequence[int]) -> str:
    return ", ".join(map(str, numbers))
