"""A run of `sentiment` as an ONNX file."""

import copy
from typing import Any, ClassVar, cast

import torch.nn.functional as F
from torch import Tensor, nn

from common.export.exporter import SAMPLES, Exporter, known_config
from common.export.formats import Graph, Inputs
from common.training.sequences import Padded, Ragged
from labs.rnn.sentiment.data import Split
from labs.rnn.sentiment.job import Sentiment
from labs.rnn.sentiment.models import Classifier, NGramBag, Text
from labs.rnn.words import PAD, Words

BATCH = {0: "batch"}


class _SumOfRows(nn.Module):
    """Do what an `nn.EmbeddingBag` does that sums: ONNX has none that leaves out the padding."""

    def __init__(self, weight: Tensor):
        super().__init__()
        self.weight = nn.Parameter(weight.detach().clone(), requires_grad=False)
        self.weight[PAD] = 0

    def forward(self, values: Tensor) -> Tensor:
        """Return the sums (B, C) of the rows of values (B, N)."""
        return F.embedding(values, self.weight).sum(1)


class Network(nn.Module):
    """A classifier of texts, up to the probabilities of the classes."""

    def __init__(self, job: Sentiment):
        super().__init__()
        model = cast(Classifier, copy.deepcopy(job.model))
        bags: list[Any] = [bag for bag in (model.bag, model.ratios) if bag is not None]
        for bag in bags:
            bag.bag = _SumOfRows(bag.bag.weight)
        self.model, self.reads_words, self.reads_grams = model, bool(len(model.members)), bool(bags)

    def forward(self, *inputs: Tensor) -> Any:
        """Return what `finish` does of words (B, T) and lengths (B,), n-grams (B, G), or both."""
        words, grams = inputs[:2], inputs[-1]  # what a part does not read, no part looks at
        return self.finish(Text(Padded(words[0], words[-1]), Padded(grams, words[-1])))

    def finish(self, text: Text) -> Any:
        """Return probabilities (B, C) of texts."""
        return self.model.answer(self.model(text)).double().softmax(-1)


class TextExporter(Exporter[Sentiment]):
    """Classifiers of texts."""

    network: ClassVar[type[Network]] = Network
    limits = (
        "It reads words that it has learned; what a text means beyond them, such as irony, it does "
        "not know. `unknown` says which share of a text it cannot read.",
    )

    def graphs(self, test: Split) -> list[Graph]:
        """Return the network, with the first texts of the test split."""
        network = self.network(self.job).eval()
        rows = range(min(SAMPLES, len(test)))
        inputs = {
            "tokens": "int64 (batch, T): numbers in the vocabulary, 0 where a text has ended; T is "
            "at least 1",
            "lengths": "int64 (batch,): how many of them a text has",
        }
        grams = {
            "grams": "int64 (batch, G): hashed numbers of words, pairs of words and character "
            "n-grams, 0 where there are no more; G is at least 1"
        }
        named = {
            **(inputs if network.reads_words else {}),
            **(grams if network.reads_grams else {}),
        }
        axes = {"tokens": {**BATCH, 1: "T"}, "lengths": BATCH, "grams": {**BATCH, 1: "G"}}
        outputs = self.outputs()
        return [
            Graph(
                network,
                named,
                outputs,
                self._inputs(network, test, rows),
                [self._inputs(network, test, [row]) for row in rows],
                {**{name: axes[name] for name in named}, **dict.fromkeys(outputs, BATCH)},
            )
        ]

    def outputs(self) -> dict[str, str]:
        """Return what the file says."""
        classes = len(self.job.card.classes)
        return {"probabilities": f"float64 (batch, {classes}): their sum is 1"}

    def _inputs(self, network: Network, test: Split, rows: Any) -> Inputs:
        """Return the inputs of texts, padded to the longest of them."""
        words, grams = (_padded(each, rows) for each in (test.encoded, test.grams))
        read = words if network.reads_words else ()
        return (*read, grams.values) if network.reads_grams else tuple(read)

    def about(self) -> dict[str, Any]:
        """Return how texts become numbers, and what the classes are."""
        job = self.job
        model = cast(Classifier, job.model)
        return {
            "classes": list(job.card.classes),
            "words": known_words(job.words),
            "max_length": job.config.max_length,
            "reads": [
                *(["tokens", "lengths"] if len(model.members) else []),
                *(["grams"] if isinstance(model.bag, NGramBag) else []),
            ],
            "config": known_config(job.config),
        }


def known_words(words: Words) -> dict[str, Any]:
    """Return a vocabulary for JSON, with a tokenizer that needs no torch."""
    values = words.as_dict()
    if values["tokenizer"] == "torchtext":  # whose package needs it; the tokens are the same
        values["tokenizer"] = "basic_english"
    return values


def _padded(sequences: Ragged, rows: Any) -> Padded:
    return Padded.of([sequences[row].long() for row in rows])
