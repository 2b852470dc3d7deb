"""Class and box of one object: figures against counts by hand, intervals, and empty sides."""

import numpy as np
import pytest
import torch
from torchvision.ops import box_iou

from labs.detection.localizer import metrics


def rows(*boxes):
    """Return one row of each image, (N, 1, 6)."""
    return np.array(boxes, np.float32)[:, None]


FOUND = rows(
    [0, 0, 10, 10, 0.9, 1],  # right
    [0, 0, 10, 10, 0.9, 2],  # the class is wrong, the box is right
    [0, 0, 10, 4, 0.9, 1],  # the box is loose
    [50, 50, 60, 60, 0.9, 0],  # both are wrong
)
TRUE = rows(*([0, 0, 10, 10, 1, 0] for _ in range(4)))


def test_the_figures_are_those_that_one_counts():
    found = metrics.figures(FOUND, TRUE)
    assert found["accuracy"] == 0.5
    assert found["mean_iou"] == pytest.approx((1 + 1 + 0.4 + 0) / 4)
    assert found["localization_accuracy"] == 0.25  # 1 - ILSVRC's localization error


def test_the_overlap_is_that_of_torchvision():
    generator = np.random.default_rng(0)
    corners = np.sort(generator.uniform(0, 100, (2, 50, 2, 2)), axis=2).reshape(2, 50, 4)
    found, true = (np.pad(each, ((0, 0), (0, 2)))[:, None] for each in corners)
    expected = box_iou(*map(torch.from_numpy, corners)).diagonal()
    np.testing.assert_allclose(metrics.judge(found, true).iou, expected, rtol=1e-6)


def test_intervals_hold_their_figures():
    found = metrics.with_intervals(FOUND, TRUE)
    for name in ("accuracy", "mean_iou", "localization_accuracy"):
        low, high = found[f"{name}_interval"]
        assert 0 <= low <= found[name] <= high <= 1


def test_boxes_are_compared_where_the_class_is_right_and_where_it_is_wrong():
    found = metrics.compare_classes(metrics.judge(FOUND, TRUE))
    assert found.right == pytest.approx(0.7)
    assert found.wrong == pytest.approx(0.5)
    assert found.difference == pytest.approx(0.2)


def test_a_clear_difference_has_an_interval_without_0():
    right = np.arange(200) % 2 == 0
    iou = np.where(right, 0.9, 0.5) + np.linspace(-0.05, 0.05, 200)
    found = metrics.compare_classes(metrics.Judged(right, iou))
    low, high = found.difference_interval
    assert 0 < low < found.difference < high


def test_where_every_class_is_right_there_is_nothing_to_compare():
    found = metrics.compare_classes(metrics.Judged(np.ones(5, bool), np.full(5, 0.8)))
    assert found.right == pytest.approx(0.8)
    assert np.isnan([found.wrong, found.difference, *found.difference_interval]).all()
