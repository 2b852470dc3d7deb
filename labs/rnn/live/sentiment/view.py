"""A trained classifier of texts as a page: what it needs of a run."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any, cast

import torch
from torch import Tensor

from common.errors import RunError
from common.live import program
from common.live.page import write_page
from common.live.program import INPUT
from labs.rnn.live.layers import Program
from labs.rnn.live.texts import count_scripts, describe_words, pack_gaps
from labs.rnn.sentiment.data import Split
from labs.rnn.sentiment.job import Sentiment
from labs.rnn.sentiment.models import BAG_SCALE, Classifier, Member, NGramBag, OneHot
from labs.rnn.sentiment.ratings.job import Ratings
from labs.rnn.sentiment.ratings.models import Cumulative
from labs.rnn.words import PAD

_MOST_WEIGHTS = 12_000_000  # of which a page has 32 MB
_SAMPLES = 12  # test texts in the page
_LONGEST_SAMPLE = 200  # characters
_GRAMS = INPUT - 1  # n-grams are the second input


def write(job: Sentiment, path: Path) -> None:
    """Write the page of a run.

    Args:
        job: with its best weights.
        path: the HTML file.

    Raises:
        RunError: its networks are too large for a page, or the page cannot cut texts as it does.
        SaveError: it cannot be written.
    """
    splits = job.load_splits()
    data = {**describe(job), "samples": choose_samples(splits["test"], job)}
    data["scripts"] = count_scripts(splits["train"].texts)
    subtitle = f"{job.config.title} on {job.card.source}"
    write_page(path, job.run.path.name, subtitle, Path(__file__).parent, data)


def describe(job: Sentiment) -> dict[str, Any]:
    """Return what computes the run's answers: networks, tokens, n-grams, and what answers mean.

    Raises:
        RunError: see `write`.
    """
    model, found = cast(Classifier, job.model.eval().cpu()), Program()
    bags = [each for each in (model.bag, model.ratios) if each is not None]
    kept = keep_rows(bags)
    members = [_add_member(found, cast(Member, each), k) for k, each in enumerate(model.members)]
    parts = [head for head, _ in members]
    parts += [_add_bag(found, bag, k, kept) for k, bag in enumerate(bags)]
    if not job.config.numeric:
        parts = [found.add("log_softmax", found.steps[part].name, [part]) for part in parts]
    shares = _shares(model, len(members), len(bags))
    found.add("weighted_sum", "answer", parts, {"shares": shares})
    count = sum(weight.numel() for step in found.steps for weight in step.weights.values())
    if count > _MOST_WEIGHTS:
        raise RunError(
            f"{job.run.path}: {job.config.title} has {count:,} weights, and a page holds "
            f"{_MOST_WEIGHTS:,} at most; train with --members 1, --max-words 20000, or a smaller "
            "--embedding-size"
        )
    return {
        "program": program.dump(found.steps),
        "words": describe_words(job.words),
        "rows": pack_gaps(kept.tolist()),
        "longest": job.config.max_length,
        "networks": [layers for _, layers in members],
        "parts": parts,
        "shares": shares,
        **_describe_answer(job),
    }


def keep_rows(bags: Sequence[NGramBag]) -> Tensor:
    """Return the n-grams, rising, that do not count as those do that no text had."""
    if not bags:
        return torch.zeros(0, dtype=torch.int64)
    seen = torch.zeros(len(bags[0].counts), dtype=torch.bool)
    for bag in bags:
        seen |= (bag.bag.weight != 0).any(1) | (bag.counts != _unseen_count(bag))
    seen[PAD] = False
    return seen.nonzero()[:, 0]


def choose_samples(test: Split, job: Sentiment) -> list[dict[str, str]]:
    """Return short test texts, of each class or rating in turn, each with the truth."""
    short = [row for row, text in enumerate(test.texts) if 0 < len(text) <= _LONGEST_SAMPLE]
    by_truth: dict[float, list[int]] = {}
    for row in short:
        by_truth.setdefault(float(test.targets[row]), []).append(row)
    turns = [
        rows[turn]
        for turn in range(_SAMPLES)
        for _, rows in sorted(by_truth.items())
        if turn < len(rows)
    ]
    return [
        {"text": test.texts[row], "truth": _name(float(test.targets[row]), job)}
        for row in turns[:_SAMPLES]
    ]


def _name(target: float, job: Sentiment) -> str:
    return f"{target:g}" if job.config.numeric else job.card.classes[int(target)]


def _describe_answer(job: Sentiment) -> dict[str, Any]:
    """Return what the outputs mean: classes, levels of ratings, or a standardized rating."""
    if not isinstance(job, Ratings):
        return {"kind": "classes", "classes": list(job.card.classes)}
    card = job.card
    scale = {"mean": card.mean, "std": card.std, "low": card.low, "high": card.high}
    kind = "levels" if job.scale.levels else "number"
    return {"kind": kind, "classes": [f"{x:g}" for x in job.scale.levels], "scale": scale}


def _shares(model: Classifier, members: int, bags: int) -> list[float]:
    """Return how much each part counts in the answer; see `Classifier.mix`."""
    of_bags = float(model.share) if members and bags else float(bool(bags))
    of_each = [(1 - of_bags) / max(1, members)] * members
    return of_each + [of_bags / max(1, bags)] * bags


def _add_member(found: Program, member: Member, number: int) -> tuple[int, list[list[int]]]:
    """Add a network; returns the steps of its outputs and of each direction of its layers."""
    name = f"members.{number}"
    embedding: Any = member.embedding
    if isinstance(embedding, OneHot):
        attributes = {"size": embedding.words, "padding": PAD}
        vectors = found.add("one_hot", f"{name}.embedding", [INPUT], attributes)
    else:
        vectors = found.add("embedding", f"{name}.embedding", [INPUT], weight=embedding.weight)
    states, layers = found.add_recurrent(member.recurrent, f"{name}.recurrent", vectors)
    pooled = found.add_pool(member.pool, f"{name}.pool", states)
    head: Any = member.head
    if not isinstance(head, Cumulative):
        return found.add_linear(head, f"{name}.head", pooled), layers
    weight = head.score.weight.expand(len(head.bias), -1)  # one score for all levels
    return found.add("linear", f"{name}.head", [pooled], weight=weight, bias=head.bias), layers


def _add_bag(found: Program, bag: NGramBag, number: int, kept: Tensor) -> int:
    """Add n-grams; their first column stands for all that no text had.

    Of two classes the one gets what the other loses, so that the weights of one are enough.
    """
    weight = BAG_SCALE * bag.bag.weight[kept].T
    weight = torch.cat([torch.zeros_like(weight[:, :1]), weight], 1)
    counts = torch.cat([_unseen_count(bag)[None], bag.counts[kept]])[None]  # many: a matrix
    name, mirrored = ("bag", "ratios")[number], len(weight) == 2 and weight[0].equal(-weight[1])
    scaled = found.add(
        "embedding_bag",
        name,
        [_GRAMS],
        {"mode": "scaled"},
        weight=weight[:1] if mirrored else weight,
        counts=counts,
        bias=None if mirrored else bag.bias,
    )
    if not mirrored:
        return scaled
    signs = torch.tensor([[1.0], [-1.0]])
    return found.add("linear", name, [scaled], weight=signs, bias=bag.bias)


def _unseen_count(bag: NGramBag) -> Tensor:
    """Return how much an n-gram counts that no text had: as most do."""
    return bag.counts.mode().values
