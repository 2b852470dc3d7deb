"""The study of a search: Optuna's journal in the run folder, and who works at which trial.

The parameters of a trial follow from the trials before it and from its number alone: the sampler is
made for each, with a seed of its own. So a search of one process that was killed goes on as if
it had not been. Several processes append to one journal; what each of them samples then depends on
who was first, but every trial can be repeated from what the journal holds of it.
"""

import contextlib
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Literal, NamedTuple

import filelock
import optuna
from optuna.distributions import (
    BaseDistribution,
    CategoricalDistribution,
    FloatDistribution,
    IntDistribution,
)
from optuna.storages import JournalStorage
from optuna.storages.journal import JournalFileBackend, JournalFileSymlinkLock
from optuna.trial import FrozenTrial, TrialState

from common import seeding
from common.errors import RunError
from common.experiments.search.leases import Lease, Leases
from common.experiments.search.space import Dimension, Space, Values

_NAME, _JOURNAL = "search", "journal.log"
REASON = "reason"
_BEFORE = 5  # trials that have to be complete before one is pruned


class Claimed(NamedTuple):
    """A trial that this process works at."""

    number: int
    parameters: Values
    lease: Lease
    id: int  # in the journal


class Study:
    """The trials of a search.

    Args:
        folder: of the run.
        space: what varies.
        seed: of the parameters.
        maximize: whether larger values are better.
        warmup: steps of a trial in which it is not pruned; None where none is.
    """

    def __init__(
        self, folder: Path, space: Space, *, seed: int, maximize: bool, warmup: int | None
    ):
        optuna.logging.set_verbosity(optuna.logging.WARNING)
        self._seed, self._leases = seed, Leases(folder / "leases")
        self._direction: Literal["maximize", "minimize"] = "maximize" if maximize else "minimize"
        self._distributions = {name: _distribute(each) for name, each in space.items()}
        self._pruner = None if warmup is None else optuna.pruners.MedianPruner(_BEFORE, warmup)
        path = folder / _JOURNAL
        with self._leases.locked():
            lock = _Lock(folder / f".{_JOURNAL}.lock")
            _mend(path, lock)
            self._storage = JournalStorage(JournalFileBackend(str(path), lock))
            self.optuna = optuna.create_study(
                storage=self._storage,
                study_name=_NAME,
                direction=self._direction,
                load_if_exists=True,
            )
            self._check(folder, {"seed": seed, "space": repr(space), "direction": self._direction})

    def _check(self, folder: Path, about: dict[str, Any]) -> None:
        """Refuse a journal of another space."""
        known = self.optuna.user_attrs
        if not known:
            self.optuna.set_user_attr("about", about)
        elif known["about"] != about:
            raise RunError(
                f"{folder} holds the trials of another space, seed or metric than its config.toml "
                "names; put that back as it was, or begin another search"
            )

    # --- what there is ----------------------------------------------------------------------------

    @property
    def trials(self) -> list[FrozenTrial]:
        """All trials, in the order of their numbers."""
        return self.optuna.get_trials(deepcopy=False)

    @property
    def waited_for(self) -> list[int]:
        """The numbers of the trials that other processes work at."""
        return [
            trial.number
            for trial in self.trials
            if trial.state is TrialState.RUNNING and self._leases.is_held(name_trial(trial.number))
        ]

    # --- work at trials ---------------------------------------------------------------------------

    def claim(self, more: Callable[[list[FrozenTrial]], bool]) -> Claimed | None:
        """Return a trial to work at: one that was left, or a new one; None where there is none.

        Args:
            more: says of the trials so far whether another one may begin.
        """
        with self._leases.locked():
            trials = self.trials
            for trial in trials:
                name = name_trial(trial.number)
                if trial.state is TrialState.RUNNING and not self._leases.is_held(name):
                    return self._hold(trial)
            if not more(trials):
                return None
            self._storage.create_new_trial(self.optuna._study_id, self._sample(trials))
            return self._hold(self.trials[-1])

    def _hold(self, trial: FrozenTrial) -> Claimed:
        lease = self._leases.take(name_trial(trial.number))
        return Claimed(trial.number, trial.params, lease, trial._trial_id)

    def _sample(self, before: list[FrozenTrial]) -> FrozenTrial:
        """Return the next trial, with all its parameters at once: a crash leaves no half of it."""
        seed = seeding.derive(self._seed, len(before)) % 2**32
        sampler = optuna.samplers.TPESampler(seed=seed)
        copy = optuna.create_study(direction=self._direction, sampler=sampler)
        copy.add_trials(before)
        return optuna.trial.create_trial(
            state=TrialState.RUNNING,
            params=copy.ask(self._distributions).params,
            distributions=self._distributions,
        )

    def report(self, claimed: Claimed, step: int, value: float) -> bool:
        """Keep a value of a trial on its way; says whether it is to be pruned.

        Of a trial that goes on, the steps that were reported before come again.
        """
        if step not in self._storage.get_trial(claimed.id).intermediate_values:
            self._storage.set_trial_intermediate_value(claimed.id, step, value)
        trial = self._storage.get_trial(claimed.id)
        return self._pruner is not None and self._pruner.prune(self.optuna, trial)

    def complete(self, claimed: Claimed, value: float, facts: Mapping[str, Any]) -> None:
        """End a trial with its value."""
        self._keep(claimed, facts)
        self.optuna.tell(claimed.number, value)

    def prune(self, claimed: Claimed, reason: str, facts: Mapping[str, Any]) -> None:
        """End a trial that is behind the others."""
        self._keep(claimed, {REASON: reason, **facts})
        self.optuna.tell(claimed.number, state=TrialState.PRUNED)

    def fail(self, claimed: Claimed, reason: str, facts: Mapping[str, Any]) -> None:
        """End a trial that could not be trained."""
        self._keep(claimed, {REASON: reason, **facts})
        self.optuna.tell(claimed.number, state=TrialState.FAIL)

    def _keep(self, claimed: Claimed, facts: Mapping[str, Any]) -> None:
        for name, fact in facts.items():
            self._storage.set_trial_user_attr(claimed.id, name, fact)

    # --- what there is to see in it ---------------------------------------------------------------

    def importances(self) -> dict[str, float]:
        """Return how much of the values' spread each parameter explains, the largest first.

        By fANOVA (Hutter, Hoos and Leyton-Brown 2014, "An efficient approach for assessing
        hyperparameter importance"); nothing where all values are equal, or too few.
        """
        values = {trial.value for trial in self.trials if trial.state is TrialState.COMPLETE}
        if len(values) < 4 or not self._distributions:
            return {}
        evaluator = optuna.importance.FanovaImportanceEvaluator(seed=0)
        found = optuna.importance.get_param_importances(self.optuna, evaluator=evaluator)
        return {name: float(share) for name, share in found.items()}


class _Lock(JournalFileSymlinkLock):
    """The lock of the journal, which a crash lets go of; Optuna's own stays for half a minute."""

    def __init__(self, path: Path):
        self._lock = filelock.FileLock(path)

    def acquire(self) -> bool:
        """Wait for the lock."""
        self._lock.acquire()
        return True

    def release(self) -> None:
        """Let go of it."""
        self._lock.release()

    close = release


def _mend(path: Path, lock: _Lock) -> None:
    """Cut off a last line that a crash of the machine left half written."""
    lock.acquire()
    with contextlib.closing(lock), contextlib.suppress(FileNotFoundError), path.open("rb+") as file:
        file.truncate(file.read().rfind(b"\n") + 1)


def name_trial(number: int) -> str:
    """Return what the folder and the lease of a trial are called."""
    return f"trial-{number:03}"


def _distribute(dimension: Dimension) -> BaseDistribution:
    if dimension.choices:
        return CategoricalDistribution(dimension.choices)
    kind = IntDistribution if dimension.whole else FloatDistribution
    return kind(dimension.low, dimension.high, log=dimension.log)  # type: ignore[arg-type]
