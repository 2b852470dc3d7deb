import os
import signal
import subprocess
import sys
import threading
import time

import numpy as np
import pytest
from openTSNE import tsne
from sklearn.manifold import TSNE, trustworthiness
from sklearn.neighbors import KNeighborsClassifier, NearestNeighbors

from common.errors import DataError, RunError, Stopped
from common.maps import tsne as maps
from common.signals import handled_by, raise_stopped


@pytest.fixture(scope="module")
def vectors(digits):
    return digits.images.numpy().reshape(-1, 64).astype(np.float32) / 255


@pytest.fixture(scope="module")
def classes(digits):
    return digits.targets.numpy()


@pytest.fixture(scope="module")
def made(vectors):
    return maps.embed(vectors[:400])


@pytest.fixture(scope="module")
def solid(vectors):
    return maps.embed(vectors[:200], dimensions=3, perplexity=20)


@pytest.mark.slow
def test_a_map_is_as_trustworthy_as_scikit_learns(vectors, made):
    assert made.coordinates.shape == (400, 2)
    assert made.coordinates.dtype == np.float32
    assert (made.perplexity, made.seed) == (30, 0)
    theirs = TSNE(random_state=0).fit_transform(vectors[:400])
    ours, reference = (
        trustworthiness(vectors[:400], places, n_neighbors=10)
        for places in (made.coordinates, theirs)
    )
    assert ours > reference - 0.01


def test_the_settings_are_scikit_learns():
    theirs = TSNE()
    assert theirs.early_exaggeration == maps._EXAGGERATION
    assert sum(maps._ITERATIONS) == theirs.max_iter
    assert maps._ITERATIONS[0] == theirs._EXPLORATION_MAX_ITER
    assert theirs.angle == maps._THETA
    assert theirs.init == "pca"


@pytest.mark.parametrize("dimensions", [2, pytest.param(3, marks=pytest.mark.slow)])
def test_a_seed_gives_a_map_bit_for_bit_on_any_number_of_threads(vectors, monkeypatch, dimensions):
    found = []
    monkeypatch.setattr(maps, "_ITERATIONS", (50, 50))
    for threads in (1, 2):
        monkeypatch.setattr(maps, "usable_threads", lambda number=threads: number)
        found.append(
            maps.embed(vectors[:80], dimensions=dimensions, perplexity=10).coordinates.tobytes()
        )
    assert found[0] == found[1]


@pytest.mark.slow
def test_another_seed_gives_another_map(vectors, solid):
    other = maps.embed(vectors[:200], dimensions=3, perplexity=20, seed=1)
    assert other.seed == 1
    assert not np.array_equal(other.coordinates, solid.coordinates)


@pytest.mark.slow
def test_three_dimensions_keep_more(vectors, made, solid):
    flat = maps.embed(vectors[:200], perplexity=20)
    scores = [
        trustworthiness(vectors[:200], item.coordinates, n_neighbors=10) for item in (flat, solid)
    ]
    assert scores[1] > scores[0] > 0.9


# Neighbors


def test_neighbors_are_the_exact_ones(vectors, monkeypatch):
    monkeypatch.setattr(maps, "_CHUNK", 37)
    rows, distances = maps._neighbors(vectors[:100], 7, threads=1)
    expected = NearestNeighbors(n_neighbors=7).fit(vectors[:100]).kneighbors()
    assert np.array_equal(distances, expected[0])
    assert np.array_equal(rows, expected[1])


def test_nothing_is_its_own_neighbor_also_among_duplicates():
    vectors = np.repeat(np.arange(4.0)[:, None], 10, axis=0)
    rows, distances = maps._neighbors(vectors, 5, threads=1)
    assert not (rows == np.arange(40)[:, None]).any()
    assert (distances == 0).all()


# What cannot be mapped


@pytest.mark.parametrize(
    ("shape", "perplexity", "message"),
    [
        ((4, 2), 1, "at least 5 vectors"),
        ((0, 2), 1, "at least 5 vectors"),
        ((50,), 1, "at least 5 vectors"),
        ((50, 0), 1, "at least 5 vectors"),
        ((50, 3), 17, "from 1 to 16.33 for 50 points.*given: 17"),
        ((50, 3), 16.34, "from 1 to 16.33"),
        ((50, 3), 0.5, "from 1 to"),
        ((50, 3), float("nan"), "from 1 to"),
        ((50, 3), -3, "given: -3"),
    ],
)
def test_sizes_that_make_no_map_are_refused(shape, perplexity, message):
    vectors = np.random.default_rng(0).normal(size=shape)
    with pytest.raises(DataError, match=message):
        maps.embed(vectors, perplexity=perplexity)


@pytest.mark.parametrize("dimensions", [1, 4])
def test_other_dimensions_are_refused(vectors, dimensions):
    with pytest.raises(DataError, match="2 or 3 dimensions; given"):
        maps.embed(vectors, dimensions=dimensions)


@pytest.mark.parametrize("wrong", [np.nan, np.inf, -np.inf])
def test_vectors_that_are_not_finite_are_named(vectors, wrong):
    broken = vectors[:50].copy()
    broken[7, 3] = broken[9, 1] = wrong
    with pytest.raises(DataError, match="2 of 50 vectors .* the first is number 7"):
        maps.embed(broken, perplexity=5)


def test_vectors_that_are_all_the_same_are_refused():
    with pytest.raises(DataError, match="all 50 vectors are the same.*collapsed"):
        maps.embed(np.full((50, 3), 0.25, np.float32), perplexity=5)


@pytest.mark.parametrize(
    ("name", "dimensions", "perplexity"),
    [
        ("fewest", 2, 4 / 3),
        ("of one number", 3, 10),
        ("many the same", 2, 10),
        ("huge", 2, 10),
        ("tiny", 2, 10),
        ("whole numbers", 2, 10),
    ],
)
def test_odd_vectors_have_a_map(name, dimensions, perplexity):
    normal = np.random.default_rng(0).normal(size=(60, 4)).astype(np.float32)
    vectors = {
        "fewest": normal[:5],
        "of one number": normal[:, :1],
        "many the same": np.where(np.arange(60)[:, None] < 45, normal[:1], normal),
        "huge": normal * np.float32(1e18),
        "tiny": normal * np.float32(1e-18),
        "whole numbers": (normal * 100).astype(np.int64),
    }[name]
    found = maps.embed(vectors, dimensions=dimensions, perplexity=perplexity).coordinates
    assert found.shape == (len(vectors), dimensions)
    assert np.isfinite(found).all()
    assert np.ptp(found) > 0.1


# New points


@pytest.mark.parametrize("dimensions", [2, 3])
def test_what_is_on_the_map_is_placed_where_it_is(vectors, made, solid, dimensions):
    item = {2: made, 3: solid}[dimensions]
    count = len(item.coordinates)
    before = item.coordinates.copy()
    places = maps.place(item, vectors[:count], vectors[:count])
    assert places.shape == item.coordinates.shape
    assert places.dtype == np.float32
    moved = np.linalg.norm(places - item.coordinates, axis=1)
    size = np.linalg.norm(item.coordinates.std(axis=0))
    assert np.median(moved) < 0.03 * size
    assert (moved < 0.25 * size).mean() > 0.9
    assert np.array_equal(item.coordinates, before), "the map itself stays as it is"


@pytest.mark.parametrize("dimensions", [2, 3])
def test_new_digits_land_among_their_own(vectors, classes, made, solid, dimensions):
    item = {2: made, 3: solid}[dimensions]
    count = len(item.coordinates)
    places = maps.place(item, vectors[:count], vectors[500:700])
    nearest = KNeighborsClassifier(1).fit(item.coordinates, classes[:count])
    assert nearest.score(places, classes[500:700]) > 0.65


def test_new_points_do_not_see_each_other(vectors, made):
    together = maps.place(made, vectors[:400], vectors[500:504])
    alone = [maps.place(made, vectors[:400], vectors[row : row + 1]) for row in range(500, 504)]
    assert np.array_equal(together, np.concatenate(alone))
    assert maps.place(made, vectors[:400], vectors[:0]).shape == (0, 2)


def test_the_smallest_map_takes_new_points():
    vectors = np.random.default_rng(0).normal(size=(6, 3)).astype(np.float32)
    made = maps.embed(vectors[:5], perplexity=1)
    assert np.isfinite(maps.place(made, vectors[:5], vectors[5:])).all()


@pytest.mark.parametrize(
    ("known", "new", "message"),
    [
        ((399, 64), (2, 64), "the 400 vectors .* given: 399"),
        ((400, 64), (2, 63), r"\(any, 64\).*given: \(2, 63\)"),
        ((400, 64), (64,), r"\(any, 64\).*given: \(64,\)"),
    ],
)
def test_vectors_that_do_not_fit_are_not_placed(made, known, new, message):
    with pytest.raises(DataError, match=message):
        maps.place(made, np.random.default_rng(0).normal(size=known), np.zeros(new))


def test_new_vectors_that_are_not_finite_are_named(vectors, made):
    new = vectors[500:504].copy()
    new[2] = np.nan
    with pytest.raises(DataError, match="1 of 4 vectors .* number 2"):
        maps.place(made, vectors[:400], new)


# Files


def test_a_saved_map_is_the_same(made, solid, tmp_path):
    for name, item in (("지도.npz", made), ("solid.npz", solid)):
        maps.save(item, tmp_path / name)
        again = maps.load(tmp_path / name)
        assert again.coordinates.tobytes() == item.coordinates.tobytes()
        assert (again.perplexity, again.seed) == (item.perplexity, item.seed)


def test_a_missing_map_is_said(tmp_path):
    with pytest.raises(RunError, match="no map at .*latents"):
        maps.load(tmp_path / "map.npz")


def test_a_damaged_map_is_refused(solid, tmp_path):
    path = tmp_path / "map.npz"
    maps.save(solid, path)
    whole = path.read_bytes()
    for length in (0, 1, 100, len(whole) // 2, len(whole) - 1):
        path.write_bytes(whole[:length])
        with pytest.raises(RunError, match="damaged"):
            maps.load(path)
    for place in (0, len(whole) // 2, len(whole) - 4):  # in a header, the numbers, the index
        path.write_bytes(whole[:place] + bytes([whole[place] ^ 255]) + whole[place + 1 :])
        with pytest.raises(RunError, match="damaged"):
            maps.load(path)


@pytest.mark.parametrize(
    "arrays",
    [
        {"coordinates": np.zeros((5, 2), np.float32)},
        {"coordinates": np.zeros((5, 2), np.float32), "perplexity": [1, 2], "seed": 0},
        {"coordinates": np.array([None]), "perplexity": 1, "seed": 0},
        {"coordinates": np.zeros((5, 4), np.float32), "perplexity": 1, "seed": 0},
        {"coordinates": np.zeros((5, 2), np.float64), "perplexity": 1, "seed": 0},
        {"coordinates": np.zeros(5, np.float32), "perplexity": 1, "seed": 0},
    ],
)
def test_other_arrays_are_refused(arrays, tmp_path):
    np.savez(tmp_path / "map.npz", **arrays)
    with pytest.raises(RunError, match="map.npz.*make it again"):
        maps.load(tmp_path / "map.npz")


# Signals


def test_a_signal_ends_the_work(vectors):
    timer = threading.Timer(0.3, os.kill, (os.getpid(), signal.SIGTERM))
    with handled_by(raise_stopped):
        timer.start()
        with pytest.raises(Stopped):
            maps.embed(vectors)  # takes some seconds
    timer.join()


SCRIPT = """
import numpy as np
from common.errors import Stopped
from common.signals import handled_by, raise_stopped
from common.maps import tsne as maps

vectors = np.random.default_rng(0).normal(size=(5000, 784)).astype(np.float32)
maps.embed(vectors[:50], perplexity=5)
with handled_by(raise_stopped):
    print("begun", flush=True)
    try:
        maps.embed(vectors)
    except Stopped as stopped:
        raise SystemExit(stopped.exit_code)
"""


@pytest.mark.slow
@pytest.mark.parametrize("after", [0.05, 0.5, 4.0])
def test_sigterm_ends_a_map_of_5000_points_within_2_seconds(after, without_core):
    with subprocess.Popen([sys.executable, "-c", SCRIPT], stdout=subprocess.PIPE) as process:
        assert process.stdout.readline() == b"begun\n"
        time.sleep(after)
        begun, before = time.monotonic(), without_core(process.pid)
        process.terminate()
        process.stdout.read()  # to its end, which is that of the process
        seconds = time.monotonic() - begun - (without_core(process.pid) - before)
        assert process.wait() == 128 + signal.SIGTERM
    assert seconds < 2


def test_a_signal_waits_until_a_step_is_computed(monkeypatch):
    """Raised while it builds a tree, it would leave half a tree, and freeing that one crashes."""
    computed, forces = [], tsne.kl_divergence_bh

    def disturbed(*arguments, **options):
        signal.raise_signal(signal.SIGTERM)
        computed.append(forces(*arguments, **options))
        return computed[-1]

    monkeypatch.setattr(tsne, "kl_divergence_bh", disturbed)
    vectors = np.random.default_rng(0).normal(size=(50, 3))
    with handled_by(raise_stopped), pytest.raises(Stopped):
        maps.embed(vectors, perplexity=5)
    assert len(computed) == 1


def test_several_maps_are_those_of_one_after_the_other(vectors, monkeypatch):
    wanted = [maps.Wanted(vectors[:100], 2, 5, seed) for seed in (0, 1)]
    alone = [maps.embed(vectors[:100], perplexity=5, seed=seed) for seed in (0, 1)]
    monkeypatch.setenv("OMP_NUM_THREADS", "2")
    for one, made in zip(alone, maps.embed_each(wanted), strict=True):
        assert (made.coordinates == one.coordinates).all()


def test_a_map_that_lasts_is_made_once(vectors, tmp_path, monkeypatch):
    monkeypatch.setenv("LABS_CACHE", str(tmp_path))
    wanted = maps.Wanted(vectors[:60], 2, 5, 0, lasting=True)
    (first,) = maps.embed_each([wanted])
    (kept,) = tmp_path.iterdir()
    with monkeypatch.context() as patch:
        patch.setattr(maps, "embed", None)  # nothing is to be made
        (again,) = maps.embed_each([wanted])
    assert (again.coordinates == first.coordinates).all()
    kept.write_bytes(b"damaged")
    (new,) = maps.embed_each([wanted])
    assert (new.coordinates == first.coordinates).all()
    for other in (wanted._replace(seed=1), wanted._replace(vectors=vectors[1:61])):
        maps.embed_each([other])
    assert len(list(tmp_path.iterdir())) == 3


def test_what_is_wrong_with_one_of_several_maps_is_said(vectors):
    some = vectors[:100]
    with pytest.raises(DataError, match="all 100 vectors are the same"):
        maps.embed_each([maps.Wanted(each, 2, 5, 0) for each in (some, np.zeros_like(some))])


def test_maps_are_given_up_when_a_signal_comes_as_they_are_handed_out(monkeypatch):
    """The first has begun then, and would take days; nobody waits for it."""
    submit = maps.ThreadPoolExecutor.submit

    def submit_and_stop(pool, *work):
        submit(pool, *work)
        raise Stopped(signal.SIGTERM)

    monkeypatch.setattr(maps, "_ITERATIONS", (250, 10_000_000))
    monkeypatch.setattr(maps.ThreadPoolExecutor, "submit", submit_and_stop)
    vectors = np.random.default_rng(0).normal(size=(200, 5))
    with pytest.raises(Stopped):
        maps.embed_each([maps.Wanted(vectors, 2, 5, 0)])


def test_components_of_vectors_that_are_too_short_are_zero():
    found = maps.components(np.arange(10.0)[:, None], 3)
    assert found.shape == (10, 3)
    assert np.ptp(found[:, 0]) == pytest.approx(9)
    assert not found[:, 1:].any()
