"""What a trained run says of a user's texts, and of a competition's."""

from collections.abc import Callable, Mapping, Sequence
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor

from common.errors import DataError, RunError
from common.io.tables import is_table, read_cells, read_names
from common.report.html import Table
from common.submission.answers import Classes, Numbers, Said
from common.submission.kind import Found, RowByRow
from common.submission.sample import Sample
from common.submission.tables import read_test
from common.training import task
from common.training.sequences import Padded
from labs.rnn.columns import guess_texts, join_texts, text_columns
from labs.rnn.memory import microscope
from labs.rnn.said import describe_ratings, describe_texts
from labs.rnn.sentiment import plots
from labs.rnn.sentiment.explain import explain as explained
from labs.rnn.sentiment.job import Sentiment
from labs.rnn.words import UNKNOWN

if TYPE_CHECKING:
    from matplotlib.figure import Figure

_CHUNK = 4096  # texts of a submission that are answered at a time


def predict(
    job: Sentiment, texts: Sequence[str], say: Callable[[str], None]
) -> list[dict[str, Any]]:
    """Classify or rate texts; say of which no word is known.

    An empty text gets the answer of a model that has read nothing.

    Returns:
        For each text a record: text, class, probability, unknown (share of its tokens; of runs that
        answer together, of the one that knows most), and the probability of each class as
        `p(CLASS)`. A rating stands in the place of class and probability; `p(RATING)` is there
        where the run has a distribution.
    """
    unknown = np.min([_shares_unknown(each, texts) for each in job.networks], 0).tolist()
    outputs = job.answers(texts)
    empty = [not len(row) for row in _rows(job, texts)]
    if job.config.numeric:
        levels = outputs.get("levels")
        shares = None if levels is None else levels.double().numpy()
        numbers, known = outputs["outputs"].double().numpy(), job.card.as_dict()["levels"]
        return describe_ratings(texts, numbers, shares, unknown, empty, known, say)
    shares = task.probabilities(outputs["outputs"])
    return describe_texts(texts, shares, unknown, empty, job.card.classes, say)


def _shares_unknown(job: Any, texts: Sequence[str]) -> list[float]:
    """Return the share of the tokens of each text that a run does not know."""
    rows = _rows(job, texts)
    return [float((row == UNKNOWN).float().mean()) if len(row) else 1.0 for row in rows]


def _rows(job: Any, texts: Sequence[str]) -> list[Tensor]:
    """Return the token numbers of each text."""
    encoded = job.encode(list(texts))
    return [encoded[row] for row in range(len(texts))]


def explain(
    job: Sentiment, text: str, say: Callable[[str], None], method: str
) -> tuple[list[dict[str, Any]], "Figure"]:
    """Return which words moved the answer to a text, as records and a picture; see `explained`."""
    found = explained(job, text, method)
    say(found.said)
    if method == "integrated-gradients" and job.config.n_grams:
        say("that is what the networks say; n-grams, which also count in `predict`, are left out")
    records = [
        {"word": word, "added": score}
        for word, score in zip(found.tokens, found.scores, strict=True)
    ]
    return records, plots.explanation(found)


def gates(job: Sentiment, text: str) -> list[tuple[str, Table, "Figure"]]:
    """Return name, table and picture of what the gates of each direction of each layer did.

    Of several networks side by side, the first is looked into as it reads the text.

    Raises:
        RunError: the run has no recurrent layer.
        DataError: the text has no words.
    """
    model: Any = job.model
    if not model.members:
        raise RunError(f"{job.run.path} is a bag of n-grams; it has no gates to look into")
    tokens, words = job.encode([text])[0], job.words.tokens(text)
    given = Padded(*job.compute.move((tokens.long()[None], torch.tensor([len(tokens)]))))
    member = model.eval().members[0]
    views = microscope.look(member.recurrent, member.embed(given)[0])
    found = []
    for view in views:
        name = f"layer{view.layer + 1}-{'leftward' if view.leftward else 'rightward'}"
        shown = words[: len(tokens)]
        found.append((name, microscope.table(view, shown), microscope.draw(view, shown)))
    return found


class TextSubmission(RowByRow[Sentiment]):
    """Answers for a competition's test texts."""

    def find(self, sample: Sample, test: Path, written: Mapping[str, Any]) -> Found:
        """Return the texts of a table."""
        if not test.is_file() or not is_table(test):
            raise DataError(f"{test}: expected a table of test texts, with a column of ids")
        config = self.jobs[0].config.of_file(test, **written)
        reasons: list[str] = []
        column = config.text_column
        known = {*read_names(test, config.form)}
        if "text_column" not in written and not known >= {*text_columns(column)}:
            name = "text" if column.isdecimal() else column
            column, reasons = guess_texts(test, read_cells(test, config.form), name)
        found = read_test(test, sample, text_columns(column), config.form)
        for line in (*reasons, *found.notes):
            self.say(line)
        texts = {name: join_texts(cells) for name, cells in found.cells.items()}
        if empty := sum(not text for text in texts.values()):
            self.say(f"{empty:,} texts are empty; they get the answer of one who has read nothing")
        wanted = {*sample.ids}
        others = [name for name in (*texts, *found.unreadable) if name not in wanted]
        return Found(texts, found.unreadable, others)

    def answer(
        self, job: Sentiment, samples: Mapping[str, Any], move: Callable[[float], None]
    ) -> tuple[list[str], Tensor]:
        """Return the logits (N, C), or the ratings (N,), of texts."""
        outputs, texts = [], iter(samples.values())
        while some := list(islice(texts, _CHUNK)):
            outputs.append(job.answers(some)["outputs"])
            move(min(1.0, _CHUNK * len(outputs) / len(samples)))
        return list(samples), torch.cat(outputs)

    def interpret(self, job: Sentiment, outputs: Tensor) -> Said:
        """Return the probabilities of classes that logits mean, or ratings."""
        if job.config.numeric:
            return Numbers(outputs.numpy())
        return Classes(tuple(job.card.classes), task.probabilities(outputs))
