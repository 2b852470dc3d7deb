"""Any number of labels an image: what the report shows of them.

Each label is judged by itself: a network gives it a probability, and it is said from a threshold on
that was chosen on the validation split. An image has no single class, so there is no confusion
matrix, and no calibration of one.
"""

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
from matplotlib.figure import Figure

from common.images.sets import ImageSet
from common.metrics.metrics import Array
from common.report import plots
from common.report.html import PictureSaver, Section, Table
from common.report.plots import Bar
from labs.classification.plots import picture

_DRAWN = 40  # labels in a picture
_MISTAKES = 24
_NAME = 18  # letters of a label in a caption


def records(
    names: Sequence[str], probabilities: Array, said: Array, targets: Array, thresholds: Array
) -> list[dict[str, Any]]:
    """Return the figures of each label, that of the most images first; NaN for undefined ones.

    Args:
        names: of the labels.
        probabilities: (N, C).
        said: which labels are said, (N, C).
        targets: which are true, (N, C).
        thresholds: (C,).
    """
    from sklearn.metrics import average_precision_score

    found = []
    for label in np.argsort(-targets.sum(0), kind="stable"):
        true, mine = targets[:, label], said[:, label]
        hits = int((true & mine).sum())
        known = {"precision": mine.sum(), "recall": true.sum(), "F1": (mine.sum() + true.sum()) / 2}
        average = average_precision_score(true, probabilities[:, label]) if true.any() else np.nan
        found.append(
            {
                "label": names[label],
                "images": int(true.sum()),
                "said": int(mine.sum()),
                "threshold": float(thresholds[label]),
                **{name: hits / whole if whole else np.nan for name, whole in known.items()},
                "average precision": float(average),
            }
        )
    return found


def sections(
    names: Sequence[str],
    probabilities: Array,
    test: ImageSet,
    thresholds: Array,
    save_picture: PictureSaver,
) -> Iterator[Section]:
    """Show each label, and the most confident mistakes; see `records`."""
    targets, said = test.targets.numpy() > 0, probabilities >= thresholds
    found = records(names, probabilities, said, targets, thresholds)
    shown = [each for each in found if each["F1"] == each["F1"]][:_DRAWN]
    bars = plots.bars([Bar(each["label"], each["F1"]) for each in shown], "F1", marked=-1)
    yield Section(
        "Each label",
        "A label is said from its threshold on, which was chosen on the validation split. An image "
        "has no single class: there is no confusion matrix, and no calibration of one.",
        Table.of(found),
        (save_picture("labels", "F1 of each label, test split.", bars),),
    )
    wrong = said != targets
    grid = _draw_mistakes(names, probabilities, wrong, test, thresholds)
    yield Section(
        "Most confident mistakes",
        f"{int(wrong.any(1).sum()):,} of {len(test):,} test images lack a label that is true, or "
        "have one that is not.",
        pictures=(save_picture("mistakes", "Labels furthest from their thresholds.", grid),),
    )


def _draw_mistakes(
    names: Sequence[str], probabilities: Array, wrong: Array, test: ImageSet, thresholds: Array
) -> Figure:
    distance = np.where(wrong, np.abs(probabilities - thresholds), 0)
    order = np.argsort(-distance, axis=None, kind="stable")[: min(_MISTAKES, int(wrong.sum()))]
    if not len(order):
        return plots.message(f"No mistakes in {len(test):,} images.")
    pairs = list(zip(*np.unravel_index(order, wrong.shape), strict=True))
    captions = [
        f"{'not ' if test.targets[row, label] == 0 else ''}{plots.short(names[label], _NAME)} "
        f"({probabilities[row, label]:.2f})"
        for row, label in pairs
    ]
    images = np.stack([picture(test.images[int(row)]) for row, _ in pairs])
    return plots.image_grid(images, captions, title="What is true, and its probability")
