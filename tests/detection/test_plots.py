import numpy as np
import pytest
from matplotlib.text import Text

from common.report.plots import png
from labs.detection import metrics, plots
from labs.detection.plots import Panel

CLASSES = ("고양이", "개", "a name that is much longer than there is room for", "$5")


def texts(figure):
    return [text.get_text() for text in figure.findobj(Text)]


def assert_drawn(figure):
    """Draw it: a letter without a glyph, or an empty axis, would warn."""
    assert png(figure).startswith(b"\x89PNG")


def panel(caption="사진.png"):
    image = np.full((3, 40, 60), 128, np.uint8)
    targets = np.array([[5, 5, 25, 25, 0, 0], [40, 10, 58, 38, 1, 0], [0, 0, 0, 0, -1, 0]], float)
    detections = np.array(
        [[5, 5, 25, 24, 0.9, 0], [40, 10, 58, 36, 0.8, 2], [0, 30, 9, 39, 0.1, 3]], float
    )
    kinds, boxes = np.array([0, 1, -1]), np.array([0, 1, -1])
    return Panel(image, targets, detections, kinds, boxes, np.array([False, True, False]), caption)


def test_boxes_have_names_scores_and_kinds():
    figure = plots.pictures([panel(), panel("")], CLASSES)
    assert_drawn(figure)
    shown = texts(figure)
    assert "고양이 0.90" in shown
    assert "개 → a name that i… 0.80" in shown  # the true class before the found one
    assert "사진.png" in shown
    assert {"true box", "correct", "class", "missed"} <= set(shown)
    assert "background" not in shown
    assert not any("0.10" in text for text in shown)  # it does not count


def test_an_untrained_detector_does_not_hide_the_image():
    one = panel()
    many = one._replace(
        detections=one.detections[[0] * 100],
        kinds=np.zeros(100, int),
        boxes=np.zeros(100, int),
    )
    shown = texts(plots.pictures([many], CLASSES))
    assert shown.count("고양이 0.90") == plots.MOST_FOUND


@pytest.mark.parametrize("number", [0, 1, 5])
def test_any_number_of_images(number):
    assert_drawn(plots.pictures([panel()] * number, CLASSES))


@pytest.mark.parametrize("classes", [1, 4, 80])
def test_precision_recall_names_few_classes(classes):
    curves = np.linspace(1, 0, 101) ** np.arange(1, classes + 1)[:, None]
    names = [f"{name}{place}" for place, name in zip(range(classes), CLASSES * 20, strict=False)]
    figure = plots.precision_recall(curves, names)
    assert_drawn(figure)
    shown = texts(figure)
    assert f"mean: {curves.mean():.3f}" in shown
    assert (f"고양이0: {curves[0].mean():.3f}" in shown) == (classes <= 4)
    assert ("each of 80 classes" in shown) == (classes == 80)


def test_classes_without_boxes_have_no_curve():
    curves = np.ones((3, 101))
    curves[1] = np.nan
    assert not any("개" in text for text in texts(plots.precision_recall(curves, CLASSES[:3])))
    assert_drawn(plots.precision_recall(np.full((2, 101), np.nan), CLASSES[:2]))


def test_scores():
    score = np.linspace(0.1, 0.9, 5)
    figure = plots.by_score(metrics.ByScore(score, score, 1 - score, score), 0.25)
    assert_drawn(figure)
    assert "shown from 0.25" in texts(figure)
    assert_drawn(plots.by_score(metrics.ByScore(*np.zeros((4, 0))), 0.5))


def test_kinds_of_errors():
    counts = dict.fromkeys(metrics.KINDS, 1234)
    figure = plots.error_kinds(counts, dict.fromkeys(metrics.KINDS[1:], 0.05))
    assert_drawn(figure)
    assert " 1,234" in texts(figure)
    assert_drawn(plots.error_kinds(dict.fromkeys(metrics.KINDS, 0), {}))


def test_anchors_with_and_without_boxes():
    chosen = np.array([[8.0, 12.0], [20.0, 30.0]])
    sizes = np.random.default_rng(0).uniform(4, 40, (6000, 2))
    figure = plots.anchors(sizes, chosen, 0.75)
    assert_drawn(figure)
    assert "boxes: 5,000 of 6,000" in texts(figure)
    assert_drawn(plots.anchors(sizes[:0], chosen, 0.75))


def test_detectors_side_by_side():
    compared = {
        name: {
            "milliseconds": 10.0 * place,
            "parameters": 10 ** (4 + place),
            "map50_95": 0.5,
            "map50_95_interval": [0.4, 0.6],
        }
        for place, name in enumerate(("tiny-yolo", "내 모델.yaml"), 1)
    }
    figure = plots.speed(compared)
    assert_drawn(figure)
    assert "내 모델.yaml\n1.0 million parameters" in texts(figure)
    counts = dict.fromkeys(metrics.KINDS, 3)
    assert_drawn(plots.compared_errors(dict.fromkeys(compared, counts)))
