"""Random changes of images: boxes stay on their objects, and numbers come from the place."""

import pickle
import random
import sys

import numpy as np
import pytest
import torch

from common.errors import ConfigError
from common.training.batches import Batches, Place
from common.training.sequences import Ragged
from labs.detection.config import DetectionConfig
from labs.detection.data import augment
from labs.detection.data.load import BoxSet
from labs.detection.letterbox import GREY, Letterbox
from labs.detection.models import build

pytest.importorskip("labs.detection.models.ultralytics.library")

SIZE = 64
EVERYTHING = ("mosaic", "affine", "mixup:0.5", "cutmix:0.5", "hsv", "hflip", "vflip:0.5")


@pytest.fixture(scope="module")
def split():
    """Dark images of several proportions; object n is a square in which red is 200 + n."""
    images = torch.full((8, 3, SIZE, SIZE), GREY, dtype=torch.uint8)
    sizes, boxes = [], []
    for number in range(8):
        height, width = [(100, 100), (90, 45), (40, 80)][number % 3]
        box = Letterbox.fit(height, width, SIZE)
        images[number, :, box.top : box.top + box.height, box.left : box.left + box.width] = 20
        x, y = box.left + 4, box.top + 6
        images[number, :, y : y + 20, x : x + 20] = torch.tensor([200 + number, 0, 0])[
            :, None, None
        ]
        boxes.append(torch.tensor([[x, y, x + 20.0, y + 20.0, number, number % 2]]))
        sizes.append((height, width))
    return BoxSet(images, Ragged.of(boxes), torch.tensor(sizes), [str(n) for n in range(8)])


def changed(split, *specs, epochs=20, close_mosaic=10):
    config = DetectionConfig(augment=specs, epochs=epochs, close_mosaic=close_mosaic)
    return build.training_set(split, config)


def draws(data, count=40, epoch=0):
    for number in range(count):
        yield data[Place(number % len(data), epoch, 1000 + number)]


def test_changes_that_do_nothing_give_the_letterboxed_image(split):
    for row in range(len(split)):
        image, boxes = changed(split, "affine:0:0")[Place(row, 0, 1)]
        assert torch.equal(image, split[row][0])
        torch.testing.assert_close(boxes, split[row][1])


@pytest.mark.parametrize(("spec", "side"), [("hflip:1", 2), ("vflip:1", 1)])
def test_flips_turn_image_and_boxes(split, spec, side):
    image, boxes = changed(split, spec)[Place(1, 0, 1)]
    assert torch.equal(image, split[1][0].flip(side))
    expected = split[1][1].clone()
    low, high = (0, 2) if side == 2 else (1, 3)
    expected[:, [low, high]] = SIZE - expected[:, [high, low]]
    torch.testing.assert_close(boxes, expected)


def test_images_come_without_their_bars(split):
    for row in range(len(split)):
        image, boxes = split.without_bars(row)
        assert not (image == GREY).all(2).any()
        assert max(image.shape[:2]) == SIZE
        x1, y1, x2, y2 = boxes[0, :4].astype(int)
        assert (image[y1:y2, x1:x2, 0] == 200 + row).all()


def test_boxes_stay_on_their_objects(split):
    seen = 0
    for image, boxes in draws(changed(split, "mosaic", "affine:0.1:0.4", "hflip", "vflip")):
        assert image.shape == (3, SIZE, SIZE)
        assert image.dtype == torch.uint8
        assert boxes.dtype == torch.float32
        for x1, y1, x2, y2, label, crowd in boxes.tolist():
            assert 0 <= x1 < x2 <= SIZE
            assert 0 <= y1 < y2 <= SIZE
            assert crowd == label % 2
            middle = image[0, int((y1 + y2) / 2), int((x1 + x2) / 2)]
            assert middle == 200 + label
        seen += len(boxes)
    assert seen > 60


def test_everything_together_gives_boxes_inside(split):
    for image, boxes in draws(changed(split, *EVERYTHING)):
        assert image.shape == (3, SIZE, SIZE)
        assert boxes.shape[1:] == (6,)
        assert (boxes[:, :4].min() >= 0 and boxes[:, :4].max() <= SIZE) if len(boxes) else True


def test_the_last_epochs_mix_nothing(split):
    data = changed(split, "mosaic", "mixup:1", "cutmix:1", epochs=5, close_mosaic=2)
    first = [len(boxes) for _, boxes in draws(data, epoch=2)]
    assert max(first) > 1
    for row in range(len(split)):
        image, _ = data[Place(row, 3, 1)]
        assert torch.equal(image, split[row][0])


def batches(data, size=3, workers=0, start=0):
    source = Batches(data, size, training=True, seed=5, workers=workers)
    rows = [batch for update in source.updates(1, start) for batch in update]
    found = torch.cat([images for images, _ in rows])
    boxes = [
        boxes.values[row, : boxes.lengths[row]]
        for _, boxes in rows
        for row in range(len(boxes.lengths))
    ]
    return found, torch.cat(boxes)


@pytest.mark.parametrize("options", [{"size": 4}, {"workers": 2}])
def test_an_image_does_not_depend_on_batches_or_workers(split, options):
    data = changed(split, *EVERYTHING)
    whole, other = batches(data), batches(data, **options)
    assert torch.equal(whole[0], other[0])
    assert torch.equal(whole[1], other[1])


def test_an_epoch_that_is_resumed_gives_the_same_images(split):
    data = changed(split, *EVERYTHING)
    assert torch.equal(batches(data)[0][3:], batches(data, start=1)[0])


def test_epochs_and_seeds_differ(split):
    data = changed(split, *EVERYTHING)
    images = [data[Place(0, 0, seed)][0] for seed in (1, 2, 1)]
    assert not torch.equal(images[0], images[1])
    assert torch.equal(images[0], images[2])


def test_the_caller_s_streams_go_on(split):
    random.seed(1)
    np.random.seed(1)
    expected = random.random(), np.random.rand()
    random.seed(1)
    np.random.seed(1)
    changed(split, *EVERYTHING)[Place(0, 0, 3)]
    assert (random.random(), np.random.rand()) == expected


def test_a_place_without_a_seed_is_the_image_itself(split):
    assert torch.equal(changed(split, *EVERYTHING)[Place(2, 0, None)][0], split[2][0])


def test_color_changes_batches_and_needs_no_library(split, monkeypatch):
    monkeypatch.setitem(sys.modules, "labs.detection.models.ultralytics.changes", None)
    assert changed(split, "color:0.3") is split
    pipeline = augment.pipeline(DetectionConfig(augment=("color:0.3", "mosaic")))
    assert pipeline.columns == 3
    plain = pipeline(split.images, None)
    assert torch.equal(plain, split.images / 255)
    assert not torch.equal(pipeline(split.images, torch.rand(8, 3)), plain)


def test_without_the_library_a_mosaic_is_refused(split, no_ultralytics):
    with pytest.raises(ConfigError, match="--augment need ultralytics"):
        changed(split, "mosaic")


@pytest.mark.parametrize(
    ("spec", "problem"),
    [
        ("mosaic:2", "mosaic must be a number from 0 to 1, not '2'"),
        ("mosaic:nan", "mosaic must be a number"),
        ("affine:0.1:1", "scale must be a number from 0 to 0.9"),
        ("hsv:0.1:x", "hsv_s must be a number"),
        ("hflip:0.5:1", "expected at most 1 (fliplr)"),
    ],
)
def test_specs_are_checked(split, spec, problem):
    with pytest.raises(ConfigError) as refused:
        changed(split, spec, "mixup:-1")
    assert problem in refused.value.problems[0]
    assert refused.value.problems[1].startswith("--augment mixup:-1")


def test_a_library_that_happens_to_be_there_draws_nothing(split):
    data = changed(split, *EVERYTHING)
    steps = [type(step).__name__ for step in data._first._apply.transforms]
    assert "RandomHSV" in steps
    assert "Albumentations" not in steps


def test_policies_are_refused():
    problems = DetectionConfig(augment=("policy:augmix",)).problems()
    assert problems[0].startswith("--augment policy: expected some of ")


def test_a_wrong_color_is_refused():
    with pytest.raises(ConfigError, match=r"--augment: .*color:2"):
        augment.pipeline(DetectionConfig(augment=("color:2",)))


def test_a_process_that_is_not_forked_can_have_it(split):
    data = changed(split, *EVERYTHING)
    again = pickle.loads(pickle.dumps(data))
    assert torch.equal(again[Place(0, 0, 1)][0], data[Place(0, 0, 1)][0])
