"""What a trained run says of a user's texts."""

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import torch

from common.errors import RunError
from common.files import replace_surrogates
from common.report.html import Table
from common.training import task
from common.training.sequences import Padded
from labs.rnn.memory import microscope
from labs.rnn.sentiment import plots
from labs.rnn.sentiment.explain import explain as explained
from labs.rnn.sentiment.job import Sentiment
from labs.rnn.words import UNKNOWN

if TYPE_CHECKING:
    from matplotlib.figure import Figure


def predict(
    job: Sentiment, texts: Sequence[str], say: Callable[[str], None]
) -> list[dict[str, Any]]:
    """Classify texts; say of which no word is known.

    An empty text gets the answer of a model that has read nothing.

    Returns:
        For each text a record: text, class, probability, unknown (share of its tokens), and the
        probability of each class as `p(CLASS)`.
    """
    encoded = job.encode(list(texts))
    every = task.probabilities(job.answers(texts)["outputs"]).tolist()
    records = []
    for row, (text, probabilities) in enumerate(zip(texts, every, strict=True)):
        tokens = encoded[row]
        unknown = float((tokens == UNKNOWN).float().mean()) if len(tokens) else 1.0
        if unknown == 1:
            what = "no known word" if len(tokens) else "no word"
            say(f"text {row + 1} has {what}; do not rely on what is said of it")
        best = max(range(len(probabilities)), key=probabilities.__getitem__)
        records.append(
            {
                "text": replace_surrogates(text),
                "class": job.card.classes[best],
                "probability": probabilities[best],
                "unknown": unknown,
                **{
                    f"p({name})": probability
                    for name, probability in zip(job.card.classes, probabilities, strict=True)
                },
            }
        )
    return records


def explain(
    job: Sentiment, text: str, say: Callable[[str], None], method: str
) -> tuple[list[dict[str, Any]], "Figure"]:
    """Return which words moved the answer to a text, as records and a picture; see `explained`."""
    found = explained(job, text, method)
    say(f"{found.label}, with a probability of {found.probability:.3f}")
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
