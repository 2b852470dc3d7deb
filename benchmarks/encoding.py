"""Texts to numbers side by side with torchtext's route, and from the cache.

    python benchmarks/encoding.py

All sides take the 38,158 tweets, in memory as a list of strings, to a vocabulary of the words that
come at least twice and to the number of each token; vocabularies and numbers must be equal.

- torchtext: its `basic_english` tokenizer, a `Counter`, its `Vocab`, and a look-up of each token.
- cold: `words.learn`, which reads and writes no file.
- cold, kept: `words.encode_splits` without a cache: it also names the texts by their hash and
  writes the cache.
- cache: `words.encode_splits` with that cache: it hashes the texts and reads what it has of them.

The sides take turns within each round, so that a slower moment of the machine meets all. Times are
CPU times of this process with one torch thread, which leaves out waiting for the disk; the ratios
are medians of each round's.
"""

import csv
import os
import shutil
import statistics
import sys
import tempfile
import time
import warnings
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import torch
from machine import describe

from labs.rnn import words
from labs.rnn.sentiment.data import tweets_file

with warnings.catch_warnings():
    warnings.simplefilter("ignore")
    from torchtext.data.utils import get_tokenizer
    from torchtext.vocab import Vocab

ROUNDS = 9
MIN_COUNT = 2

Encoded = tuple[list[str], list[int]]


def read_tweets() -> list[str]:
    with tweets_file().open(encoding="latin-1", newline="") as file:
        return [row["text"] for row in csv.DictReader(file)]


def by_torchtext(texts: list[str]) -> Callable[[], Encoded]:
    """Tokenize, count and look up as torchtext's users do."""
    tokenizer = get_tokenizer("basic_english")
    tokens = [tokenizer(text) for text in texts]
    counts: Counter[str] = Counter()
    for text in tokens:
        counts.update(text)
    vocabulary = Vocab(counts, min_freq=MIN_COUNT, specials=list(words.SPECIALS))
    numbers = [[vocabulary.stoi[token] for token in text] for text in tokens]
    return lambda: (vocabulary.itos, [number for text in numbers for number in text])


def cold(texts: list[str]) -> Callable[[], Encoded]:
    """Make the vocabulary and the numbers in memory."""
    learned, sequences = words.learn(texts, "basic_english", min_count=MIN_COUNT)
    return lambda: (list(learned.vocabulary), sequences.values.tolist())


def kept(texts: list[str]) -> Callable[[], Encoded]:
    """Do so with the cache, which may be there or not."""
    splits = {"train": texts}
    learned, encoded = words.encode_splits(splits, "basic_english", min_count=MIN_COUNT)
    return lambda: (list(learned.vocabulary), encoded["train"].values.tolist())


def main() -> None:
    torch.set_num_threads(1)
    print(describe())
    texts = read_tweets()
    folder = Path(tempfile.mkdtemp())
    os.environ["LABS_CACHE"] = str(folder / "cache")
    sides = {"torchtext": by_torchtext, "cold": cold, "cold, kept": kept, "cache": kept}
    times: dict[str, list[float]] = {name: [] for name in sides}
    for number in range(ROUNDS + 1):  # the first round warms up
        shutil.rmtree(folder / "cache", ignore_errors=True)
        results = []
        for name, encode in sides.items():
            begun = time.process_time()
            result = encode(texts)
            if number:
                times[name].append(time.process_time() - begun)
            results.append(result())
        if any(result != results[0] for result in results):
            sys.exit("the sides give different numbers")
    shutil.rmtree(folder)

    print(f"{len(texts):,} texts, {len(results[0][1]):,} tokens, {len(results[0][0]):,} words")
    print(f"medians of {ROUNDS} rounds; ratio = torchtext's time / the side's, in one round\n")
    print(f"{'side':<12}{'CPU ms':>9}{'ratio':>8}{'least':>8}")
    for name, taken in times.items():
        ratios = [theirs / ours for theirs, ours in zip(times["torchtext"], taken, strict=True)]
        milliseconds = statistics.median(taken) * 1e3
        print(
            f"{name:<12}{milliseconds:>9.1f}{statistics.median(ratios):>7.1f}x{min(ratios):>7.1f}x"
        )


if __name__ == "__main__":
    main()
