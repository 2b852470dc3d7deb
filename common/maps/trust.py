"""How much of a map to believe.

A map of two or three dimensions cannot keep all neighbors of a space of many. Three figures say
what it kept, each from 0 to 1, with k neighbors of each point (10, where nothing else is said):

- trustworthiness falls with points that are near on the map but not in the space, weighed by how
  far down the space's ranking they stand (Venna and Kaski 2001, "Neighborhood preservation in
  nonlinear projection methods: an experimental study");
- continuity falls with neighbors in the space that the map has torn apart, likewise;
- neighbors kept is the mean share of a point's k nearest in the space that are among its k nearest
  on the map too; places by chance would keep k / (N - 1).

None of them speaks of distances between far points or of the sizes of clusters: t-SNE keeps neither
(Wattenberg, Viégas and Johnson 2016, "How to Use t-SNE Effectively").
"""

import itertools
from collections.abc import Mapping, Sequence
from functools import cached_property
from typing import NamedTuple

import numpy as np

from common.errors import DataError
from common.maps import tsne
from common.maps.words import Words
from common.metrics.metrics import Array

NEIGHBORS = 10
PERPLEXITIES = (10, 30, 100)
SEEDS = (0, 1, 2)
MOST_POINTS = 5000  # ranking all pairs of these takes 0.6 GB
PIXELS = "pixels"


class Figures(NamedTuple):
    """What a map kept of a space, each from 0 to 1."""

    trustworthiness: float
    continuity: float
    neighbors_kept: float


class Spread(NamedTuple):
    """A figure over several seeds."""

    mean: float
    lowest: float
    highest: float


class Row(NamedTuple):
    """The figures of one map."""

    space: str
    perplexity: float
    seed: int
    own: Figures  # compared with the vectors it was made from
    pixels: Figures | None  # compared with pixels; None where there are none


class Settings(NamedTuple):
    """Which map of which space."""

    space: str
    perplexity: float
    seed: int


class Summary(NamedTuple):
    """The figures of a space's maps at one perplexity, over the seeds."""

    space: str
    perplexity: float
    own: dict[str, Spread]  # by the names of `Figures`
    pixels: dict[str, Spread]  # likewise, compared with pixels; empty where there are none
    agreement: Spread | None  # neighbors kept from one seed's map to another's, over all pairs


class Trust(NamedTuple):
    """What `trust_table` found."""

    points: int
    neighbors: int
    rows: tuple[Row, ...]
    summary: tuple[Summary, ...]


class Near:
    """Which points are near which in a space, found once for all that is compared with it.

    Args:
        points: (N, D), vectors or places on a map.
        k: neighbors of each point that count.
    """

    def __init__(self, points: Array, k: int):
        from sklearn.neighbors import NearestNeighbors

        self._points, self.k = points, k
        index = NearestNeighbors(n_neighbors=k).fit(points)
        self.neighbors: Array = index.kneighbors(return_distance=False)  # (N, k), nearest first

    def __len__(self) -> int:
        """Return the number of points."""
        return len(self._points)

    @cached_property
    def ranks(self) -> Array:
        """How far down from each point each other one stands, from 1 on, (N, N); itself last."""
        from sklearn.metrics import pairwise_distances

        distances = pairwise_distances(self._points)
        np.fill_diagonal(distances, np.inf)
        ranks = np.empty(distances.shape, np.int32)
        order = np.arange(1, len(ranks) + 1, dtype=np.int32)
        np.put_along_axis(ranks, distances.argsort(1), order[None], 1)
        return ranks


def compare(space: Near, made: Near) -> Figures:
    """Say what a map kept of a space, both of the same points."""
    return Figures(_trustworthiness(space, made), _trustworthiness(made, space), _kept(space, made))


def _trustworthiness(space: Near, made: Near) -> float:
    """Return 1 less what the neighbors on a map are too far down in the space's ranking.

    It is scikit-learn's `trustworthiness`, which ranks the space again for each map.
    """
    points, k = len(space), space.k
    ranks = np.take_along_axis(space.ranks, made.neighbors, 1) - k
    torn = int(ranks[ranks > 0].sum())
    return 1.0 - torn * (2.0 / (points * k * (2.0 * points - 3.0 * k - 1.0)))


def _kept(one: Near, other: Near) -> float:
    both = (one.neighbors[:, :, None] == other.neighbors[:, None]).any(2)
    return float(both.sum() / (one.k * len(one)))


def figures(vectors: Array, coordinates: Array, k: int = NEIGHBORS) -> Figures:
    """Say what a map (N, d) kept of a space (N, D), by `k` neighbors of each point.

    Above 5,000 points, 5,000 of them are drawn, and neighbors are those among them.

    Raises:
        DataError: k is not less than half the points.
    """
    check_neighbors(len(vectors), k)
    rows = sample(len(vectors), MOST_POINTS)
    return compare(Near(vectors[rows], k), Near(coordinates[rows], k))


def find_near(spaces: Mapping[str, Array]) -> dict[str, Near]:
    """Return which of the same points are near which in spaces (N, D), and on maps, by name.

    Above 5,000 points, those of `sample` are taken.

    Raises:
        DataError: there are too few points.
    """
    (points,) = {len(each) for each in spaces.values()}
    rows = sample(points, MOST_POINTS)
    k = count_neighbors(len(rows))
    check_neighbors(points, k)
    return {name: Near(each[rows], k) for name, each in spaces.items()}


def vote(near: Near, classes: Array) -> Array:
    """Return what the neighbors of each point say of its class, (N,): what most of them are.

    Of classes with as many votes the first; a point has none for itself.
    """
    found = np.zeros((len(near), int(classes.max()) + 1), np.int64)
    for votes in classes[near.neighbors].T:
        found[np.arange(len(near)), votes] += 1
    winners: Array = found.argmax(1)
    return winners


def describe(found: Figures, neighbors: int, space: Words) -> Words:
    """Say in a sentence what a map kept of so many neighbors in a space."""
    nearest = f"{neighbors} nearest neighbors" if neighbors > 1 else "nearest neighbor"
    kept = f"{100 * found.neighbors_kept:.0f}"
    few = Words("", "")
    if neighbors < NEIGHBORS:
        few = Words(
            " With so few points any map keeps much of this.",
            " 점이 이렇게 적으면 어떤 지도에나 많이 남습니다.",
        )
    return Words(
        f"Of each point's {nearest} {space.en}, the map keeps {kept} %; its trustworthiness is "
        f"{found.trustworthiness:.3f} (1 would be perfect), its continuity {found.continuity:.3f}."
        f"{few.en}",
        f"{space.ko} 각 점의 가장 가까운 이웃 {neighbors}개 가운데 {kept} %가 지도에 남았습니다. "
        f"신뢰도(trustworthiness)는 {found.trustworthiness:.3f}(완벽하면 1), "
        f"연속성(continuity)은 {found.continuity:.3f}입니다.{few.ko}",
    )


def count_neighbors(points: int) -> int:
    """Return how many neighbors of each of so many points count: 10, or less of few points."""
    return max(1, min(NEIGHBORS, (points - 1) // 3))


def neighbors_kept(one: Array, other: Array, k: int = NEIGHBORS) -> float:
    """Return the mean share of a point's k nearest in one space that are so in the other too.

    Both spaces, (N, D) and (N, E), are of the same points; k is less than N.
    """
    return _kept(Near(one, k), Near(other, k))


def trust_table(
    spaces: Mapping[str, Array],
    *,
    perplexities: Sequence[float] = PERPLEXITIES,
    seeds: Sequence[int] = SEEDS,
    points: int = 750,
    dimensions: int = 2,
    k: int = NEIGHBORS,
    known: Mapping[Settings, Array] | None = None,
) -> Trust:
    """Make maps of each space with several perplexities and seeds, and say what they kept.

    What differs between seeds is the noise in the first positions, 1 % of the principal components
    that they all start from. It grows: seeds end in different places for many points, though the
    broad arrangement, which comes from the components, mostly stays. So the agreement of seeds says
    which neighbors come of the data and which of chance, not that the arrangement is right.

    With the default settings, 750 points of two spaces take about 30 s of CPU time.

    Args:
        spaces: vectors (N, D) of the same N samples by the space's name; the one named "pixels", if
            any, is what all maps are compared with too.
        perplexities: those too large for the points are left out.
        seeds: a map for each.
        points: the most samples to map; if there are more, this many are drawn, always the same.
        dimensions: of the maps, 2 or 3.
        k: neighbors of each point that count.
        known: places (N, dimensions) on maps of all samples that are made already.

    Raises:
        DataError: no perplexity is left, too few points for k, or vectors without a map.
    """
    sizes = {name: len(vectors) for name, vectors in spaces.items()}
    total = next(iter(sizes.values()))
    if set(sizes.values()) != {total}:
        raise DataError(f"expected the same samples in all spaces; given numbers of them: {sizes}")
    rows = sample(total, min(points, MOST_POINTS))
    check_neighbors(len(rows), k)
    allowed = allowed_perplexities(len(rows), perplexities)
    drawn = {name: vectors[rows] for name, vectors in spaces.items()}
    near = {name: Near(vectors, k) for name, vectors in drawn.items()}
    asked = [
        Settings(space, perplexity, seed)
        for space, perplexity, seed in itertools.product(drawn, allowed, seeds)
    ]
    made = {} if known is None or len(rows) < total else dict(known)
    missing = [each for each in asked if each not in made]
    wanted = [
        tsne.Wanted(drawn[each.space], dimensions, *each[1:], each.space == PIXELS)
        for each in missing
    ]
    for each, found_map in zip(missing, tsne.embed_each(wanted), strict=True):
        made[each] = found_map.coordinates
    found: list[Row] = []
    summary: list[Summary] = []
    for space, perplexity in itertools.product(drawn, allowed):
        maps = [Near(made[Settings(space, perplexity, seed)], k) for seed in seeds]
        own = [compare(near[space], item) for item in maps]
        pixels = own
        if space != PIXELS:
            pixels = [compare(near[PIXELS], item) for item in maps if PIXELS in near]
        found += [
            Row(space, perplexity, seed, *pair)
            for seed, *pair in itertools.zip_longest(seeds, own, pixels)
        ]
        agreement = [_kept(*pair) for pair in itertools.combinations(maps, 2)]
        summary.append(
            Summary(
                space,
                perplexity,
                _spreads(own),
                _spreads(pixels),
                _spread(agreement) if agreement else None,
            )
        )
    return Trust(len(rows), k, tuple(found), tuple(summary))


def sample(total: int, most: int) -> Array:
    """Draw rows in their order, always the same; all of them where they are not too many."""
    if total <= most:
        return np.arange(total)
    return np.sort(np.random.default_rng(0).choice(total, most, replace=False))


def allowed_perplexities(points: int, perplexities: Sequence[float]) -> list[float]:
    """Leave out the perplexities that are too large for so many points.

    Raises:
        DataError: none is left.
    """
    largest = tsne.largest_perplexity(points)
    allowed = [perplexity for perplexity in perplexities if perplexity <= largest]
    if not allowed:
        raise DataError(
            f"expected a perplexity of at most {largest:.4g} for {points} points; "
            f"given: {', '.join(f'{perplexity:g}' for perplexity in perplexities)}"
        )
    return allowed


def check_neighbors(points: int, k: int) -> None:
    """Refuse to count more neighbors than half the points.

    Raises:
        DataError: they are too few.
    """
    if not 1 <= k < points / 2:
        raise DataError(
            f"expected more than {2 * k} points to say how many of their {k} neighbors a map "
            f"keeps; given: {points}"
        )


def _spreads(found: Sequence[Figures]) -> dict[str, Spread]:
    columns = zip(Figures._fields, zip(*found, strict=True), strict=False)
    return {name: _spread(values) for name, values in columns}


def _spread(values: Sequence[float]) -> Spread:
    lowest, highest = min(values), max(values)
    mean = sum(values) / len(values)  # of equal ones it may be rounded to one beside them
    return Spread(min(max(mean, lowest), highest), lowest, highest)
