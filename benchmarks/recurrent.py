"""Training a bidirectional LSTM on texts of unequal length: ours, packed, and padded.

    python benchmarks/recurrent.py

The lengths are drawn like those of IMDB's reviews (log-normal, median 174 tokens, one in ten above
440), cut at 512; the model is a bidirectional LSTM of 128 units over 128 numbers a token, with the
mean of the states classified. The sides, which train on the same texts:

- ours: `Batches`, bucketed by length, and `Recurrent`, whose second direction reads each sequence
  reversed within its own length;
- packed: batches of random texts, `pack_padded_sequence` and `nn.LSTM(bidirectional=True)`, which
  is exact as ours is;
- padded: the same batches padded to their longest, `nn.LSTM(bidirectional=True)`, where the second
  direction reads the padding first, so answers depend on it.

A step is forward, loss, backward and AdamW. The sides take turns, a few updates each, within one
process; the figure is tokens (without padding) per second of CPU time, the median over the rounds.
"""

import itertools
import statistics
import sys
import time
from collections.abc import Callable, Iterator

import torch
from machine import describe
from torch import Tensor, nn
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence

from common.training.batches import Batches, spans
from common.training.sequences import Padded, Ragged
from labs.rnn.recurrent import Recurrent, inside

BATCH, SIZE, UNITS, WORDS, CAP = 64, 128, 128, 20_000, 512
TEXTS, ROUNDS, UPDATES = 6400, 5, 4


class Classifier(nn.Module):
    """Embeds, runs the recurrent layer, and classifies the mean of the states."""

    def __init__(self, states: Callable[[nn.Module, Tensor, Tensor], Tensor], layer: nn.Module):
        super().__init__()
        self.embedding = nn.Embedding(WORDS, SIZE, padding_idx=0, sparse=True)
        self.layer, self.states = layer, states
        self.head = nn.Linear(2 * UNITS, 2)

    def forward(self, tokens: Padded) -> Tensor:
        states = self.states(self.layer, self.embedding(tokens.values), tokens.lengths)
        real = inside(tokens.lengths, states.shape[1])[..., None]
        return self.head((states * real).sum(1) / tokens.lengths[:, None])


def ours(layer: nn.Module, x: Tensor, lengths: Tensor) -> Tensor:
    return layer(x, lengths, need_cell=False)[0]


def padded(layer: nn.Module, x: Tensor, lengths: Tensor) -> Tensor:
    return layer(x)[0]


def packed(layer: nn.Module, x: Tensor, lengths: Tensor) -> Tensor:
    sequence = pack_padded_sequence(x, lengths, batch_first=True, enforce_sorted=False)
    return pad_packed_sequence(layer(sequence)[0], batch_first=True)[0]


def bucketed(texts: Ragged, labels: Tensor) -> Iterator[tuple[Padded, Tensor]]:
    batches = Batches((texts, labels), BATCH, training=True)
    for epoch in itertools.count():
        yield from (batch for [batch] in batches.updates(epoch))


def random_batches(texts: Ragged, labels: Tensor) -> Iterator[tuple[Padded, Tensor]]:
    generator = torch.Generator().manual_seed(0)
    while True:
        order = torch.randperm(len(texts), generator=generator)
        for low, high in spans(len(texts), BATCH):
            rows = order[low:high]
            values = nn.utils.rnn.pad_sequence([texts[row] for row in rows.tolist()], True)
            yield Padded(values, texts.lengths[rows]), labels[rows]


def main() -> None:
    """Measure and print the table."""
    torch.set_num_threads(int(sys.argv[1]) if len(sys.argv) > 1 else 1)
    print(describe(), flush=True)
    generator = torch.Generator().manual_seed(0)
    lengths = torch.randn(TEXTS, generator=generator).mul(0.72).add(5.16).exp()
    sizes = lengths.long().clamp(10, CAP).tolist()
    texts = Ragged.of([torch.randint(1, WORDS, (size,), generator=generator) for size in sizes])
    labels = torch.randint(0, 2, (TEXTS,), generator=generator)

    def lstm() -> nn.Module:
        return nn.LSTM(SIZE, UNITS, batch_first=True, bidirectional=True)

    sides = {
        "ours": (Classifier(ours, Recurrent("lstm", SIZE, UNITS, bidirectional=True)), bucketed),
        "packed": (Classifier(packed, lstm()), random_batches),
        "padded": (Classifier(padded, lstm()), random_batches),
    }
    measures = {name: side(model, feed(texts, labels)) for name, (model, feed) in sides.items()}
    for measure in measures.values():
        measure(2)
    rounds = [{name: measure(UPDATES) for name, measure in measures.items()} for _ in range(ROUNDS)]
    print(f"\nmedians of {ROUNDS} rounds of {UPDATES} updates of {BATCH} texts\n")
    print(f"{'side':<10}{'tokens/s':>10}{'padding':>10}{'ours is':>10}")
    speeds = {name: statistics.median(row[name][0] for row in rounds) for name in sides}
    for name, speed in speeds.items():
        waste = statistics.mean(row[name][1] for row in rounds)
        print(f"{name:<10}{speed:>10,.0f}{waste:>10.1%}{speeds['ours'] / speed:>9.2f}x")


def side(
    model: nn.Module, batches: Iterator[tuple[Padded, Tensor]]
) -> Callable[[int], tuple[float, float]]:
    """Return a function that trains some updates: tokens per second, and the share of padding."""
    dense = [p for name, p in model.named_parameters() if not name.startswith("embedding")]
    optimizer = torch.optim.AdamW(dense)  # the table of words would cost all sides the same

    def measure(updates: int) -> tuple[float, float]:
        start, tokens, places = time.process_time(), 0, 0
        for inputs, targets in itertools.islice(batches, updates):
            optimizer.zero_grad()
            nn.functional.cross_entropy(model(inputs), targets).backward()
            optimizer.step()
            tokens += int(inputs.lengths.sum())
            places += inputs.values.numel()
            model.embedding.weight.grad = None
        return tokens / (time.process_time() - start), 1 - tokens / places

    return measure


if __name__ == "__main__":
    main()
