import contextlib
import io
import math

import numpy as np
import pytest
from pycocotools.coco import COCO
from pycocotools.cocoeval import COCOeval

from labs.detection import metrics

NAMES = ("map50_95", "map50", "map75", "map_small", "map_medium", "map_large")


def pycocotools(detections, targets, classes):
    """Return the figures of the reference, where -1 is NaN."""
    true, found = COCO(), COCO()
    images = [{"id": image} for image in range(len(targets))]
    categories = [{"id": label} for label in range(classes)]

    def annotation(image, number, x1, y1, x2, y2, label, **more):
        box = [x1, y1, x2 - x1, y2 - y1]
        place = {"id": number, "image_id": image, "category_id": int(label)}
        return {**place, "bbox": box, "area": box[2] * box[3], **more}

    numbers = iter(range(1, 10**6))
    true.dataset["annotations"] = [
        annotation(image, next(numbers), *row[:5], iscrowd=int(row[5]))
        for image, rows in enumerate(targets.astype(float).tolist())
        for row in rows
        if row[4] >= 0
    ]
    found.dataset["annotations"] = [
        annotation(image, next(numbers), *row[:4], row[5], iscrowd=0, score=row[4])
        for image, rows in enumerate(detections.astype(float).tolist())
        for row in rows
        if row[5] >= 0
    ]
    with contextlib.redirect_stdout(io.StringIO()):
        for side in (true, found):
            side.dataset |= {"images": images, "categories": categories}
            side.createIndex()
        evaluation = COCOeval(true, found, "bbox")
        evaluation.evaluate()
        evaluation.accumulate()
        evaluation.summarize()
    values = [math.nan if value < 0 else value for value in evaluation.stats]
    return dict(zip(NAMES, values, strict=False)) | {"average_recall": values[8]}, evaluation


def random_boxes(rng, shape, size):
    corners = rng.uniform(0, size, (*shape, 2))
    return np.concatenate([corners, corners + rng.uniform(4, size, (*shape, 2))], -1)


def scene(
    seed, images=12, most=8, rows=40, classes=4, *, size=60.0, crowds=0.0, ties=False, whole=False
):
    """Draw boxes and detections near them, some of which are good."""
    rng = np.random.default_rng(seed)
    targets = np.zeros((images, most, 6), np.float32)
    targets[..., :4] = random_boxes(rng, (images, most), size)
    targets[..., 4] = rng.integers(0, classes, (images, most))
    targets[..., 5] = rng.random((images, most)) < crowds
    targets[np.arange(most) >= rng.integers(0, most + 1, images)[:, None]] = [0, 0, 0, 0, -1, 0]
    detections = np.zeros((images, rows, 6), np.float32)
    near = np.take_along_axis(targets, rng.integers(0, most, (images, rows, 1)), 1)
    shaken = near[..., :4] + rng.normal(0, 1, (images, rows, 4)) * rng.uniform(0, 6)
    anywhere = random_boxes(rng, (images, rows), size)
    free = (rng.random((images, rows, 1)) < 0.3) | (near[..., 4:5] < 0)
    detections[..., :4] = np.where(free, anywhere, shaken)
    detections[..., 2:4] = np.maximum(detections[..., 2:4], detections[..., :2] + 1)
    scores = -np.sort(-rng.random((images, rows)), 1)
    detections[..., 4] = np.round(scores, 1) if ties else scores
    other = rng.integers(0, classes, (images, rows))
    same = (rng.random((images, rows)) < 0.7) & (near[..., 4] >= 0)
    detections[..., 5] = np.where(same, near[..., 4], other)
    unused = np.arange(rows) >= rng.integers(0, rows + 1, images)[:, None]
    detections[unused] = [0, 0, 0, 0, 0, -1]
    if whole:  # equal IoUs, and IoUs that are thresholds
        detections[..., :4], targets[..., :4] = (
            np.round(rows[..., :4] / 8) * 8 for rows in (detections, targets)
        )
        detections[..., 2:4] += 8 * (detections[..., 5:] >= 0)
        targets[..., 2:4] += 8 * (targets[..., 4:5] >= 0)
    return detections, targets


def changed(detections, targets, case):
    """Make a degenerate case."""
    if case == "no boxes":
        targets[..., 4] = -1
    elif case == "no detections":
        detections[..., 5] = -1
    elif case == "nothing":
        targets[..., 4], detections[..., 5] = -1, -1
    elif case == "no rows":
        return detections[:, :0], targets[:, :0]
    elif case == "images without boxes":
        targets[::2, :, 4] = -1
    elif case == "class without boxes":
        targets[targets[..., 4] == 1, 4] = 2
    elif case == "class nobody has":
        detections[detections[..., 5] >= 0, 5] = 7
    elif case == "only crowds":
        targets[..., 5] = 1
    return detections, targets


def assert_reference(detections, targets, classes):
    expected, _ = pycocotools(detections, targets, classes)
    given = metrics.coco(detections, targets, classes)
    assert list(given) == list(expected)
    np.testing.assert_allclose(list(given.values()), list(expected.values()), rtol=0, atol=1e-6)
    packed = metrics.statistics(detections, targets)
    for main_metric in (metrics.HEADLINE, metrics.MAP50):
        figure = main_metric.compute(packed)
        np.testing.assert_allclose(figure, expected[main_metric.name], rtol=0, atol=1e-9)


@pytest.mark.parametrize("seed", range(30))
def test_map_is_that_of_pycocotools(seed):
    assert_reference(*scene(seed, crowds=0.2 * (seed % 3), ties=seed % 2 == 1, size=60 + seed), 4)


@pytest.mark.parametrize("seed", range(8))
def test_ties_of_overlap_go_to_the_box_that_pycocotools_chooses(seed):
    assert_reference(*scene(seed, crowds=0.1, ties=True, whole=True), 4)


@pytest.mark.parametrize("seed", range(4))
def test_a_hundred_detections_and_large_boxes(seed):
    assert_reference(*scene(seed, images=4, most=20, rows=100, classes=2, size=300), 2)


CASES = (
    "no boxes",
    "no detections",
    "nothing",
    "no rows",
    "images without boxes",
    "class without boxes",
    "class nobody has",
    "only crowds",
)


@pytest.mark.parametrize("case", CASES)
@pytest.mark.parametrize("seed", range(3))
def test_degenerate_cases_are_those_of_pycocotools(case, seed):
    detections, targets = changed(*scene(seed, crowds=0.2 * seed), case)
    assert_reference(detections, targets, 8)


def test_one_class_and_one_image():
    assert_reference(*scene(0, classes=1), 1)
    assert_reference(*scene(1, images=1), 4)


@pytest.mark.parametrize("seed", range(5))
def test_the_headline_of_resampled_rows_is_that_of_resampled_images(seed):
    detections, targets = scene(seed, images=15, crowds=0.1)
    rows = np.random.default_rng(seed).integers(0, 15, 15)
    for main_metric in (metrics.HEADLINE, metrics.MAP50):
        drawn = main_metric.compute(main_metric.statistics(detections, targets)[rows])
        expected = metrics.coco(detections[rows], targets[rows], 4)[main_metric.name]
        np.testing.assert_allclose(drawn, expected, rtol=0, atol=1e-9)


def test_nothing_is_printed(capfd):
    metrics.coco(*scene(0), 4)
    assert capfd.readouterr() == ("", "")


@pytest.mark.parametrize("seed", range(4))
def test_classes_and_curves_are_those_of_pycocotools(seed):
    detections, targets = changed(*scene(seed, crowds=0.1), "class without boxes")
    _, evaluation = pycocotools(detections, targets, 5)
    expected = evaluation.eval["precision"][:, :, :, 0, 2]  # IoU, recall, class
    expected = np.where(expected < 0, np.nan, expected)
    curves = metrics.precision_recall(detections, targets, 5)
    np.testing.assert_allclose(curves, expected[0].T, atol=1e-9)
    rows = metrics.per_class(detections, targets, list("가나다라마"), 0.5)
    assert [row["class"] for row in rows] == list("가나다라마")
    for name, average in (("ap50", expected[0].mean(0)), ("ap50_95", expected.mean((0, 1)))):
        np.testing.assert_allclose([row[name] for row in rows], average, atol=1e-9)
    counts = [((targets[..., 4] == label) & (targets[..., 5] == 0)).sum() for label in range(5)]
    assert [row["boxes"] for row in rows] == counts
    assert math.isnan(rows[1]["f1"])


@pytest.mark.parametrize("seed", range(4))
def test_the_score_threshold_has_the_best_mean_f1(seed):
    detections, targets = scene(seed)
    best = metrics.score_threshold(detections, targets, 4)

    def f1(score):
        errors = metrics.errors(detections, targets, score)
        right = errors.kind == 0
        found = []
        for label in range(4):
            mine = (detections[..., 5] == label) & (detections[..., 4] >= score)
            boxes = (targets[..., 4] == label).sum()
            found.append(2 * (right & mine).sum() / (mine.sum() + boxes))
        return np.mean(found)

    others = np.unique(detections[detections[..., 5] >= 0, 4])
    assert f1(best) == pytest.approx(max(map(f1, others)), abs=1e-12)
    curve = metrics.by_score(detections, targets, 4, np.array([best]))
    assert curve.f1 == pytest.approx(f1(best))


def test_a_threshold_is_a_number_where_nothing_is_right():
    detections, targets = changed(*scene(0), "no detections")
    assert metrics.score_threshold(detections, targets, 4) == 0.5
    detections, targets = changed(*scene(0), "no boxes")
    assert metrics.score_threshold(detections, targets, 4) == 0.5
    assert math.isnan(metrics.figures(detections, targets, 4, 0.5)["f1"])


def table(rows, length=8):
    """Return one image's rows, padded."""
    padded = np.zeros((1, length, 6), np.float32)
    padded[..., 4:] = -1
    padded[0, : len(rows)] = rows
    return padded


TRUE = [[0, 0, 20, 20, 0, 0], [40, 0, 60, 20, 1, 0], [40, 40, 60, 60, 1, 0], [80, 0, 99, 20, 0, 1]]
FOUND = [
    [0, 0, 20, 20, 0.9, 0],  # correct
    [0, 0, 20, 18, 0.8, 0],  # duplicate
    [40, 0, 60, 20, 0.7, 0],  # class
    [40, 45, 60, 73, 0.6, 1],  # localization: 300 / (400 + 560 - 300)
    [12, 0, 32, 20, 0.5, 1],  # both: 160 / 640
    [0, 80, 20, 99, 0.4, 1],  # background
    [82, 2, 90, 10, 0.3, 0],  # in a crowd
    [0, 0, 20, 20, 0.1, 0],  # below the threshold
]


def test_each_kind_of_error():
    found = metrics.errors(table(FOUND), table(TRUE), 0.2)
    kinds = [metrics.KINDS[kind] if kind >= 0 else None for kind in found.kind[0]]
    assert kinds == [
        "correct",
        "duplicate",
        "class",
        "localization",
        "both",
        "background",
        None,
        None,
    ]
    assert found.box[0].tolist() == [0, 0, 1, 2, 0, -1, -1, -1]
    assert not found.missed.any()  # the class and the localization error speak of the other two
    assert found.counts == dict.fromkeys(metrics.KINDS[:-1], 1) | {"missed": 0}
    alone = metrics.errors(table(FOUND[:1]), table(TRUE), 0.2)
    assert alone.missed[0].tolist() == [False, True, True] + [False] * 5
    assert alone.counts["missed"] == 2


@pytest.mark.parametrize("seed", range(3))
def test_detections_that_are_right_at_every_score_match_as_coco_says(seed):
    detections, targets = scene(seed, crowds=0.1)
    found = metrics.errors(detections, targets, 0)
    _, evaluation = pycocotools(detections, targets, 4)
    right = sum(
        int(((image["dtMatches"][0] > 0) & ~image["dtIgnore"][0].astype(bool)).sum())
        for image in evaluation.evalImgs
        if image is not None and image["aRng"] == [0, 1e10]
    )
    assert found.counts["correct"] == right


def test_confusion_with_background():
    matrix = metrics.confusion(table(FOUND), table(TRUE), 2, 0.2)
    # Rows are true. One digit of each class is right or taken for the other; the duplicate, both,
    # localization and background errors are of the background, and a box is missed.
    assert matrix.tolist() == [[1, 0, 0], [1, 0, 1], [1, 3, 0]]


def test_confusion_prefers_the_better_overlap_to_the_surer_score():
    true = [[0, 0, 20, 20, 0, 0]]
    found = [[0, 0, 20, 15, 0.9, 0], [0, 0, 20, 20, 0.5, 1]]
    assert metrics.confusion(table(found), table(true), 2, 0.1).tolist() == [
        [0, 1, 0],
        [0, 0, 0],
        [1, 0, 0],
    ]
    found[0][3] = 20  # of equal overlap, the right class
    assert metrics.confusion(table(found), table(true), 2, 0.1)[0].tolist() == [1, 0, 0]


@pytest.mark.parametrize("seed", range(3))
def test_confusion_counts_each_box_and_each_detection_once(seed):
    detections, targets = scene(seed)
    matrix = metrics.confusion(detections, targets, 4, 0.3)
    boxes = [(targets[..., 4] == label).sum() for label in range(4)]
    shown = detections[..., 4] >= 0.3
    found = [(shown & (detections[..., 5] == label)).sum() for label in range(4)]
    assert matrix[:-1].sum(1).tolist() == boxes
    assert matrix[:, :-1].sum(0).tolist() == found


def test_mending_what_is_wrong_gains_what_it_should():
    targets = table([[0, 0, 20, 20, 0, 0], [40, 40, 60, 60, 0, 0]])
    nothing = dict.fromkeys(metrics.KINDS[1:], 0.0)
    right = [0, 0, 20, 20, 0.5, 0]
    gains = metrics.gains(table([right]), targets)
    half = 51 / 101  # recalls up to 0.5
    assert gains == pytest.approx(nothing | {"missed": 1 - half})
    shifted = [40, 40, 60, 75, 0.9, 0]
    shifted[1] = 55  # IoU 100 / 700
    gains = metrics.gains(table([shifted, right]), targets)
    assert gains["localization"] == pytest.approx(1 - half / 2)
    assert gains["missed"] == 0  # the localization error speaks of it
    double = [[0, 0, 20, 20, 0.9, 0], [0, 0, 20, 20, 0.8, 0], [40, 40, 60, 60, 0.7, 0]]
    gains = metrics.gains(table(double), targets)
    assert gains == pytest.approx(nothing | {"duplicate": 1 - (51 + 50 * 2 / 3) / 101})
    away = [[0, 80, 20, 99, 0.9, 0], *double[::2]]
    gains = metrics.gains(table(away), targets)
    assert gains == pytest.approx(nothing | {"background": 1 - 2 / 3})


def test_a_wrong_class_is_mended_once():
    targets = table([[0, 0, 20, 20, 0, 0], [40, 40, 60, 60, 1, 0]])
    found = [[0, 0, 20, 20, 0.9, 1], [0, 0, 20, 20, 0.8, 1], [40, 40, 60, 60, 0.7, 1]]
    assert metrics.gains(table(found), targets)["class"] == pytest.approx(1 - (1 / 3) / 2)
    found[0] = [0, 0, 20, 20, 0.9, 0]  # it is right: the other is taken away
    assert metrics.gains(table(found), targets)["class"] == pytest.approx(1 - (1 + 1 / 2) / 2)


def test_figures_have_intervals_and_a_threshold():
    detections, targets = scene(0)
    figures = metrics.figures(detections, targets, 4, 0.25)
    for name in ("map50_95", "map50"):
        low, high = figures[f"{name}_interval"]
        assert 0 <= low < high <= 1
    assert figures["score_threshold"] == 0.25
    assert all(0 < figures[name] < 1 for name in ("precision", "recall", "f1"))
