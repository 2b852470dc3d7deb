"""The last features of a classifier of texts, or of a rating of them, as a map shows them."""

from typing import Any

from common.errors import RunError
from common.maps import features, points
from common.maps.points import Points, Shown
from common.maps.words import Words
from common.runs.job import Outputs
from common.training.task import probabilities
from labs.rnn.sentiment.data import Split
from labs.rnn.sentiment.job import Sentiment


def read(job: Sentiment, split: Split, most: int) -> Points:
    """Return the last features of at most about so many texts of a split, a share of each class.

    Those of several networks stand side by side.

    Args:
        job: with its best weights.
        split: the texts.
        most: points of the map.

    Raises:
        RunError: the run has no network but n-grams, or is an ensemble.
    """
    model: Any = job.model
    if not len(model.members):
        raise RunError(
            f"{job.run.path} is a bag of n-grams: one linear layer, with no last features to map"
        )
    strata = None if job.config.numeric else split.targets
    some = split.select(points.choose_rows(len(split), most, strata))
    outputs = features.collect(job, some, [member.head for member in model.members])
    vectors = outputs["features"].numpy()
    describe = _numbers if job.config.numeric else _classes
    networks = len(model.members)
    many = f"each of {networks} networks" if networks > 1 else "the network"
    return Points(
        vectors,
        f"the {vectors.shape[1]:,} numbers that the last layer of {many} gets",
        describe(job, some, outputs),
        None if job.config.numeric else some.targets.numpy(),
        texts=[text if text.strip() else "(empty)" for text in some.texts],
        remark=_remark(job),
    )


def _remark(job: Sentiment) -> Words | None:
    """Say what else makes the answers."""
    if not job.mixes:
        return None
    model: Any = job.model
    share = f"{100 * float(model.share):.0f} %"
    return Words(
        f"Answers, and so mistakes, count n-grams, too, by {share}: those are linear and have no "
        "last features.",
        f"답에는 n-그램도 {share}만큼 들어가므로 틀린 점도 그에 따릅니다. n-그램은 선형이라 마지막 "
        "특징이 없습니다.",
    )


def _classes(job: Sentiment, split: Split, outputs: Outputs) -> Shown:
    true, shares = job.targets(split), probabilities(outputs["outputs"])
    return points.describe_classes(job.card.classes, true, job.decide(outputs), shares)


def _numbers(job: Sentiment, split: Split, outputs: Outputs) -> Shown:
    return points.describe_numbers(job.targets(split), job.decide(outputs))
