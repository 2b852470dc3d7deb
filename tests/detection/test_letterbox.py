"""Images lie between grey bars, and boxes come back."""

import pytest
import torch

from labs.detection.letterbox import GREY, Letterbox, letterbox


def test_letterboxes_there_and_back():
    boxes = torch.tensor([[0.0, 0, 100, 50, 3, 0], [10, 20, 30, 40, 1, 1]])
    fit = Letterbox.fit(50, 100, 64)
    assert fit == (0.64, 0, 16, 64, 32)
    inside = fit.into(boxes)
    assert inside[0].tolist() == [0, 16, 64, 48, 3, 0]
    torch.testing.assert_close(fit.back(inside), boxes)


@pytest.mark.parametrize(("height", "width"), [(50, 100), (100, 50), (64, 64), (1, 900), (7, 5)])
def test_images_lie_between_grey_bars(height, width):
    image = torch.full((3, height, width), 200, dtype=torch.uint8)
    square, fit = letterbox(image, 64)
    assert square.shape == (3, 64, 64)
    assert fit == Letterbox.fit(height, width, 64)
    inside = torch.zeros(64, 64, dtype=torch.bool)
    inside[fit.top : fit.top + fit.height, fit.left : fit.left + fit.width] = True
    assert (square[:, inside] == 200).all()
    assert (square[:, ~inside] == GREY).all()


def test_an_image_of_the_right_size_is_kept_as_it_is():
    image = torch.randint(0, 256, (3, 64, 64), dtype=torch.uint8)
    assert torch.equal(letterbox(image, 64)[0], image)
