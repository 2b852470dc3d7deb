"""Folders of images and masks as people have them: two disks on noise."""

import numpy as np
import pytest
from PIL import Image

COLORS = np.array([[0, 0, 0], [128, 64, 128], [0, 200, 10]], np.uint8)


def grey(classes, path):
    Image.fromarray(classes).save(path)


def palette(classes, path):
    picture = Image.fromarray(classes)
    picture.putpalette([0, 0, 0, 128, 0, 0, 0, 128, 0, *[0] * 756, 224, 224, 192])
    picture.save(path)


def color(classes, path):
    Image.fromarray(COLORS[classes]).save(path)


def with_border(classes, path):
    """A palette PNG in which 255 lies between classes, as in Pascal VOC."""
    from scipy.ndimage import maximum_filter, minimum_filter

    edge = maximum_filter(classes, 3) != minimum_filter(classes, 3)
    palette(np.where(edge, 255, classes).astype(np.uint8), path)


def disks(generator, height=30, width=40):
    """Return an image, and its classes: 0 around disks of 1 (red) and 2 (blue)."""
    image = generator.integers(60, 120, (height, width, 3)).astype(np.uint8)
    classes = np.zeros((height, width), np.uint8)
    y, x = np.ogrid[:height, :width]
    for label, paint in ((1, (220, 40, 40)), (2, (40, 60, 230))):
        middle = generator.integers(8, height - 8), generator.integers(8, width - 8)
        inside = (y - middle[0]) ** 2 + (x - middle[1]) ** 2 < 36
        image[inside], classes[inside] = paint, label
    return image, classes


@pytest.fixture
def masks(tmp_path):
    """Write images and masks under some names; returns their folder, and the classes of each."""

    def write(
        save=grey, images="images/{}.png", masks="masks/{}.png", count=10, seed=0, folder="set"
    ):
        generator, root, every = np.random.default_rng(seed), tmp_path / folder, []
        for number in range(count):
            image, classes = disks(generator)
            photo, mask = (root / name.format(number) for name in (images, masks))
            for path in (photo, mask):
                path.parent.mkdir(parents=True, exist_ok=True)
            Image.fromarray(image).save(photo)
            save(classes, mask)
            every.append(classes)
        return root, np.stack(every)

    return write
