"""Pairs of texts: generated, embedded, downloaded, or a user's own; split, and encoded.

No source is on two sides of a split: dates and sums are split before they are written down, and of
texts those that differ in nothing but case, spaces and punctuation stay together.
"""

import gzip
import hashlib
import importlib.util
import json
import random
import re
import unicodedata
from collections.abc import Callable, Hashable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from itertools import chain, combinations_with_replacement
from pathlib import Path
from types import MappingProxyType
from typing import Any, TypeVar

import torch
from torch import Tensor

from common import seeding
from common.card import DataCard, say_skipped
from common.errors import DataError
from common.files import cache_dir
from common.io.fetch import Remote, fetch_all
from common.io.tables import read_table
from common.reuse import reusable
from common.suggest import suggest
from common.training.sequences import Ragged
from common.training.splits import bootstrap_rows, number_groups
from labs.rnn.columns import as_columns
from labs.rnn.parallel import as_table, open_pairs, turn
from labs.rnn.translate import dates
from labs.rnn.translate.config import DATA, TranslateConfig
from labs.rnn.words import EOS, Words, learn, unknown_rate

Pair = tuple[str, str]
Skipped = tuple[tuple[str, str], ...]  # (place, reason)
T = TypeVar("T")

NAMES = ("train", "validation", "test")
DATES = (10_000, 1_000, 2_000)  # days in each of them
SUMS = (4_050, 450, 550)  # of the 5,050 unordered pairs of numbers
_SHARES = (0.7, 0.1, 0.2)  # of the texts that have no split of their own
_SPECIALS = ("<bos>", "<eos>")


@dataclass(frozen=True, eq=False)
class Split:
    """Pairs of texts, and their tokens."""

    sources: Sequence[str]  # what is translated, in NFC
    targets: Sequence[str]  # its translations, in NFC
    source: Ragged  # the tokens of the sources, each with `EOS` behind it
    target: Ragged  # the tokens of the targets, likewise
    numbers: Tensor  # (N,) which pair of all splits each is

    def __len__(self) -> int:
        """Return the number of pairs."""
        return len(self.sources)

    def select(self, rows: Sequence[int]) -> "Split":
        """Return some of the pairs, in the given order."""
        return Split(
            [self.sources[row] for row in rows],
            [self.targets[row] for row in rows],
            self.source.select(rows),
            self.target.select(rows),
            self.numbers[list(rows)],
        )


@dataclass(frozen=True)
class Card(DataCard):
    """What a run needs to know of its data without having it; kept as data.json."""

    source_words: dict[str, Any]  # tokenizer and vocabulary of the sources: `Words.as_dict`
    target_words: dict[str, Any]  # likewise of the targets
    longest: int  # tokens of the longest target of the training split, its end included
    unknown: float  # share of the test sources' tokens that are not in the vocabulary


@dataclass(frozen=True)
class Pairs:
    """The pairs of `--data`."""

    source: str  # one line that says what they are
    parts: dict[str, list[Pair]]  # by the name of the split
    skipped: Skipped = ()  # (place, reason) of what was left out


def load(config: TranslateConfig) -> tuple[dict[str, Split], Card]:
    """Load a config's pairs as `train`, `validation` and `test`, with their card.

    Raises:
        DataError: there is no such set or table, or it cannot be used.
    """
    found = _limited(_without_long(_find(config), config.max_length), config.limit)
    _check(found, config.data)
    if config.bootstrap:
        found = _bootstrap(found, config)
    columns = {name: _columns(part) for name, part in found.parts.items()}
    source_words, target_words = (
        learn(
            side,
            config.tokenizer,
            min_count=config.min_count,
            max_words=config.max_words,
            specials=_SPECIALS,
        )[0]
        for side in columns["train"]
    )
    splits: dict[str, Split] = {}
    number = 0
    for name, (sources, targets) in columns.items():
        splits[name] = _encoded(sources, targets, source_words, target_words, config, number)
        number += len(sources)
    card = Card(
        source=found.source,
        counts={name: len(split) for name, split in splits.items()},
        skipped=found.skipped,
        fingerprint=hashlib.sha256(json.dumps(found.parts).encode()).hexdigest(),
        source_words=source_words.as_dict(),
        target_words=target_words.as_dict(),
        longest=int(splits["train"].target.lengths.max()),
        unknown=unknown_rate(source_words.encode(columns["test"][0])),
    )
    return splits, card


def labelled(
    config: TranslateConfig, source_words: Words, target_words: Words, say: Callable[[str], None]
) -> Split:
    """Load all of a config's pairs as a run reads them; those that are repeated stay.

    `say` is called with a line for whatever is left out.

    Raises:
        DataError: there is no such set or table, or it cannot be used.
    """
    if is_path(config.data):
        table = read_pairs(config.data, config)
        path = Path(config.data).expanduser()
        for note in (*open_pairs(path, config.form).notes, *table.notes):
            say(note)
        found = Pairs(config.data, {"all": [pair for pair, _ in table.rows]}, table.skipped)
    else:
        found = _SETS[config.data](config)
    found = _without_long(found, config.max_length)
    say_skipped(found.skipped, say)
    sources, targets = _columns(list(chain.from_iterable(found.parts.values())))
    if not sources:
        raise DataError(f"--data {config.data}: no pair is left")
    return _encoded(sources, targets, source_words, target_words, config)


def _encoded(
    sources: Sequence[str],
    targets: Sequence[str],
    source_words: Words,
    target_words: Words,
    config: TranslateConfig,
    first: int = 0,
) -> Split:
    """Return pairs as a split, numbered from `first` on."""
    return Split(
        sources,
        targets,
        encode(sources, source_words, config.reverse in ("source", "both")),
        encode(targets, target_words, config.reverse in ("target", "both")),
        torch.arange(first, first + len(sources)),
    )


def encode(texts: Sequence[str], words: Words, reverse: bool) -> Ragged:
    """Return the tokens of texts, from the last to the first if reversed, with `EOS` behind."""
    step = -1 if reverse else 1
    tokens = words.encode(texts)
    return Ragged.of([[*tokens[row].tolist()[::step], EOS] for row in range(len(tokens))])


def decode(tokens: Tensor, words: Words, reverse: bool) -> str:
    """Return the text of tokens (T,); what is special is left out, so the padding too."""
    step = -1 if reverse else 1
    return words.text(tokens.tolist()[::step])


def is_path(data: str) -> bool:
    """Say whether `--data` names a table, not a set that the lab knows."""
    return data not in DATA


# --- where pairs come from ----------------------------------------------------------------------


def _find(config: TranslateConfig) -> Pairs:
    if not is_path(config.data):
        return _SETS[config.data](config)
    return _own(config)


def _own(config: TranslateConfig) -> Pairs:
    """Split the pairs of a user's table, or take the parts that have files of their own.

    What validation or test has, by the source or by the group, is left out of what comes before.
    """
    files = {"train": config.data, "validation": config.validation, "test": config.test}
    read = {name: read_pairs(file, config) for name, file in files.items() if file is not None}
    tables = dict(reversed(read.items()))
    rows = [row for table in tables.values() for row in table.rows]
    texts, groups = [same_text(pair[0]) for pair, _ in rows], [group for _, group in rows]
    numbers = iter(number_groups(texts, groups).tolist())

    source = f"pairs of {Path(config.data).name}"
    skipped: Skipped = ()
    parts: dict[str, dict[Pair, int]] = {}
    seen: set[int] = set()
    for name, table in tables.items():
        numbered = [(pair, next(numbers)) for pair, _ in table.rows]
        left = [(pair, number) for pair, number in numbered if number not in seen]
        alike = len(numbered) - len(left)
        parts[name] = dict(left)
        seen |= set(parts[name].values())
        skipped += (
            *table.skipped,
            *_count(alike, f"left out of {name}: validation or test has their like"),
            *_count(len(left) - len(parts[name]), "repeated"),
        )
        if name != "train":
            pairs = f"; {name}: {Path(str(files[name])).name}, {len(parts[name]):,} pairs"
            source += "; ".join([pairs, *table.notes])
    train = parts.pop("train")
    given = {name: list(part) for name, part in parts.items()}
    return _split(source, train, skipped, config, given)


@dataclass(frozen=True)
class _Table:
    """The pairs of a table, with what each belongs to, or None."""

    rows: list[tuple[Pair, str | None]]
    skipped: Skipped
    notes: tuple[str, ...]  # on how it was read


@reusable(
    lambda file, config: (
        *(file, config.form),
        *(config.source_column, config.target_column, config.group_column),
    )
)
def read_pairs(file: str, config: TranslateConfig) -> _Table:
    """Read the pairs of a table, and say which of its rows cannot be used."""
    path = Path(file).expanduser()
    if not path.exists():
        raise DataError(
            f"{file}: no such table, and no set of that name; "
            f"sets: {', '.join(DATA)}{suggest(config.data, DATA)}"
        )
    names = [config.source_column, config.target_column]
    columns = as_columns([*names, *([config.group_column] if config.group_column else [])])
    path = as_table(path, config.form)
    table = read_table(path, columns, gaps=columns[2:], form=config.form)
    pairs, turned = turn([*zip(*table.columns[:2], strict=True)])
    groups = table.columns[2] if config.group_column else [""] * len(table)
    return _Table(
        [(pair, group or None) for pair, group in zip(pairs, groups, strict=True)],
        table.skipped,
        (*table.notes, *turned),
    )


def _dates(config: TranslateConfig) -> Pairs:
    """Write different days from 1900 to 2099, each in one of many ways, with its ISO form."""
    draw = _draws(config)
    first, last = dates.FIRST.toordinal(), dates.LAST.toordinal()
    days = map(date.fromordinal, draw.sample(range(first, last + 1), sum(DATES)))
    pairs = [(draw.choice(dates.FORMS)(day), day.isoformat()) for day in days]
    source = (
        f"dates from {dates.FIRST.year} to {dates.LAST.year}, written in {len(dates.FORMS)} ways"
    )
    return Pairs(source, _cut(pairs, DATES))


def _addition(config: TranslateConfig) -> Pairs:
    """Write the sums of all unordered pairs of numbers from 0 to 99.

    Those for training stand in both orders; the others in one, which is drawn.
    """
    draw = _draws(config)
    numbers = list(combinations_with_replacement(range(100), 2))
    draw.shuffle(numbers)
    parts = _cut(numbers, SUMS)
    orders = {name: [draw.choice([(a, b), (b, a)]) for a, b in parts[name]] for name in NAMES}
    orders["train"] = [pair for a, b in parts["train"] for pair in {(a, b): 0, (b, a): 0}]
    written = {name: [(f"{a}+{b}", f"{a + b}") for a, b in part] for name, part in orders.items()}
    return Pairs("sums of two numbers from 0 to 99", written)


def _interface(config: TranslateConfig) -> Pairs:
    """Read the interface texts of JupyterLab, in English and in another language."""
    locale = {"interface-ko": "ko_KR", "interface-fr": "fr_FR"}[config.data]
    spec = importlib.util.find_spec(f"jupyterlab_language_pack_{locale}")  # found, not imported
    if spec is None or spec.origin is None:
        package = f"jupyterlab-language-pack-{locale.replace('_', '-')}"
        raise DataError(
            f"--data {config.data}: the package that carries it is missing; pip install {package}"
        )
    folder = Path(spec.origin).parent / "locale" / locale / "LC_MESSAGES"
    pairs = [
        (_nfc(key.rpartition("\x04")[2]), _nfc(forms[0]))  # a context may stand before \x04
        for path in sorted(folder.glob("*.json"))
        for key, forms in json.loads(path.read_text(encoding="utf-8")).items()
        if key  # the key of the metadata is ""
    ]
    translated = [pair for pair in pairs if pair[1] not in ("", pair[0])]
    skipped = _count(len(pairs) - len(translated), "not translated")
    source = f"interface texts of JupyterLab, English to {locale[:2]}"
    return _grouped(source, translated, skipped, config)


_MULTI30K = "https://raw.githubusercontent.com/multi30k/dataset/{commit}/data/task1/raw/"
_MULTI30K = _MULTI30K.format(commit="a3d2e0d26b56f3846f66a952536ffed4e401d05a")
_MULTI30K_FILES = {
    "train.en.gz": ("d79cfa999dd4c51d2cb42499b6796d5a882c3a8a961923c25a898c90f8bbd56f", 568_929),
    "train.de.gz": ("726e39b2fa9eb9ffb6dc763fb35a179f80fae06ffc5d28b6ace5faa883de28a6", 637_044),
    "val.en.gz": ("14f7d25ddd868909a9213e361768460edcacdd6ab9d1e77b92560dc10c10dc28", 21_650),
    "val.de.gz": ("f0cba2f995189cf5770f29a8a9a537a3ad3f51657ad873405082ff6863a5e75a", 24_681),
    "test_2016_flickr.en.gz": (
        "611d361c6334bc7246101d48097c13cf5c4413c5befc793cc629934359d532d9",
        21_077,
    ),
    "test_2016_flickr.de.gz": (
        "9204244e408ccb38d2a55cfcd344df15005fc42a07a6e55ca6c52b6ababb8cc8",
        22_890,
    ),
}


def remotes_of(name: str) -> list[Remote]:
    """Return the files of `multi30k`."""
    files = {"multi30k": _MULTI30K_FILES}[name]
    return [Remote(_MULTI30K + file, *known) for file, known in files.items()]


def _multi30k(config: TranslateConfig) -> Pairs:
    """Download captions in English and German (Elliott et al. 2016, "Multi30K"); its own split."""
    folder = Path(config.data_dir).expanduser() if config.data_dir else cache_dir() / "multi30k"
    instead = "--data interface-fr needs no download"
    files = fetch_all(remotes_of("multi30k"), folder, instead=instead)
    texts = [gzip.decompress(path.read_bytes()).decode("utf-8") for path in files]
    # Not splitlines, which cuts captions at other separators too, and the sides must stay in step.
    sides = [[_nfc(line) for line in text.removesuffix("\n").split("\n")] for text in texts]
    parts = {
        name: list(zip(sides[2 * place], sides[2 * place + 1], strict=True))
        for place, name in enumerate(NAMES)
    }
    return Pairs("Multi30k, captions in English and German, test set of 2016", parts)


_SETS: dict[str, Callable[[TranslateConfig], Pairs]] = {
    "dates": _dates,
    "addition": _addition,
    "interface-ko": _interface,
    "interface-fr": _interface,
    "multi30k": _multi30k,
}


# --- splits -------------------------------------------------------------------------------------


def same_text(text: str) -> str:
    """Return what is left of a text without case, spaces and punctuation; all, if nothing is."""
    return re.sub(r"[\W_]+", " ", text.casefold()).strip() or text


def _grouped(
    source: str, pairs: Sequence[Pair], skipped: Skipped, config: TranslateConfig
) -> Pairs:
    """Split pairs at random, those with the same source text together; drop repeated ones."""
    distinct = {pair: same_text(pair[0]) for pair in pairs}
    skipped += _count(len(pairs) - len(distinct), "repeated")
    return _split(source, distinct, skipped, config)


def _split(
    source: str,
    pairs: Mapping[Pair, Hashable],
    skipped: Skipped,
    config: TranslateConfig,
    given: Mapping[str, list[Pair]] = MappingProxyType({}),
) -> Pairs:
    """Split pairs at random, those of a group together.

    Args:
        source: says what they are.
        pairs: the group of each.
        skipped: what was left out.
        config: its seed names the split.
        given: the parts that are there already.
    """
    groups: dict[Hashable, list[Pair]] = {}
    for pair, group in pairs.items():
        groups.setdefault(group, []).append(pair)
    if len(groups) < len(NAMES) - len(given):
        left_out = "".join(f"\n  left out {place}: {reason}" for place, reason in skipped[:5])
        raise DataError(
            f"--data {config.data}: {len(groups)} different source text(s); training, validation "
            f"and test need one each{left_out}"
        )
    drawn = list(groups.values())
    _draws(config).shuffle(drawn)
    held = [
        0 if name in given else max(1, round(share * len(drawn)))
        for name, share in zip(NAMES[1:], _SHARES[1:], strict=True)
    ]
    parts = _cut(drawn, [len(drawn) - sum(held), *held])
    found = {name: [pair for group in part for pair in group] for name, part in parts.items()}
    return Pairs(source, {**found, **given}, skipped)


def _cut(items: Sequence[T], sizes: Sequence[int]) -> dict[str, list[T]]:
    """Cut items, in their order, into the three splits."""
    left = iter(items)
    return {
        name: [next(left) for _ in range(size)] for name, size in zip(NAMES, sizes, strict=True)
    }


def _check(found: Pairs, data: str) -> None:
    empty = [name for name in NAMES if not found.parts[name]]
    if empty:
        left_out = "".join(f"\n  {place}: {reason}" for place, reason in found.skipped[-5:])
        raise DataError(
            f"--data {data}: no pairs are left for {', '.join(empty)}; left out were:{left_out}"
        )


def _without_long(found: Pairs, longest: int) -> Pairs:
    """Leave out the pairs with a text of more characters than that."""
    kept = {
        name: [pair for pair in part if max(map(len, pair)) <= longest]
        for name, part in found.parts.items()
    }
    dropped = sum(map(len, found.parts.values())) - sum(map(len, kept.values()))
    skipped = _count(dropped, f"longer than {longest} characters (--max-length)")
    return Pairs(found.source, kept, (*found.skipped, *skipped))


def _limited(found: Pairs, limit: int | None) -> Pairs:
    """Take the first pairs of each split, which stand in random order, or in that of their file."""
    total = sum(map(len, found.parts.values()))
    if limit is None or limit >= total:
        return found
    parts = {name: part[: max(1, limit * len(part) // total)] for name, part in found.parts.items()}
    kept = sum(map(len, parts.values()))
    return Pairs(f"{found.source}, {kept:,} of {total:,} pairs", parts, found.skipped)


def _bootstrap(found: Pairs, config: TranslateConfig) -> Pairs:
    """Draw pairs of training with replacement, those with the same source text together."""
    train = found.parts["train"]
    groups = number_groups([same_text(source) for source, _ in train])
    rows = bootstrap_rows(torch.zeros(len(train)), groups, config.seed).tolist()
    source = ", ".join([found.source, *config.describe_drawn(rows)])
    return Pairs(source, {**found.parts, "train": [train[row] for row in rows]}, found.skipped)


def _count(number: int, reason: str) -> Skipped:
    """Return what `skipped` says of so many pairs."""
    return ((f"{number:,} pair{'s' * (number > 1)}", reason),) if number else ()


def _columns(pairs: Sequence[Pair]) -> tuple[list[str], list[str]]:
    return [source for source, _ in pairs], [target for _, target in pairs]


def _nfc(text: str) -> str:
    return unicodedata.normalize("NFC", text).strip()


def _draws(config: TranslateConfig) -> random.Random:
    return random.Random(seeding.derive(config.split_seed, seeding.ORDER))
