"""How an ensemble is made: its run folder, what it learns, what it is measured to be."""

import dataclasses
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import click
import numpy as np

from common.ensembles import report
from common.ensembles.answers import Answers, gather, keep_together
from common.ensembles.combine import LEARNING, Combination, find_best, learn
from common.ensembles.judge import compare, judge_nested, list_pairs
from common.ensembles.members import (
    BOOSTING,
    ENSEMBLE,
    Members,
    OwnMember,
    find_members,
    load_views,
    together_of,
)
from common.errors import RunError
from common.files import write_text
from common.metrics.main_metric import MainMetric
from common.metrics.metrics import Array
from common.options import terminal
from common.options.config import read_toml
from common.runs import folder
from common.runs.folder import Run, open_run
from common.runs.job import Splits
from common.runs.lab import Lab


def command(
    lab: Lab,
    runs: Sequence[Path],
    *,
    method: str,
    seed: int,
    run_dir: Path,
    name: str | None,
    resume: Path | None,
    device: str | None,
    boosting: bool = False,
) -> None:
    """Make an ensemble of runs, or go on with one that was stopped, and show the result.

    Args:
        lab: whose runs they are.
        runs: their folders.
        method: how they are to answer together, one of `METHODS`.
        seed: of the folds in which what it gains is judged.
        run_dir: the folder of all runs.
        name: of the new run; None for a number.
        resume: the run to go on with.
        device: another device than the runs'.
        boosting: whether gradient boosting on the features of the first run is one more member.

    Raises:
        InputError: the runs do not fit one another, or cannot be had.
    """
    views: Sequence[Splits] | None
    if resume is not None:
        run = open_run(resume, lab.name, ENSEMBLE)
        members, views = _find_again(lab, run, device), None
    else:
        members = find_members(lab, runs, device)
        members.form.check(method)
        if members.alone and method in LEARNING:
            raise RunError(
                f"--method {method}: learns from answers that members give of the same samples, "
                "and folds answer each its own; give two cross-validations, or --method soft"
            )
        if boosting:
            _check_boosting(lab, members)
        views = None if members.out_of_fold else load_views(members.each)
        run = _create(lab, members, runs, method, seed, run_dir, name, boosting)
    if not run.finished:
        with run.locked(), terminal.saved_in(run.path, f"python -m labs.{lab.name} {ENSEMBLE}"):
            if read_toml(run.config).get(BOOSTING, False):
                members, views = _boost(lab, run, members, views)
            _conclude(run, members, views)
    report.show(run)


def report_again(path: Path) -> None:
    """Write the report of a finished ensemble again."""
    run = Run(path)
    report.write(run, run.read("metrics"))
    click.echo(f"Report: {run.report}")


def _create(
    lab: Lab,
    members: Members,
    runs: Sequence[Path],
    method: str,
    seed: int,
    run_dir: Path,
    name: str | None,
    boosting: bool,
) -> Run:
    """Make the run folder."""
    import tomli_w

    first = members.first
    stem = f"{ENSEMBLE}-{Path(getattr(first.config, 'data', '')).stem}"
    run = folder.create(run_dir, lab.name, name, stem)
    about = {"lab": lab.name, "job": ENSEMBLE, "of": members.verb, "command": list(sys.argv)}
    run.write("environment", {**about, **folder.environment(str(first.compute))})
    run.write("data", first.card.as_dict())
    config = {
        "runs": [str(path.absolute()) for path in runs],
        "method": method,
        "seed": seed,
        "of_folds": bool(members.out_of_fold),
        BOOSTING: boosting,
        "members": [each.as_dict() for each in members.each],
    }
    write_text(run.config, tomli_w.dumps(config))  # the last: it makes the folder a run
    return run


def _find_again(lab: Lab, run: Run, device: str | None) -> Members:
    """Return the members of an ensemble, which must have the weights that they had."""
    kept = read_toml(run.config)
    members = find_members(lab, list(map(Path, kept["runs"])), device)
    for member, each in zip(members.each, kept["members"], strict=True):
        member.check_hashes(each["weights"])
    return members


def _check_boosting(lab: Lab, members: Members) -> None:
    """Refuse runs on whose features nothing is boosted.

    Raises:
        RunError: they are such.
    """
    if members.out_of_fold:
        raise RunError("--boosting: goes with runs; each fold would need trees of its own")
    together_of(lab, members.verb).boosting_of(members.first, Run(Path()))


def _boost(
    lab: Lab, run: Run, members: Members, views: Sequence[Splits] | None
) -> tuple[Members, Sequence[Splits] | None]:
    """Return members with gradient boosting as one more, fitted unless it was, and the data."""
    job = together_of(lab, members.verb).boosting_of(members.first, run)
    if not job.run.best.is_file():
        views = views or load_views(members.each)
        with terminal.progress_bar("boosting trees on the features of training") as bar:
            job.fit(views[0]["train"], bar.move)
    each = [*members.each, OwnMember(BOOSTING, run.path, [job])]
    return dataclasses.replace(members, each=each), views and [*views, views[0]]


def _conclude(run: Run, members: Members, views: Any) -> None:
    """Learn how the members answer together, measure it, and write the report."""
    begun = time.perf_counter()
    config = read_toml(run.config)
    metric, method = members.first.main_metric, config["method"]
    how = members.form.describe(method)
    if members.alone:
        count = len(members.each)
        combination = Combination(method, np.full(count, 1 / count))
        found = _measure_alone(members, metric)
    else:
        answers = gather(run, members, views, config["seed"])
        with terminal.progress_bar(f"judging {how}") as bar:
            source, truth = answers.learned_from, answers.truth[answers.learned_from]
            values, form = answers.values[source], members.form
            combination = learn(method, values, truth.targets, form)
            found, together = _measure(combination, members, answers, bar.move)
        keep_together(run, together, answers.truth[answers.judged_on].targets)
    run.write("combination", combination.as_dict())
    found |= {"method": method, "how": how}
    first = members.first
    of_data = first.config
    whole = of_data.describe_whole if members.out_of_fold else of_data.without_drawn
    found["source"] = whole(first.card.source)
    found["metric"] = {"name": metric.name, "label": metric.label, "classes": metric.classes}
    trained = sum(member.seconds for member in members.each)
    found["seconds"] = {"train": trained, "total": time.perf_counter() - begun}
    report.write(run, found)
    run.write("metrics", found)


def _measure(
    combination: Combination, members: Members, answers: Answers, move: Callable[[float], None]
) -> tuple[dict[str, Any], Array]:
    """Return what metrics.json holds, and the values (N, ...) where it is judged."""
    method, source, judged = combination.method, answers.learned_from, answers.judged_on
    form, known = members.form, answers.truth[source].targets
    chosen = find_best(answers.values[source], known, form)
    nested, said = None, None
    if answers.folds is not None:
        nested, said = judge_nested(
            method, answers.values[source], answers.truth[source], answers.folds, form, move
        )
    together = {
        name: combination.answer(each, members.form) for name, each in answers.values.items()
    }
    if judged == source and said is not None:
        together[judged] = said
    form.settle(together[source], known)
    truth, alone = answers.truth[judged], answers.values[judged]
    gain = (
        {name: nested[name] for name in ("gain", "gain_interval")}
        if judged == source and nested is not None
        else compare(together[judged], alone[chosen], truth, form)
    )
    metric = form.metric_of(len(truth.targets))
    listed = [
        {
            "name": member.name,
            "run": str(member.path),
            "networks": len(member.jobs),
            "weight": float(combination.weights[number]),
            f"chosen_by_{metric.name}": metric.value(
                form.decide(answers.values[source][number]), known
            ),
            **metric.measure(form.decide(alone[number]), *truth),
            **compare(together[judged], alone[number], truth, form),
            **form.details(alone[number], truth.targets),
            "seconds_train": member.seconds,
            "seconds_answer": answers.seconds[number],
        }
        for number, member in enumerate(members.each)
    ]
    found = {
        "judged_on": judged,
        **{
            name: {
                **form.figures(each, answers.truth[name].targets),
                **form.details(each, answers.truth[name].targets),
                **form.metric_of(len(each)).measure(form.decide(each), *answers.truth[name]),
            }
            for name, each in together.items()
        },
        "baselines": {},
        "members": listed,
        "best": listed[chosen]["name"],
        **gain,
        "nested": nested,
        "pairs": list_pairs(alone, truth.targets, form),
    }
    return found, together[judged]


def _measure_alone(members: Members, metric: MainMetric) -> dict[str, Any]:
    """Return what metrics.json holds of the folds of one cross-validation."""
    whole = members.out_of_fold[0]
    known: Mapping[str, Any] = whole.run.read("metrics")
    names = (metric.name, f"{metric.name}_interval")
    weight = 1 / len(members.each)
    return {
        "judged_on": None,
        "each_alone": {name: known[name] for name in names},
        "baselines": {},
        "members": [
            {
                "name": each.name,
                "run": str(each.path),
                "networks": 1,
                "weight": weight,
            }
            for each in members.each
        ],
    }
