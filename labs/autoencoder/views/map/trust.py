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
from typing import NamedTuple

import numpy as np

from common.errors import DataError
from common.metrics.metrics import Array
from labs.autoencoder.views.map import tsne

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


def figures(vectors: Array, coordinates: Array, k: int = NEIGHBORS) -> Figures:
    """Say what a map (N, d) kept of a space (N, D), by `k` neighbors of each point.

    Above 5,000 points, 5,000 of them are drawn, and neighbors are those among them.

    Raises:
        DataError: k is not less than half the points.
    """
    from sklearn.manifold import trustworthiness

    check_neighbors(len(vectors), k)
    rows = sample(len(vectors), MOST_POINTS)
    vectors, coordinates = vectors[rows], coordinates[rows]
    return Figures(
        float(trustworthiness(vectors, coordinates, n_neighbors=k)),
        float(trustworthiness(coordinates, vectors, n_neighbors=k)),  # what is torn apart
        neighbors_kept(vectors, coordinates, k),
    )


def neighbors_kept(one: Array, other: Array, k: int = NEIGHBORS) -> float:
    """Return the mean share of a point's k nearest in one space that are so in the other too.

    Both spaces, (N, D) and (N, E), are of the same points; k is less than N.
    """
    from sklearn.neighbors import kneighbors_graph

    both = kneighbors_graph(one, k).multiply(kneighbors_graph(other, k))
    return float(both.sum() / (k * len(one)))


def trust_table(
    spaces: Mapping[str, Array],
    *,
    perplexities: Sequence[float] = PERPLEXITIES,
    seeds: Sequence[int] = SEEDS,
    points: int = 750,
    dimensions: int = 2,
    k: int = NEIGHBORS,
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
    found: list[Row] = []
    summary: list[Summary] = []
    for (space, vectors), perplexity in itertools.product(drawn.items(), allowed):
        made = [
            tsne.embed(vectors, dimensions=dimensions, perplexity=perplexity, seed=seed).coordinates
            for seed in seeds
        ]
        own = [figures(vectors, coordinates, k) for coordinates in made]
        pixels = own
        if space != PIXELS:
            pixels = [figures(drawn[PIXELS], item, k) for item in made if PIXELS in drawn]
        found += [
            Row(space, perplexity, seed, *pair)
            for seed, *pair in itertools.zip_longest(seeds, own, pixels)
        ]
        agreement = [neighbors_kept(*pair, k) for pair in itertools.combinations(made, 2)]
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
