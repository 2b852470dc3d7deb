import math

import pytest
import torch
import torchvision

from labs.detection import boxes


def random_boxes(number, seed, size=20.0):
    """Many overlap, many are equal: corners are whole numbers."""
    generator = torch.Generator().manual_seed(seed)
    corners = torch.randint(int(size), (number, 2, 2), generator=generator)
    low, high = corners.amin(1), corners.amax(1) + 1
    return torch.cat([low, high], 1).float()


DEGENERATE = torch.tensor(
    [[0.0, 0, 4, 4], [2, 2, 2, 2], [1, 1, 5, 1], [3, 0, 3, 9], [2, 2, 2, 2], [4, 4, 8, 8]]
)
PAIRS = [
    (random_boxes(40, 0), random_boxes(30, 1)),
    (random_boxes(7, 2) / 3, random_boxes(9, 3) / 7),
    (torch.zeros(0, 4), random_boxes(3, 4)),
    (random_boxes(3, 4), torch.zeros(0, 4)),
    (DEGENERATE, DEGENERATE),
]


def nms(found, scores, threshold):
    """Return the rows that are kept."""
    return [step.kept for step in boxes.nms_steps(found, scores, threshold)]


each_pair = pytest.mark.parametrize(("a", "b"), PAIRS)


@each_pair
def test_areas_and_overlaps_are_torchvisions(a, b):
    assert torch.equal(boxes.area(a), torchvision.ops.box_area(a))
    assert torch.equal(boxes.iou(a, b), torchvision.ops.box_iou(a, b).nan_to_num(0))


@pytest.mark.parametrize(("a", "b"), PAIRS[:-1])
def test_giou_is_torchvisions(a, b):
    expected = torchvision.ops.generalized_box_iou(a, b)
    torch.testing.assert_close(boxes.paired_giou(a[:, None], b), expected, rtol=0, atol=1e-6)


def test_giou_of_boxes_without_an_area():
    expected = torchvision.ops.generalized_box_iou(DEGENERATE, DEGENERATE)
    known = expected.isfinite()
    given = boxes.paired_giou(DEGENERATE[:, None], DEGENERATE)
    torch.testing.assert_close(given[known], expected[known])
    assert given.isfinite().all()


def test_overlaps_by_hand():
    a, b = (
        torch.tensor([[0.0, 0, 2, 2]]),
        torch.tensor([[1.0, 1, 3, 3], [0, 0, 2, 2], [2, 0, 4, 2]]),
    )
    assert boxes.iou(a, b)[0].tolist() == pytest.approx([1 / 7, 1, 0])
    assert boxes.paired_giou(a[:, None], b)[0].tolist() == pytest.approx([1 / 7 - 2 / 9, 1, 0])
    assert boxes.paired_iou(a, b).tolist() == boxes.iou(a, b)[0].tolist()
    assert boxes.paired_giou(a, a + 100).item() == pytest.approx(-1, abs=1e-3)


def test_the_gradient_of_giou_is_finite_everywhere_and_pulls_boxes_that_are_apart():
    moving = DEGENERATE.clone().requires_grad_()
    boxes.paired_giou(moving[:, None], DEGENERATE).sum().backward()
    assert moving.grad.isfinite().all()
    apart = torch.tensor([[0.0, 0, 2, 2]], requires_grad=True)
    boxes.paired_giou(apart, torch.tensor([[10.0, 0, 12, 2]])).sum().backward()
    assert apart.grad[0, 2] > 0


def test_centers_and_corners():
    corners = random_boxes(50, 5)
    assert boxes.to_centers(torch.tensor([1.0, 2, 5, 10])).tolist() == [3, 6, 4, 8]
    assert torch.equal(boxes.to_corners(boxes.to_centers(corners)), corners)


@pytest.mark.parametrize("threshold", [0.0, 0.25, 0.3, 0.5, 0.7, 1.0])
@pytest.mark.parametrize("seed", range(3))
def test_nms_is_torchvisions_also_with_ties(seed, threshold):
    found = random_boxes(200, seed, 12)
    scores = torch.randint(20, (200,), generator=torch.Generator().manual_seed(seed)) / 20
    expected = torchvision.ops.nms(found, scores, threshold)
    assert nms(found, scores, threshold) == expected.tolist()


def test_nms_of_nothing_of_degenerate_boxes_and_at_the_very_threshold():
    assert nms(torch.zeros(0, 4), torch.zeros(0), 0.5) == []
    scores = torch.tensor([0.1, 0.9, 0.3, 0.3, 0.9, 0.2])
    expected = torchvision.ops.nms(DEGENERATE, scores, 0.5)
    assert nms(DEGENERATE, scores, 0.5) == expected.tolist()
    third = torch.tensor([[0.0, 0, 3, 1], [0, 0, 1, 1]])  # the nearest float32 is above 1/3
    for threshold in (1 / 3, math.nextafter(1 / 3, 1), 0.33333334):
        expected = torchvision.ops.nms(third, torch.tensor([0.9, 0.8]), threshold)
        assert nms(third, torch.tensor([0.9, 0.8]), threshold) == expected.tolist()


def test_nms_step_by_step():
    found = torch.tensor([[0.0, 0, 10, 10], [20, 0, 30, 10], [0, 0, 10, 5], [0, 0, 10, 8]])
    first, second = boxes.nms_steps(found, torch.tensor([0.9, 0.5, 0.6, 0.7]), 0.45)
    assert (first.kept, first.removed) == (0, [3, 2])
    assert first.ious == pytest.approx([0.8, 0.5])
    assert (second.kept, second.removed, second.ious) == (1, [], [])


def test_anchors_of_separate_clusters_are_their_means():
    sizes = torch.tensor([[10.0, 10], [12, 10], [40, 20], [40, 24], [90, 90]])
    anchors, mean_iou = boxes.kmeans_anchors(sizes, 3)
    assert anchors.tolist() == [[11, 10], [40, 22], [90, 90]]
    assert mean_iou == pytest.approx((10 / 11 + 11 / 12 + 20 / 22 + 22 / 24 + 1) / 5)


def test_anchors_are_deterministic_sorted_and_better_than_random_sizes():
    sizes = torch.rand(500, 2, generator=torch.Generator().manual_seed(0)) * 40 + 8
    anchors, mean_iou = boxes.kmeans_anchors(sizes, 5, seed=1)
    again, _ = boxes.kmeans_anchors(sizes.flip(0), 5, seed=1)
    assert torch.equal(anchors, again)
    assert anchors.dtype == torch.float32
    assert anchors.prod(1).diff().gt(0).all()
    assert mean_iou == pytest.approx(boxes.size_iou(sizes, anchors).amax(1).mean().item())
    for first in range(0, 50, 5):
        assert mean_iou > boxes.size_iou(sizes, sizes[first : first + 5]).amax(1).mean()
    assert mean_iou < boxes.kmeans_anchors(sizes, 9, seed=1)[1]


def test_the_distance_of_anchors_does_not_depend_on_the_unit():
    sizes = torch.rand(200, 2, generator=torch.Generator().manual_seed(0)) * 40 + 8
    anchors, mean_iou = boxes.kmeans_anchors(sizes, 4)
    larger, same = boxes.kmeans_anchors(sizes * 8, 4)
    torch.testing.assert_close(larger, anchors * 8)
    assert same == pytest.approx(mean_iou)


def test_fewer_sizes_than_anchors():
    anchors, mean_iou = boxes.kmeans_anchors(torch.tensor([[8.0, 16], [8, 16], [20, 20]]), 5)
    assert anchors.shape == (5, 2)
    assert mean_iou == 1
    assert {tuple(size) for size in anchors.tolist()} == {(8, 16), (20, 20)}
