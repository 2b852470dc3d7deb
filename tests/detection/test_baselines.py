import numpy as np
import pytest
import torch

from common.training.sequences import Padded, Ragged
from labs.detection import baselines, metrics
from labs.detection.data.load import BoxSet
from labs.detection.task import filled


def shapes(number, seed, size=64):
    """Draw light squares (class 0) and dark disks (class 1) on noise; each image has both."""
    rng = np.random.default_rng(seed)
    images = rng.integers(100, 140, (number, 3, size, size), np.uint8)
    y, x = np.mgrid[:size, :size]
    boxes = []
    for image in images:
        rows = []
        for label, side in enumerate(rng.integers(size // 8, size // 4, 2).tolist()):
            left = rng.integers(0, size // 2 - side) + label * size // 2
            top = rng.integers(0, size - side)
            middle = (side - 1) / 2
            round_ = np.hypot(x - left - middle, y - top - middle) <= side / 2
            square = (x >= left) & (x < left + side) & (y >= top) & (y < top + side)
            image[:, square if label == 0 else round_ & square] = 230 - 210 * label
            rows.append([left, top, left + side, top + side, label, 0])
        boxes.append(torch.tensor(rows, dtype=torch.float32))
    return BoxSet(
        torch.from_numpy(images),
        Ragged.of(boxes),
        torch.full((number, 2), size),
        [f"{seed}/{row}" for row in range(number)],
    )


def splits(size=64):
    return {
        "train": shapes(20, 0, size),
        "validation": shapes(3, 1, size),
        "test": shapes(6, 2, size),
    }


def truth(split):
    return filled(Padded.of([split.boxes[row] for row in range(len(split))]), 4).numpy()


@pytest.mark.parametrize("size", [64, 320])
def test_it_finds_what_stands_out(size):
    data = splits(size)
    found = baselines.predictions(data, 2)[baselines.NAME]
    assert [found[name].shape for name in found] == [(3, 100, 6), (6, 100, 6)]
    assert metrics.coco(found["test"], truth(data["test"]), 2)["map50"] > 0.9
    used = found["test"][..., 5] >= 0
    scores = found["test"][..., 4]
    assert (scores[used] > 0).all()
    assert (scores <= 1).all()
    assert (np.diff(scores, axis=1) <= 0).all()


def test_it_always_finds_the_same():
    first, second = (baselines.predictions(splits(), 2)[baselines.NAME] for _ in range(2))
    for name, detections in first.items():
        np.testing.assert_array_equal(detections, second[name])


@pytest.mark.parametrize("case", ["no boxes", "nothing stands out", "flat images"])
def test_it_finds_nothing_where_there_is_nothing(case):
    data = splits()
    train, test = data["train"], data["test"]
    if case == "no boxes":
        none = Ragged.of([torch.zeros(0, 6)] * len(train))
        data["train"] = BoxSet(train.images, none, train.sizes, train.names)
    elif case == "nothing stands out":
        train.images.fill_(114)
    else:
        test.images.fill_(114)
    found = baselines.predictions(data, 2)[baselines.NAME]["test"]
    assert (found[..., 5] == -1).all()
    assert metrics.coco(found, truth(test), 2)["map50"] == 0
