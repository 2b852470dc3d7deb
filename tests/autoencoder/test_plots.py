"""Strips of images: several versions of each, one above the other."""

import numpy as np
import pytest
import torch

from labs.autoencoder import plots


def images(count=3, channels=1, side=4, seed=0):
    generator = torch.Generator().manual_seed(seed)
    shape = (count, channels, side, side)
    return torch.randint(0, 256, shape, generator=generator, dtype=torch.uint8)


@pytest.mark.parametrize("channels", [1, 3])
def test_pixels_are_as_matplotlib_takes_them(channels):
    given = images(channels=channels)
    found = plots.pixels(given)
    assert (found.shape, found.dtype) == ((3, 4, 4, 3)[: 3 + (channels == 3)], np.uint8)
    for channel in range(channels):
        layer = found if channels == 1 else found[..., channel]
        assert np.array_equal(layer, given[:, channel].numpy())


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("names", [("input", "output"), ("clean", "noisy", "denoised")])
def test_strips_hold_each_version_with_a_white_line_between(names, channels):
    given = {name: images(channels=channels, seed=seed) for seed, name in enumerate(names)}
    figure = plots.strips(given, ["가", "b", "c"], "class")
    [axes] = figure.axes
    drawn = [np.asarray(each.get_array()) for each in axes.images]
    assert len(drawn) == 3
    for row, strip in enumerate(drawn):
        assert strip.shape[:2] == (5 * len(names) - 1, 4)
        for place, each in enumerate(given.values()):
            assert np.array_equal(strip[5 * place : 5 * place + 4], plots.pixels(each)[row])
            assert (strip[5 * place + 4 : 5 * place + 5] == 255).all()
    texts = [text.get_text() for text in axes.texts]
    below = " then ".join(names[1:])
    assert texts == [f"{names[0]} above, {below} below; class", "가", "b", "c"]
