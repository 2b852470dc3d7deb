import numpy as np
import pytest
from matplotlib.figure import Figure
from sklearn.metrics import (
    adjusted_rand_score,
    normalized_mutual_info_score,
    silhouette_score,
)

from common.errors import ConfigError, DataError
from common.metrics.metrics import bootstrap
from labs.autoencoder.views import clusters
from labs.autoencoder.views.clusters import (
    adjusted_rand,
    assign,
    centered_bootstrap,
    contingency,
    fit,
    mutual_information,
    purity,
    silhouette,
    view,
)
from labs.autoencoder.views.material import Material
from labs.autoencoder.views.plots import cluster_plots

GENERATOR = np.random.default_rng(0)
CLASSES = GENERATOR.integers(4, size=200)
GUESSES = np.where(GENERATOR.random(200) < 0.6, CLASSES, GENERATOR.integers(5, size=200))
LABELS = {
    "mixed": (GUESSES, CLASSES),
    "the classes under other names": (3 - CLASSES, CLASSES),
    "random": (GENERATOR.integers(6, size=200), CLASSES),
    "one cluster": (np.zeros(200, int), CLASSES),
    "one class": (GUESSES, np.zeros(200, int)),
    "one of both": (np.zeros(200, int), np.zeros(200, int)),
    "each its own": (np.arange(200), CLASSES),
    "one image": (np.zeros(1, int), np.zeros(1, int)),
}


def table(found, classes):
    return contingency(found, classes, (found.max() + 1, classes.max() + 1))


@pytest.mark.parametrize("name", LABELS)
def test_figures_are_those_of_scikit_learn(name):
    found, classes = LABELS[name]
    counts = table(found, classes)
    assert adjusted_rand(counts) == pytest.approx(adjusted_rand_score(classes, found))
    assert mutual_information(counts) == pytest.approx(
        normalized_mutual_info_score(classes, found), abs=1e-12
    )


def test_by_hand():
    counts = contingency(np.array([0, 0, 0, 1, 1]), np.array([0, 0, 1, 2, 1]), (3, 3))
    assert counts.tolist() == [[2, 1, 0], [0, 1, 1], [0, 0, 0]]
    assert purity(counts) == 3 / 5


def test_perfect_clusters_and_random_ones():
    perfect = table(3 - CLASSES, CLASSES)
    assert purity(perfect) == adjusted_rand(perfect) == 1
    assert mutual_information(perfect) == pytest.approx(1)
    generator = np.random.default_rng(1)
    scores = [adjusted_rand(table(generator.integers(4, size=200), CLASSES)) for _ in range(200)]
    assert np.mean(scores) == pytest.approx(0, abs=0.005)


def test_more_clusters_are_purer():
    finer = GUESSES + 5 * GENERATOR.integers(3, size=200)
    assert purity(table(finer, CLASSES)) >= purity(table(GUESSES, CLASSES))
    assert purity(table(np.arange(200), CLASSES)) == 1


def test_silhouette_is_that_of_scikit_learn_and_is_none_where_it_is_not_defined():
    vectors = GENERATOR.standard_normal((200, 3))
    assert silhouette(vectors, GUESSES) == pytest.approx(silhouette_score(vectors, GUESSES))
    assert silhouette(vectors, np.zeros(200, int)) is None
    assert silhouette(vectors, np.arange(200)) is None


def test_the_silhouette_of_many_is_that_of_some(monkeypatch):
    vectors = GENERATOR.standard_normal((200, 3)) + 3 * GUESSES[:, None]
    whole = silhouette(vectors, GUESSES)
    monkeypatch.setattr(clusters, "_SILHOUETTE", 150)
    assert silhouette(vectors, GUESSES) == pytest.approx(whole, abs=0.05)


def test_k_means_finds_what_lies_apart():
    centers = 20 * np.eye(4)
    vectors = centers[CLASSES] + GENERATOR.standard_normal((200, 4))
    found = fit(vectors, 4).predict(vectors)
    assert adjusted_rand(table(found, CLASSES)) == 1


@pytest.mark.parametrize("number", [0, -1, 8])
def test_numbers_of_clusters_that_cannot_be_are_refused(number):
    with pytest.raises(ConfigError, match="expected 1 to 7"):
        fit(np.eye(7), number)


def test_equal_vectors_make_one_cluster_without_a_warning():
    assert set(fit(np.ones((20, 3)), 5).predict(np.ones((20, 3)))) == {0}


def test_the_interval_is_around_the_figure():
    pairs = np.stack([GUESSES, CLASSES], 1)

    def nmi(rows):
        return mutual_information(contingency(rows[:, 0], rows[:, 1], (5, 4)))

    low, high = centered_bootstrap(nmi, pairs)
    assert low < nmi(pairs) < high
    plain = bootstrap(nmi, pairs)
    assert high - low == pytest.approx(plain[1] - plain[0])
    assert low < plain[0]


def test_that_of_a_mean_is_the_percentile_one():
    values = GENERATOR.random(100)
    expected = bootstrap(np.mean, values)
    assert centered_bootstrap(np.mean, values) == pytest.approx(expected, abs=0.003)


def test_a_perfect_figure_has_no_interval_above_it():
    pairs = np.stack([CLASSES, CLASSES], 1)
    found = centered_bootstrap(
        lambda rows: purity(contingency(rows[:, 0], rows[:, 1], (4, 4))), pairs
    )
    assert found == (1, 1)


def test_the_view_agrees_with_what_the_map_is_colored_by(material):
    found = view(material)
    test = material["test"]
    of_map = assign(material, test.latents)
    assert found.figures["latents_ari"] == pytest.approx(adjusted_rand_score(test.classes, of_map))
    assert found.figures["latents_nmi"] == pytest.approx(
        normalized_mutual_info_score(test.classes, of_map)
    )
    assert found.figures["latents_silhouette"] == pytest.approx(
        silhouette_score(test.latents, of_map), abs=1e-5
    )
    assert of_map.max() <= 9
    assert [row["space"] for row in found.records] == ["latents", "PCA", "pixels"] * 4
    assert all(path.exists() for _, path in found.section.pictures)


@pytest.mark.slow
def test_another_number_of_clusters(material):
    one = view(material, clusters=1)
    assert one.figures["latents_silhouette"] is None
    assert one.figures["latents_ari"] == 0
    share = np.bincount(material["test"].classes).max() / len(material["test"])
    assert one.figures["latents_purity"] == share
    many = view(material, clusters=25)
    assert many.figures["latents_purity"] > one.figures["latents_purity"]
    assert "25 clusters" in many.verdict
    with pytest.raises(ConfigError, match="--clusters 4000: expected 1 to"):
        view(material, clusters=4000)
    with pytest.raises(ConfigError, match="--clusters 0: expected 1 to"):
        assign(material, material["test"].latents, clusters=0)


def test_one_class_is_refused(material):
    train = material.splits["train"]
    alone = {**material.splits, "train": train.select((train.targets == 3).nonzero()[:, 0])}
    with pytest.raises(DataError, match="two classes or more.*'3'"):
        view(Material(material.job, alone))


@pytest.mark.parametrize(("rows", "columns"), [(1, 2), (10, 10), (60, 3), (5, 100)])
def test_tables_of_any_size_are_drawn(rows, columns):
    counts = GENERATOR.integers(9, size=(rows, columns))
    counts[0] = 0
    figure = cluster_plots.table(counts, range(rows), [f"반 {number}" for number in range(columns)])
    assert isinstance(figure, Figure)
    texts = [text.get_text() for text in figure.axes[0].texts]
    assert len(texts) == ((counts > 0).sum() if max(rows, columns) <= 20 else 0)
