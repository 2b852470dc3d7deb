"""The runs that answer test data: one, or the folds of a cross-validation."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from pkgutil import resolve_name
from typing import Any, NamedTuple

from common.errors import RunError
from common.experiments.crossval import Crossval
from common.options import terminal
from common.runs.folder import Run, open_run
from common.runs.lab import Lab
from common.submission.kind import Submission

_MEASURED = ("validation", "test", "out_of_fold")  # in metrics.json; the last of an ensemble


class Opened(NamedTuple):
    """What answers test data."""

    run: Run  # that the user named
    verb: str  # what trained each of the jobs
    jobs: Sequence[Any]  # it, or its folds

    @property
    def is_ensemble(self) -> bool:
        """Whether it is runs that answer together."""
        return any(list(job.networks) != [job] for job in self.jobs)


def open_runs(lab: Lab, path: Path, device: str | None) -> Opened:
    """Return a finished run with its weights, or the folds of a finished cross-validation.

    Raises:
        RunError: there is no such run, it is not finished, or is made of other runs than folds.
    """
    run = open_run(path, lab.name)
    run.read("metrics")  # it must be finished
    if (answering := run.answering) is not None:
        return open_runs(lab, answering, device)
    if run.job not in lab.comparisons:
        return Opened(run, lab.verb_of(run), [lab.open_trained(path, device)])
    kind = lab.comparisons[run.job].resolve()
    if not issubclass(kind, Crossval):
        raise RunError(
            f"{path} is made of runs of several kinds by `{run.job}`; name one of those in "
            f"{path}/members, or a cross-validation"
        )
    whole = kind.reopen(path)
    names = list(kind.plan(whole.config))
    jobs = [kind.member.open_trained(path / "members" / name, device) for name in names]
    if len({getattr(job.card, "classes", ()) for job in jobs}) > 1:
        raise RunError(f"the folds of {path} know different classes: their answers have no mean")
    return Opened(run, kind.member.verb, jobs)


def submission_of(lab: Lab, opened: Opened) -> Submission[Any]:
    """Return how runs answer test data.

    Raises:
        RunError: such runs do not, or several of them have no mean.
    """
    name = opened.jobs[0].submission
    if name is None:
        raise RunError(
            f"{opened.run.path}: runs of {opened.jobs[0].config.title} by `{opened.verb}` do not "
            "submit"
        )
    kind: type[Submission[Any]] = resolve_name(name)
    if len(opened.jobs) > 1 and kind.merging is None:
        raise RunError(
            f"{opened.run.path} is a cross-validation by `{opened.run.job}`, whose folds have no "
            "mean; give one run"
        )
    return kind(opened.jobs, terminal.note)


def read_scores(run: Run) -> dict[str, Any]:
    """Return what a run was measured to be, with intervals: on its splits, or out of fold."""
    metrics: Mapping[str, Any] = run.read("metrics")
    if "measured" in metrics:  # a refit, of which nothing is held out, has those of other runs
        return dict(metrics["measured"])
    if "of_folds" not in metrics:
        return {name: metrics[name] for name in _MEASURED if name in metrics}
    own = {name: value for name, value in metrics.items() if f"{name}_interval" in metrics}
    ends = {f"{name}_interval": metrics[f"{name}_interval"] for name in own}
    return {"out_of_fold": {**own, **ends, "others": metrics["metrics"]}}
