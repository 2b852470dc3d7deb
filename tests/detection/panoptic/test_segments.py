"""Panoptic quality against an evaluator of its own by the published rules, and the merging."""

import numpy as np
import pytest
import torch

from labs.detection.panoptic import segments
from labs.detection.panoptic.segments import CROWD, STUFF

CLASSES = 5


def drawn(seed):
    """Return a true map and a said one, of 40x40 pixels: boxes of things, void, perhaps a crowd."""
    generator = np.random.default_rng(seed)
    true = np.full((40, 40), STUFF, np.int32)
    said = true.copy()
    for number in range(1, 9):
        x, y = generator.integers(0, 30, 2)
        width, height = generator.integers(4, 16, 2)
        label = int(generator.integers(1, CLASSES))
        crowd = CROWD if number == 1 and seed % 2 else 0
        true[y : y + height, x : x + width] = 256 * number + label + 1 + crowd
        if generator.random() < 0.8:
            dx, dy = generator.integers(-2, 3, 2)
            other = label if generator.random() < 0.8 else int(generator.integers(1, CLASSES))
            rows, columns = (
                slice(max(0, a + d), a + d + n) for a, d, n in ((y, dy, height), (x, dx, width))
            )
            said[rows, columns] = 256 * (20 - number) + other + 1
    for each, share in ((true, 0.1), (said, 0.05)):
        top = generator.integers(0, 30)
        each[top : top + 6, : generator.integers(5, 40)] = 0
        each[generator.random(each.shape) < share] = 0
    return said, true


def evaluated(pairs):
    """Return PQ, SQ and RQ by the rules as they are published, mask by mask."""
    totals = {label: [0.0, 0, 0, 0] for label in range(1, CLASSES + 1)}
    for said, true in pairs:
        void = true == 0
        truths = {t: true == t for t in np.unique(true) if t}
        guesses = {s: said == s for s in np.unique(said) if s}
        crowds = {t: mask for t, mask in truths.items() if t >= CROWD}
        used_true, used_said = set(), set()
        for t, mask in truths.items():
            for s, guess in guesses.items():
                if t in crowds or t % 256 != s % 256:
                    continue
                union = (mask | (guess & ~void)).sum()
                iou = (mask & guess).sum() / union
                if iou > 0.5:
                    totals[t % 256][0] += iou
                    totals[t % 256][1] += 1
                    used_true.add(t)
                    used_said.add(s)
        for t in truths.keys() - used_true - crowds.keys():
            totals[t % 256][3] += 1
        for s in guesses.keys() - used_said:
            ignored = void.copy()
            for t, mask in crowds.items():
                ignored |= mask if t % 256 == s % 256 else False
            if (guesses[s] & ignored).sum() <= 0.5 * guesses[s].sum():
                totals[s % 256][2] += 1
    found = []
    for iou, tp, fp, fn in totals.values():
        if tp + fp + fn:
            whole = tp + fp / 2 + fn / 2
            found.append((iou / whole, iou / tp if tp else 0.0, tp / whole))
    return np.mean(found, 0)


def test_panoptic_quality_is_that_of_the_published_rules_in_100_random_cases():
    pairs = [drawn(seed) for seed in range(100)]
    for pair in pairs:
        rows = segments.counts(pair[0][None], pair[1][None], CLASSES)
        found = [segments.mean_of(each) for each in segments.quality(rows)]
        assert found == pytest.approx(evaluated([pair]), abs=1e-6)
    said, true = map(np.stack, zip(*pairs, strict=True))
    metric = segments.main_metric(CLASSES)
    assert metric.value(said, true) == pytest.approx(evaluated(pairs)[0], abs=1e-6)


def test_what_is_true_has_a_quality_of_one_and_nothing_one_of_zero():
    _, true = drawn(0)
    metric = segments.main_metric(CLASSES)
    assert metric.value(true[None], true[None]) == 1
    assert metric.value(np.zeros_like(true)[None], true[None]) == 0


def test_things_lie_by_their_scores_and_stuff_fills_the_rest():
    masks = torch.zeros(3, 6, 6, dtype=torch.bool)
    masks[0, :3, :3] = True
    masks[1, :3, :4] = True  # three quarters of it are covered
    masks[2, 4:, 4:] = True
    classes = torch.zeros(6, 6, dtype=torch.uint8)
    classes[3, 3] = 2  # a thing, by the classes alone
    codes = segments.merge(torch.tensor([1, 0, 2]), masks, classes)
    assert codes[0, 0] == 256 + 3
    assert codes[0, 3] == STUFF
    assert codes[5, 5] == 3 * 256 + 4
    assert codes[3, 3] == 0


def test_the_segments_of_an_image_are_its_instances():
    instances = torch.tensor([[0, 1], [2, 2]], dtype=torch.uint8)
    boxes = torch.tensor([[0, 0, 1, 1, 3, 0], [0, 1, 2, 2, 0, 1.0]])
    assert segments.of_instances(instances, boxes).tolist() == [
        [STUFF, 256 + 5],
        [512 + 2 + CROWD] * 2,
    ]


def test_pieces_of_a_class_are_things():
    classes = np.array([[1, 0, 1], [1, 0, 2]], np.uint8)
    codes = segments.of_classes(classes)
    assert len(np.unique(codes)) == 4
    assert (codes % 256 == classes + 1).all()
