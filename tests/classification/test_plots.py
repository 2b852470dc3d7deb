import numpy as np
import pytest
import torch

from common.report import plots
from labs.classification.plots import filters, mistakes

CLASSES = ("고양이", "강아지", "$<b>")


def texts(figure):
    return [text.get_text().replace("\n", " ") for text in figure.axes[0].texts]


def drawn(figure):
    return [np.asarray(image.get_array()) for image in figure.axes[0].images]


class Images:
    """Images (N, C, 4, 4), each filled with its number, that note which of them were read."""

    def __init__(self, channels):
        self.channels, self.read = channels, []

    def __getitem__(self, row):
        self.read.append(row)
        return torch.full((self.channels, 4, 4), row, dtype=torch.uint8)


TARGETS = np.array([0, 1, 2, 0, 1])
PROBABILITIES = np.array(
    [[0.1, 0.7, 0.2], [0.05, 0.9, 0.05], [0.98, 0.01, 0.01], [0.0, 0.3, 0.7], [0.6, 0.4, 0.0]]
)
PREDICTIONS = PROBABILITIES.argmax(axis=1)


@pytest.mark.parametrize("channels", [1, 3])
def test_mistakes_are_drawn_in_the_order_of_their_confidence(channels):
    images = Images(channels)
    figure = mistakes(images, TARGETS, PREDICTIONS, PROBABILITIES, CLASSES, count=3)
    title, *captions = texts(figure)
    assert title == "Most confident mistakes: 3 of 4, in 5 images"
    assert captions == [
        "true $<b> → 고양이 (0.98)",
        "true 고양이 → 강아지 (0.70)",
        "true 고양이 → $<b> (0.70)",
    ]
    assert images.read == [2, 0, 3], "only what is drawn is read; equals keep their order"
    assert [int(picture.flat[0]) for picture in drawn(figure)] == [2, 0, 3]
    assert drawn(figure)[0].shape == ((4, 4) if channels == 1 else (4, 4, 3))
    plots.png(figure)


def test_colors_stay_with_their_pixels():
    image = np.arange(3 * 2 * 4, dtype=np.uint8).reshape(1, 3, 2, 4)
    wrong, p = np.array([1]), np.array([[0.2, 0.8, 0.0]])
    [picture] = drawn(mistakes(image, np.array([0]), wrong, p, CLASSES))
    assert np.array_equal(picture[1, 3], image[0, :, 1, 3])


def test_no_mistakes_is_said():
    figure = mistakes(Images(1), TARGETS, TARGETS, PROBABILITIES, CLASSES)
    assert figure.texts[0].get_text() == "No mistakes in 5 images."
    plots.png(figure)


def test_long_names_leave_room_for_the_confidence():
    classes = [
        "American-Staffordshire-Terrier",
        "아메리칸 스태퍼드셔 테리어",
        "a b c d e f g h i j k l m n o",
    ]
    figure = mistakes(Images(1), TARGETS, PREDICTIONS, PROBABILITIES, classes)
    for caption, confidence in zip(
        texts(figure)[1:], ("0.98", "0.70", "0.70", "0.60"), strict=True
    ):
        assert caption.endswith(f"({confidence})")


def test_grey_filters_share_a_scale_with_white_at_zero():
    weight = np.zeros((3, 1, 2, 2))
    weight[0, 0, 0] = 0.5, -0.5
    weight[1, 0, 0] = 0.25, -0.25
    figure = filters(weight)
    first, second, third = (picture.astype(int) for picture in drawn(figure))
    (red, green, blue), negative = first[0, 0], first[0, 1]
    assert red > blue
    assert negative[2] > negative[0]
    assert green < second[0, 0, 1], "half the weight is paler"
    assert (third > 240).all()
    assert texts(figure) == ["3 filters: blue −0.5, white 0, red +0.5"]


def test_color_filters_have_a_scale_each_with_grey_at_zero():
    weight = np.zeros((2, 3, 2, 2))
    weight[0, :, 0, 1] = 4, -4, 2
    weight[1, 2, 1, 0] = 0.1
    first, second = drawn(filters(weight))
    assert first[0, 0] == pytest.approx(128, abs=1)
    assert first[0, 1] == pytest.approx([255, 0, 191], abs=1)
    assert second[1, 0] == pytest.approx([128, 128, 255], abs=1)


def test_templates_are_captioned_with_their_classes():
    figure = filters(np.random.default_rng(0).normal(size=(3, 1, 8, 8)), CLASSES)
    title, *captions = texts(figure)
    assert title.startswith("3 templates: ")
    assert tuple(captions) == CLASSES
    plots.png(figure)


@pytest.mark.parametrize("classes", [(), [str(i) for i in range(100)]])
def test_at_most_64_filters_are_drawn(classes):
    figure = filters(np.ones((100, 3, 3, 3), np.float32), classes)
    assert len(drawn(figure)) == 64
    assert texts(figure)[0].startswith("64 of 100 ")


@pytest.mark.parametrize("channels", [1, 3])
def test_weights_that_are_all_zero_have_no_color(channels):
    [picture] = drawn(filters(np.zeros((1, channels, 2, 2))))
    assert np.ptp(picture) <= 1


@pytest.mark.parametrize("shape", [(3, 2, 5, 5), (10, 784)])
def test_other_shapes_are_refused(shape):
    with pytest.raises(ValueError, match="first layer"):
        filters(np.zeros(shape))
