"""True masks from outlines, found ones from prototypes, their IoU and mAP, and their outlines."""

import contextlib
import io
from pathlib import Path

import numpy as np
import pytest
import torch
from pycocotools import mask as coco_mask
from pycocotools.coco import COCO
from pycocotools.cocoeval import COCOeval

from common.errors import DataError
from labs.detection import masks, metrics
from labs.detection.letterbox import Letterbox
from labs.detection.records import Box, Picture


def picture(*boxes, height=10, width=20):
    return Picture(Path("a.png"), "a.png", height, width, boxes)


def drawn(*boxes, height=10, width=20, size=20):
    what = picture(*boxes, height=height, width=width)
    return masks.of_picture(what, Letterbox.fit(height, width, size), size)


def polygon(x1, y1, x2, y2):
    return (float(x1), float(y1), float(x2), float(y1), float(x2), float(y2), float(x1), float(y2))


def test_outlines_are_filled_in_the_letterboxed_square():
    expected = torch.zeros(20, 20, dtype=torch.uint8)
    expected[5 + 2 : 5 + 6, 3:9] = 1  # the bar above is 5 pixels high
    found = drawn(Box(3, 2, 9, 6, 0, False, (polygon(3, 2, 9, 6),)))
    assert found.dtype == torch.uint8
    assert torch.equal(found, expected)


def test_outlines_are_scaled_with_the_image():
    found = drawn(Box(4, 8, 20, 24, 0, False, (polygon(4, 8, 20, 24),)), height=40, width=40)
    assert torch.equal(found.nonzero().amin(0), torch.tensor([4, 2]))
    assert torch.equal(found.nonzero().amax(0), torch.tensor([11, 9]))


def test_an_object_has_all_its_pieces_and_the_smaller_one_lies_on_top():
    large = Box(0, 0, 20, 10, 0, False, (polygon(0, 0, 8, 10), polygon(12, 0, 20, 10)))
    small = Box(1, 1, 3, 3, 1, False, (polygon(1, 1, 3, 3),))
    crowd = Box(0, 0, 4, 4, 0, True, (polygon(0, 0, 4, 4),))
    for boxes in ((small, large, crowd), (crowd, large, small)):
        found = drawn(*boxes)
        assert (found == 1 + boxes.index(small)).sum() == 4
        assert (found == 1 + boxes.index(large)).sum() == 2 * 8 * 10 - 4
        assert (found == 1 + boxes.index(crowd)).sum() == 0


@pytest.mark.parametrize(
    "outline", [(), ((1.0, 1, 3, 3),), ((1.0, 1, 3, 3, float("nan"), 3),), ((1.0,) * 7,)]
)
def test_an_object_without_a_usable_outline_fills_its_box(outline):
    box = Box(3, 2, 9, 6, 0, False, outline)
    assert not masks.outlines(box)
    found = drawn(box)
    assert found.sum() == 24
    assert found[7:11, 3:9].all()


def test_a_byte_numbers_the_objects_of_an_image():
    boxes = [Box(x, y, x + 1, y + 1, 0) for x in range(20) for y in range(13)]
    assert drawn(*boxes[:255], height=20).max() == 255
    with pytest.raises(DataError, match=r"a.png has 260 objects.*255 of an image"):
        drawn(*boxes, height=20)


def test_iou_of_masks_by_hand():
    instances = torch.zeros(8, 8, dtype=torch.uint8)
    instances[:4, :4], instances[4:, 4:] = 1, 2
    found = torch.zeros(4, 8, 8, dtype=torch.bool)
    found[0, :4, :4] = True  # the first one
    found[1, :4, 2:6] = True  # shifted by half
    found[2, 2:6, 2:6] = True  # a quarter of both
    ious = masks.ious(found, instances, torch.tensor([False, False, False]))
    assert ious.dtype == torch.float64
    expected = [[1, 0, 0], [8 / 24, 0, 0], [4 / 28, 4 / 28, 0], [0, 0, 0]]
    np.testing.assert_allclose(ious, expected, rtol=1e-15)
    crowd = masks.ious(found, instances, torch.tensor([True, False, False]))
    np.testing.assert_allclose(crowd[:, 0], [1, 0.5, 0.25, 0], rtol=1e-15)


def test_prototypes_are_weighed_enlarged_and_cut_at_the_box():
    left = torch.tensor([1.0, 1, -1, -1]).expand(4, 4)
    top = left.T
    boxes = torch.tensor([[0.0, 0, 8, 8], [0, 0, 8, 8], [2, 3, 8, 8], [1, 1, 1, 1]])
    coefficients = torch.tensor([[1.0, 0], [0, -1], [1, 0], [1, 0]])
    found = masks.assemble(boxes, coefficients, torch.stack([left, top]), 8)
    expected = torch.zeros(4, 8, 8, dtype=torch.bool)
    expected[0, :, :4] = True
    expected[1, 4:] = True
    expected[2, 3:, 2:4] = True
    assert torch.equal(found, expected)
    assert masks.assemble(boxes[:0], coefficients[:0], torch.stack([left, top]), 8).shape[0] == 0


def test_masks_come_back_into_the_photo():
    fit = Letterbox.fit(40, 80, 20)
    square = torch.zeros(2, 20, 20, dtype=torch.bool)
    square[0, fit.top : fit.top + fit.height, :10] = True  # the left half of the photo
    found = masks.back(square, fit, 40, 80)
    assert found.shape == (2, 40, 80)
    assert found[0, :, :40].all()
    assert not found[0, :, 40:].any()
    assert not found[1].any()
    assert masks.back(square[:0], fit, 40, 80).shape == (0, 40, 80)


def test_outlines_of_a_mask_are_filled_to_the_same_mask():
    generator = np.random.default_rng(0)
    for _ in range(20):
        mask = torch.zeros(24, 24, dtype=torch.bool)
        for x, y, wide, high in generator.integers(1, 10, (3, 4)) + [[0, 0, 0, 0], *[[8] * 4] * 2]:
            mask[y : y + high, x : x + wide] = True
        found = masks.polygons(mask)
        areas = [np.ptp(each[::2]) * np.ptp(each[1::2]) for each in found]
        assert len(found) == 1 or areas[0] > 0
        again = drawn(Box(0, 0, 24, 24, 0, False, found), height=24, width=24, size=24)
        assert torch.equal(again > 0, mask)
    assert masks.polygons(torch.zeros(4, 4, dtype=torch.bool)) == ()
    one = torch.zeros(4, 4, dtype=torch.bool)
    one[1, 2] = True
    [outline] = masks.polygons(one)
    assert min(outline[::2]) == 2.25
    assert max(outline[1::2]) == 1.75


# --- mAP of masks -------------------------------------------------------------------------------


def scene(seed, images=10, most=5, rows=20, classes=3, size=24, *, crowds=0.0, ties=False):
    """Draw instances, and masks near them: detections of masks, targets, and all the masks."""
    rng = np.random.default_rng(seed)
    targets = np.zeros((images, most, 6), np.float32)
    targets[..., 4] = -1
    detections = np.zeros((images, rows, 6 + most))
    detections[..., 5] = -1
    instances = torch.zeros(images, size, size, dtype=torch.uint8)
    found = torch.zeros(images, rows, size, size, dtype=torch.bool)
    for image in range(images):
        count = rng.integers(0, most + 1)
        targets[image, :count, 4] = rng.integers(0, classes, count)
        targets[image, :count, 5] = rng.random(count) < crowds
        for number, (x, y, wide, high) in enumerate(rng.integers(4, 12, (count, 4)), 1):
            instances[image, y : y + high, x : x + wide] = number
        used = rng.integers(0, rows + 1)
        for row in range(used):
            near = rng.integers(0, count) if count else 0
            moved = np.roll(instances[image].numpy() == near + 1, rng.integers(-1, 2, 2), (0, 1))
            found[image, row] = torch.from_numpy(moved & (rng.random((size, size)) < 0.98))
            same = count and rng.random() < 0.7
            label = targets[image, near, 4] if same else rng.integers(0, classes)
            score = rng.random()
            detections[image, row, 4:6] = round(score, 1) if ties else score, label
        crowd = torch.from_numpy(targets[image, :, 5] > 0)
        detections[image, :, 6:] = masks.ious(found[image], instances[image], crowd)
    return detections, targets, found, instances


def reference(detections, targets, found, instances, classes=3):
    """Return mask mAP50-95 and mAP50 of pycocotools."""

    def annotation(number, image, mask, label, **more):
        lengths = coco_mask.encode(np.asfortranarray(mask.numpy().astype(np.uint8)))
        area = float(mask.sum())
        place = {"id": number, "image_id": int(image), "category_id": int(label), "area": area}
        return {**place, "segmentation": lengths, **more}

    true, guessed = COCO(), COCO()
    true.dataset["annotations"] = [
        annotation(
            number,
            image,
            instances[image] == row + 1,
            targets[image, row, 4],
            iscrowd=int(targets[image, row, 5]),
        )
        for number, (image, row) in enumerate(
            zip(*np.nonzero(targets[..., 4] >= 0), strict=True), 1
        )
    ]
    guessed.dataset["annotations"] = [
        annotation(
            number,
            image,
            found[image, row],
            detections[image, row, 5],
            score=detections[image, row, 4],
            iscrowd=0,
        )
        for number, (image, row) in enumerate(
            zip(*np.nonzero(detections[..., 5] >= 0), strict=True), 1
        )
    ]
    with contextlib.redirect_stdout(io.StringIO()):
        for side in (true, guessed):
            side.dataset["images"] = [
                {"id": image, "height": found.shape[2], "width": found.shape[3]}
                for image in range(len(targets))
            ]
            side.dataset["categories"] = [{"id": label} for label in range(classes)]
            side.createIndex()
        evaluation = COCOeval(true, guessed, "segm")
        evaluation.evaluate()
        evaluation.accumulate()
        evaluation.summarize()
    return evaluation.stats[:2]


@pytest.mark.parametrize("crowds", [0.0, 0.3])
@pytest.mark.parametrize("ties", [False, True])
@pytest.mark.parametrize("seed", range(5))
def test_map_of_masks_is_that_of_pycocotools(seed, ties, crowds):
    case = scene(seed, crowds=crowds, ties=ties)
    rows = metrics.statistics(*case[:2])
    ours = [metrics.MASKS.compute(rows), metrics.MASKS50.compute(rows)]
    np.testing.assert_allclose(ours, reference(*case), atol=1e-6)
    assert 0.03 < ours[0] < 0.9


def test_every_other_figure_goes_by_masks_too():
    detections, targets, *_ = scene(1)
    boxes = detections[..., :6]  # whose corners are all 0: no box overlaps any
    assert metrics.errors(detections, targets, 0.0).counts["correct"] > 10
    assert metrics.errors(boxes, targets, 0.0).counts["correct"] == 0
    assert np.trace(metrics.confusion(detections, targets, 3, 0.0)[:3, :3]) > 5
    assert metrics.score_threshold(detections, targets, 3) != 0.5
    figures = metrics.figures(detections, targets, 3, 0.5)
    low, high = figures["mask_map50_interval"]
    assert figures["map50"] == 0 < low < figures["mask_map50"] < high
    assert figures["recall"] > 0
    assert metrics.gains(detections, targets)["localization"] > 0
    assert not [key for key in metrics.figures(boxes, targets, 3, 0.5) if "mask" in key]
