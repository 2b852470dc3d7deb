"""Changed test images: what is changed, and what the figures of it are."""

import numpy as np
import pytest
import torch
from torchvision.transforms.v2 import functional

from common.images.sets import ImageSet
from labs.classification.compare import robustness
from labs.classification.compare.robustness import AS_IS, CHANGES, changed


def images(count, side=28, seed=0):
    generator = torch.Generator().manual_seed(seed)
    pixels = torch.randint(0, 256, (count, 1, side, side), generator=generator, dtype=torch.uint8)
    names = tuple(str(row) for row in range(count))
    return ImageSet(pixels, torch.arange(count) % 10, names)


@pytest.mark.parametrize("kind", CHANGES)
def test_the_amount_that_changes_nothing_changes_nothing(kind):
    part = images(5)
    assert torch.equal(changed(part, kind, AS_IS[kind]).images, part.images)
    assert AS_IS[kind] in CHANGES[kind]


def test_images_are_shifted_right_down_left_and_up_in_turn():
    part = images(5, side=4)
    found = changed(part, "shift", 1 / 4).images
    for image, moved, (down, right) in zip(
        part.images, found, [(0, 1), (1, 0), (0, -1), (-1, 0), (0, 1)], strict=True
    ):
        expected = torch.zeros_like(image)
        rows = slice(max(0, down), 4 + min(0, down)), slice(max(0, -down), 4 + min(0, -down))
        columns = slice(max(0, right), 4 + min(0, right)), slice(max(0, -right), 4 + min(0, -right))
        expected[:, rows[0], columns[0]] = image[:, rows[1], columns[1]]
        assert torch.equal(moved, expected)


@pytest.mark.parametrize("amount", CHANGES["rotation"][1:])
def test_images_are_rotated_to_either_side_in_turn(amount):
    part = images(2)
    found = changed(part, "rotation", amount).images
    for image, turned, angle in zip(part.images, found, (amount, -amount), strict=True):
        expected = functional.affine(
            image.float(), angle, [0, 0], 1.0, [0.0], functional.InterpolationMode.BILINEAR
        )
        assert (turned - expected).abs().max() <= 1


@pytest.mark.parametrize("amount", [0.6, 1.4])
def test_images_are_scaled_about_the_center(amount):
    part = images(2)
    expected = functional.affine(
        part.images.float(), 0.0, [0, 0], amount, [0.0], functional.InterpolationMode.BILINEAR
    )
    assert (changed(part, "scale", amount).images - expected).abs().max() <= 1


def test_many_images_are_changed_as_few_are():
    part = images(600, side=8)
    some = changed(part.select(torch.arange(300)), "shift", 0.1).images
    assert torch.equal(changed(part, "shift", 0.1).images[:300], some)


def bright(part):
    """Tell a class by the sum of the pixels, which a shift of a spot in the middle keeps."""
    sums = part.images.double().sum((1, 2, 3)).numpy()
    return np.array([np.isclose(sums, 200 + part.targets.numpy())])


def spots(count, side=14):
    pixels = torch.zeros(count, 1, side, side, dtype=torch.uint8)
    targets = torch.arange(count) % 10
    pixels[:, 0, side // 2, side // 2] = 200 + targets.byte()
    return ImageSet(pixels, targets, tuple(map(str, range(count))))


@pytest.mark.slow
def test_what_does_not_mind_shifts_stays_right_and_what_leaves_the_picture_is_lost():
    part = spots(20)
    plain = bright(part)
    assert plain.all()
    found = robustness.outcomes(bright, part, plain)
    figures = robustness.figures(found)
    even = figures["shift"]["accuracy"][::2]  # whole pixels of 14
    assert even == [1.0] * 4
    assert figures["shift"]["amounts"] == pytest.approx([pixels / 28 for pixels in range(7)])
    gone = robustness.outcomes(lambda part: bright(part) & False, part, plain)
    assert robustness.figures(gone)["shift"]["accuracy"] == [1.0, *[0.0] * 6]


def test_the_plain_outcome_is_kept_and_seeds_and_images_make_the_interval():
    part, plain = spots(40), np.zeros((3, 40), bool)
    plain[:, :20] = True
    found = robustness.outcomes(lambda part: plain, part, plain)
    figures = robustness.figures(found)
    for kind, amounts in CHANGES.items():
        assert found[kind].shape == (3, 40, len(amounts))
        assert figures[kind]["accuracy"] == [0.5] * len(amounts)
        assert all(low < 0.5 < high for low, high in figures[kind]["interval"])
    same = robustness.difference(found, found)
    assert same["shift"] == {"difference": 0.0, "interval": [0.0, 0.0]}


def test_the_difference_is_over_what_changes_something():
    part, ones = spots(40), np.ones((2, 40))
    right = robustness.outcomes(lambda _: ones, part, 0 * ones)
    wrong = robustness.outcomes(lambda _: 0 * ones, part, ones)
    found = robustness.difference(right, wrong)
    assert {each["difference"] for each in found.values()} == {1.0}


def test_of_a_large_test_split_a_sample_is_changed():
    part = spots(2500, side=4)
    chosen = robustness.rows(part)
    assert len(chosen) == 2000
    assert np.bincount(part.targets[chosen]).tolist() == [200] * 10
    plain = np.zeros((1, 2500))
    plain[0, chosen] = 1
    found = robustness.outcomes(lambda some: np.ones((1, len(some))), part, plain)
    assert found["scale"].shape == (1, 2000, 5)
    assert found["scale"].all()
