"""How far a leaderboard may turn round: a public part, a private part, and what luck does between.

Answers out of fold stand for what runs would say of a competition's test samples. Boards are drawn
from them: first which samples the truth may be made of, as a bootstrap does, since those at hand
are only some of it; then a public and a private part. So a probability counts both that the board
is small and that the samples at hand are few.

    found = foretell(contenders, Board(public=300, private=700))
    found.beats()[0, 1]  # the probability that the first run beats the second in private
"""

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import combinations
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from common.errors import ConfigError, RunError
from common.experiments.crossval import Crossval, read_listed
from common.experiments.out_of_fold import OutOfFold
from common.metrics.main_metric import MainMetric
from common.metrics.metrics import Array
from common.metrics.named import NamedMetric, OfCounts
from common.runs import listing
from common.runs.folder import Run, open_run
from common.runs.side_by_side import find_lab

_DRAWS = 2000  # boards
_DRAWN = 2_000_000  # counts that are drawn at a time
_SORTED = 500  # boards for a metric that sorts all rows
_UNDEFINED = 0.05  # largest share of boards on which the metric may be undefined


class Board(NamedTuple):
    """How many samples a leaderboard has."""

    public: int
    private: int

    @classmethod
    def cut(cls, size: int, private: float) -> "Board":
        """Return a board of a size, of which a share is private.

        Raises:
            ConfigError: one of its parts has no sample.
        """
        hidden = round(size * private)
        if not 0 < hidden < size:
            raise ConfigError(
                f"--size {size} --private {private:g}: a board needs a public and a private sample"
            )
        return cls(size - hidden, hidden)


@dataclass(frozen=True, eq=False)
class Contenders:
    """Runs that have answered the same samples, out of fold."""

    names: Sequence[str]
    metric: MainMetric | NamedMetric
    measures: Sequence[OfCounts]  # of each run
    groups: Array  # (N,) number of what each sample belongs to, from 0; itself, where to nothing
    samples: str  # what they are, in plural
    draws: int  # how many boards it is worth drawing


@dataclass(frozen=True, eq=False)
class ShakeUp:
    """What boards may say of runs; scores are (R, K), R boards of K runs."""

    contenders: Contenders
    board: Board
    known: Array  # (K,) the score of each run on all samples at hand
    public: Array
    private: Array
    lucky: Array  # scores on public parts alone, were the samples at hand the whole truth

    @cached_property
    def sign(self) -> int:
        """1 where larger is better, or else -1."""
        return 1 if self.contenders.metric.larger_is_better else -1

    def beats(self) -> Array:
        """Return the probability that the run of a row beats that of a column in private, (K, K).

        That two have the very same score is in neither.
        """
        signed = self.sign * self.private
        return np.asarray((signed[:, :, None] > signed[:, None, :]).mean(0))

    def keeps_order(self) -> float:
        """Return the probability that the order of all runs is the same in public and in private.

        Of runs with the same score the one that is named first is before the other.
        """
        return float((self._ranks(self.public) == self._ranks(self.private)).all(1).mean())

    def stays_first(self) -> float:
        """Return the probability that the first in public is the first in private."""
        public, private = (self._ranks(scores) for scores in (self.public, self.private))
        return float((public.argmin(1) == private.argmin(1)).mean())

    def is_best(self) -> Array:
        """Return the probability of each run that none is better in private, (K,)."""
        signed = self.sign * self.private
        return np.asarray((signed == signed.max(1, keepdims=True)).mean(0))

    def public_ranks(self) -> tuple[Array, Array]:
        """Return the mean rank of each run in public, and its standard deviation, (K,) each."""
        ranks = self._ranks(self.public) + 1
        return ranks.mean(0), ranks.std(0)

    def luck(self) -> float:
        """Return which share of the variance of a public rank is luck of the draw.

        The variance of all ranks is that of the runs' mean ranks, which is what really differs, and
        the mean variance of a run's rank, which is which samples are drawn as the public part.
        """
        ranks = self._ranks(self.lucky)
        drawn, real = ranks.var(0).mean(), ranks.mean(0).var()
        return float(drawn / (drawn + real))

    def best_two(self) -> tuple[tuple[int, int], float, float]:
        """Return the two runs whose better one scores best in private, as is expected.

        Returns:
            The two; the expected score of the better one; and the probability that no other run is
            better than it.
        """
        signed = self.sign * self.private
        pairs = list(combinations(range(signed.shape[1]), 2))
        better = [signed[:, pair].max(1) for pair in map(list, pairs)]
        best = int(np.argmax([scores.mean() for scores in better]))
        first = (better[best] == signed.max(1)).mean()
        return pairs[best], float(self.sign * better[best].mean()), float(first)

    def _ranks(self, scores: Array) -> Array:
        """Return the ranks from 0 in each board, (R, K); of equal scores the first named leads."""
        order = np.argsort(-self.sign * scores, axis=1, kind="stable")
        return np.argsort(order, axis=1, kind="stable")


def foretell(
    contenders: Contenders, board: Board, move: Callable[[float], None] = lambda share: None
) -> ShakeUp:
    """Draw boards, the same for the same runs.

    Args:
        contenders: the runs.
        board: how large the boards are; of groups, as many as have about so many samples.
        move: called with the share that is done.

    Raises:
        ConfigError: the metric is undefined on too many of the boards.
    """
    number, measures = contenders.groups, contenders.measures
    scores: list[list[Array]] = [[], [], []]
    for parts, [pick, _] in _draw_parts(number, board, contenders.draws, move):
        for kept, chosen in zip(scores, [*parts, pick], strict=True):
            counts = _count(chosen, number)
            kept.append(np.stack([measure(counts) for measure in measures], 1))
    public, private, lucky = (np.concatenate(kept) for kept in scores)
    defined = ~np.isnan(np.concatenate([public, private, lucky], 1)).any(1)
    if defined.mean() < 1 - _UNDEFINED:
        raise ConfigError(
            f"--size {sum(board)}: {contenders.metric.label} is undefined on "
            f"{1 - defined.mean():.0%} of such boards; give a larger one, or another --metric"
        )
    once = np.ones((1, len(number)), np.int64)
    known = np.array([float(measure(once)[0]) for measure in measures])
    return ShakeUp(contenders, board, known, public[defined], private[defined], lucky[defined])


def expect_score(metric: MainMetric, answers: OutOfFold, size: int) -> list[float]:
    """Return between which scores 95 % of test sets of a size lie, by answers out of fold.

    It counts both that the samples at hand are few and that the test set is a draw of its own.
    """
    number, measure = _number_groups(answers, metric), _count_main(metric, answers)
    draws = min(_DRAWS, metric.resamples)
    scores = [measure(_count(part, number)) for [part], _ in _draw_parts(number, [size], draws)]
    low, high = np.nanquantile(np.concatenate(scores), [0.025, 0.975])
    return [float(low), float(high)]


def _draw_parts(
    number: Array,
    sizes: Sequence[int],
    draws: int,
    move: Callable[[float], None] = lambda share: None,
) -> Iterator[tuple[list[Array], list[Array]]]:
    """Yield groups, (R, n) for each of the sizes, some draws at a time, R in all.

    Args:
        number: (N,) of the group of each sample at hand.
        sizes: in samples; of groups, as many are drawn as have about so many.
        draws: R.
        move: called with the share that is done.

    Yields:
        Groups drawn from a truth that was drawn itself; and from the samples at hand.
    """
    generator, groups = np.random.default_rng(0), int(number.max()) + 1
    parts = [max(1, round(size * groups / len(number))) for size in sizes]
    together = max(1, _DRAWN // (len(number) + sum(sizes)))
    for done in range(0, draws, together):
        some = min(together, draws - done)
        truth = generator.integers(groups, size=(some, groups))
        picks = [generator.integers(groups, size=(some, part)) for part in parts]
        yield [np.take_along_axis(truth, pick, 1) for pick in picks], picks
        move((done + some) / draws)


def _count(drawn: Array, number: Array) -> Array:
    """Return how often each sample is drawn, (R, N), from draws (R, n) of groups."""
    groups = int(number.max()) + 1
    places = drawn + groups * np.arange(len(drawn))[:, None]
    counts = np.bincount(places.ravel(), minlength=groups * len(drawn)).reshape(-1, groups)
    return np.asarray(counts[:, number])


# --- the runs -----------------------------------------------------------------------------------


class _Read(NamedTuple):
    """A cross-validation, with what it says of each sample."""

    whole: Crossval
    job: Any  # of its first fold
    answers: OutOfFold
    keys: Sequence[tuple[str, ...]]  # (N,) by which samples are found again; () where by nothing
    fingerprints: Sequence[str]  # of each fold's data


def gather(paths: Sequence[Path], names: Sequence[str], spec: str | None = None) -> Contenders:
    """Read runs that have answered the same samples, each in its own folds.

    Args:
        paths: folders of cross-validations.
        names: of the runs.
        spec: a metric, see `find_metric`; the main one when None.

    Raises:
        RunError: one is no finished cross-validation, or is of other data than the first.
        ConfigError: there is no such metric of them.
    """
    if len({path.resolve() for path in paths}) < max(2, len(paths)):
        raise RunError("expected at least two cross-validations, each named once")
    first, *others = [_read(path) for path in paths]
    aligned = [first.answers, *(_align(other, first) for other in others)]
    number = _number_groups(first.answers, first.job.main_metric)
    samples = type(first.whole).samples
    if spec is None:
        main: MainMetric = first.job.main_metric
        of_counts = [_count_main(main, each) for each in aligned]
        return Contenders(names, main, of_counts, number, samples, min(_DRAWS, main.resamples))
    metric = first.whole.find_metric(first.whole.config, "--metric", spec)
    of_counts = [
        metric.counted(each.targets, first.whole.answers_of(first.job, each)[metric.needs])
        for each in aligned
    ]
    draws = _SORTED if metric.sorted else min(_DRAWS, metric.resamples)
    return Contenders(names, metric, of_counts, number, samples, draws)


def _read(path: Path) -> _Read:
    found = listing.read(open_run(path))
    metrics = found.run.read("metrics")  # it must be finished
    if "of_folds" not in metrics:
        raise RunError(f"{path} has no answers out of fold: name runs of `crossval`")
    whole = find_lab(found).comparisons[found.job].resolve().reopen(path)
    names = list(whole.plan(whole.config))
    folds = [
        open_run(path / "members" / name) for name in names[: len(names) // whole.config.repeats]
    ]
    answers = OutOfFold.join([OutOfFold.read(fold) for fold in folds])
    keys = [key for fold in folds for key in _read_keys(fold)]
    return _Read(
        whole,
        whole.member.reopen(folds[0].path, "cpu"),
        answers,
        keys if len(keys) == len(answers.targets) else (),
        [fold.read("data")["fingerprint"] for fold in folds],
    )


def _read_keys(fold: Run) -> Iterator[tuple[str, ...]]:
    """Yield what each listed sample is called, and its truth; of equal ones, which it is."""
    seen: Counter[tuple[str, ...]] = Counter()
    for record in read_listed(fold):
        key = (next(iter(record.values())), record.get("truth", ""))
        seen[key] += 1
        yield (*key, str(seen[key]))


def _align(other: _Read, first: _Read) -> OutOfFold:
    """Return the answers of a run in the order of the first one's.

    Raises:
        RunError: it was judged by another metric, or on other samples.
    """
    path, known = other.whole.run.path, first.whole.run.path
    mine, theirs = other.job.main_metric.name, first.job.main_metric.name
    if type(other.job) is not type(first.job) or mine != theirs:
        raise RunError(f"{path} is judged by {mine}, and {known} by {theirs}")
    classes = [getattr(each.job.card, "classes", ()) for each in (other, first)]
    if classes[0] != classes[1]:
        raise RunError(f"{path} has other classes than {known}")
    if other.fingerprints == first.fingerprints:
        return other.answers
    if sorted(other.keys) != sorted(first.keys) or not other.keys:
        raise RunError(f"{path} was judged on other samples than {known}")
    places = {key: row for row, key in enumerate(other.keys)}
    order = np.array([places[key] for key in first.keys])
    answers = other.answers
    return OutOfFold(
        {name: values[order] for name, values in answers.outputs.items()},
        answers.decided[order],
        answers.targets[order],
        None if answers.groups is None else answers.groups[order],
    )


def _number_groups(answers: OutOfFold, metric: MainMetric) -> Array:
    """Return the number of what each sample belongs to, (N,); of series, of their blocks."""
    if answers.groups is None:
        return np.asarray(np.arange(len(answers.targets)) // metric.block)
    return np.asarray(np.unique(answers.groups, return_inverse=True)[1])


def _count_main(metric: MainMetric, answers: OutOfFold) -> OfCounts:
    rows = metric.statistics(answers.decided, answers.targets)
    places = np.arange(len(rows))

    def of_counts(counts: Array) -> Array:
        return np.array([metric.compute(rows[np.repeat(places, each)]) for each in counts])

    return of_counts
