"""What the report says of a localizer: class and box, and what one has to do with the other."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from common.metrics import metrics as statistics
from common.metrics.metrics import Array
from common.report.html import PictureSaver, Section, Table
from common.runs import sections as common_sections
from labs.detection.data.load import BoxSet
from labs.detection.localizer import metrics, plots
from labs.detection.localizer.metrics import Judged

if TYPE_CHECKING:
    from common.runs.job import Outputs
    from labs.detection.localizer.job import Localizer

_SHOWN = 12  # images in a picture


def sections(
    job: "Localizer",
    outputs: "Outputs",
    splits: Mapping[str, BoxSet],
    figures: Mapping[str, Any],
    save_picture: PictureSaver,
) -> list[Section]:
    """Return what the report says of the test split, of which the outputs are, and of the data."""
    return [*says(job, outputs, splits["test"], save_picture), _data(job)]


def says(
    job: "Localizer", outputs: "Outputs", images: BoxSet, save_picture: PictureSaver
) -> list[Section]:
    """Return what is said of the images of a split, and where it is wrong."""
    found, true = job.decide(outputs), job.targets(images)
    judged = metrics.judge(found, true)
    classes = job.card.classes

    def draw(rows: Array) -> Any:
        said = [
            plots.Said(
                images.image(row).numpy(),
                found[row, 0],
                true[row, 0],
                bool(judged.right[row]),
                float(judged.iou[row]),
            )
            for row in rows.tolist()
        ]
        return plots.pictures(said, classes)

    some = np.unique(np.linspace(0, len(images) - 1, _SHOWN).astype(int))
    shown = save_picture("said", "Images of the split, evenly drawn.", draw(some))
    text = (
        "One class and one box of each image, whatever is in it. The number behind the class is "
        "its probability."
    )
    if len(classes) == 1:  # which is never wrong
        said = Section("What it says", text, pictures=(shown,))
        return [said, _worst(judged, found, draw, save_picture)]
    return [
        Section("What it says", text, pictures=(shown,)),
        _when_wrong(judged, save_picture),
        _worst(judged, found, draw, save_picture),
        *common_sections.classes(
            classes,
            found[:, 0, 5].astype(np.int64),
            true[:, 0, 4].astype(np.int64),
            save_picture,
        ),
    ]


def _when_wrong(judged: Judged, save_picture: PictureSaver) -> Section:
    """Say how good boxes are where the class is right, and where it is wrong."""
    compared = metrics.compare_classes(judged)
    rows = []
    for name, chosen, mean, interval in (
        ("right", judged.right, compared.right, compared.right_interval),
        ("wrong", ~judged.right, compared.wrong, compared.wrong_interval),
    ):
        good = int((judged.iou[chosen] >= metrics.OVERLAP).sum())
        share = f"{good / chosen.sum():.3f}" if chosen.any() else "-"
        rows.append([name, f"{chosen.sum():,}", _number(mean), _interval(interval), share])
    table = Table(["class", "images", "mean IoU", "95 % interval", "boxes with IoU ≥ 0.5"], rows)
    caption = "The overlap of the box with the true one, by whether the class was right."
    picture = save_picture("overlaps", caption, plots.overlaps(judged))
    return Section(
        "What the box head learns when the class is wrong", _lesson(compared), table, (picture,)
    )


def _lesson(compared: metrics.ByClass) -> str:
    """Say what the two heads have to do with each other."""
    text = (
        "The loss of the box counts in every image, whether the class is right or not: the box "
        "head learns where something is, not what. "
    )
    if not statistics.is_known(compared.difference_interval):
        return text + "Too few images of one kind are there to compare boxes by it."
    low, high = compared.difference_interval
    text += (
        f"Where the class is right, the mean IoU is {compared.right:.3f}, where it is wrong "
        f"{compared.wrong:.3f}: a difference of {compared.difference:+.3f} (95 % interval "
        f"{low:+.3f} to {high:+.3f}). "
    )
    if low > 0:
        return text + (
            "So what is hard to name is also hard to place, since both heads read the same "
            "features: where the map of the trunk misses the object, both are wrong."
        )
    if high < 0:
        return text + "So what it cannot name it places even better."
    return text + "The interval holds 0: its boxes are no worse where it has the name wrong."


def _worst(judged: Judged, found: Array, draw: Any, save_picture: PictureSaver) -> Section:
    """Show the surest wrong classes, and the boxes that overlap least."""
    score = found[:, 0, 4]
    wrong = np.flatnonzero(~judged.right)
    wrong = wrong[np.argsort(-score[wrong], kind="stable")][:_SHOWN]
    loose = np.argsort(judged.iou, kind="stable")[: _SHOWN // 2]
    pictures = [save_picture("loose", "The boxes with the least overlap.", draw(loose))]
    if len(wrong):
        caption = "Wrong classes of which it was surest; the true one stands before the arrow."
        pictures.insert(0, save_picture("wrong", caption, draw(wrong)))
    return Section("Where it is wrong", pictures=pictures)


def _data(job: "Localizer") -> Section:
    card = job.card
    text = (
        f"Each image has one object of {len(card.classes)} "
        f"class{'' if len(card.classes) == 1 else 'es'}; the network sees squares of "
        f"{card.image_size}x{card.image_size} pixels."
    )
    if job.config.data == "scenes":
        text += (
            " The scenes are composites, not photos: one real handwritten digit pasted onto noise "
            "or onto a cut-out of a photo. What is measured here says little about photos."
        )
    return common_sections.data(job, text)


def _number(value: float) -> str:
    return "-" if np.isnan(value) else f"{value:.3f}"


def _interval(interval: tuple[float, float]) -> str:
    return "{:.3f} to {:.3f}".format(*interval) if statistics.is_known(interval) else "-"
