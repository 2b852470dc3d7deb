"""A run whose answers are those of its members, combined: what is asked of runs, takes it."""

import dataclasses
from collections.abc import Sequence
from pathlib import Path
from typing import Any, ClassVar, Self, TypeVar

import numpy as np
from torch import Tensor, nn

from common.card import DataCard
from common.ensembles.combine import Combination
from common.ensembles.forms import Classes, Form
from common.ensembles.members import BOOSTING, ENSEMBLE, Member, OwnMember, check_fit, load_views
from common.errors import RunError
from common.metrics.metrics import Array
from common.options.config import TrainingConfig, read_toml
from common.options.terminal import once
from common.runs.folder import Run, open_run
from common.runs.job import Job, Outputs, Say, Splits

C = TypeVar("C", bound=TrainingConfig)
K = TypeVar("K", bound=DataCard)


class Seen:
    """A split as each member sees it; who asks it for more, is given what the first one has.

    Args:
        views: what each member sees.
    """

    def __init__(self, views: Sequence[Any]):
        self.views = views

    def __len__(self) -> int:
        return len(self.views[0])

    def __getitem__(self, row: Any) -> Any:
        return self.views[0][row]

    def __getattr__(self, name: str) -> Any:
        return getattr(self.views[0], name)


class Together(Job[C, K]):
    """Members that answer together, as a job; it goes before the class of the members' job.

        class TextsTogether(Together[SentimentConfig, Card], Sentiment):
            kind = Sentiment

    Its config and its card are those of the first member.

    Attributes:
        kind: the class of the members' job.
        members: what answers, with their weights after `load_best`.
        form: of what they say.
        combination: how they answer together.
        of_folds: whether they are folds, of which each tests what others learned from.
    """

    kind: ClassVar[type[Job[Any, Any]]]

    def __init__(
        self, run: Run, members: Sequence[Member], combination: Combination, *, of_folds: bool
    ):
        self.run, self.members = run, members
        self.of_folds = of_folds
        first = members[0].jobs[0]
        self.config, self.compute, self.card = first.config, first.compute, first.card
        self.form = self.form_of(members)
        self.combination = combination

    @classmethod
    def form_of(cls, members: Sequence[Member]) -> Form:
        """Return the form of what members say."""
        return Classes(members[0].jobs[0].main_metric)

    @classmethod
    def check_fit(cls, other: Any, first: Any) -> None:
        """Refuse a run whose answers do not go with those of the first; see `members.check_fit`."""
        check_fit(other, first)

    @classmethod
    def boosting_of(cls, first: Any, run: Run) -> Any:
        """Return gradient boosting on the features of the first member, as a job.

        Args:
            first: the first member's job.
            run: of the ensemble, which keeps what is fitted.

        Raises:
            RunError: there is none of such runs.
        """
        raise RunError("--boosting: goes with classifiers of images")

    @property
    def networks(self) -> list[Any]:
        """The jobs of all networks."""
        return [job for member in self.members for job in member.jobs]

    @property
    def model(self) -> nn.Module:  # type: ignore[override]
        """There is none.

        Raises:
            RunError: always; it names what has one.
        """
        jobs = [job for member in self.members if not member.own for job in member.jobs]
        paths = ", ".join(str(job.run.path) for job in jobs)
        raise RunError(f"{self.run.path} is an ensemble: to look into a network, name one: {paths}")

    @classmethod
    def reopen(cls, path: Path, device: str | None = None) -> Self:
        """Open a finished ensemble with its members.

        Args:
            path: the run folder.
            device: another device than the members'.

        Raises:
            RunError: there is no such ensemble, or a member is gone or has other weights now.
        """
        run = open_run(path, cls.lab, ENSEMBLE)
        kept = read_toml(run.config)
        run.read("metrics")  # it must be finished
        combination = Combination.from_dict(run.read("combination"))
        members = [_reopen_member(cls.kind, path, each, device) for each in kept["members"]]
        if kept.get(BOOSTING, False):
            members.append(OwnMember(BOOSTING, path, [cls.boosting_of(members[0].jobs[0], run)]))
        return cls(run, members, combination, of_folds=kept["of_folds"])

    def renewed(self, trained: Sequence[tuple[Path, Sequence[Any]]]) -> Self:
        """Return them with other networks, combined as before.

        Args:
            trained: of each member the folder of what it is now, and its networks.
        """
        members = [
            dataclasses.replace(member, path=path, jobs=jobs)
            for member, (path, jobs) in zip(self.members, trained, strict=True)
        ]
        return type(self)(self.run, members, self.combination, of_folds=self.of_folds)

    def load_best(self) -> None:
        """Put the weights of the best epochs into the members.

        Raises:
            RunError: some are damaged.
        """
        for member in self.members:
            member.load()

    def load_splits(self) -> Splits:
        """Load the data, as each member sees them.

        Raises:
            RunError: the data have changed, or the members are folds of them.
        """
        if self.of_folds:
            raise RunError(
                f"the members of {self.run.path} are folds: each split has samples that some of "
                "them learned from; its report has what it is out of fold, and evaluate takes "
                "--data with others"
            )
        views = load_views(self.members)
        return {name: Seen([view[name] for view in views]) for name in views[0]}

    def labelled(self, path: Path, say: Say, **written: Any) -> Any:
        """Return a user's file or folder as one split, as each member sees it."""
        say = once(say)
        jobs = [member.jobs[0] for member in self.members]
        return Seen([job.labelled(path, say, **written) for job in jobs])

    def predict_splits(
        self, splits: Splits, names: Sequence[str] = ("validation", "test")
    ) -> dict[str, dict[str, Tensor]]:
        """Return what the members together say of splits, by the split's name."""
        return {
            name: self.combine(
                [
                    member.predict(self.form, {name: view}, name)
                    for member, view in zip(self.members, splits[name].views, strict=True)
                ]
            )
            for name in names
        }

    def answers(self, inputs: Any) -> Outputs:
        """Return what the members together say of inputs that each takes as they are."""
        return self.combine([member.answer(self.form, inputs) for member in self.members])

    def combine(self, values: Sequence[Array]) -> dict[str, Tensor]:
        """Return the outputs of the members together, from what each says, (N, ...)."""
        return dict(self.form.outputs(self.combination.answer(np.stack(values), self.form)))


def _reopen_member(
    kind: type[Job[Any, Any]], folder: Path, kept: dict[str, Any], device: str | None
) -> Member:
    """Open a member as config.toml has it: with paths from the ensemble's folder on, in a bundle.

    Raises:
        RunError: it is gone, or has other weights now.
    """
    jobs = [kind.reopen(folder / each, device) for each in kept["networks"]]
    member = Member(kept["name"], folder / kept["run"], jobs)
    member.check_hashes(kept["weights"])
    return member
