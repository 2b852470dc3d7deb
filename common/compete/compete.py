"""`compete`: explore, groups, folds, a ladder of models, an ensemble, and what is handed in.

Each step is a run of its own, or a page, in the folder of the whole: what is finished there is not
done again, so that a run that was killed goes on where it was. What was decided by the clock is
kept in plan.json, and is not decided again.
"""

import json
import sys
import time
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from pathlib import Path
from pkgutil import resolve_name
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, ClassVar, NamedTuple

import click
import numpy as np
import tomli_w

from common.compete import report
from common.compete.clock import Clock
from common.compete.plan import (
    Rung,
    be_careful,
    choose_folds,
    choose_share,
    parse_time,
    spend,
    write_time,
)
from common.ensembles.answers import read_together
from common.ensembles.forms import GREEDY
from common.ensembles.make import command as make_ensemble
from common.ensembles.members import find_members
from common.errors import ConfigError, DataError
from common.experiments.crossval import Crossval
from common.experiments.leaks import GIVEN, Leaks, Rule, find_first
from common.experiments.out_of_fold import OutOfFold
from common.files import sha256_of, write_text
from common.metrics.main_metric import MainMetric
from common.metrics.metrics import Array
from common.options import terminal
from common.options.config import NONE, flag, options_of, read_toml
from common.runs import commands, folder
from common.runs.comparison import narrow
from common.runs.folder import Run, open_run
from common.submission.command import command as submit
from common.submission.command import refuse_to_replace
from common.submission.runs import Opened, submission_of
from common.submission.sample import Sample
from common.suggest import suggest

if TYPE_CHECKING:
    from common.runs.lab import Lab

VERB, USUAL = "compete", "30m"
_STEPS, _ENSEMBLE, _REFIT = "steps", "ensemble", "refit"
_LONGER = 1.6  # times as long as a fold's training that one on all rows takes, at the most
_LENGTHS = {"epochs", "total_updates", "batch_size"}
_GROUPS = ("group_column", "group_by")
_UNFIT = {"repeats", "metrics", "tune", "all_rows", "fold", "pseudo", "unlabelled", "bootstrap"}
_BOARDS = 2000  # test sets that are drawn, to say what one of that size may score


class Competition(NamedTuple):
    """What the user gave.

    Attributes:
        train, test, sample: the labelled data, the test data, and the sample submission.
        seconds: that it may take.
        out: the file to hand in; None for one in the run's folder.
        id_column, answer_columns, form: of the sample; see `common.submission.command.command`.
        written: how the test data are written, as that command has it in `options`.
    """

    train: str
    test: Path
    sample: Path
    seconds: float
    out: Path | None = None
    id_column: str | None = None
    answer_columns: Sequence[str] = ()
    form: str | None = None
    written: Mapping[str, str] = MappingProxyType({})


class Compete(ABC):
    """The whole way, for one kind of data.

    Attributes:
        lab: the lab's name.
        config_type: the class of the config of a cross-validation.
        recipes: values by the recipe's name.
        crossval: cross-validates a rung.
        leaks: guesses what belongs together.
        verb: the command, which also stands in environment.json.
        run: the run folder.
        given: what the user gave.
        options: values of the config that were given, over those of recipe and file.
    """

    lab: ClassVar[str]
    config_type: ClassVar[type[Any]]
    recipes: ClassVar[commands.Recipes] = {}
    crossval: ClassVar[type[Crossval]]
    leaks: ClassVar[type[Leaks]]
    verb: ClassVar[str] = VERB

    def __init__(self, run: Run, given: Competition, options: Mapping[str, Any]):
        self.run, self.given, self.options = run, given, dict(options)
        self._plan: dict[str, Any] = {"left_out": {}}
        self._device: str | None = None  # another one than the config's
        if (run.path / "plan.json").is_file():
            self._plan = run.read("plan")

    # --- what a kind of data says -----------------------------------------------------------------

    @classmethod
    @abstractmethod
    def ladder(cls, config: Any) -> list[Rung]:
        """Return the models to try, the cheapest first, then the one that suits the data best.

        Args:
            config: with what the user gave, and nothing chosen.
        """

    @abstractmethod
    def explore(self, config: Any, output: Path) -> None:
        """Write the page on what the data are."""

    # --- the command ------------------------------------------------------------------------------

    @classmethod
    def command(
        cls,
        *,
        recipe: str | None,
        config_path: Path | None,
        resume: Path | None,
        options: dict[str, Any],
        problems: list[str],
        files: Sequence[Path],
        time_given: str | None,
        **how: Any,
    ) -> None:
        """Go the whole way, or go on where it was stopped, and show what came out.

        Args:
            recipe: as `common.runs.commands.train` has it, and the next ones, too.
            config_path: a file of values.
            resume: a run to go on with.
            options: values by the name of the field, as text.
            problems: what is wrong with the options.
            files: the training data, the test data and the sample submission.
            time_given: what it may take, as text.
            how: `out`, `id_column`, `answer_columns` and `form` of `Competition`.

        Raises:
            InputError: what is given cannot be used, or there is too little time.
        """
        begun = time.perf_counter()
        if resume is not None:
            if files or time_given or any(how.values()):
                raise click.UsageError("--resume RUN goes on with what it was given; give it alone")
            device = commands.resume_device(options, problems, recipe, config_path)
            whole = cls.reopen(resume)
            whole._device = device
        else:
            problems += _find_wrong(files)
            if len(files) != 3 and not problems:
                raise click.UsageError(
                    "give TRAIN, TEST and SAMPLE: labelled data, test data, the sample submission"
                )
            layers = _layer(cls.crossval, recipe, config_path, options, problems)
            train, test, sample = files or (Path(), Path(), Path())
            seconds = parse_time(time_given or USUAL)
            given = Competition(str(train), test, sample, seconds, **how)
            whole = cls.start(given, layers)
        if whole.run.finished:
            terminal.note(f"{whole.run.path} is finished: nothing to do")
        else:
            program = f"python -m labs.{cls.lab} {cls.verb}"
            with whole.run.locked(alone=False), terminal.saved_in(whole.run.path, program):
                whole.work(Clock(whole.run, whole.given.seconds, begun))
        report.show(whole.run)

    @classmethod
    def start(cls, given: Competition, options: Mapping[str, Any]) -> "Compete":
        """Check all that is given, before minutes are spent on it, and make the run folder.

        Raises:
            InputError: the data, the test data and the sample do not fit one another, or the time
                is too little for the first rung.
        """
        options = cls._locate({**options, "data": given.train})
        if unfit := sorted(_UNFIT & options.keys()):
            raise ConfigError([f"{flag(name)}: goes with `crossval`, not here" for name in unfit])
        _check_out(given)
        rungs = cls.ladder(_build(cls.crossval, options))
        folds = choose_folds(rungs, given.seconds, _asked(options))
        every = [_build(cls.crossval, {**each.values, **options, "folds": folds}) for each in rungs]
        first, *others = every
        job = cls._check(first)
        given = cls._check_test(given, job, options)
        for each in others:
            cls._check(each)
        stem = f"{cls.verb}-{Path(given.train).expanduser().resolve().stem}"
        run = folder.create(Path(first.run_dir), cls.lab, first.name, stem)
        about = {"lab": cls.lab, "job": cls.verb, "command": list(sys.argv)}
        run.write("environment", about | folder.environment(str(job.compute)))
        kept = {name: x for name, x in options.items() if name not in ("run_dir", "name")}
        config = {"competition": _plain(given), "options": kept}
        write_text(run.config, tomli_w.dumps(config))  # the last: it makes the folder a run
        return cls.reopen(run.path)

    @classmethod
    def _locate(cls, options: Mapping[str, Any]) -> dict[str, Any]:
        """Return the options with whole paths, so that a run can go on from another folder."""
        config = _build(cls.crossval, options)
        whole = config.located()
        moved = {name for name in options if getattr(whole, name) != getattr(config, name)}
        return {name: getattr(whole, name) if name in moved else x for name, x in options.items()}

    @classmethod
    def _check(cls, config: Any) -> Any:
        """Return the job of the first fold of a rung, and refuse what any fold stumbles over."""
        members = [*cls.crossval.plan(config).values()]
        if problems := dict.fromkeys(each for member in members for each in member.problems()):
            raise ConfigError(list(problems))
        job, _ = cls.crossval.member.check(members[0])
        return job

    @classmethod
    def _check_test(cls, given: Competition, job: Any, options: Mapping[str, Any]) -> Competition:
        """Refuse a sample that does not fit the test data or the job; says how these are written.

        The images of a table lie in its own folder, or in that of the training images.
        """
        job.run = Run(given.test)  # it has none yet: who looks for a finished one finds nothing
        submission = submission_of(cls._lab(), Opened(job.run, job.verb, [job]))
        sample = submission.choose(Sample.read(given.sample), given.id_column, given.answer_columns)
        how = {"form": given.form}
        try:
            submission.refuse(sample, given.test, {}, how)
            return given
        except DataError:
            if given.test.is_dir() or "image_dir" not in options:
                raise
        written = {"image_dir": str(options["image_dir"])}
        submission.refuse(sample, given.test, commands.read_written(job, given.test, written), how)
        return given._replace(written=written)

    @classmethod
    def reopen(cls, path: Path) -> "Compete":
        """Return the run in a folder.

        Raises:
            RunError: there is no such run.
        """
        run = open_run(path, cls.lab, cls.verb)
        kept = read_toml(run.config)
        given = dict(kept["competition"])
        paths = {name: Path(given[name]) for name in ("test", "sample", "out") if name in given}
        return cls(run, Competition(**{**given, **paths}), kept["options"])

    @classmethod
    def report(cls, path: Path) -> None:
        """Write the report of a finished run again."""
        run = open_run(path, cls.lab, cls.verb)
        report.write(run, run.read("metrics"))
        click.echo(f"Report: {run.report}")

    @classmethod
    def _lab(cls) -> "Lab":
        lab: Lab = resolve_name(f"labs.{cls.lab}.__main__:lab")  # it stands above what is common
        return lab

    # --- the way ----------------------------------------------------------------------------------

    def work(self, clock: Clock) -> None:
        """Take all steps that are not taken yet; `clock` says how long they may be."""
        self._step(clock, "explore", "exploring the data")
        page = self.run.path / "explore.html"
        if not page.is_file():
            self.explore(self._config(), page)
        rungs = self.ladder(self._config())
        if "folds" not in self._plan:
            self._plan["folds"] = choose_folds(rungs, clock.given, _asked(self.options))
        folds = self._plan["folds"]
        self._group(clock, folds)
        done: list[Crossval] = []
        for number, rung in enumerate(rungs):
            pace = self._find_pace(rungs[:number], done, folds)
            if (whole := self._cross_validate(clock, rung, folds, pace)) is not None:
                done.append(whole)
        final = self._combine(clock, done)
        out = self.given.out or self.run.path / "submission.csv"
        self._step(clock, "submission", "answering the test data")
        self._submit(final, out)
        second = self._refit(clock, done, final, out)
        clock.keep()
        found = self._conclude(clock, done, final, out)
        found["refitted"] = None if second is None else str(second)
        report.write(self.run, found)
        self.run.write("metrics", found)

    def _step(self, clock: Clock, name: str, what: str) -> None:
        """Say which step begins, and how much time is left."""
        clock.keep()
        left = write_time(clock.left) if clock.left > 0 else "none"
        terminal.note(f"— {what} ({left} of {write_time(clock.given)} left)")
        self._plan.setdefault("began", {}).setdefault(name, round(clock.used, 1))
        self._keep()

    def _keep(self) -> None:
        self.run.write("plan", self._plan)

    def _config(self, rung: Mapping[str, Any] | None = None, **values: Any) -> Any:
        """Return the config of a cross-validation: what was given goes over values of a rung."""
        groups = self._plan.get("groups", {})
        return _build(self.crossval, {**(rung or {}), **self.options, **groups, **values})

    def _group(self, clock: Clock, folds: int) -> None:
        """Find out what belongs together, unless that was found out before."""
        if "groups" in self._plan:
            return
        self._step(clock, "groups", "looking for what belongs together")
        told = [f"{flag(name)} {self.options[name]}" for name in _GROUPS if name in self.options]
        if told:
            self._plan |= {"grouped_by": " ".join(told), "groups": {}}
            self._keep()
            terminal.note(f"kept together in folds: by {' '.join(told)}, as given")
            return
        rules = self._guess_groups(folds)
        likely = [rule.guess for rule in rules if not rule.guess.problem]
        if likely:
            records = [[guess.option, guess.describe()] for guess in likely]
            terminal.show_table("What may belong together", ["option", "groups"], records)
        rule = find_first(rules)
        self._plan["grouped_by"] = None if rule is None else rule.guess.option
        self._plan["groups"] = {} if rule is None else dict(rule.values)
        self._keep()
        what = "but for copies, by nothing" if rule is None else f"by {rule.guess.option}"
        terminal.note(f"kept together in folds: {what}")

    def _guess_groups(self, folds: int) -> list[Rule]:
        """Return the ways to say which samples belong together, the likeliest first."""
        before = narrow(self._config(), self.crossval.member.config_type)
        chosen = self.crossval.member.suited(before).config
        names = {field.name for field in options_of(type(chosen))} - _LENGTHS
        values = {name: getattr(chosen, name) for name in names}
        values = {name: x for name, x in values.items() if x != getattr(before, name)}
        # A class needs a group for each fold, and one that validates.
        values |= {**self.options, "folds": folds + 1, "guess": GIVEN}
        try:
            return self.leaks.rules(_build(self.leaks, values))
        except ConfigError as error:  # arrays, and sets that are known by name, have no files
            terminal.note(str(error))
            return []

    def _cross_validate(self, clock: Clock, rung: Rung, folds: int, pace: float) -> Crossval | None:
        """Cross-validate a rung, or go on with that; None where there is no time for it."""
        begun = self._plan.setdefault("rungs", [])
        if rung.name in self._plan["left_out"]:
            return None
        path = self._path(rung.name)
        if not (path / "config.toml").is_file():
            left = spend(clock.given) - clock.used
            share = choose_share(rung, folds, left, pace) if begun else 1.0
            share = self._plan.get("shares", {}).get(rung.name, share)
            if share != 1 and {"epochs", "total_updates"} & self.options.keys():
                share = None  # the user says how long it trains
            if share is None:
                needed = be_careful(pace) * rung.last(folds)
                self._leave_out(rung.name, f"{folds} folds of it take about {write_time(needed)}")
                return None
            whole = self._start(rung, folds, share)
        else:
            whole = self.crossval.reopen(path)
        if rung.name not in begun:
            begun.append(rung.name)
        self._step(clock, rung.name, f"{folds} folds of {rung.name}")
        if whole.run.finished or self._train(clock, rung, whole):
            return whole
        return None

    def _start(self, rung: Rung, folds: int, share: float) -> Crossval:
        """Make the run of a rung, which may have a share of its updates alone."""
        folder.remove_half_made(self._path(rung.name))
        where = {"run_dir": str(self.run.path / _STEPS), "name": rung.name}
        values: dict[str, Any] = {"folds": folds, **where}
        if share < 1:
            member = self.crossval.member
            chosen, *_ = member.suited(
                narrow(self._config(rung.values, **values), member.config_type)
            )
            if chosen.total_updates is not None:
                values["total_updates"] = max(1, round(share * chosen.total_updates))
            else:
                values["epochs"] = max(1, round(share * chosen.epochs))
            self._plan.setdefault("shares", {})[rung.name] = share
            self._keep()
        return self.crossval.start(self._config(rung.values, **values), sys.argv)

    def _train(self, clock: Clock, rung: Rung, whole: Crossval) -> bool:
        """Train the folds of a rung; says whether there was time for all of them."""
        names = list(whole.plan(whole.config))
        only = self._plan["rungs"][0] == rung.name

        def is_time_for(name: str) -> bool:
            clock.keep()
            done = names[: names.index(name)]
            if only or not done:
                return True
            took = _mean_seconds(whole, done)
            if took * (len(names) - len(done)) <= spend(clock.given) - clock.used:
                return True
            self._leave_out(rung.name, f"a fold of it took {write_time(took)}")
            return False

        whole.may_train = is_time_for
        with whole.locked():
            whole.train(self._device, time.perf_counter())
        return whole.run.finished

    def _leave_out(self, name: str, why: str) -> None:
        self._plan["left_out"][name] = why
        self._keep()
        terminal.note(f"left out: {name}; {why}")

    def _find_pace(self, rungs: Sequence[Rung], done: Sequence[Crossval], folds: int) -> float:
        """Return how many times as long as planned the rungs took that are done."""
        shares = self._plan.get("shares", {})
        planned = {each.name: each.last(folds, shares.get(each.name, 1.0)) for each in rungs}
        took = sum(whole.run.read("metrics")["seconds"]["total"] for whole in done)
        wanted = sum(planned[whole.run.path.name] for whole in done)
        return took / wanted if wanted else 1.0

    def _combine(self, clock: Clock, done: Sequence[Crossval]) -> Path:
        """Return the run that answers: all rungs together, or the only one."""
        if len(done) == 1:
            return done[0].run.path
        self._step(clock, _ENSEMBLE, "letting them answer together")
        path = self._path(_ENSEMBLE)
        folder.remove_half_made(path)
        there = path.exists()
        make_ensemble(
            self._lab(),
            [] if there else [whole.run.path for whole in done],
            method=GREEDY,
            seed=0,
            run_dir=self.run.path / _STEPS,
            name=_ENSEMBLE,
            resume=path if there else None,
            device=self._device,
        )
        return path

    def _refit(self, clock: Clock, done: Sequence[Crossval], final: Path, out: Path) -> Path | None:
        """Write a second file, by networks that learned from all rows; None without the time."""
        if _REFIT in self._plan["left_out"]:
            return None
        weights = {done[0].run.path.name: 1.0}
        if final.name == _ENSEMBLE:
            weights = {
                each["name"]: each["weight"] for each in Run(final).read("metrics")["members"]
            }
        taken = [whole for whole in done if weights.get(whole.run.path.name, 0) > 0]
        needed = _LONGER * sum(_mean_seconds(each, [*each.plan(each.config)]) for each in taken)
        if not self._plan.setdefault(_REFIT, needed < clock.left):
            self._leave_out(_REFIT, f"to train on all rows takes about {write_time(needed)}")
            return None
        self._step(clock, _REFIT, "training on all rows, for a second file to hand in")
        second = _name_second(out)
        try:
            self._submit(final, second, refit=True)
        except ConfigError as error:
            self._leave_out(_REFIT, "; ".join(error.problems))
            return None
        return second

    def _submit(self, final: Path, out: Path, *, refit: bool = False) -> None:
        given = self.given
        if _is_written(out, self.run.path / _STEPS):
            return
        submit(
            self._lab(),
            final,
            [given.test, given.sample],
            out=out,
            id_column=given.id_column,
            answer_columns=given.answer_columns,
            form=given.form,
            refit=refit,
            bundle=None,
            device=self._device,
            options=given.written,
        )

    def _path(self, name: str) -> Path:
        return self.run.path / _STEPS / self.lab / name

    def _metric(self, whole: Crossval) -> MainMetric:
        metric: MainMetric = whole.open_member(
            next(iter(whole.plan(whole.config))), "cpu"
        ).main_metric
        return metric

    # --- what came out ----------------------------------------------------------------------------

    def _conclude(
        self, clock: Clock, done: Sequence[Crossval], final: Path, out: Path
    ) -> dict[str, Any]:
        """Return what metrics.json holds."""
        metric = self._metric(done[0])
        name = metric.name
        whole = Run(final).read("metrics")
        listed = []
        for each in done:
            found = each.run.read("metrics")
            listed.append(
                {
                    "name": each.run.path.name,
                    "title": found["title"],
                    name: found[name],
                    f"{name}_interval": found[f"{name}_interval"],
                    "seconds": found["seconds"]["total"],
                    "share": self._plan.get("shares", {}).get(each.run.path.name, 1.0),
                }
            )
        together = final.name == _ENSEMBLE
        own = whole["out_of_fold"] if together else whole
        rows = len(Sample.read(self.given.sample).cut.rows) - 1  # but for the columns' names
        return {
            "source": done[0].run.read("metrics")["source"],
            "metric": {"name": name, "label": metric.label},
            "out_of_fold": {each: own[each] for each in (name, f"{name}_interval")},
            "board": self._foretell(done, final, metric, rows),
            "rows": rows,
            "folds": self._plan["folds"],
            "grouped_by": self._plan["grouped_by"],
            "steps": listed,
            "weights": {each["name"]: each["weight"] for each in whole["members"]}
            if together
            else {},
            "left_out": self._plan["left_out"],
            "final": str(final.relative_to(self.run.path)),
            "submission": str(out),
            "began": self._plan["began"],
            "seconds": {
                "train": sum(each["seconds"] for each in listed),
                "total": clock.used,
                "given": clock.given,
            },
        }

    def _foretell(
        self, done: Sequence[Crossval], final: Path, metric: MainMetric, rows: int
    ) -> list[float]:
        """Return between which figures 95 % of test sets lie that have so many rows."""
        answers = _read_answers(done[0])
        decided, targets = answers.decided, answers.targets
        if (kept := read_together(Run(final))) is not None:
            values, targets = kept
            paths = [whole.run.path for whole in done]
            decided = find_members(self._lab(), paths, "cpu").form.decide(values)
        return _draw_boards(metric, decided, targets, answers.groups, rows)


def _draw_boards(
    metric: MainMetric, decided: Array, targets: Array, groups: Array | None, rows: int
) -> list[float]:
    """Return the ends of 95 % of the figures of test sets, drawn from answers out of fold.

    First it is drawn which samples the truth may be made of, as a bootstrap does, then the test
    set of `rows`; whole groups are drawn where there are any.
    """
    statistics, draw = metric.statistics(decided, targets), np.random.default_rng(0)
    number = (
        np.arange(len(targets)) if groups is None else np.unique(groups, return_inverse=True)[1]
    )
    order, sizes = np.argsort(number, kind="stable"), np.bincount(number)
    starts = np.cumsum(sizes) - sizes
    count = max(1, round(rows * len(sizes) / len(targets)))
    found = []
    for _ in range(min(_BOARDS, metric.resamples)):
        truth = draw.integers(len(sizes), size=len(sizes))
        picked = truth[draw.integers(len(truth), size=count)]
        many = sizes[picked]
        before = np.repeat(starts[picked] - np.cumsum(many) + many, many)
        found.append(metric.compute(statistics[order[before + np.arange(many.sum())]]))
    low, high = np.nanquantile(found, [0.025, 0.975])
    return [float(low), float(high)]


def _read_answers(whole: Crossval) -> OutOfFold:
    names = whole.plan(whole.config)
    return OutOfFold.join([OutOfFold.read(whole.open_member(name, "cpu").run) for name in names])


def _mean_seconds(whole: Crossval, names: Sequence[str]) -> float:
    """Return how long a fold took in the mean."""
    runs = [Run(whole.run.path / "members" / name) for name in names]
    return float(np.mean([run.read("metrics")["seconds"]["total"] for run in runs]))


def _layer(
    kind: type[Any],
    recipe: str | None,
    config_path: Path | None,
    options: Mapping[str, Any],
    problems: Sequence[str],
) -> dict[str, Any]:
    """Return the values that recipe, file and options give, and refuse what is wrong with them."""
    config = commands.layered(
        kind.config_type, kind.recipes, recipe, config_path, options, problems
    )
    values = {name: getattr(config, name) for name in config.given}
    return {name: NONE if value is None else value for name, value in values.items()}


def _build(kind: type[Any], values: Mapping[str, Any]) -> Any:
    """Return the config of a run made of runs, with values that were judged before."""
    return commands.layered(kind.config_type, kind.recipes, None, None, values, [])


def _asked(options: Mapping[str, Any]) -> int | None:
    """Return the folds that the user asks for, if that is so."""
    return int(options["folds"]) if "folds" in options else None


def _check_out(given: Competition) -> None:
    """Refuse to write over what is given.

    Raises:
        DataError: a file that is to be written is one of them.
    """
    if given.out is None:
        return
    files = [Path(given.train), given.test, given.sample]
    for out in (given.out, _name_second(given.out)):
        for path in (out, out.with_suffix(".json")):
            refuse_to_replace(f"--out {given.out}:", path, files)


def _name_second(out: Path) -> Path:
    return out.with_stem(f"{out.stem}-{_REFIT}")


def _is_written(out: Path, steps: Path) -> bool:
    """Say whether one of the steps has written a file before a stop, whole and with a manifest."""
    manifest = out.with_suffix(".json")
    if not (out.is_file() and manifest.is_file()):
        return False
    known = json.loads(manifest.read_text(encoding="utf-8"))
    return known.get("sha256") == sha256_of(out) and Path(known["run"]).is_relative_to(steps)


def _find_wrong(files: Sequence[Path]) -> list[str]:
    """Say which of the arguments are no options."""
    parameters = click.get_current_context().command.params
    known = [option for each in parameters for option in each.opts]
    wrong = [str(path) for path in files if str(path).startswith("-")]
    return [f"no option {each}{suggest(each, known)}" for each in wrong]


def _plain(given: Competition) -> dict[str, Any]:
    """Return what was given for TOML, with whole paths."""
    paths = {name: str(Path(path).expanduser().absolute()) for name, path in _paths(given).items()}
    values = {name: value for name, value in given._asdict().items() if value not in (None, ())}
    columns, written = list(given.answer_columns), dict(given.written)
    return {**values, **paths, "answer_columns": columns, "written": written}


def _paths(given: Competition) -> dict[str, Any]:
    paths = {name: getattr(given, name) for name in ("train", "test", "sample", "out")}
    return {name: path for name, path in paths.items() if path is not None}
