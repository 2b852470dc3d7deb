"""Which images are copies of others, also after scaling and saving again."""

import io

import numpy as np
import pytest
import torch
from PIL import Image

from common.images import copies
from common.images.files import read_files
from common.images.sets import ImageSet


def images(pixels):
    return ImageSet(pixels, torch.zeros(len(pixels)), tuple(map(str, range(len(pixels)))))


@pytest.fixture(scope="module")
def photos():
    """Two photos cut into different views, uint8 (40, 3, 32, 32)."""
    from sklearn.datasets import load_sample_images

    views = []
    for photo in load_sample_images().images:
        for row in range(4):
            for column in range(5):
                view = Image.fromarray(photo[row * 100 : row * 100 + 96, column * 120 :][:, :96])
                views.append(np.asarray(view.resize((32, 32))))
    return torch.from_numpy(np.stack(views)).permute(0, 3, 1, 2)


def saved_again(image, side=48, quality=60):
    """Return an image that was enlarged, saved as JPEG and shrunk again."""
    stream = io.BytesIO()
    Image.fromarray(image.permute(1, 2, 0).numpy()).resize((side, side)).save(
        stream, "JPEG", quality=quality
    )
    again = Image.open(stream).resize((32, 32))
    return torch.from_numpy(np.array(again)).permute(2, 0, 1)


def test_different_views_and_digits_are_no_copies(photos, digits):
    assert copies.number_copies(images(photos)) == list(range(len(photos)))
    assert copies.number_copies(images(digits.images)) == list(range(len(digits.images)))


def test_copies_are_found_also_saved_again(photos):
    again = torch.stack([saved_again(photos[row]) for row in (1, 7, 22)])
    found = copies.number_copies(images(torch.cat([photos, again, photos[:2]])))
    assert found == [*range(len(photos)), 1, 7, 22, 0, 1]


def test_copies_of_one_image_are_of_one_group_whichever_comes_first(photos, monkeypatch):
    links = [(0, 2), (1, 2)]  # the third is like both, which are not like each other
    monkeypatch.setattr(copies, "find_pairs", lambda *_: iter(links))
    assert copies.number_copies(images(photos[:4])) == [0, 0, 0, 3]


def test_flat_images_are_copies_only_where_they_are_equal():
    flat = torch.stack([torch.full((1, 20, 20), level, dtype=torch.uint8) for level in (9, 10, 9)])
    assert copies.number_copies(images(flat)) == [0, 1, 0]


def test_files_that_are_not_decoded_yet_are_compared_byte_by_byte(paint, tmp_path):
    first = paint(tmp_path / "a.png", 100)
    paint(tmp_path / "b.png", 101)
    (tmp_path / "c.png").write_bytes(first.read_bytes())
    names = ("a.png", "b.png", "c.png")
    found = read_files(names, [tmp_path / name for name in names], 12, 3, "stream").images
    assert copies.number_copies(ImageSet(found, torch.zeros(3), names)) == [
        0,
        1,
        0,
    ]
