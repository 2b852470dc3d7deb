"""Weighted boxes fusion: the reference package's values, and what holds of every fusion."""

import numpy as np
import pytest

from labs.detection.predict.fusion import fuse
from labs.detection.task import MOST

# What `weighted_boxes_fusion` of ensemble-boxes 1.0.9, the authors' package, says at its default
# IoU of 0.55: two detectors with equal weights, and three of which the last counts three times.
TWO = [
    [
        [0.51, 0.226, 0.709, 0.471, 0.356, 0],
        [0.088, 0.177, 0.375, 0.279, 0.615, 1],
        [0.105, 0.145, 0.348, 0.245, 0.371, 1],
        [0.054, 0.142, 0.358, 0.26, 0.422, 1],
        [0.105, 0.138, 0.353, 0.241, 0.896, 1],
    ],
    [
        [0.499, 0.207, 0.683, 0.545, 0.639, 0],
        [0.46, 0.228, 0.657, 0.469, 0.995, 0],
        [0.536, 0.662, 0.822, 0.787, 0.951, 0],
        [0.131, 0.141, 0.388, 0.259, 0.487, 1],
        [0.559, 0.691, 0.83, 0.794, 0.77, 0],
    ],
]
THREE = [
    [
        [0.571, 0.193, 0.813, 0.331, 0.372, 1],
        [0.594, 0.169, 0.799, 0.3, 0.547, 1],
        [0.292, 0.288, 0.453, 0.553, 0.255, 1],
        [0.249, 0.211, 0.4, 0.478, 0.146, 1],
        [0.547, 0.198, 0.769, 0.346, 0.087, 0],
        [0.585, 0.207, 0.797, 0.347, 0.717, 1],
    ],
    [
        [0.184, 0.097, 0.369, 0.365, 0.836, 1],
        [0.301, 0.233, 0.439, 0.482, 0.155, 1],
        [0.549, 0.153, 0.767, 0.26, 0.105, 1],
        [0.31, 0.245, 0.452, 0.516, 0.983, 1],
        [0.24, 0.142, 0.446, 0.324, 0.474, 1],
        [0.46, 0.553, 0.631, 0.741, 0.352, 1],
    ],
    [
        [0.619, 0.191, 0.794, 0.345, 0.436, 1],
        [0.512, 0.546, 0.707, 0.741, 0.976, 1],
        [0.278, 0.295, 0.418, 0.538, 0.625, 1],
        [0.566, 0.211, 0.769, 0.338, 0.969, 1],
        [0.436, 0.512, 0.646, 0.776, 0.092, 1],
        [0.179, 0.124, 0.367, 0.378, 0.889, 1],
    ],
]
FUSED_TWO = [
    [0.546291, 0.674975, 0.825579, 0.790132, 0.8605, 0],
    [0.100928, 0.140641, 0.36095, 0.249395, 0.544, 1],
    [0.46, 0.228, 0.657, 0.469, 0.4975, 0],
    [0.502936, 0.213798, 0.692303, 0.518524, 0.4975, 0],
    [0.088, 0.177, 0.375, 0.279, 0.3075, 1],
]
FUSED_THREE = [
    [0.581989, 0.204265, 0.782036, 0.340452, 0.7956, 1],
    [0.180193, 0.117556, 0.367477, 0.374898, 0.7006, 1],
    [0.512, 0.546, 0.707, 0.741, 0.5856, 1],
    [0.279676, 0.294162, 0.42219, 0.539796, 0.426, 1],
    [0.308774, 0.243366, 0.450229, 0.511369, 0.2276, 1],
    [0.449452, 0.534981, 0.637592, 0.756382, 0.1256, 1],
    [0.594, 0.169, 0.799, 0.3, 0.1094, 1],
    [0.24, 0.142, 0.446, 0.324, 0.0948, 1],
    [0.249, 0.211, 0.4, 0.478, 0.0292, 1],
    [0.549, 0.153, 0.767, 0.26, 0.021, 1],
    [0.547, 0.198, 0.769, 0.346, 0.0174, 0],
]


def used(found):
    """Return the boxes of one image."""
    [rows] = found
    return rows[rows[:, 5] >= 0]


def draw(seed, models=3, images=4, classes=3):
    """Return what models find in images: many boxes for few objects, and unused rows."""
    rng = np.random.default_rng(seed)
    centers, sizes = rng.uniform(20, 80, (images, 5, 2)), rng.uniform(8, 30, (images, 5, 2))
    found = []
    for _ in range(models):
        which = rng.integers(0, 5, (images, 20, 1))
        middle = np.take_along_axis(centers, which, 1) + rng.normal(0, 2, (images, 20, 2))
        half = np.take_along_axis(sizes, which, 1) / 2 * rng.uniform(0.8, 1.2, (images, 20, 2))
        labels = rng.integers(-1, classes, (images, 20, 1))
        scores = rng.random((images, 20, 1))
        found.append(np.concatenate([middle - half, middle + half, scores, labels], 2))
    return found


@pytest.mark.parametrize(
    ("boxes", "weights", "expected"),
    [(TWO, None, FUSED_TWO), (THREE, (1, 1, 3), FUSED_THREE)],
)
def test_values_are_those_of_the_reference_package(boxes, weights, expected):
    found = used(fuse(np.array(boxes)[:, None], weights))
    np.testing.assert_allclose(found, expected, atol=2e-6)


def test_two_boxes_by_hand():
    one, other = [[[0, 0, 10, 10, 0.9, 2]]], [[[0, 0, 10, 14, 0.3, 2]]]
    [[*corners, score, label]] = used(fuse([np.array(one), np.array(other)]))
    assert corners == pytest.approx([0, 0, 10, (0.9 * 10 + 0.3 * 14) / 1.2])
    assert (score, label) == (pytest.approx(0.6), 2)
    [[*_, score, _]] = used(fuse([np.array(one), np.array(other)], (3, 1)))
    assert score == pytest.approx((2.7 + 0.3) / 2 * 2 / 4)
    [[*_, score, _]] = used(fuse([np.array(one), np.array(other)[:, :0]]))
    assert score == pytest.approx(0.9 / 2)  # one of two has found it


@pytest.mark.parametrize("seed", range(5))
def test_neither_the_order_of_detectors_nor_of_boxes_matters(seed):
    found, weights = draw(seed), np.array([1.0, 2.0, 0.5])
    found[1][:, :4] = found[0][:, :4]  # ties, too
    rng = np.random.default_rng(seed)
    order = rng.permutation(3)
    mixed = [found[each][:, rng.permutation(20)] for each in order]
    np.testing.assert_array_equal(fuse(mixed, weights[order]), fuse(found, weights))
    np.testing.assert_array_equal(fuse(found, 7 * weights)[..., 5], fuse(found, weights)[..., 5])


@pytest.mark.parametrize("seed", range(5))
def test_scores_and_boxes_stay_between_those_that_are_fused(seed):
    found, weights = draw(seed), (9.0, 1.0, 0.2)  # one detector outweighs the others
    fused = fuse(found, weights)
    there = fused[..., 5] >= 0
    assert 0 < fused[there, 4].min() <= fused[there, 4].max() <= 1
    for image in range(len(fused)):
        given = np.concatenate([each[image] for each in found])
        for *corners, _, label in fused[image][there[image]]:
            same = given[given[:, 5] == label, :4]
            assert (same.min(0) - 1e-4 <= corners).all()
            assert (corners <= same.max(0) + 1e-4).all()


def test_a_detector_alone_is_itself():
    rows = np.full((2, 3, 6), -1.0)
    rows[0, :2] = [[60, 0, 90, 30, 0.5, 0], [60, 0, 90, 29, 0.25, 0]]
    rows[1, 0] = [0, 0, 30, 30, 0.75, 0]
    found = fuse([rows])
    assert found.shape == (2, MOST, 6)
    np.testing.assert_array_equal(found[:, :3][rows[..., 5] >= 0], rows[rows[..., 5] >= 0])
    assert (found[..., 5] >= 0).sum() == 3
    np.testing.assert_array_equal(fuse([rows, draw(0, images=2)[0]], (1, 0)), found)


def test_images_and_classes_are_kept_apart_and_nothing_stays_nothing():
    box = [0, 0, 10, 10, 0.5]
    one, other = np.array([[[*box, 0]], [[*box, -1]]]), np.array([[[*box, 1]], [[*box, 0]]])
    found = fuse([one, other])
    assert found[..., 5][found[..., 5] >= 0].tolist() == [0, 1, 0]
    assert (found[..., 4].max(), found[0, 0, 4]) == (0.25, 0.25)
    assert (fuse([one[1:], one[1:]])[..., 5] == -1).all()


def test_the_highest_scores_are_kept():
    rng = np.random.default_rng(0)
    left = 10.0 * np.arange(150)
    rows = np.stack([left, 0 * left, left + 5, 0 * left + 5, rng.random(150), 0 * left], 1)
    [found] = fuse([rows[None]])
    np.testing.assert_allclose(found[:, 4], np.sort(rows[:, 4])[: -MOST - 1 : -1], rtol=1e-6)
