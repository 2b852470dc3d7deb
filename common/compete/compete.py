"""`compete`: explore, groups, folds, a ladder of models, an ensemble, and what is handed in.

Each step is a run of its own, or a page, in the folder of the whole: what is finished there is not
done again, so that a run that was killed goes on where it was. What was decided by the clock is
kept in plan.json, and is not decided again.
"""

import dataclasses
import sys
import time
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from pathlib import Path
from statistics import fmean
from typing import Any, ClassVar

import click
import tomli_w

from common.compete import report
from common.compete.clock import Clock
from common.compete.given import REFIT, Competition, is_written, name_second
from common.compete.plan import (
    Rung,
    be_careful,
    choose_folds,
    choose_share,
    spend,
)
from common.ensembles.answers import read_together
from common.ensembles.forms import GREEDY
from common.ensembles.make import command as make_ensemble
from common.ensembles.members import find_members
from common.errors import ConfigError
from common.experiments.crossval import Crossval
from common.experiments.leaks import GIVEN, Leaks, Rule, find_first
from common.experiments.out_of_fold import OutOfFold
from common.experiments.shake_up import expect_score
from common.files import write_text
from common.options import terminal
from common.options.config import AUTO, NONE, flag, options_of, read_toml
from common.options.times import parse_time, write_time
from common.runs import commands, folder
from common.runs.comparison import narrow
from common.runs.folder import Run, open_run
from common.runs.lab import load_lab
from common.submission.command import command as submit
from common.submission.sample import Sample
from common.suggest import suggest

VERB, USUAL = "compete", "30m"
_STEPS, _ENSEMBLE = "steps", "ensemble"
_LONGER = 1.6  # times as long as a fold's training that one on all rows takes, at the most
_LENGTHS = {"epochs", "total_updates"}
_GROUPS = ("group_column", "group_by")
_UNFIT = {"repeats", "metrics", "tune", "all_rows", "fold", "pseudo", "unlabelled", "bootstrap"}


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

    @staticmethod
    @abstractmethod
    def estimate_seconds(config: Any) -> float:
        """Return about how long a training takes on two cores."""

    @classmethod
    def make_rung(cls, config: Any, name: str, values: Mapping[str, Any]) -> Rung:
        """Return a rung with values over a config's, but for those that the user gave."""
        free = {key: value for key, value in values.items() if key not in config.given}
        changed = dataclasses.replace(config, **free, given=config.given | free.keys())
        return Rung(name, free, cls.estimate_seconds(changed))

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
            how: `out`, `id_column`, `answer_columns` and `form` of `Competition`.

        Raises:
            InputError: what is given cannot be used, or there is too little time.
        """
        begun = time.perf_counter()
        if resume is not None:
            if files or any(how.values()):
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
            seconds = parse_time(layers.pop("time", USUAL))
            given = Competition(train, test, sample, seconds, **how)
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
        options = cls._locate({**options, "data": str(given.train)})
        if unfit := sorted(_UNFIT & options.keys()):
            raise ConfigError([f"{flag(name)}: goes with `crossval`, not here" for name in unfit])
        given.check_out()
        rungs = cls.ladder(_build(cls.crossval, options))
        folds = choose_folds(rungs, given.seconds, _asked(options))
        every = [_build(cls.crossval, {**each.values, **options, "folds": folds}) for each in rungs]
        first, *others = every
        job = cls._check(first)
        given = given.fitted(load_lab(cls.lab), job, options)
        for each in others:
            cls._check(each)
        stem = f"{cls.verb}-{given.train.expanduser().resolve().stem}"
        run = folder.create(Path(first.run_dir), cls.lab, first.name, stem)
        about = {"lab": cls.lab, "job": cls.verb, "command": list(sys.argv)}
        run.write("environment", about | folder.environment(str(job.compute)))
        kept = {name: x for name, x in options.items() if name not in ("run_dir", "name")}
        config = {"competition": given.as_dict(), "options": kept}
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
    def reopen(cls, path: Path) -> "Compete":
        """Return the run in a folder.

        Raises:
            RunError: there is no such run.
        """
        run = open_run(path, cls.lab, cls.verb)
        kept = read_toml(run.config)
        return cls(run, Competition.from_dict(kept["competition"]), kept["options"])

    @classmethod
    def report(cls, path: Path) -> None:
        """Write the report of a finished run again."""
        run = open_run(path, cls.lab, cls.verb)
        report.write(run, run.read("metrics"))
        click.echo(f"Report: {run.report}")

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
        found = self._conclude(clock, done, final)
        found |= {"submission": str(out), "refitted": None if second is None else str(second)}
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
        chosen = self.crossval.member.for_config(before).suited(before).config
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
            if share != 1 and _LENGTHS & self.options.keys():
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
            before = narrow(self._config(rung.values, **values), member.config_type)
            chosen, *_ = member.for_config(before).suited(before)
            if chosen.total_updates is not None:
                values["total_updates"] = max(1, round(share * chosen.total_updates))
            else:
                values["epochs"] = max(1, round(share * chosen.epochs))
            self._plan.setdefault("shares", {})[rung.name] = share
            self._keep()
        return self.crossval.start(self._config(rung.values, **values), sys.argv)

    def _train(self, clock: Clock, rung: Rung, whole: Crossval) -> bool:
        """Train the folds of a rung; says whether there was time for all of them."""
        folds, is_first = _list_folds(whole), self._plan["rungs"][0] == rung.name

        def is_time_for(name: str) -> bool:
            clock.keep()
            done = [run for run in folds if run.finished]
            if is_first or not done:
                return True
            took = _mean_seconds(done)
            if took * (len(folds) - len(done)) <= spend(clock.given) - clock.used:
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
            load_lab(self.lab),
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
        if REFIT in self._plan["left_out"]:
            return None
        weights = {done[0].run.path.name: 1.0}
        if final.name == _ENSEMBLE:
            weights = {
                each["name"]: each["weight"] for each in Run(final).read("metrics")["members"]
            }
        taken = [whole for whole in done if weights.get(whole.run.path.name, 0) > 0]
        needed = _LONGER * sum(_mean_seconds(_list_folds(each)) for each in taken)
        if not self._plan.setdefault(REFIT, needed < clock.left):
            self._leave_out(REFIT, f"to train on all rows takes about {write_time(needed)}")
            return None
        self._step(clock, REFIT, "training on all rows, for a second file to hand in")
        second = name_second(out)
        try:
            self._submit(final, second, refit=True)
        except ConfigError as error:
            self._leave_out(REFIT, "; ".join(error.problems))
            return None
        return second

    def _submit(self, final: Path, out: Path, *, refit: bool = False) -> None:
        given = self.given
        if is_written(out, self.run.path / _STEPS):
            return
        submit(
            load_lab(self.lab),
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

    # --- what came out ----------------------------------------------------------------------------

    def _conclude(self, clock: Clock, done: Sequence[Crossval], final: Path) -> dict[str, Any]:
        """Return what metrics.json holds."""
        metric = done[0].metric
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
            "board": expect_score(metric, _read_answers(done, final), rows),
            "rows": rows,
            "folds": self._plan["folds"],
            "grouped_by": self._plan["grouped_by"],
            "steps": listed,
            "weights": {each["name"]: each["weight"] for each in whole["members"]}
            if together
            else {},
            "left_out": self._plan["left_out"],
            "final": str(final.relative_to(self.run.path)),
            "began": self._plan["began"],
            "seconds": {
                "train": sum(each["seconds"] for each in listed),
                "total": clock.used,
                "given": clock.given,
            },
        }


def _read_answers(done: Sequence[Crossval], final: Path) -> OutOfFold:
    """Return what is said out of fold by the run that answers."""
    first = done[0]
    answers = OutOfFold.join([OutOfFold.read(run) for run in _list_folds(first)])
    if (kept := read_together(Run(final))) is None:
        return answers
    values, targets = kept
    form = find_members(load_lab(first.lab), [each.run.path for each in done], "cpu").form
    return answers._replace(decided=form.decide(values), targets=targets)


def _list_folds(whole: Crossval) -> list[Run]:
    return [Run(whole.run.path / "members" / name) for name in whole.plan(whole.config)]


def _mean_seconds(folds: Sequence[Run]) -> float:
    """Return how long folds took in the mean."""
    return fmean(run.read("metrics")["seconds"]["total"] for run in folds)


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
    if config.fit_batch:
        values["batch_size"] = AUTO
    return {name: NONE if value is None else value for name, value in values.items()}


def _build(kind: type[Any], values: Mapping[str, Any]) -> Any:
    """Return the config of a run made of runs, with values that were judged before."""
    return commands.layered(kind.config_type, kind.recipes, None, None, values, [])


def _asked(options: Mapping[str, Any]) -> int | None:
    """Return the folds that the user asks for, if that is so."""
    return int(options["folds"]) if "folds" in options else None


def _find_wrong(files: Sequence[Path]) -> list[str]:
    """Say which of the arguments are no options."""
    parameters = click.get_current_context().command.params
    known = [option for each in parameters for option in each.opts]
    wrong = [str(path) for path in files if str(path).startswith("-")]
    return [f"no option {each}{suggest(each, known)}" for each in wrong]
