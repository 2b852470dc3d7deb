"""What the report says of texts: where the network errs, and what it reads."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
from torch import Tensor

from common.metrics.metrics import Array
from common.report.html import PictureSaver, Section, Table
from common.runs import sections as common_sections
from common.training import task
from labs.rnn.sentiment.data import Split

if TYPE_CHECKING:
    from labs.rnn.sentiment.job import Sentiment

_MISTAKES = 20
_LONGEST = 300  # characters of a text that the report shows


def sections(
    job: "Sentiment",
    outputs: Tensor,
    test: Split,
    figures: Mapping[str, Any],
    save_picture: PictureSaver,
) -> list[Section]:
    """Return what the report says of texts, by their logits (N, C); see `Conclusion.sections`."""
    probabilities, targets = task.probabilities(outputs), test.targets.numpy()
    guesses = probabilities.argmax(1)
    return [
        *common_sections.classes(job.card.classes, guesses, targets, save_picture),
        _mistakes(job, test.texts, probabilities, targets),
        common_sections.calibration(probabilities, targets, save_picture),
        *of_data(job, figures),
    ]


def of_data(job: "Sentiment", figures: Mapping[str, Any]) -> list[Section]:
    """Return what the report says of words, pretrained vectors and the data."""
    return [
        _words(job),
        *_vectors(job, figures),
        common_sections.data(job, _removed(job)),
    ]


def _mistakes(job: "Sentiment", texts: list[str], probabilities: Array, targets: Array) -> Section:
    guesses = probabilities.argmax(1)
    wrong = np.flatnonzero(guesses != targets)
    confidence = probabilities[wrong, guesses[wrong]]
    order = wrong[np.argsort(-confidence, kind="stable")][:_MISTAKES]
    names = job.card.classes
    records = [
        {
            "text": texts[row][:_LONGEST],
            "label": names[targets[row]],
            "network": names[guesses[row]],
            "probability": float(probabilities[row, guesses[row]]),
        }
        for row in order
    ]
    return Section(
        "Most confident mistakes",
        f"{len(wrong):,} of {len(targets):,} test texts are classed wrong. Of these the network "
        "was most certain; some labels are wrong too.",
        Table.of(records) if records else None,
    )


def _words(job: "Sentiment") -> Section:
    card = job.card
    rows = [[name, f"{card.unknown[name]:.2%}", f"{card.cut[name]:,}"] for name in card.counts]
    text = (
        f"Texts are cut into {card.words['tokenizer']} tokens; the vocabulary has "
        f"{len(job.words):,}, made of the training split alone. A word that is not in it is "
        f"unknown. Texts of more than {job.config.max_length} tokens are cut."
    )
    return Section("Words", text, Table(["split", "unknown words", "texts cut"], rows))


def _vectors(job: "Sentiment", figures: Mapping[str, Any]) -> list[Section]:
    if "vectors" not in figures:
        return []
    found = figures["vectors"]
    rows = [
        [name, f"{share['types']:.1%}", f"{share['tokens']:.1%}"]
        for name, share in found["coverage"].items()
    ]
    kept = "kept as they are" if job.config.freeze_vectors else "trained further"
    text = (
        f"Words begin with the vectors of {found['source']}, which are {kept}; those that it lacks "
        f"begin at random. {found['skipped']:,} lines of it could not be used."
    )
    columns = ["split", "of the vocabulary", "of the words in the texts"]
    return [Section("Pretrained vectors", text, Table(columns, rows))]


def _removed(job: "Sentiment") -> str:
    card = job.card
    listed = ", ".join(f"{count:,} {reason}" for reason, count in card.removed.items())
    before = f"Left out before splitting: {listed}. " if listed else ""
    return f"{before}{card.copies:,} test texts are near-equal to one in training."
