import math

import numpy as np
import pytest
import torch
from PIL import Image
from sklearn.metrics import label_ranking_average_precision_score, ndcg_score, pairwise_distances

from common.errors import ConfigError, DataError
from labs.autoencoder.views import retrieval as neighbors
from labs.autoencoder.views.plots.retrieval_plots import frame
from labs.autoencoder.views.retrieval import nearest, retrieval, view


def data(seed=0, queries=40, items=90, classes=5):
    generator = np.random.default_rng(seed)
    return (
        generator.standard_normal((queries, 6)),
        generator.integers(classes, size=queries),
        generator.standard_normal((items, 6)),
        np.arange(items) % classes,
    )


def test_figures_by_hand():
    collection = np.array([[1.0], [2.0], [3.0], [4.0]])
    found = retrieval(np.zeros((1, 1)), np.array([1]), collection, np.array([0, 1, 0, 1]))
    gain = 1 / math.log2(3) + 1 / math.log2(5)
    ideal = 1 + 1 / math.log2(3)
    assert found == pytest.approx(np.array([[(1 / 2 + 2 / 4) / 2, 1 / 2, gain / ideal]]))


@pytest.mark.parametrize("metric", neighbors.METRICS)
def test_means_are_scikit_learns(metric):
    queries, wanted, items, classes = data()
    scores = -pairwise_distances(queries, items, metric)
    relevant = wanted[:, None] == classes
    best = np.where(relevant, scores, -np.inf).max(1, keepdims=True)
    found = retrieval(queries, wanted, items, classes, metric).mean(0)
    assert found == pytest.approx(
        [
            label_ranking_average_precision_score(relevant, scores),
            np.mean(1 / (1 + (scores > best).sum(1))),
            ndcg_score(relevant, scores, k=10),
        ]
    )


def test_memory_does_not_change_the_figures(monkeypatch):
    whole = retrieval(*data())
    monkeypatch.setattr(neighbors, "_MEMORY", 0.005)
    assert np.array_equal(retrieval(*data()), whole)


def test_classes_that_lie_apart_are_found_completely():
    numbers = np.arange(60) % 3
    vectors = np.eye(3)[numbers] * 100 + np.random.default_rng(0).standard_normal((60, 3))
    assert retrieval(vectors[:20], numbers[:20], vectors[20:], numbers[20:]) == pytest.approx(1)


def test_equal_vectors_are_as_good_as_chance_though_the_collection_is_sorted():
    classes = np.repeat(np.arange(4), 500)
    found = retrieval(np.zeros((4, 2)), np.arange(4), np.zeros((2000, 2)), classes)
    assert found[:, 0] == pytest.approx(0.25, abs=0.03)


def test_a_class_that_is_not_in_the_collection_is_refused():
    queries, wanted, items, classes = data()
    with pytest.raises(DataError, match="no training image has class number 4"):
        retrieval(queries, wanted, items[classes < 4], classes[classes < 4])


def test_the_nearest_are_those_of_all_distances():
    queries, _, items, _ = data()
    distances = pairwise_distances(queries, items)
    found = nearest(queries, items, 7)
    assert np.array_equal(found.rows, distances.argsort(1)[:, :7])
    assert found.distances == pytest.approx(np.sort(distances, 1)[:, :7])
    assert nearest(queries, items[:3], 7).rows.shape == (40, 3)


@pytest.mark.parametrize(
    "call", [lambda: nearest(*data()[::2], 0), lambda: nearest(*data()[::2], -1)]
)
def test_no_neighbors_are_refused(call):
    with pytest.raises(ConfigError, match="expected at least 1 neighbor"):
        call()


def test_an_unknown_metric_gets_the_nearest_known_one():
    with pytest.raises(ConfigError, match="euclidean or cosine.*cosine"):
        retrieval(*data(), metric="cosin")
    with pytest.raises(ConfigError, match="--metric l1"):
        nearest(*data()[::2], 3, metric="l1")


def test_the_frame_marks_and_keeps_the_image():
    images = torch.full((2, 1, 20, 20), 7, dtype=torch.uint8)
    found = frame(images, np.array([True, False]))
    assert found.shape == (2, 3, 24, 24)
    assert found[0, :, 0, 0].tolist() == [213, 94, 0]
    assert found[1, :, 1, 5].tolist() == [255] * 3
    assert (found[:, :, 2:-2, 2:-2] == 7).all()
    color = torch.randint(256, (1, 3, 8, 8), dtype=torch.uint8)
    assert torch.equal(frame(color, np.array([True]))[:, :, 1:-1, 1:-1], color)


def test_the_view_measures_all_spaces(material):
    found = view(material)
    test, train = material["test"], material["train"]
    latents = retrieval(test.latents, test.classes, train.latents, train.classes)
    assert found.figures["latents_map"] == pytest.approx(latents[:, 0].mean())
    assert [(row["figure"], row["space"]) for row in found.records[:3]] == [
        ("MAP", "latents"),
        ("MAP", "PCA"),
        ("MAP", "pixels"),
    ]
    assert len(found.records) == 9
    for name in neighbors.FIGURES:
        lead = found.figures[f"lead_over_pixels_{name}"]
        own, theirs = (found.figures[f"{space}_{name}"] for space in ("latents", "pixels"))
        assert lead == pytest.approx(own - theirs)
    assert len(found.section.pictures) == 2
    assert all(path.exists() for _, path in found.section.pictures)


def test_neighbors_of_given_images_are_listed(material, tmp_path):
    path = tmp_path / "나.png"
    train, test = material["train"], material["test"]
    Image.fromarray(train.images([5])[0, 0].numpy()).save(path)
    found = view(material, images=("3", str(path)), count=2)
    rows = [(row["image"], row["space"], row["rank"]) for row in found.records]
    names = (test.split.names[3], str(path))
    assert rows == [(n, s, r) for n in names for s in ("latents", "pixels") for r in (1, 2)]
    order = np.linalg.norm(train.latents - test.latents[3], axis=1).argsort()
    assert found.records[0]["neighbor"] == train.split.names[order[0]]
    assert found.records[0]["class"] == str(test.classes[3])
    copy = found.records[6]
    assert copy["neighbor"] == train.split.names[5]
    assert copy["neighbor's class"] == str(train.classes[5])
    assert copy["distance"] == pytest.approx(0, abs=1e-3)
    assert copy["class"] == ""
    assert len(found.section.pictures) == 1


def test_a_row_that_is_not_there_is_refused(material):
    with pytest.raises(ConfigError, match="no row 4000"):
        view(material, images=("4000",))
