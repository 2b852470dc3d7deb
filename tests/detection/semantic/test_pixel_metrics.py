"""IoU, Dice and boundary F1, against scikit-learn and by hand."""

import numpy as np
import pytest
from sklearn.metrics import confusion_matrix, f1_score, jaccard_score

from labs.detection.semantic import metrics
from labs.detection.semantic.losses import VOID


def drawn(seed=0, images=4, classes=5, side=16, void=0.1):
    generator = np.random.default_rng(seed)
    true = generator.integers(0, classes, (images, side, side)).astype(np.uint8)
    said = np.where(generator.random(true.shape) < 0.6, true, generator.integers(0, classes, 1))
    true[generator.random(true.shape) < void] = VOID
    return said.astype(np.uint8), true


@pytest.mark.parametrize("seed", range(3))
def test_iou_and_dice_are_scikit_learns_on_labelled_pixels(seed):
    said, true = drawn(seed)
    rows, labelled = metrics.counts(said, true, 5), true != VOID
    flat = true[labelled], said[labelled]
    kinds = {"labels": range(5), "average": None}
    assert metrics.ious(rows) == pytest.approx(jaccard_score(*flat, **kinds))
    assert metrics.dices(rows) == pytest.approx(f1_score(*flat, **kinds))
    assert metrics.mean_iou(rows) == pytest.approx(jaccard_score(*flat, average="macro"))
    assert metrics.pixel_accuracy(rows) == pytest.approx((flat[0] == flat[1]).mean())
    assert (metrics.confusions(said, true, 5).sum(0) == confusion_matrix(*flat)).all()


def test_a_class_that_is_nowhere_has_no_figure_and_no_part_in_the_mean():
    said, true = drawn(classes=3)
    rows = metrics.counts(said, true, 5)
    assert np.isnan(metrics.ious(rows)[3:]).all()
    assert metrics.mean_iou(rows) == pytest.approx(metrics.ious(rows)[:3].mean())
    only_said = np.where(said == 0, 4, said)
    assert metrics.ious(metrics.counts(only_said, true, 5))[4] == 0


def test_a_split_of_void_alone_has_no_figures():
    said, true = np.zeros((2, 4, 4), np.uint8), np.full((2, 4, 4), VOID, np.uint8)
    figures = metrics.figures(said, true, 3)
    assert all(np.isnan(np.atleast_1d(value)).all() for value in figures.values())


def test_the_main_metric_of_a_split_is_that_of_its_pooled_pixels():
    said, true = drawn()
    metric = metrics.main_metric(5)
    assert metric.value(said, true) == metrics.mean_iou(metrics.counts(said, true, 5))
    low, high = metric.measure(said, true)["mean_iou_interval"]
    assert low < metric.value(said, true) < high


def halves(edge, side=40):
    found = np.zeros((1, side, side), np.uint8)
    found[:, :, edge:] = 1
    return found


@pytest.mark.parametrize(("moved", "f1"), [(0, 1.0), (1, 1.0), (2, 0.0)])
def test_a_boundary_may_be_off_by_the_tolerance(moved, f1):
    """A pixel at 40x40."""
    rows = metrics.boundary_counts(halves(20 + moved), halves(20), 2)
    assert metrics.boundary_f1s(rows) == pytest.approx([f1, f1])


def test_boundaries_at_void_and_at_the_image_s_edge_are_none():
    true = halves(20)
    true[:, :, 18:22] = VOID
    assert not metrics.boundary_counts(halves(20), true, 2).any()
    assert np.isnan(metrics.boundary_f1s(metrics.boundary_counts(halves(30), true, 2))).all()
    nothing = np.zeros((1, 8, 8), np.uint8)
    assert not metrics.boundary_counts(nothing, nothing, 2).any()


def test_boundary_counts_are_those_of_distances():
    from scipy.ndimage import distance_transform_edt

    said, true = (np.kron(each, np.ones((1, 8, 8), np.uint8)) for each in drawn(side=8, void=0))
    rows = metrics.boundary_counts(said, true, 5)
    reach = metrics.TOLERANCE * np.hypot(64, 64)
    for image, label in ((0, 1), (2, 3)):
        ours, theirs = (
            metrics._edges(each[image]) & (each[image] == label) for each in (said, true)
        )
        near = ours & (distance_transform_edt(~theirs) <= max(1, reach))
        assert rows[image, :2, label].tolist() == [near.sum(), ours.sum()]


def test_neighbors_are_the_pixels_where_classes_meet():
    matrix = metrics.neighbor_confusion(halves(21), halves(20), 2)
    assert matrix.sum() == 4 * 40  # a pixel on each side of the boundary, and the next ones
    assert matrix[1, 0] == 40
    assert matrix[0, 1] == 0


def test_every_class_has_a_row_with_intervals():
    said, true = drawn(classes=3)
    rows = metrics.per_class(said, true, ("a", "b", "c", "d"))
    assert [row["class"] for row in rows] == ["a", "b", "c", "d"]
    assert rows[0]["iou_interval"][0] < rows[0]["iou"] < rows[0]["iou_interval"][1]
    assert np.isnan(rows[3]["iou"])
    assert rows[3]["images"] == 0
    assert sum(row["pixels"] for row in rows) == pytest.approx(1)
