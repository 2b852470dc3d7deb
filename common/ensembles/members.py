"""The members of an ensemble: runs, or the folds of cross-validations, that fit one another."""

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from pkgutil import resolve_name
from typing import Any, ClassVar

import numpy as np

from common.ensembles.forms import Form
from common.errors import RunError
from common.experiments.crossval import Crossval
from common.files import sha256_of
from common.metrics.metrics import Array
from common.options.config import flag, options_of
from common.reuse import reuse
from common.runs.folder import Run, open_run
from common.runs.job import Job, Splits
from common.runs.lab import Lab
from common.runs.side_by_side import shorten_names

BOOSTING = "boosting"  # the member that is fitted here, its file, and the option
ENSEMBLE = "ensemble"  # the command, and what trained the run in its environment.json


@dataclass
class Member:
    """A run of which an ensemble is made; of a cross-validation its folds, which answer by mean.

    Attributes:
        name: that tells it from the others.
        path: the run's folder.
        jobs: its networks.
    """

    name: str
    path: Path
    jobs: Sequence[Any]
    own: ClassVar[bool] = False  # whether the ensemble keeps it

    @property
    def hashes(self) -> list[str]:
        """The SHA-256 of the weights of each network."""
        return [_hash_weights(job.run) for job in self.jobs]

    def as_dict(self) -> dict[str, Any]:
        """Return what the config of an ensemble says of it."""
        return {
            "name": self.name,
            "run": str(self.path.absolute()),
            "networks": [str(job.run.path.absolute()) for job in self.jobs],
            "weights": self.hashes,
        }

    def check_hashes(self, known: Sequence[str]) -> None:
        """Refuse weights that are others than they were.

        Raises:
            RunError: they are.
        """
        for job, before, now in zip(self.jobs, known, self.hashes, strict=True):
            if before != now:
                raise RunError(
                    f"{job.run.path} has other weights than when the ensemble was made of it: put "
                    "them back, or make a new ensemble"
                )

    @property
    def seconds(self) -> float:
        """How long it trained."""
        return sum(float(job.run.read("metrics")["seconds"]["train"]) for job in self.jobs)

    def load(self) -> None:
        """Put the weights of their best epochs into its networks."""
        for job in self.jobs:
            job.load_best()

    def predict(self, form: Form, splits: Splits, name: str) -> Array:
        """Return what it says of a split, (N, ...); of several networks, the mean."""
        found = [
            form.values(job, job.predict_splits(splits, [name])[name], splits[name])
            for job in self.jobs
        ]
        return form.mean(found)

    def answer(self, form: Form, inputs: Any) -> Array:
        """Return what it says of inputs, (N, ...); of several networks, the mean."""
        found = [form.values(job, job.answers(inputs)) for job in self.jobs]
        return form.mean(found)


class OwnMember(Member):
    """A member that is fitted for an ensemble, and kept in its folder."""

    own = True

    @property
    def seconds(self) -> float:
        """How long the fit took."""
        return float(self.jobs[0].run.read(BOOSTING)["seconds"])


@dataclass(frozen=True)
class Members:
    """Members that fit one another.

    Attributes:
        verb: the command that trained their networks.
        each: the members.
        form: of what they say.
        out_of_fold: the finished cross-validation of each, whose answers out of fold can be
            judged; () where members are runs with a validation and a test split. Of the folds of a
            single one: it alone.
    """

    verb: str
    each: Sequence[Member]
    form: Form
    out_of_fold: Sequence[Crossval] = ()

    @property
    def alone(self) -> bool:
        """Whether they are the folds of one cross-validation."""
        return len(self.out_of_fold) == 1

    @property
    def first(self) -> Job[Any, Any]:
        """The first network of the first member."""
        job: Job[Any, Any] = self.each[0].jobs[0]
        return job


def find_members(lab: Lab, paths: Sequence[Path], device: str | None) -> Members:
    """Return runs as members of an ensemble; their weights are not loaded yet.

    Args:
        lab: whose they are.
        paths: their folders.
        device: another device than the runs'.

    Raises:
        RunError: one of them is no finished run, they do not fit one another, or are too few.
    """
    resolved = [path.resolve() for path in paths]
    if twice := [path for path in paths if resolved.count(path.resolve()) > 1]:
        raise RunError(f"{twice[0]} is named twice: name each run once")
    runs = [open_run(path, lab.name) for path in paths]
    for run in runs:
        run.read("metrics")  # it must be finished
    folded = [_is_crossval(lab, run) for run in runs]
    if any(folded) and not all(folded):
        raise RunError(
            f"{runs[folded.index(True)].path} is a cross-validation, and "
            f"{runs[folded.index(False)].path} is none: what one learned from tests the other; "
            "name runs of one kind"
        )
    if not any(folded) and len(runs) == 1:
        raise RunError(
            f"{paths[0]} is one run alone: name two or more, or a cross-validation, whose folds "
            "are the members"
        )
    names = shorten_names(paths)
    found = _find_folds(lab, names, runs, device) if all(folded) else None
    members = found or _find_runs(lab, names, runs, device)
    for member in members.each:
        if why := member.jobs[0].unmeasured:
            raise RunError(f"{member.path} {why}: none is left to judge it by")
    for other in members.each[1:]:
        if not members.alone:
            together_of(lab, members.verb).check_fit(other.jobs[0], members.first)
    return members


def together_of(lab: Lab, verb: str) -> Any:
    """Return the class of runs of a command that answer together.

    Raises:
        RunError: they do not.
    """
    if verb not in lab.ensembles:
        raise RunError(
            f"runs of `{verb}` have no mean: ensembles take those of {', '.join(lab.ensembles)}"
        )
    return resolve_name(lab.ensembles[verb])


def _is_crossval(lab: Lab, run: Run) -> bool:
    """Say whether a run is a cross-validation.

    Raises:
        RunError: it is made of other runs.
    """
    if run.job == ENSEMBLE:
        raise RunError(f"{run.path} is an ensemble itself: name its members in its place")
    if run.job not in lab.comparisons:
        return False
    if not issubclass(lab.comparisons[run.job].resolve(), Crossval):
        raise RunError(
            f"{run.path} is made of runs of several kinds by `{run.job}`; name some of those in "
            f"{run.path}/members, or cross-validations"
        )
    return True


def _find_runs(lab: Lab, names: Sequence[str], runs: Sequence[Run], device: str | None) -> Members:
    verb = runs[0].job
    for run in runs:
        if run.job != verb:
            raise RunError(f"{run.path} was trained by `{run.job}`, and {runs[0].path} by `{verb}`")
    together, kind = together_of(lab, verb), lab.kind_of(runs[0].path)
    each = [
        Member(name, run.path, [kind.reopen(run.path, device)])
        for name, run in zip(names, runs, strict=True)
    ]
    for member in each:
        if not isinstance(member.jobs[0], kind):
            title = member.jobs[0].config.title
            raise RunError(f"{member.path}: runs of {title} by `{verb}` do not answer together")
    return Members(verb, each, together.form_of(each))


def _find_folds(lab: Lab, names: Sequence[str], runs: Sequence[Run], device: str | None) -> Members:
    wholes: list[Crossval] = []
    for run in runs:
        whole = lab.comparisons[run.job].resolve().reopen(run.path)
        if run.job != runs[0].job and not _have_same_folds(whole, wholes[0]):
            raise RunError(
                f"{run.path} was made by `{run.job}`, and {runs[0].path} by `{runs[0].job}`"
            )
        if whole.config.repeats > 1:
            raise RunError(
                f"{run.path} cut its folds {whole.config.repeats} times: give cross-validations "
                "of --repeats 1, of which each sample has one answer"
            )
        wholes.append(whole)
    verb, kind = wholes[0].member.verb, wholes[0].member
    together = together_of(lab, verb)
    jobs = {
        name: {
            fold: kind.reopen(whole.run.path / "members" / fold, device)
            for fold in whole.plan(whole.config)
        }
        for name, whole in zip(names, wholes, strict=True)
    }
    each = [
        Member(name, whole.run.path, list(jobs[name].values()))
        for name, whole in zip(names, wholes, strict=True)
    ]
    if len(wholes) == 1:
        each = [Member(fold, job.run.path, [job]) for fold, job in jobs[names[0]].items()]
    form = together.form_of(each)
    if not form.of_folds:
        raise RunError(
            f"{runs[0].path} is a cross-validation, whose folds of {form.name} do not answer "
            "together; name runs"
        )
    return Members(verb, each, form, wholes)


def _have_same_folds(whole: Crossval, first: Crossval) -> bool:
    """Say whether runs of two commands have networks of one kind, for folds of the same names."""
    plans = [list(each.plan(each.config)) for each in (whole, first)]
    return whole.member == first.member and plans[0] == plans[1]


def check_fit(other: Any, first: Any) -> None:
    """Refuse a run whose answers have another meaning than the first one's, or other samples.

    Raises:
        RunError: it knows other classes, other data, or another split of it.
    """
    path, known = other.run.path, first.run.path
    if (theirs := list(other.card.classes)) != (mine := list(first.card.classes)):
        raise RunError(
            f"{path} knows other classes than {known}: {_some(theirs)}, and there {_some(mine)}"
        )
    if other.card.fingerprint == first.card.fingerprint:
        return
    differ = [
        name
        for name, value in list_data_options(first.config, of_items=True).items()
        if getattr(other.config, name) != value
    ]
    if differ:
        options = ", ".join(
            f"{flag(name)} {getattr(other.config, name)} instead of {getattr(first.config, name)}"
            for name in differ
        )
        what = "another split" if differ == ["split_seed"] else "other data"
        raise RunError(f"{path} was trained on {what} than {known}: {options}")
    # Training rows may be others, as with a patch, a share or pseudo-labels: they judge nobody.
    judged, ours = (_judging(each.card.counts) for each in (other, first))
    if judged != ours:
        raise RunError(
            f"{path} was trained on other data than {known}: {_counts(judged)}, and there "
            f"{_counts(ours)}"
        )


def _judging(counts: Mapping[str, int]) -> dict[str, int]:
    return {name: number for name, number in counts.items() if name != "train"}


def load_views(members: Sequence[Member]) -> list[Splits]:
    """Return the data as each member sees them, loaded once where several see the same.

    Raises:
        InputError: they are not there any more, or have changed.
    """
    known: dict[str, Splits] = {}
    found = []
    with reuse():
        for member in members:
            job = member.jobs[0]
            key = repr((list_data_options(job.config), job.card))
            if key not in known:
                known[key] = job.load_splits()
            found.append(known[key])
    return found


def check_same_truth(
    path: Path, targets: Array, first: Path, known: Array, tolerance: float = 0.0
) -> None:
    """Refuse a run that is judged on other samples than the first.

    Args:
        path: of the run.
        targets: what is true of its samples.
        first: the path of the first run.
        known: what is true of its samples.
        tolerance: by which numbers may differ.

    Raises:
        RunError: it is.
    """
    near: dict[str, Any] = {"rtol": 0, "atol": tolerance, "equal_nan": True}
    if targets.shape != known.shape or not np.allclose(targets, known, **near):
        raise RunError(
            f"{path} was trained on another split than {first}: its samples stand elsewhere"
        )


def list_data_options(config: Any, *, of_items: bool = False) -> dict[str, Any]:
    """Return the options that say what the data are and how they are split, by their names.

    Args:
        config: of a run.
        of_items: leave out those that leave the samples of validation and test what they are.
    """
    names = [
        each.name
        for each in options_of(type(config))
        if each.metadata["group"] == "Data" and not (of_items and each.metadata["same_items"])
    ]
    return {name: getattr(config, name) for name in (*names, "split_seed")}


def _hash_weights(run: Run) -> str:
    """Return the SHA-256 of a run's weights, with the share that was chosen for two parts."""
    share = run.path / "share.json"
    if not share.is_file():
        return sha256_of(run.best)
    both = sha256_of(run.best) + sha256_of(share)
    return hashlib.sha256(both.encode()).hexdigest()


def _some(names: Sequence[str]) -> str:
    more = f" and {len(names) - 5:,} more" if len(names) > 5 else ""
    return ", ".join(names[:5]) + more


def _counts(counts: Mapping[str, int]) -> str:
    return ", ".join(f"{count:,} {name}" for name, count in counts.items())
