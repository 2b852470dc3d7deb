"""What the report says of pictures and captions."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from common.metrics.metrics import Array
from common.report.html import PictureSaver, Section, Table
from common.runs import sections as common_sections
from labs.classification.contrastive import plots
from labs.classification.contrastive.data import Pairs
from labs.classification.contrastive.questions import ATTRIBUTES, FOILS, RELATION, WORD

if TYPE_CHECKING:
    from labs.classification.contrastive.job import ContrastScenes

_SHOWN = 10  # pairs of the matrix
_ASKED = 10  # captions whose images are drawn, half of them of groups that were never trained on
_NEAREST = 6
_CHANCE = {
    **{name: 1 / values for name, (_, values) in ATTRIBUTES.items()},
    RELATION: 1 / 4,
    WORD: 1 / 2,
}
_WAYS = {"image_to_text": "the caption of an image", "text_to_image": "the image of a caption"}


def sections(
    job: "ContrastScenes",
    scores: Array,
    test: Pairs,
    figures: Mapping[str, Any],
    save_picture: PictureSaver,
) -> list[Section]:
    """Return what the report says of a run; scores are (N, N) of the test split."""
    images = np.moveaxis(test.images.numpy(), 1, -1)
    return [
        _recall(figures["test"]),
        _matrix(scores, images, test, save_picture),
        _found(scores, images, test, save_picture),
        *(_questions if job.config.drawn else _words)(figures, save_picture),
        _temperature(figures, job.config.temperature),
        common_sections.data(job, _splits() if job.config.drawn else _own_splits()),
    ]


def _recall(test: Mapping[str, Any]) -> Section:
    rows = []
    for way, told in _WAYS.items():
        names = {f"{way}_recall_at_{k}": f"among the first {k}" for k in (1, 5, 10)}
        if f"{way}_recall_at_1_seen" in test:
            names |= {
                f"{way}_recall_at_1_seen": "first, groups that were trained on",
                f"{way}_recall_at_1_unseen": "first, a group that was never trained on",
            }
        rows += [[told, what, *_cells(test, name)] for name, what in names.items()]
    text = f"All are looked for among the {test['candidates']:,} of the test split."
    return Section("Retrieval", text, Table(["looked for", "", "recall", "95 % interval"], rows))


def _cells(found: Mapping[str, Any], name: str) -> list[str]:
    low, high = found[f"{name}_interval"]
    return [f"{found[name]:.4f}", f"{low:.4f} to {high:.4f}"]


def _matrix(scores: Array, images: Array, test: Pairs, save_picture: PictureSaver) -> Section:
    rows = np.linspace(0, len(test) - 1, min(_SHOWN, len(test))).astype(int)
    captions = [test.captions[row] for row in rows]
    figure = plots.matrix(scores[np.ix_(rows, rows)], images[rows], captions)
    text = (
        f"The cosine of {len(rows)} captions (rows) with their pictures (columns). The largest of "
        "a column has a frame, orange where it is wrong; on the diagonal are those that belong "
        "together."
    )
    if test.scenes:
        text += " The last five have a group that was never trained on."
    return Section("Similarities", text, pictures=(save_picture("similarities", "", figure),))


def _found(scores: Array, images: Array, test: Pairs, save_picture: PictureSaver) -> Section:
    wrong = np.flatnonzero(scores.argmax(0) != np.arange(len(test)))
    right = np.flatnonzero(scores.argmax(0) == np.arange(len(test)))
    asked = np.concatenate([_spread(right, _ASKED // 2), _spread(wrong, _ASKED // 2)])
    nearest = np.argsort(-scores[:, asked], 0, kind="stable")[:_NEAREST].T
    captions = [test.captions[row] for row in asked]
    figure = plots.found(images, captions, nearest, asked.tolist())
    text = (
        "The six nearest pictures of captions, the nearest first. The caption's own has a blue "
        f"frame. Of the {len(test):,} captions {len(wrong):,} have another one first; some of "
        "those are in orange."
    )
    return Section("What is found", text, pictures=(save_picture("found", "", figure),))


def _spread(rows: Array, count: int) -> Array:
    return np.asarray(rows[np.linspace(0, len(rows) - 1, min(count, len(rows))).astype(int)])


def _questions(figures: Mapping[str, Any], save_picture: PictureSaver) -> list[Section]:
    prompts = (
        "Without having been trained to classify: of single groups the nearest prompt of each "
        "color, shape and count, each the mean of all captions that have it; of two groups the "
        "nearest of four captions that differ in the relation."
    )
    foils = (
        "The true caption of a test picture beside one that differs in one thing. Order and "
        "binding are hard for who only knows which words there are: both captions have the same."
    )
    told = {name: f"{name}: {what}" for name, what in FOILS.items()}
    return [
        _question("Prompts", prompts, figures["zero_shot"], _CHANCE, {}, save_picture),
        _question(
            "Captions that lie", foils, figures["foils"], dict.fromkeys(FOILS, 0.5), told,
            save_picture,
        ),
    ]  # fmt: skip


def _words(figures: Mapping[str, Any], save_picture: PictureSaver) -> list[Section]:
    if "zero_shot" not in figures:
        return []
    text = (
        "Without having been trained to classify: of two words, the one that the caption of a test "
        "image has, and one that it lacks, which is nearer to the image? Images are asked in "
        "pairs, each with the two words in turn, so that who sees no image is right in half of the "
        "cases. Words in fewer than 1 % of the captions, or more than half, are not asked for."
    )
    return [_question("Prompts", text, figures["zero_shot"], _CHANCE, {}, save_picture)]


def _question(
    title: str,
    text: str,
    found: Mapping[str, Any],
    chance: Mapping[str, float],
    told: Mapping[str, str],
    save_picture: PictureSaver,
) -> Section:
    rows, drawn = [], []
    for name, each in found.items():
        for who, mine in each.items():
            parts = [mine.get(f"accuracy_{kind}") for kind in ("seen", "unseen")]
            kinds = [] if None in parts else [f"{part:.4f}" for part in parts]
            cells = [f"{mine['samples']:,}", *_cells(mine, "accuracy"), *kinds]
            rows.append([told.get(name, name), who, f"{chance[name]:.2f}", *cells])
        series = [(who, m["accuracy"], m["accuracy_interval"]) for who, m in each.items()]
        drawn.append((name, series, chance[name]))
    columns = ["", "", "chance", "pictures", "right", "95 % interval", "seen", "never seen"]
    columns = columns[: len(rows[0])]
    picture = save_picture(
        title.lower().replace(" ", "_"), "", plots.shares(drawn, "share that is right")
    )
    return Section(title, text, Table(columns, rows), (picture,))


def _temperature(figures: Mapping[str, Any], begun: float) -> Section:
    text = (
        f"Similarities are divided by a temperature before the softmax. It began at {begun:g} and "
        f"was learned: {figures['temperature']:.4f}. The smaller it is, the more the nearest "
        "captions count in the loss."
    )
    return Section("Temperature", text)


def _splits() -> str:
    return (
        "Of each shape and count one color of five is never trained on, so that 12 of 60 groups "
        "are new in the second half of the test; no scene of validation or test is trained on, "
        "however it is told."
    )


def _own_splits() -> str:
    return (
        "A fifth of the images is for the test, a tenth for validation; copies of an image, and "
        "nearly equal ones, are on one side with it. Training has each caption of an image; of "
        "validation and test each image is asked with one, which no other of the split has."
    )
