"""Integral images against plain sums, features against their rectangles."""

import numpy as np
import pytest

from labs.detection.cascade import features
from labs.detection.cascade.features import KINDS, Feature, all_features


@pytest.fixture
def images():
    return np.random.default_rng(0).integers(0, 256, (5, 16, 16), np.uint8)


def test_the_integral_image_is_the_sum_above_and_left(images):
    sums = features.integral(images)
    assert sums.shape == (5, 17, 17)
    for y, x in ((0, 0), (1, 1), (7, 3), (16, 16)):
        expected = images[:, :y, :x].astype(int).sum((1, 2))
        assert (sums[:, y, x] == expected).all()
    plain = images.astype(np.int64).cumsum(1).cumsum(2)
    assert (sums[:, 1:, 1:] == plain).all()


def test_it_does_not_overflow_on_a_large_white_image():
    assert features.integral(np.full((3000, 3000), 255, np.uint8))[-1, -1] == 255 * 3000**2


@pytest.mark.parametrize("kind", KINDS.values(), ids=KINDS)
def test_a_feature_is_light_less_dark_pixels(images, kind):
    rows, columns = kind
    feature = Feature(2, 1, 4, 3, rows, columns)
    [found] = features.values([feature], images).T
    light, dark = np.zeros(5), np.zeros(5)
    for x, y, width, height, weight in feature.rectangles:
        part = images[:, y : y + height, x : x + width].astype(float).sum((1, 2))
        if weight > 0:
            light += part * weight
        else:
            dark -= part * weight
    expected = (light - dark) / feature.area / images.std((1, 2))
    np.testing.assert_allclose(found, expected, rtol=1e-3, atol=1e-4)


@pytest.mark.parametrize(("rows", "columns", "reads"), [(1, 2, 6), (3, 1, 8), (2, 2, 9)])
def test_it_reads_the_integral_image_at_few_places(rows, columns, reads):
    assert len(Feature(0, 0, 3, 3, rows, columns).corners) == reads


def test_every_feature_lies_in_the_window_and_a_flat_window_has_none():
    every = all_features(8)
    assert len(set(every)) == len(every)
    flat = np.full((1, 8, 8), 77, np.uint8)
    assert np.abs(features.values(every, flat)).max() < 1e-3
    for feature in every:
        for x, y, width, height, _ in feature.rectangles:
            assert min(x, y) >= 0
            assert x + width <= 8
            assert y + height <= 8


def test_their_number_is_that_of_counting(monkeypatch):
    """Viola and Jones have 162,336 in a window of 24 with rectangles of one pixel and more."""
    monkeypatch.setattr(features, "_LEAST", 1)
    assert len(all_features(24)) == 162_336


def test_brightness_and_contrast_make_no_difference(images):
    some = all_features(16)[::500]
    dim = (images // 2 + 40).astype(np.uint8)
    half = (images // 2).astype(np.uint8)
    np.testing.assert_allclose(features.values(some, dim), features.values(some, half), atol=1e-3)


def test_deviations_are_those_of_numpy(images):
    found = features.deviations(np.concatenate([images, images], 2), 16)
    assert found.shape == (5, 1, 17)
    np.testing.assert_allclose(found[:, 0, 0], images.std((1, 2)))
