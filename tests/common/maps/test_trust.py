import re

import numpy as np
import pytest
from sklearn.decomposition import PCA
from sklearn.manifold import trustworthiness
from sklearn.metrics import pairwise_distances
from sklearn.neighbors import KNeighborsClassifier

from common.errors import DataError
from common.maps import trust, tsne
from common.maps.words import Words


@pytest.fixture(scope="module")
def vectors(digits):
    return digits.images.numpy()[:200].reshape(-1, 64).astype(np.float32) / 255


@pytest.fixture(scope="module")
def flat(vectors):
    return PCA(2).fit_transform(vectors)


def ranks(values):
    """Return how far down the list of each point's neighbors each other one stands, from 1."""
    return pairwise_distances(values).argsort(axis=1).argsort(axis=1)


def by_definition(space, other, k):
    """Venna and Kaski 2001, equation 1, written out."""
    n, below = len(space), ranks(space) > k
    wrong = (ranks(other) <= k) & below
    return 1 - 2 / (n * k * (2 * n - 3 * k - 1)) * ((ranks(space) - k) * wrong).sum()


def test_figures_are_those_of_their_definitions(vectors, flat):
    found = trust.figures(vectors, flat, k=7)
    assert found.trustworthiness == pytest.approx(by_definition(vectors, flat, 7), abs=1e-3)  # ties
    assert found.continuity == pytest.approx(by_definition(flat, vectors, 7), abs=1e-3)
    near = [
        {tuple(pair) for pair in np.argwhere((ranks(values) > 0) & (ranks(values) <= 7))}
        for values in (vectors, flat)
    ]
    assert found.neighbors_kept == pytest.approx(len(near[0] & near[1]) / (7 * 200), abs=5e-3)


def test_a_map_that_is_the_space_keeps_all(flat):
    turned = flat @ np.array([[0.0, -3.0], [3.0, 0.0]]) + 7
    assert trust.figures(flat, turned) == (1, 1, 1)


def test_places_by_chance_keep_next_to_nothing(vectors):
    chance = np.random.default_rng(0).normal(size=(200, 2))
    found = trust.figures(vectors, chance)
    assert found.trustworthiness == pytest.approx(0.5, abs=0.05)
    assert found.continuity == pytest.approx(0.5, abs=0.05)
    assert found.neighbors_kept == pytest.approx(10 / 199, abs=0.02)


def test_tearing_and_gluing_are_told_apart():
    line = np.arange(100.0)[:, None]
    torn = np.where(line % 2 == 0, line, line + 1000)
    glued = line % 50
    assert trust.figures(line, torn, k=4).continuity < trust.figures(line, glued, k=4).continuity
    worse, better = trust.figures(line, glued, k=4), trust.figures(line, torn, k=4)
    assert worse.trustworthiness < better.trustworthiness


def test_above_the_most_points_some_are_drawn(vectors, flat, monkeypatch):
    monkeypatch.setattr(trust, "MOST_POINTS", 80)
    rows = trust.sample(200, 80)
    assert len(set(rows.tolist())) == 80
    found = trust.figures(vectors, flat)
    expected = trustworthiness(vectors[rows], flat[rows], n_neighbors=10)
    assert found.trustworthiness == pytest.approx(expected)


@pytest.mark.parametrize(("points", "k"), [(20, 10), (200, 100), (200, 0)])
def test_too_few_points_are_refused(vectors, flat, points, k):
    with pytest.raises(DataError, match=f"more than {2 * k} points.*given: {points}"):
        trust.figures(vectors[:points], flat[:points], k)


@pytest.fixture(scope="module")
def table(vectors, flat):
    spaces = {"pixels": vectors, "latents": flat}
    return trust.trust_table(spaces, perplexities=(5, 20, 100), seeds=(0, 1, 2), points=90, k=5)


def test_the_table_has_a_row_for_each_map(table):
    assert (table.points, table.neighbors) == (90, 5)
    expected = [
        (space, perplexity, seed)
        for space in ("pixels", "latents")
        for perplexity in (5, 20)  # 100 is too large for 90 points
        for seed in (0, 1, 2)
    ]
    assert [row[:3] for row in table.rows] == expected


def test_a_row_is_the_map_of_its_settings(table, vectors, flat):
    drawn = trust.sample(200, 90)
    [row] = [row for row in table.rows if row[:3] == ("latents", 20, 1)]
    made = tsne.embed(flat[drawn], perplexity=20, seed=1).coordinates
    assert row.own == trust.figures(flat[drawn], made, 5)
    assert row.pixels == trust.figures(vectors[drawn], made, 5)


def test_maps_of_pixels_are_held_against_pixels_once(table):
    for row in table.rows:
        if row.space == "pixels":
            assert row.own == row.pixels


def test_two_numbers_are_mapped_more_faithfully_than_64(table):
    found = {(item.space, item.perplexity): item for item in table.summary}
    latents, pixels = found["latents", 20], found["pixels", 20]
    assert latents.own["neighbors_kept"].mean > pixels.own["neighbors_kept"].mean
    assert latents.pixels["neighbors_kept"].highest < pixels.pixels["neighbors_kept"].lowest


def test_the_summary_is_over_the_seeds(table):
    for item in table.summary:
        rows = [row for row in table.rows if row[:2] == item[:2]]
        for name in trust.Figures._fields:
            values = [getattr(row.own, name) for row in rows]
            spread = item.own[name]
            assert spread.mean == pytest.approx(np.mean(values))
            assert (spread.lowest, spread.highest) == (min(values), max(values))
        assert 0 < item.agreement.lowest <= item.agreement.mean <= item.agreement.highest <= 1


def test_seeds_differ(table):
    assert len({row.own for row in table.rows if row[:2] == ("pixels", 20)}) == 3
    assert all(item.agreement.lowest < 1 for item in table.summary)


def test_without_pixels_and_with_one_seed_there_is_less_to_say(vectors):
    table = trust.trust_table({"latents": vectors}, perplexities=(5,), seeds=(3,), points=60, k=5)
    [row], [item] = table.rows, table.summary
    assert (row.seed, row.pixels) == (3, None)
    assert (item.pixels, item.agreement) == ({}, None)


def test_spaces_of_different_samples_are_refused(vectors, flat):
    with pytest.raises(DataError, match=r"same samples.*'pixels': 200, 'latents': 100"):
        trust.trust_table({"pixels": vectors, "latents": flat[:100]})


def test_without_a_perplexity_that_fits_nothing_is_made(vectors):
    with pytest.raises(DataError, match="at most 9.667 for 30 points; given: 10, 30"):
        trust.trust_table({"pixels": vectors}, perplexities=(10, 30), points=30)


def test_too_few_points_for_the_neighbors_are_refused_before_any_map(vectors, monkeypatch):
    monkeypatch.setattr(tsne, "embed", lambda *_, **__: pytest.fail("a map was made"))
    with pytest.raises(DataError, match="more than 20 points"):
        trust.trust_table({"pixels": vectors[:20]}, perplexities=(5,))


def test_the_mean_of_seeds_lies_between_the_extremes():
    """The mean of three equal numbers may be rounded to one beside them."""
    for value in np.random.default_rng(0).random(200).tolist():
        spread = trust._spread([value] * 3)
        assert spread.lowest <= spread.mean <= spread.highest


def test_figures_are_scikit_learns_to_the_last_bit(vectors, flat):
    found = trust.figures(vectors, flat, k=7)
    assert found.trustworthiness == trustworthiness(vectors, flat, n_neighbors=7)
    assert found.continuity == trustworthiness(flat, vectors, n_neighbors=7)


def test_maps_that_are_made_already_are_not_made_again(vectors, flat):
    known = {trust.Settings("latents", 5, 3): flat}
    given = {"latents": vectors}
    table = trust.trust_table(given, perplexities=(5,), seeds=(3,), points=200, k=5, known=known)
    assert table.rows[0].own == trust.figures(vectors, flat, 5)


def test_neighbors_vote_for_a_class_as_scikit_learn_counts_them():
    rng = np.random.default_rng(0)
    vectors, classes = rng.normal(size=(60, 3)), rng.integers(0, 4, 60)
    near = trust.Near(vectors, 5)
    expected = [
        KNeighborsClassifier(5)
        .fit(np.delete(vectors, row, 0), np.delete(classes, row))
        .predict(vectors[row : row + 1])[0]
        for row in range(60)
    ]
    assert trust.vote(near, classes).tolist() == expected


def test_a_sentence_on_a_map_has_the_same_figures_in_both_languages():
    said = trust.describe(trust.Figures(0.9876, 0.95, 0.512), 10, Words("here", "여기에서"))
    numbers = [re.findall(r"\d+(?:\.\d+)?", each) for each in said]
    assert sorted(numbers[0]) == sorted(numbers[1]) == ["0.950", "0.988", "1", "10", "51"]
    one = trust.describe(trust.Figures(1, 1, 1), 1, Words("here", ""))
    assert "nearest neighbor here" in one.en
    assert "With so few points" in one.en
    assert "With so few points" not in said.en


@pytest.mark.parametrize(("points", "k"), [(5, 1), (20, 6), (31, 10), (5000, 10)])
def test_few_points_have_few_neighbors(points, k):
    assert trust.count_neighbors(points) == k
