"""How well boxes were found: mAP by COCO's rules, and what kinds of errors there are.

Everywhere `detections` are (N, M, 6): x1, y1, x2, y2, score, class, with M at most 100; `targets`
are (N, T, 6): x1, y1, x2, y2, class, and 1 for a crowd. Unused rows have class -1. Boxes are in
pixels. Detections of masks are (N, M, 6 + T): the further columns are the IoU of a detection's mask
with that of each target, which then stands wherever the IoU of boxes would. A figure that nothing
defines, such as the mAP of images without any box, is NaN.
"""

import dataclasses
import functools
import itertools
from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

import numpy as np

from common.metrics.main_metric import MainMetric
from common.metrics.metrics import Array

IOUS = np.linspace(0.5, 0.95, 10)  # COCO's thresholds
RECALLS = np.linspace(0, 1, 101)  # at which COCO reads the precision
BOX = 6  # columns of a detection, before those of its mask
KINDS = ("correct", "class", "localization", "both", "duplicate", "background", "missed")

_RESAMPLES = 500
_NEAR = 0.1  # IoU below which a detection has nothing to do with a box (TIDE)
_COCO = ("map50_95", "map50", "map75", "map_small", "map_medium", "map_large")
_RECALL = 8  # where COCO's evaluator tells the recall of up to 100 detections


def coco(detections: Array, targets: Array, classes: int) -> dict[str, float]:
    """Return the figures of the COCO challenge (Lin et al. 2014; cocodataset.org/#detection-eval).

    - `map50_95`: the mean of the average precision over classes that have boxes, and over IoU
      thresholds from 0.5 to 0.95; `map50` and `map75` at one threshold.
    - `map_small`, `map_medium`, `map_large`: of boxes with an area below 32 x 32 pixels, between,
      and above 96 x 96 pixels; NaN where there are none.
    - `average_recall`: the share of boxes that are found by up to 100 detections of an image,
      likewise a mean over classes and IoU thresholds.

    They are those of pycocotools, which says -1 where we say NaN.
    """
    from faster_coco_eval import COCO, COCOeval_faster

    def table(annotations: list[dict[str, Any]]) -> Any:
        found = COCO(print_function=_silent)
        found.dataset = {"images": images, "categories": categories, "annotations": annotations}
        found.createIndex()
        return found

    images = [{"id": number} for number in range(len(targets))]
    categories = [{"id": number} for number in range(classes)]
    true = [
        _annotation(number, image, corners, label) | {"iscrowd": int(crowd)}
        for number, (image, *corners, label, crowd) in enumerate(_used(targets, 4), 1)
    ]
    guessed = [
        _annotation(number, image, corners, label) | {"score": score, "iscrowd": 0}
        for number, (image, *corners, score, label) in enumerate(_used(detections[..., :BOX], 5), 1)
    ]
    evaluation = COCOeval_faster(table(true), table(guessed), "bbox", print_function=_silent)
    evaluation.run()
    values = evaluation.stats.tolist()
    found = dict(zip(_COCO, values, strict=False)) | {"average_recall": values[_RECALL]}
    return {name: float("nan") if value < 0 else value for name, value in found.items()}


def _silent(*_: object) -> None:
    """Print nothing."""


def _used(rows: Array, label: int) -> list[list[float]]:
    """Return the rows that are boxes, each with the number of its image before it."""
    image, row = np.nonzero(rows[..., label] >= 0)
    table: list[list[float]] = np.column_stack([image, rows[image, row].astype(float)]).tolist()
    return table


def _annotation(number: int, image: float, corners: list[float], label: float) -> dict[str, Any]:
    x1, y1, x2, y2 = corners
    width, height = x2 - x1, y2 - y1
    return {
        "id": number,
        "image_id": int(image),
        "category_id": int(label),
        "bbox": [x1, y1, width, height],
        "area": width * height,
    }


# --- matching -----------------------------------------------------------------------------------


class _Boxes(NamedTuple):
    """The used rows of a table, image by image; detections by their score."""

    image: Array  # (n,)
    row: Array  # (n,) where it stands in its image
    corners: Array  # (n, 4) float64
    label: Array  # (n,)
    value: Array  # (n,) the score of a detection; whether a true box is a crowd
    mask_ious: Array  # (n, T) of a detection's mask with each target; T is 0 where there are none


class _Pairs(NamedTuple):
    """Detections with boxes of the same image that they overlap, in the order of detections."""

    found: Array  # (n,) which detection
    true: Array  # (n,) which box
    iou: Array  # (n,)


def _detected(detections: Array, score: float = -np.inf) -> _Boxes:
    """Return the detections from a score on."""
    used = (detections[..., 5] >= 0) & (detections[..., 4] >= score)
    order = np.argsort(np.where(used, -detections[..., 4], np.inf), axis=1, kind="stable")
    image, place = np.nonzero(np.take_along_axis(used, order, 1))
    row = order[image, place]
    values = detections[image, row].astype(np.float64)
    label = values[:, 5].astype(np.int64)
    return _Boxes(image, row, values[:, :4], label, values[:, 4], values[:, BOX:])


def _true(targets: Array) -> _Boxes:
    image, row = np.nonzero(targets[..., 4] >= 0)
    values = targets[image, row].astype(np.float64)
    label = values[:, 4].astype(np.int64)
    return _Boxes(image, row, values[:, :4], label, values[:, 5] > 0, values[:, BOX:])


def _pairs(found: _Boxes, true: _Boxes, least: float, *, same_class: bool) -> _Pairs:
    """Return the pairs with an IoU of at least `least`."""
    keys, others = found.image, true.image
    if same_class:
        classes = 1 + max(found.label.max(initial=0), true.label.max(initial=0))
        keys, others = keys * classes + found.label, others * classes + true.label
    order = np.argsort(others, kind="stable")
    low, high = (np.searchsorted(others[order], keys, side) for side in ("left", "right"))
    ends = (high - low).cumsum()
    a = np.repeat(np.arange(len(keys)), high - low)
    b = order[np.arange(len(a)) + np.repeat(high - ends, high - low)]
    if found.mask_ious.shape[1]:
        iou = found.mask_ious[a, true.row[b]]
    else:
        iou = _iou(found.corners[a], true.corners[b], true.value[b])
    kept = iou >= least
    return _Pairs(a[kept], b[kept], iou[kept])


def _iou(a: Array, b: Array, crowd: Array) -> Array:
    """Return the IoU of boxes (n, 4) with others; with a crowd, the share of the box inside it."""
    sides = np.minimum(a[:, 2:], b[:, 2:]) - np.maximum(a[:, :2], b[:, :2])
    inside = sides.clip(0).prod(1)
    area, other = (a[:, 2:] - a[:, :2]).prod(1), (b[:, 2:] - b[:, :2]).prod(1)
    union = np.where(crowd, area, area + other - inside)
    return np.asarray(np.divide(inside, union, out=np.zeros_like(inside), where=inside > 0))


def _matched(found: _Boxes, true: _Boxes, ious: Array = IOUS) -> Array:
    """Match detections with boxes by COCO's rules.

    In each image and class the highest score chooses first: of the boxes that it overlaps
    enough and that no one has taken, the one it overlaps most; else a crowd, which is never taken.

    Returns:
        Which box each detection matches at each of the thresholds, (n, thresholds); -1 is none.
    """
    pairs = _pairs(found, true, ious[0], same_class=True)
    crowd = true.value[pairs.true]
    turn = _turns(found, pairs.found)
    order = np.lexsort((-pairs.true, -pairs.iou, crowd, pairs.found, turn))
    a, b, iou = (column[order] for column in pairs)
    matches = np.full((len(found.image), len(ious)), -1)
    free = np.ones((len(true.image), len(ious)), bool)
    bounds = np.searchsorted(turn[order], np.arange(turn.max(initial=-1) + 2))
    for low, high in itertools.pairwise(bounds):
        mine, theirs = a[low:high], b[low:high]
        fits = (iou[low:high, None] >= ious) & free[theirs]
        starts = np.flatnonzero(np.diff(mine, prepend=-1))
        first = np.minimum.reduceat(np.where(fits, np.arange(high - low)[:, None], high), starts)
        row, threshold = np.nonzero(first < high)
        box = theirs[first[row, threshold]]
        matches[mine[starts[row]], threshold] = box
        free[box, threshold] = true.value[box]
    return matches


def _turns(found: _Boxes, chosen: Array) -> Array:
    """Return, for each of `chosen` (n,) ascending, how many of its image and class go before it."""
    unique, back = np.unique(chosen, return_inverse=True)
    keys = found.image[unique] * (1 + found.label.max(initial=0)) + found.label[unique]
    order = np.argsort(keys, kind="stable")
    starts = np.flatnonzero(np.diff(keys[order], prepend=-1))
    sizes = np.diff(starts, append=len(keys))
    turns = np.empty_like(keys)
    turns[order] = np.arange(len(keys)) - np.repeat(starts, sizes)
    return np.asarray(turns[back])


# --- average precision of any images ------------------------------------------------------------


def statistics(detections: Array, targets: Array) -> Array:
    """Pack what each image adds to the average precisions, (N, rows, 3) int32.

    A row is a detection (its place among all detections, those of a class together, the highest
    score first; its class; at which IoU thresholds it is right, and ignored, in bits) or a count of
    boxes (-1; their class; how many, 0 in an unused row). Left out are detections on which no
    figure depends: those that are ignored, and those with a score below every right one of their
    class.
    """
    found, true = _detected(detections), _true(targets)
    matches = _matched(found, true)
    crowd = np.append(true.value, False)[matches]
    bits = 1 << np.arange(len(IOUS))
    right, ignored = ((matches >= 0) & ~crowd) @ bits, crowd @ bits
    least = np.full(1 + found.label.max(initial=0), np.inf)
    np.minimum.at(least, found.label[right > 0], found.value[right > 0])
    kept = np.flatnonzero((found.value >= least[found.label]) & (ignored != bits.sum()))
    places = np.empty(len(kept), np.int64)
    places[np.lexsort((-found.value[kept], found.label[kept]))] = np.arange(len(kept))
    codes = right[kept] + (ignored[kept] << len(IOUS))
    counted = np.stack([true.image, true.label], 1)[~true.value]
    kinds, counts = np.unique(counted, axis=0, return_counts=True)
    images = np.append(found.image[kept], kinds[:, 0])
    rows = np.stack(
        [
            np.append(places, np.full(len(kinds), -1)),
            np.append(found.label[kept], kinds[:, 1]),
            np.append(codes, counts),
        ],
        1,
    )
    return _packed(images, rows, len(targets))


def _packed(images: Array, rows: Array, number: int) -> Array:
    """Put rows (n, 3) into a table (number, most, 3) by their images."""
    order = np.argsort(images, kind="stable")
    sizes = np.bincount(images, minlength=number)
    column = np.arange(len(images)) - np.repeat(sizes.cumsum() - sizes, sizes)
    table = np.tile(np.array([-1, 0, 0], np.int32), (number, sizes.max(initial=1), 1))
    table[images[order], column] = rows[order]
    return table


class _Climb(NamedTuple):
    """How recall rises along the detections that are right or ignored at some threshold.

    The classes stand one after another, in each the highest score first.
    """

    boxes: Array  # (C,) how many there are
    label: Array  # (n,)
    gained: Array  # (n, thresholds): how many of `RECALLS` are reached here
    precision: Array  # (n, thresholds): the best one from here on


def _climb(rows: Array, thresholds: int) -> _Climb:
    """Follow the detections of any rows of `statistics`; rows may stand in it many times."""
    place, label, code = rows.reshape(-1, 3).T
    counted = place < 0
    classes = 1 + label.max(initial=0)
    boxes = np.bincount(label[counted], code[counted], classes)
    place, label, code = place[~counted], label[~counted], code[~counted]
    drawn = np.bincount(place)  # how many times
    known = np.zeros((2, len(drawn)), np.int64)
    known[:, place] = code, label
    chosen = np.flatnonzero(known[0])
    code, labels = known[:, chosen]
    times = drawn[chosen, None]
    starts = np.flatnonzero(np.diff(labels, prepend=-1))
    of_class = np.bincount(label, minlength=classes)
    rank = drawn.cumsum()[chosen] - (of_class.cumsum() - of_class)[labels]
    right = _running(times * _bits(code, thresholds), starts)
    ignored = _running(times * _bits(code >> len(IOUS), thresholds), starts)
    precision = right / np.maximum(rank[:, None] - ignored, 1)
    reached = np.searchsorted(RECALLS, right / np.maximum(boxes[labels, None], 1), "right")
    reached[right == 0] = 0
    gained = np.diff(reached, axis=0, prepend=0)
    gained[starts] = reached[starts]
    return _Climb(boxes, labels, gained, _best_from_here(precision, labels))


def _bits(code: Array, number: int) -> Array:
    """Return the lowest bits of codes (n,) as 0 and 1, (n, number)."""
    return np.asarray(code[:, None] >> np.arange(number) & 1)


def _best_from_here(precision: Array, labels: Array) -> Array:
    """Return the best precision, (n, thresholds), of each row or a later one of its class."""
    step = 2 * labels[:, None]  # each class lies below the one before it, so none sees another
    return np.asarray(np.maximum.accumulate((precision - step)[::-1])[::-1] + step)


def _running(values: Array, starts: Array) -> Array:
    """Return running sums of (n, thresholds) which begin at 0 again at each start."""
    sums = values.cumsum(0)
    sizes = np.diff(starts, append=len(values))
    return np.asarray(sums - np.repeat(sums[starts] - values[starts], sizes, axis=0))


def _mean_precision(rows: Array, thresholds: int = len(IOUS)) -> float:
    """Return the mean average precision over the first thresholds, of any rows of `statistics`."""
    climb = _climb(rows, thresholds)
    classes = int(np.count_nonzero(climb.boxes))
    if not classes:
        return float("nan")
    area = float((climb.gained * climb.precision).sum())
    return area / (len(RECALLS) * thresholds * classes)


HEADLINE = MainMetric("map50_95", "mAP50-95", statistics, _mean_precision, resamples=_RESAMPLES)
MAP50 = MainMetric(
    "map50",
    "mAP50",
    statistics,
    functools.partial(_mean_precision, thresholds=1),
    resamples=_RESAMPLES,
)
MASKS = dataclasses.replace(HEADLINE, name="mask_map50_95", label="mask mAP50-95")
MASKS50 = dataclasses.replace(MAP50, name="mask_map50", label="mask mAP50")


# --- classes, and the score from which detections are shown -------------------------------------


class ByScore(NamedTuple):
    """Means over the classes that have boxes, at IoU 0.5, against the least score shown.

    Of a class that is not found at all the precision is 0.
    """

    score: Array  # (n,) ascending: the scores of the right detections
    precision: Array  # (n,)
    recall: Array  # (n,)
    f1: Array  # (n,)


class _Counts(NamedTuple):
    """What is there at IoU 0.5 and from some score on, of each class."""

    boxes: Array
    shown: Array  # detections that no crowd forgives
    right: Array

    @property
    def precision(self) -> Array:
        """The share of detections that are right, 0 where there are none."""
        return np.asarray(self.right / np.maximum(self.shown, 1))

    @property
    def recall(self) -> Array:
        """The share of boxes that are found, 0 where there are none."""
        return np.asarray(self.right / np.maximum(self.boxes, 1))

    @property
    def f1(self) -> Array:
        """The harmonic mean of precision and recall."""
        return np.asarray(2 * self.right / np.maximum(self.shown + self.boxes, 1))


def _classes_by_score(
    detections: Array, targets: Array, classes: int, scores: Array | None = None
) -> tuple[Array, Iterator[_Counts]]:
    """Yield the counts of each class at some scores, those of the right detections when None."""
    found, true = _detected(detections), _true(targets)
    match = _matched(found, true, IOUS[:1])[:, 0]
    crowd = np.append(true.value, False)[match]
    right = (match >= 0) & ~crowd
    at = np.unique(found.value[right]) if scores is None else scores

    def above(chosen: Array) -> Array:
        return np.asarray(np.sort(-found.value[chosen]).searchsorted(-at, "right"))

    def counts() -> Iterator[_Counts]:
        for label in range(classes):
            mine = found.label == label
            boxes = np.sum((true.label == label) & ~true.value)
            yield _Counts(boxes, above(mine & ~crowd), above(mine & right))

    return at, counts()


def by_score(
    detections: Array, targets: Array, classes: int, scores: Array | None = None
) -> ByScore:
    """Return precision, recall and F1 against the score from which detections are shown.

    Where no scores are given, they are those of all right detections: F1 is best at one of them.
    """
    at, counts = _classes_by_score(detections, targets, classes, scores)
    there = [count for count in counts if count.boxes]
    if not there:
        return ByScore(at, *np.full((3, len(at)), np.nan))
    columns = [
        np.mean([getattr(count, name) for count in there], 0)
        for name in ("precision", "recall", "f1")
    ]
    return ByScore(at, *columns)


def score_threshold(detections: Array, targets: Array, classes: int) -> float:
    """Return the score from which detections have the best mean F1 at IoU 0.5.

    Of equally good scores it is the highest; 0.5 where no detection is right.
    """
    curves = by_score(detections, targets, classes)
    if not len(curves.score):
        return 0.5
    return float(curves.score[len(curves.f1) - 1 - curves.f1[::-1].argmax()])


def per_class(
    detections: Array, targets: Array, classes: Sequence[str], score: float
) -> list[dict[str, str | float | int]]:
    """Return a row per class: class (its name), ap50_95, ap50, precision, recall, f1, boxes.

    Precision, recall and F1 are of detections from the score on, at IoU 0.5. Without boxes they and
    the average precisions are NaN; so is the precision of a class that is not found at all.
    """
    average = _average_precisions(statistics(detections, targets), len(classes))
    at = np.array([score])
    _, counts = _classes_by_score(detections, targets, len(classes), at)
    rows: list[dict[str, str | float | int]] = []
    for name, mine, count in zip(classes, average, counts, strict=True):
        figures = {
            "ap50_95": mine.mean(),
            "ap50": mine[0],
            "precision": count.precision[0] if count.shown[0] else np.nan,
            "recall": count.recall[0],
            "f1": count.f1[0],
        }
        known = {key: float(value) if count.boxes else np.nan for key, value in figures.items()}
        rows.append({"class": name, **known, "boxes": int(count.boxes)})
    return rows


def _average_precisions(rows: Array, classes: int) -> Array:
    """Return the average precision of each class at each IoU, (C, 10); NaN without boxes."""
    climb = _climb(rows, len(IOUS))
    sums = np.zeros((classes, len(IOUS)))
    np.add.at(sums, climb.label, climb.gained * climb.precision)
    sums[_without(climb, classes)] = np.nan
    return sums / len(RECALLS)


def precision_recall(detections: Array, targets: Array, classes: int) -> Array:
    """Return the precision of each class at `RECALLS` and IoU 0.5, (C, 101); NaN without boxes.

    As COCO has it: the best precision at this recall or any higher one, 0 where none reaches it;
    the mean of a row is the class's average precision.
    """
    climb = _climb(statistics(detections, targets), 1)
    curves = np.zeros((classes, len(RECALLS)))
    for label in np.unique(climb.label):
        mine = climb.label == label
        reached = np.repeat(climb.precision[mine, 0], climb.gained[mine, 0])
        curves[label, : len(reached)] = reached
    curves[_without(climb, classes)] = np.nan
    return curves


def _without(climb: _Climb, classes: int) -> Array:
    """Say which classes have no boxes."""
    boxes = np.zeros(classes, np.int64)
    boxes[: len(climb.boxes)] = climb.boxes
    return np.asarray(boxes == 0)


# --- what goes wrong ----------------------------------------------------------------------------


def confusion(detections: Array, targets: Array, classes: int, score: float) -> Array:
    """Count which classes are taken for which, (C + 1, C + 1); the last is background.

    Rows are true classes, columns what was found from the score on. Detections and boxes are
    matched one to one whatever their class, the best IoU first (of equal ones, the right class),
    from 0.5 on. The last row counts detections where there is no box, the last column boxes that
    were missed. Crowds and detections of their class inside them are left out.
    """
    found, true = _detected(detections, score), _true(targets)
    pairs = _pairs(found, true, IOUS[0], same_class=False)
    same = found.label[pairs.found] == true.label[pairs.true]
    crowd = true.value[pairs.true]
    match, taken = np.full(len(found.label), -1), true.value.copy()
    for pair in np.lexsort((~same, -pairs.iou)):
        row, box = pairs.found[pair], pairs.true[pair]
        if match[row] < 0 and not taken[box]:
            match[row], taken[box] = box, True
    forgiven = np.zeros(len(match), bool)
    forgiven[pairs.found[crowd & same]] = True
    counted = (match >= 0) | ~forgiven
    missed = true.label[~taken]
    matrix = np.zeros((classes + 1, classes + 1), np.int64)
    labels = np.append(true.label, classes)  # of box -1
    np.add.at(matrix, (labels[match[counted]], found.label[counted]), 1)
    np.add.at(matrix, (missed, np.full(len(missed), classes)), 1)
    return matrix


class Errors(NamedTuple):
    """What each detection is, and which boxes were missed."""

    kind: Array  # (N, M) its place in KINDS; -1 where a detection does not count
    box: Array  # (N, M) the row of the target that it is right or wrong about; -1 where none
    missed: Array  # (N, T) whether the target was missed, and no error explains it

    @property
    def counts(self) -> dict[str, int]:
        """How many there are of each kind."""
        found = np.bincount(self.kind[self.kind >= 0], minlength=len(KINDS))
        return dict(zip(KINDS, found.tolist(), strict=True)) | {"missed": int(self.missed.sum())}


def errors(detections: Array, targets: Array, score: float) -> Errors:
    """Say what is wrong with detections from a score on (Bolya et al. 2020, "TIDE", section 2.2).

    A detection that no box or crowd of its class matches at IoU 0.5 is, in this order:

    - localization: its best box of its class has an IoU from 0.1 to 0.5;
    - class: a box of another class has an IoU of at least 0.5;
    - duplicate: a detection with a higher score has its box;
    - both: a box of another class has an IoU from 0.1 to 0.5;
    - background: no box has an IoU of 0.1.

    A box that no detection matches, and of which no class or localization error speaks, is missed.
    """
    found, true = _detected(detections, score), _true(targets)
    match = _matched(found, true, IOUS[:1])[:, 0]
    crowd = np.append(true.value, False)[match]
    pairs = _pairs(found, true, _NEAR, same_class=False)
    same = found.label[pairs.found] == true.label[pairs.true]
    boxes = ~true.value[pairs.true]
    own, own_box = _best(pairs, same & boxes, len(match))
    other, other_box = _best(pairs, ~same & boxes, len(match))
    cases = {
        "correct": match >= 0,
        "localization": (own >= _NEAR) & (own < IOUS[0]),
        "class": other >= IOUS[0],
        "duplicate": own >= IOUS[0],
        "both": other >= _NEAR,
    }
    numbers = [KINDS.index(name) for name in cases]
    kind = np.select(list(cases.values()), numbers, KINDS.index("background"))
    box = np.select(list(cases.values()), [match, own_box, other_box, own_box, other_box], -1)
    kind[crowd], box[crowd] = -1, -1
    explained = true.value.copy()
    explained[
        box[np.isin(kind, [KINDS.index(x) for x in ("correct", "localization", "class")])]
    ] = 1
    result = Errors(
        np.full(detections.shape[:2], -1),
        np.full(detections.shape[:2], -1),
        np.zeros(targets.shape[:2], bool),
    )
    result.kind[found.image, found.row] = kind
    result.box[found.image, found.row] = np.append(true.row, -1)[box]
    result.missed[true.image, true.row] = ~explained
    return result


def _best(pairs: _Pairs, chosen: Array, number: int) -> tuple[Array, Array]:
    """Return of each detection the largest IoU among chosen pairs, 0 if none, and its box, -1."""
    order = np.flatnonzero(chosen)
    order = order[np.argsort(pairs.iou[order], kind="stable")]
    iou, box = np.zeros(number), np.full(number, -1)
    iou[pairs.found[order]] = pairs.iou[order]  # of many, the last stays
    box[pairs.found[order]] = pairs.true[order]
    return iou, box


def gains(detections: Array, targets: Array) -> dict[str, float]:
    """Return by how much mAP50 would rise if all errors of a kind were mended (TIDE, section 2.3).

    A class or localization error becomes right, unless its box is found already or by a surer
    error; a duplicate, background, or both wrong, is taken away; a missed box is not asked for.
    All detections count, whatever their score.
    """
    known = errors(detections, targets, -np.inf)
    before = MAP50.compute(statistics(detections, targets))
    return {
        name: MAP50.compute(statistics(*_mended(detections, targets, known, name))) - before
        for name in KINDS[1:]
    }


def _mended(detections: Array, targets: Array, known: Errors, name: str) -> tuple[Array, Array]:
    """Return detections and targets in which the errors of a kind are mended."""
    detections, targets = detections.copy(), targets.copy()
    targets[known.missed & (name == "missed"), 4] = -1
    image, row = np.nonzero(known.kind == KINDS.index(name))
    order = np.argsort(-detections[image, row, 4], kind="stable")
    image, row = image[order], row[order]
    box = known.box[image, row]
    detections[image, row, 5] = -1
    if name in ("class", "localization"):
        right = np.nonzero(known.kind == KINDS.index("correct"))
        taken = np.zeros(targets.shape[:2], bool)
        taken[right[0], known.box[right]] = True
        _, first = np.unique(image * targets.shape[1] + box, return_index=True)
        first = first[~taken[image[first], box[first]]]
        image, row, box = image[first], row[first], box[first]
        detections[image, row, :4] = targets[image, box, :4]
        detections[image, row, BOX:] = np.arange(detections.shape[2] - BOX) == box[:, None]
        detections[image, row, 5] = targets[image, box, 4]
    return detections, targets


def figures(detections: Array, targets: Array, classes: int, score: float) -> dict[str, Any]:
    """Return the figures of a split for metrics.json, at a score threshold.

    Beside those of `coco`, with 95 % intervals of `map50_95` and `map50` from a bootstrap of the
    images: `score_threshold`, and `precision`, `recall` and `f1` of detections from it on, at IoU
    0.5, means over the classes that have boxes. Of masks also `mask_map50_95` and `mask_map50` with
    intervals; then the last three are of masks too.
    """
    shown = by_score(detections, targets, classes, np.array([score]))
    boxes = detections[..., :BOX]
    of_masks = {}
    if detections.shape[2] > BOX:
        of_masks = MASKS.measure(detections, targets) | MASKS50.measure(detections, targets)
    return {
        **coco(boxes, targets, classes),
        **HEADLINE.measure(boxes, targets),
        **MAP50.measure(boxes, targets),
        **of_masks,
        "precision": float(shown.precision[0]),
        "recall": float(shown.recall[0]),
        "f1": float(shown.f1[0]),
        "score_threshold": score,
    }
