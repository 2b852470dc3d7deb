"""Which of several runs differ, where the best of them was chosen because it looked best.

Two things are luck: which samples there were to judge by, and how a training went (weights, order,
augmentation). A difference between two runs counts only where it is larger than both can make it,
and larger than the largest of all the differences that they make between so many runs: of ten runs
of one and the same configuration, some are always ahead.
"""

from collections.abc import Iterable, Sequence
from typing import NamedTuple

import numpy as np

from common.experiments.search.judge import Figure
from common.metrics import metrics
from common.metrics.metrics import Array

_PRIOR = 2  # repetitions that what is known of luck beforehand is worth
_COMPARED = 200  # runs of which all pairs are looked at
_CONFIDENCE = 0.99  # that no run is said to be worse by luck: of all the pairs of a search at once


class Luck(NamedTuple):
    """How far apart the figures of runs lie that differ in luck alone."""

    deviation: float  # the standard deviation
    freedom: int  # of how many differences it is the mean


class Ranking(NamedTuple):
    """Runs, compared with the best of them.

    Attributes:
        best: the number of the one with the best figure.
        behind: (T,) how much worse each is than the best, at least 0.
        margin: (T,) how much worse luck may make each seem; NaN where nothing is known of it.
        chosen: the figure of what is best on drawn samples, on those that were not drawn: that of
            the best without the luck of having been chosen by them.
        chosen_interval: the 95 % interval of it.
        luck: of a training, as far as it is known.
    """

    best: int
    behind: Array
    margin: Array
    chosen: float
    chosen_interval: tuple[float, float]
    luck: Luck | None

    @property
    def level(self) -> list[int]:
        """The runs that cannot be told apart from the best, itself among them."""
        return np.flatnonzero(~(self.behind > self.margin)).tolist()


def rank(
    figures: Sequence[Figure],
    samples: int,
    *,
    larger_is_better: bool = True,
    luck: Luck | None = None,
    folds: Array | None = None,
    groups: Array | None = None,
    block: int = 1,
    resamples: int = 2000,
    seed: int = 0,
) -> Ranking:
    """Compare runs with the best of them on the same samples.

    Samples are drawn with replacement, the same for all runs, and to each drawn figure the luck of
    a training is added. Each difference of two is divided by its standard deviation; the largest
    of all pairs, in 99 % of the draws, is how many standard deviations a run has to be behind
    (Tukey's range, by simulation: Westfall and Young 1993, "Resampling-based multiple testing").
    Pairs count, not only those with the best, since it is the data that says which one is best.

    What is chosen on the drawn samples is measured on the others (Tsamardinos, Greasidou and
    Borboudakis 2018, "Bootstrapping the out-of-sample predictions for efficient and accurate
    cross-validation").

    Args:
        figures: of each run, how good it is on drawn samples.
        samples: how many there are.
        larger_is_better: whether a figure is to be large.
        luck: of a training; None where nothing is known of it, so that samples alone are drawn.
        folds: (T, F) in place of luck, the figure of each run on each fold, see `_luck_of_folds`.
        groups: (N,) what the samples belong to, which is drawn as a whole.
        block: neighboring samples that are drawn together.
        resamples: how many times samples are drawn.
        seed: the same seed gives the same result.
    """
    sign = 1.0 if larger_is_better else -1.0
    values = sign * np.concatenate([figure(np.arange(samples)[None]) for figure in figures])
    draws = metrics.draw_rows(samples, groups=groups, block=block, resamples=resamples, seed=seed)
    drawn, left_out, share = _resample(figures, samples, sign, draws)
    errors, best = drawn - values, int(values.argmax())
    if folds is not None:
        luck = _luck_of_folds(folds, _deviations(errors, None))
    likely = None if luck is None else _moderate(luck, _deviations(errors, None))
    spread = _deviations(errors, likely)
    compared = np.sort(np.argsort(-values, kind="stable")[:_COMPARED])
    generator = np.random.default_rng(seed + 1)
    if likely is not None:
        errors = errors + likely.deviation * _draw_luck(generator, errors.shape, likely.freedom)
    times = _range_quantile(errors[:, compared], spread[np.ix_(compared, compared)])
    middle = left_out.mean()  # the fewer samples were left out, the wider their figures lie
    low, high = middle + np.sqrt(share) * (np.quantile(left_out, [0.025, 0.975]) - middle)
    ends = sorted([float(sign * low), float(sign * high)])
    return Ranking(
        best,
        values[best] - values,
        times * spread[best],
        float(sign * middle),
        (ends[0], ends[1]),
        luck,
    )


def _resample(
    figures: Sequence[Figure], samples: int, sign: float, draws: Iterable[Array]
) -> tuple[Array, Array, float]:
    """Return the figures of all runs on drawn samples, (R, T), and of the best on the others, (R,).

    The third is the share of samples that the others are, on average. Draws that leave no sample
    out, or on which a figure is none, do not count.
    """
    drawn, left_out, shares = [], [], []
    for rows in draws:
        found = sign * np.stack([figure(rows) for figure in figures], axis=1)
        for mine, values in zip(rows, found, strict=True):
            left = np.ones(samples, bool)
            left[mine] = False
            others = np.flatnonzero(left)
            if not len(others) or np.isnan(values).any():
                continue
            [of_others] = sign * figures[int(values.argmax())](others[None])
            if of_others == of_others:
                drawn.append(values)
                left_out.append(of_others)
                shares.append(len(others) / samples)
    if not drawn:  # a single sample, or a single block: nothing is known of what others would say
        return np.full((2, len(figures)), np.nan), np.full(2, np.nan), 1.0
    return np.array(drawn), np.array(left_out), float(np.mean(shares))


def _deviations(errors: Array, luck: Luck | None) -> Array:
    """Return the standard deviation of the difference of each pair of runs, (T, T)."""
    covariance = np.atleast_2d(np.cov(errors, rowvar=False))
    own = np.diag(covariance)
    variance = (own[:, None] + own - 2 * covariance).clip(0)
    if luck is not None:
        variance = variance + 2 * luck.deviation**2
    deviations: Array = np.sqrt(variance)
    np.fill_diagonal(deviations, 0)
    return deviations


def _moderate(luck: Luck, of_samples: Array) -> Luck:
    """Return what is likely of the luck, of which few repetitions say little.

    To them are added as many as `_PRIOR` would be that show what drawing samples does: that much
    luck there is where each training errs on samples of its own, and mostly that is about all
    (Jordan 2023, "Calibrated chaos"). A mean of the two variances, weighed by their freedom, as
    in Smyth 2004, "Linear models and empirical Bayes methods".

    Args:
        luck: as it was measured.
        of_samples: (T, T) how far drawing samples moves the difference of two runs.
    """
    pairs = of_samples[~np.eye(len(of_samples), dtype=bool)]
    known = float(np.median(pairs**2)) / 2 if len(pairs) and np.isfinite(pairs).all() else 0.0
    freedom = luck.freedom + _PRIOR
    variance = (luck.freedom * luck.deviation**2 + _PRIOR * known) / freedom
    return Luck(float(np.sqrt(variance)), freedom)


def _draw_luck(generator: np.random.Generator, shape: tuple[int, ...], freedom: int) -> Array:
    """Return normal numbers (R, T), in each draw wider as the deviation may be underrated."""
    known = generator.chisquare(freedom, size=(shape[0], 1)) / freedom
    return np.asarray(generator.normal(size=shape) / np.sqrt(known))


def _range_quantile(errors: Array, deviations: Array) -> float:
    """Return the largest difference of a pair, in its standard deviations, in 99 % of the draws."""
    largest = np.zeros(len(errors))
    for number, mine in enumerate(deviations):
        others = mine > 0
        if others.any():
            apart = (errors[:, [number]] - errors[:, others]) / mine[others]
            largest = np.maximum(largest, apart.max(1))
    return float(np.quantile(largest, _CONFIDENCE))


def luck_of_repeats(figures: Iterable[Sequence[float]]) -> Luck | None:
    """Return the luck of a training, from the figures of runs that differ in nothing else.

    Args:
        figures: of each configuration those of its runs; single ones say nothing.
    """
    groups = [np.array(each) for each in figures]
    freedom = sum(len(each) - 1 for each in groups)
    if freedom < 1:
        return None
    squares = sum(float(((each - each.mean()) ** 2).sum()) for each in groups)
    return Luck(float(np.sqrt(squares / freedom)), freedom)


def _luck_of_folds(figures: Array, of_samples: Array) -> Luck | None:
    """Return the luck of trainings, from how differently runs do on each of several folds.

    A run trains a model for each fold. Where one run were better than another by the same on every
    fold, there would be no luck; what is left of the figures without the means of runs and of folds
    is the luck of a model, and of the samples of a fold, which is taken off as far as drawing them
    says. The mean of F models has an F-th of its variance.

    Args:
        figures: (T, F) of each run on each of F folds.
        of_samples: (T, T) how far drawing samples moves the difference of two runs.
    """
    number, folds = figures.shape
    freedom = (number - 1) * (folds - 1)
    if freedom < 1:
        return None
    rest = figures - figures.mean(0) - figures.mean(1, keepdims=True) + figures.mean()
    variance = (rest**2).sum() / freedom / folds
    pairs = of_samples[~np.eye(number, dtype=bool)]
    known = float(np.nanmean(pairs**2)) / 2 if np.isfinite(pairs).any() else 0.0
    return Luck(float(np.sqrt(max(0.0, variance - known))), freedom)
