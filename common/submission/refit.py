"""Training on all labelled rows, for as long as held-out rows have shown to be best."""

import dataclasses
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from statistics import fmean, median
from typing import Any, NamedTuple

import numpy as np

from common.errors import ConfigError, RunError
from common.options import terminal
from common.reuse import reuse
from common.runs import commands
from common.runs.folder import open_run, remove_half_made
from common.runs.lab import Lab
from common.submission.runs import Opened, read_scores


def train_on_all(lab: Lab, opened: Opened, device: str | None) -> Opened:
    """Return a run that has learned from all rows of the data, trained now if it is not there.

    It trains for the median of the best epochs of the runs, and stops no earlier. What they chose
    on rows that were held out, such as thresholds, is carried over.

    Args:
        lab: whose runs they are.
        opened: the runs that show how long.
        device: another device than theirs.

    Of runs that answer together each member is trained so; how they are combined stays.

    Raises:
        RunError: such runs cannot learn from all rows, their data have changed, or a run of that
            name is of another config.
        ConfigError: their options do not go with that.
    """
    if not opened.is_ensemble:
        return _train(lab, _plan(lab, opened), device)
    [together] = opened.jobs
    plans = [_plan(lab, each) for each in _list_members(opened)]  # before the first one trains
    trained = [_train(lab, plan, device) for plan in plans]
    return opened._replace(
        jobs=[together.renewed([(each.run.path, each.jobs) for each in trained])]
    )


class _Plan(NamedTuple):
    opened: Opened
    config: Any  # of the run that learns from all rows
    path: Path  # its folder
    why: str  # it trains for so long


def _list_members(opened: Opened) -> list[Opened]:
    """Return each member of an ensemble as what answers by itself.

    Raises:
        RunError: they are the folds of one cross-validation, or one is fitted to training rows.
    """
    [together] = opened.jobs
    if fitted := [member.name for member in together.members if member.own]:
        raise RunError(
            f"--refit: {fitted[0]} of {opened.run.path} stays fitted to the training rows; make an "
            f"ensemble without --{fitted[0]}"
        )
    if together.of_folds and all(len(member.jobs) == 1 for member in together.members):
        whole = together.members[0].path.parent.parent
        raise RunError(
            f"--refit: the members of {opened.run.path} are folds of one cross-validation, of "
            f"which one network learns from all rows: give {whole}"
        )
    return [Opened(open_run(member.path), opened.verb, member.jobs) for member in together.members]


def _plan(lab: Lab, opened: Opened) -> _Plan:
    """Return the run that is to learn from all rows, for how long, and why so long."""
    first = opened.jobs[0]
    if "all_rows" not in {field.name for field in dataclasses.fields(first.config)}:
        raise RunError(f"--refit: runs of `{opened.verb}` hold rows out to the end")
    if first.config.all_rows:
        raise RunError(f"--refit: {opened.run.path} has learned from all rows already")
    path = _find_place(opened.run.path, lab.name)
    best = [job.run.read("metrics")["best_epoch"] for job in opened.jobs]
    config = dataclasses.replace(
        first.config,
        **_without_held(int(median(best) + 0.5)),
        run_dir=str(path.parent.parent),
        name=path.name,
    )
    if problems := config.problems():
        raise ConfigError([f"--refit: {problem}" for problem in problems])
    of_folds = f"the median of the folds' best epochs ({', '.join(map(str, sorted(best)))})"
    return _Plan(opened, config, path, of_folds if len(best) > 1 else "its best epoch")


def _train(lab: Lab, plan: _Plan, device: str | None) -> Opened:
    """Train a run, or go on with it, and return it with its weights."""
    begun, (opened, config, path, why) = time.perf_counter(), plan
    first = opened.jobs[0]
    terminal.note(f"--refit: all rows train for {config.epochs} epochs, {why}; {path}")
    kind, carried = type(first), _carry(opened)
    remove_half_made(path)
    if path.exists():
        there = kind.reopen(path).config
        if _what_is_computed(there) != _what_is_computed(config):
            raise RunError(
                f"--refit: {path} is there already, trained in another way; move it away"
            )
        if open_run(path).finished:
            terminal.note(f"{path} is trained already")
        else:
            _write_carried(path, carried)
            commands.resume_run(kind, path, device, begun)
    else:
        with reuse():
            first.load_splits()  # refuses data that are no longer those of the run
            job, splits = kind.start(config, sys.argv)
        _write_carried(path, carried)
        commands.train_run(job, splits, begun)
    return Opened(open_run(path), opened.verb, [lab.open_trained(path, device)])


def _without_held(epochs: int) -> dict[str, Any]:
    """Return the values of a config under which nothing is held out."""
    changes: dict[str, Any] = dict.fromkeys(("folds", "fold", "monitor", "patience"))
    return {**changes, "all_rows": True, "share": 1.0, "mode": "auto", "epochs": epochs}


def _what_is_computed(config: Any) -> Any:
    """Return a config without what says where a run is, and how its machine computes."""
    names = {"name", "run_dir"}
    fields = dataclasses.fields(config)
    usual = {
        field.name: field.default
        for field in fields
        if field.name in names or field.metadata.get("machine")
    }
    return dataclasses.replace(config, **usual)


def _find_place(path: Path, lab: str) -> Path:
    """Return the folder of the refit of a run, beside it; of a member, beside what it is of."""
    whole = path.absolute()
    names = [whole.name]
    while whole.parent.name == "members":
        whole = whole.parent.parent
        names.insert(0, whole.name)
    if whole.parent.name != lab:
        raise RunError(
            f"--refit: {path} is not in a folder of runs, as RUNS/{lab}/NAME; move it into one"
        )
    return whole.parent / f"{'-'.join(names)}-refit"


def _carry(opened: Opened) -> dict[str, dict[str, Any]]:
    """Return what held-out rows said, by the name of its file; what was chosen as the mean."""
    metrics = [job.run.read("metrics") for job in opened.jobs]
    measured = {"of": str(opened.run.path), **read_scores(opened.run)}
    carried: dict[str, dict[str, Any]] = {"carried": {"measured": measured}}
    if "thresholds" in metrics[0]:
        names = metrics[0]["thresholds"]
        means = {name: fmean(each["thresholds"][name] for each in metrics) for name in names}
        carried["carried"]["thresholds"] = means
    shares = [
        job.run.read("share")["share"]
        for job in opened.jobs
        if (job.run.path / "share.json").is_file()
    ]
    if shares:
        carried["share"] = {"share": float(np.mean(shares))}
    return carried


def _write_carried(path: Path, carried: Mapping[str, Mapping[str, Any]]) -> None:
    for name, values in carried.items():
        open_run(path).write(name, values)
