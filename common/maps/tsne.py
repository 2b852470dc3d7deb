"""Maps of vectors: t-SNE in two or three dimensions, kept in a file, and new points put on them.

van der Maaten and Hinton (2008), "Visualizing Data using t-SNE"; Barnes-Hut: van der Maaten (2014),
"Accelerating t-SNE using Tree-Based Algorithms". openTSNE does the work (Poličar, Stražar and Zupan
2024), with the settings that scikit-learn's TSNE has by default and exact nearest neighbors. From
10,000 points on, flat maps are made by interpolation instead of Barnes-Hut (Linderman et al. 2019).
With 5,000 digits it is faster only where its grid is so coarse that the divergence, which t-SNE
makes small, ends at 1.54 instead of 1.41.

Equal input, seed and library versions give the same map bit for bit, whatever the number of
threads. A map takes as many threads as OpenMP may use: `OMP_NUM_THREADS` sets them.
"""

import contextlib
import hashlib
import platform
import zipfile
import zlib
from collections.abc import Callable, Sequence
from concurrent.futures import FIRST_EXCEPTION, CancelledError, Future, ThreadPoolExecutor, wait
from dataclasses import dataclass
from functools import partial
from importlib.metadata import version
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from common.errors import DataError, RunError, SaveError
from common.files import cache_dir, replacing
from common.metrics.metrics import Array
from common.signals import noted
from common.steps import step
from common.threads import usable_threads

_USUAL = 30.0  # perplexity
FEWEST = 5  # points of a map
DIMENSIONS = (2, 3)

_EXAGGERATION = 12
_ITERATIONS = (250, 750)  # with exaggeration, and after it
_MOMENTUM = (0.5, 0.8)
_THETA = 0.5  # below which angle a cell of the tree counts as one point
_START = 1e-4  # deviation of the first positions
_JITTER = 0.01  # that of their noise, as a share of it
# Points from which on a map of two dimensions is computed by interpolation, and while it is small.
_MANY, _MANY_CLOSE = 10_000, 2000
_LOOK = 0.2  # seconds between two looks at how far maps are
_CHUNK = 1000  # rows searched at once: a signal waits for no more than these
_PLACING_PERPLEXITY = 5  # openTSNE's: a new point settles among few neighbors
_DAMAGED = (OSError, ValueError, KeyError, TypeError, EOFError, zipfile.BadZipFile, zlib.error)


@dataclass(frozen=True, eq=False)
class Map:
    """Where each vector lies on a map, and how the map was made."""

    coordinates: Array  # (N, 2) or (N, 3) float32; distances have no unit, and axes no meaning
    perplexity: float  # the number of neighbors that each point attends to, about
    seed: int  # of the noise in the first positions


class Wanted(NamedTuple):
    """A map to make: the arguments of `embed`."""

    vectors: Array
    dimensions: int
    perplexity: float
    seed: int
    lasting: bool = False
    """Whether other runs want the same map, as of pixels: then it is kept in the cache."""


@dataclass
class _Watch:
    """What the maker of a map and whoever waits for it tell each other."""

    forces: int = 0  # computed so far
    given_up: bool = False


def largest_perplexity(points: int) -> float:
    """Return the largest perplexity for so many points: t-SNE looks at 3x as many neighbors."""
    return (points - 1) / 3


def usual_perplexity(points: int) -> float:
    """Return 30, or less of few points."""
    return min(_USUAL, largest_perplexity(points))


def embed_each(wanted: Sequence[Wanted]) -> list[Map]:
    """Return several maps, those that last from the cache where they are there; see `embed`."""
    files = [_kept(each) if each.lasting else None for each in wanted]
    made = {row: found for row, file in enumerate(files) if file and (found := _recall(file))}
    missing = [row for row in range(len(wanted)) if row not in made]
    for row, found in zip(missing, _make_each([wanted[row] for row in missing]), strict=True):
        made[row] = found
        if (file := files[row]) is not None:
            with contextlib.suppress(SaveError):  # without it only the next run is slower
                save(found, file)
    return [made[row] for row in range(len(wanted))]


def _kept(wanted: Wanted) -> Path:
    """Return the file in the cache of a map, named by all that the map depends on."""
    vectors = np.ascontiguousarray(wanted.vectors)
    versions = [version(each) for each in ("openTSNE", "scikit-learn", "scipy", "numpy")]
    settings = wanted.dimensions, float(wanted.perplexity), wanted.seed
    key = [platform.machine(), versions, vectors.shape, str(vectors.dtype), settings]
    digest = hashlib.sha256(repr(key).encode())
    digest.update(vectors.data)
    return cache_dir() / f"map-{digest.hexdigest()}.npz"


def _recall(file: Path) -> Map | None:
    try:
        return load(file)
    except RunError:  # there is none, or it is damaged
        return None


def _make_each(wanted: Sequence[Wanted]) -> list[Map]:
    """Make several maps, at the same time where there are threads for it.

    The forces among a few thousand points are soon computed, and threads that share them wait for
    each other as long as they work: a map for each thread costs less.
    """
    if not wanted:
        return []
    threads = usable_threads()
    workers = min(threads, len(wanted))
    watches = [_Watch() for _ in wanted]

    def make(each: Wanted, watch: _Watch) -> Map:
        return embed(*each[:4], threads=threads // workers, watch=watch)

    total = len(wanted) * (sum(_ITERATIONS) + len(_ITERATIONS))
    with ThreadPoolExecutor(workers) as pool, step("maps by t-SNE", float(total)) as shown:
        futures: list[Future[Map]] = []
        try:  # from before the first begins: a signal may come as they are handed out
            for each, watch in zip(wanted, watches, strict=True):
                futures.append(pool.submit(make, each, watch))
            while (now := wait(futures, _LOOK, FIRST_EXCEPTION)).not_done:
                shown.move(sum(watch.forces for watch in watches))
                for future in now.done:
                    future.result()  # raises what went wrong
            return [future.result() for future in futures]
        finally:
            for watch in watches:
                watch.given_up = True
            for future in futures:
                future.cancel()


def embed(
    vectors: Array,
    dimensions: int = 2,
    perplexity: float = 30,
    seed: int = 0,
    *,
    threads: int | None = None,
    watch: _Watch | None = None,
) -> Map:
    """Make a map, of 2 or 3 dimensions, on which near vectors of (N, D) lie near each other.

    Points start at their principal components, with 1 % of noise that depends on the seed, so that
    another seed gives another map. The perplexity is at least 1, at most (N - 1) / 3. It takes as
    many threads as OpenMP may use where their number is not given.

    Raises:
        DataError: too few vectors for a map or for the perplexity, NaN, or all vectors the same.
        Stopped: SIGINT or SIGTERM came, where the caller has set `common.signals.raise_stopped`; it
            is raised within a step of the work.
    """
    threads, watch = threads or usable_threads(), watch or _Watch()
    vectors = _checked(vectors)
    points = len(vectors)
    _check_settings(points, dimensions, perplexity)
    order = _order(vectors)
    vectors = vectors[order] / _scale(vectors)
    places = _start(vectors, dimensions, seed)
    attraction = _attraction(vectors, perplexity, threads)
    move = partial(_move, threads=threads, watch=watch)
    places = move(places, attraction, _ITERATIONS[0], _MOMENTUM[0], _EXAGGERATION)
    # What is near has changed, and so the order in which points are computed best.
    again = _order(places)
    attraction = attraction[again][:, again]
    places = move(places[again], attraction, _ITERATIONS[1], _MOMENTUM[1])
    coordinates = np.empty((points, dimensions), np.float32)
    coordinates[order[again]] = places
    return Map(coordinates, perplexity, seed)


def _attraction(vectors: Array, perplexity: float, threads: int) -> Any:
    """Return how much each pair of vectors attract each other, a sparse (N, N)."""
    from openTSNE.affinity import PerplexityBasedNN
    from openTSNE.nearest_neighbors import PrecomputedNeighbors

    graph = PrecomputedNeighbors(*_neighbors(vectors, int(3 * perplexity), threads))
    return PerplexityBasedNN(knn_index=graph, perplexity=perplexity, n_jobs=threads).P


def _move(
    places: Array,
    attraction: Any,
    iterations: int,
    momentum: float,
    exaggeration: float = 1,
    *,
    threads: int,
    watch: _Watch,
) -> Array:
    """Return where points (N, d) go by t-SNE's forces, from a standstill."""
    from openTSNE import TSNEEmbedding, tsne
    from openTSNE.affinity import PrecomputedAffinities

    points, dimensions = places.shape
    # While it is exaggerated the map is small, and interpolation soon quicker and as good. Among
    # few points, though, one that flies far makes its grid huge.
    many = _MANY_CLOSE if exaggeration > 1 else _MANY
    interpolated = dimensions == 2 and points >= many
    forces = tsne.kl_divergence_fft if interpolated else tsne.kl_divergence_bh
    embedding = TSNEEmbedding(
        places,
        PrecomputedAffinities(attraction, normalize=False),
        theta=_THETA,
        negative_gradient_method=_undisturbed(forces, watch),
        n_jobs=threads,
    )
    # 4 times scikit-learn's rate, whose gradients are 4 times as large.
    rate = max(points / _EXAGGERATION, 200)
    moved = embedding.optimize(
        iterations,
        learning_rate=rate,
        exaggeration=exaggeration,
        momentum=momentum,
        max_step_norm=None,
    )
    return np.asarray(moved, np.float64)


def _undisturbed(forces: Callable[..., Any], watch: _Watch) -> Callable[..., Any]:
    """Let signals wait until a step's forces are computed.

    What a handler raises while openTSNE builds its tree leaves half a tree, and freeing that one
    crashes Python. Where another thread than the main one computes, there are no signals.
    """

    def compute(*arguments: Any, **options: Any) -> Any:
        if watch.given_up:
            raise CancelledError
        watch.forces += 1
        with noted():
            return forces(*arguments, **options)

    return compute


def components(vectors: Array, dimensions: int) -> Array:
    """Return the first principal components of vectors (N, D), (N, dimensions).

    Dimensions that the vectors do not have are 0.
    """
    from sklearn.decomposition import PCA

    size = min(dimensions, *vectors.shape)
    found = np.zeros((len(vectors), dimensions), np.float32)
    found[:, :size] = PCA(size, random_state=0).fit_transform(vectors)
    return found


def place(made: Map, vectors: Array, new: Array) -> Array:
    """Put new vectors (M, D) on a map, (M, 2) or (M, 3) float32, without moving what is on it.

    It was made from `vectors` (N, D), in this order.

    Each one starts at the median place of its neighbors and settles by t-SNE's own forces between
    it and the map (Poličar, Stražar and Zupan 2021, "Embedding to reference t-SNE space addresses
    batch effects in single-cell classification"). New vectors do not see each other, so it makes no
    difference which come together. A vector unlike all others lands somewhere too: a map has no
    place for "none of these".

    Raises:
        DataError: the vectors are not those of the map, or the new ones do not fit to them.
    """
    from openTSNE import TSNEEmbedding, tsne
    from openTSNE.affinity import PerplexityBasedNN

    vectors, new = _checked(vectors), np.asarray(new, np.float64)
    if len(vectors) != len(made.coordinates):
        raise DataError(
            f"expected the {len(made.coordinates)} vectors that the map was made from; "
            f"given: {len(vectors)}"
        )
    if new.ndim != 2 or new.shape[1] != vectors.shape[1]:
        raise DataError(
            f"expected new vectors of shape (any, {vectors.shape[1]}), as those on the map; "
            f"given: {new.shape}"
        )
    _check_finite(new)
    if not len(new):
        return np.empty((0, made.coordinates.shape[1]), np.float32)
    coordinates = made.coordinates.astype(np.float64)
    middle = (coordinates.max(axis=0) + coordinates.min(axis=0)) / 2  # openTSNE centers the map
    perplexity = min(_PLACING_PERPLEXITY, largest_perplexity(len(vectors)))
    threads = usable_threads()
    scale = _scale(vectors)
    affinities = PerplexityBasedNN(vectors / scale, perplexity, method="exact", n_jobs=threads)
    embedding = TSNEEmbedding(
        coordinates - middle,
        affinities,
        negative_gradient_method=_undisturbed(tsne.kl_divergence_bh, _Watch()),
        n_jobs=threads,
    )
    placed = embedding.transform(new / scale, perplexity=perplexity)
    return np.asarray(placed + middle, np.float32)


def save(made: Map, path: Path) -> None:
    """Write a map as .npz, as a whole.

    Raises:
        SaveError: the file cannot be written.
    """
    with replacing(path) as file:
        np.savez(file, coordinates=made.coordinates, perplexity=made.perplexity, seed=made.seed)


def load(path: Path) -> Map:
    """Read a map that `save` wrote.

    Raises:
        RunError: there is none, or it is damaged.
    """
    try:
        with path.open("rb") as stream, np.load(stream, allow_pickle=False) as file:
            made = Map(file["coordinates"], float(file["perplexity"]), int(file["seed"]))
    except FileNotFoundError as error:
        raise RunError(f"there is no map at {path}; make one with `latents`") from error
    except _DAMAGED as error:
        raise RunError(f"the map {path} is damaged; make it again with `latents`") from error
    shape, kind = made.coordinates.shape, made.coordinates.dtype
    if len(shape) != 2 or shape[1] not in DIMENSIONS or kind != np.float32:
        raise RunError(
            f"the map {path} holds {kind} of shape {shape}; expected float32 of shape "
            "(points, 2 or 3); make it again with `latents`"
        )
    return made


def _checked(vectors: Array) -> Array:
    vectors = np.asarray(vectors, np.float64)
    if vectors.ndim != 2 or len(vectors) < FEWEST or not vectors.shape[1]:
        raise DataError(
            f"expected at least {FEWEST} vectors, of shape (points, size), to make a map of; "
            f"given: {vectors.shape}"
        )
    _check_finite(vectors)
    if not np.ptp(vectors, axis=0).any():
        raise DataError(
            f"all {len(vectors)} vectors are the same, so there is no map of them; if a network "
            "made them, it has collapsed: train it again with other settings"
        )
    return vectors


def _scale(vectors: Array) -> float:
    """Return the widest dimension's range: t-SNE has no unit, but its exponentials overflow."""
    return float(np.ptp(vectors, axis=0).max())


def _check_finite(vectors: Array) -> None:
    wrong = np.flatnonzero(~np.isfinite(vectors).all(axis=1))
    if len(wrong):
        raise DataError(
            f"expected finite numbers; {len(wrong)} of {len(vectors)} vectors have NaN or infinite "
            f"ones, the first is number {wrong[0]}, counted from 0"
        )


def _check_settings(points: int, dimensions: int, perplexity: float) -> None:
    if dimensions not in DIMENSIONS:
        raise DataError(f"expected a map of 2 or 3 dimensions; given: {dimensions}")
    largest = largest_perplexity(points)
    if not 1 <= perplexity <= largest:
        raise DataError(
            f"expected a perplexity from 1 to {np.floor(largest * 100) / 100:g} for {points} "
            f"points, a third of the other points at most; given: {perplexity:g}"
        )


def _order(vectors: Array) -> Array:
    """Return an order in which near vectors come together.

    They then walk the tree of Barnes-Hut by nearly the same ways, for a quarter less time.
    """
    from sklearn.neighbors import KDTree

    return np.array(KDTree(vectors, leaf_size=1).get_arrays()[1])


def _neighbors(vectors: Array, count: int, threads: int) -> tuple[Array, Array]:
    """Return the nearest vectors of each one, itself left out: rows (N, count), and distances."""
    from sklearn.neighbors import NearestNeighbors

    index = NearestNeighbors(n_neighbors=count + 1, n_jobs=threads).fit(vectors)
    chunks = []
    for start in range(0, len(vectors), _CHUNK):
        distances, rows = index.kneighbors(vectors[start : start + _CHUNK])
        itself = rows == np.arange(start, start + len(rows))[:, None]
        itself[~itself.any(axis=1), -1] = True  # hidden behind others that equal it
        chunks.append([found[~itself].reshape(-1, count) for found in (rows, distances)])
    rows, distances = (np.concatenate(parts) for parts in zip(*chunks, strict=True))
    return rows, distances


def _start(vectors: Array, dimensions: int, seed: int) -> Array:
    """Return the first positions; short vectors leave dimensions to the noise."""
    from sklearn.decomposition import PCA

    size = min(dimensions, vectors.shape[1])
    components = PCA(size, random_state=0).fit_transform(vectors)
    positions = np.zeros((len(vectors), dimensions))
    positions[:, :size] = components * (_START / components[:, 0].std())
    noise = np.random.default_rng(seed).normal(0, _START * _JITTER, positions.shape)
    return positions + noise
