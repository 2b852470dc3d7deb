"""What suits a user's table of texts: its columns, the tokens, how many networks, how long."""

import itertools
import re
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from statistics import fmean

import torch

from common.errors import DataError
from common.io.folders import find_split_column
from common.io.tables import read_cells
from common.options import budget
from common.options.config import flag
from common.runs.job import Suited
from labs.rnn.columns import find_pieces, guess_labelled, text_columns
from labs.rnn.published import UNLABELLED, open_set
from labs.rnn.sentiment.config import DOWNLOADS, EMBEDDED, SentimentConfig
from labs.rnn.sentiment.data import read_held_out
from labs.rnn.sentiment.ratings.levels import MOST_LEVELS, look_rated
from labs.rnn.texts import Corpus, read_corpus, read_folder

# Scripts whose words are not apart (Han, Kana, Thai), or carry their particles with them (Hangul).
_JOINED = re.compile("[\u0e00-\u0e7f\u3040-\u30ff\u3400-\u9fff\uac00-\ud7a3]")
_MOSTLY = 0.3  # share of such letters from which on words cut at spaces are not the same words
_LOOKED_AT = 5000  # texts, to measure how they are written

_OF_TABLES = {"text_column", "label_column", "delimiter", "sheet", "header"}

_ENOUGH = 30  # texts of a class, and of all others, to say what tells them apart
_GIVES_AWAY, _HARDLY = 0.9, 0.02  # shares of the texts of a class, and of the others
_SHOWN = 3  # such classes

_UPDATES = 500
_EPOCHS = 3  # at least, of a large set, as far as the minutes go
_MINUTES = 8  # of training; preparing, the baselines and the report take about two
_TOKENS_PER_SECOND = 40_000  # of a network of the default size, on one core
_TRAINING = 0.7  # of the texts


def suit_texts(config: SentimentConfig) -> Suited[SentimentConfig]:
    """Choose what is not given; sets that are known by name stay as they are.

    Raises:
        DataError: the table cannot be read, or it does not tell which columns are meant.
    """
    if (path := _find_own(config)) is None:
        return Suited(config)
    chosen = _choose(config, path)
    return Suited(chosen.config, chosen.reasons)


def estimate_seconds(config: SentimentConfig) -> float:
    """Return about how long training takes on two cores; 0 of sets that are known by name."""
    path = _find_own(config)
    return 0.0 if path is None else _choose(config, path).seconds


def _find_own(config: SentimentConfig) -> Path | None:
    """Return where a user's own texts are; None for a set known by name, and where nothing is."""
    path = Path(config.data).expanduser()
    known = config.data in (*EMBEDDED, *DOWNLOADS)
    return path if path.exists() and not known else None


def _choose(config: SentimentConfig, path: Path) -> budget.Choices[SentimentConfig]:
    """Choose what suits a user's own texts."""
    chosen = budget.Choices(config)
    tables = open_set(path, config.form)
    folder = tables.train if tables.train.is_dir() else None
    if folder and (unfit := sorted(_OF_TABLES & chosen.config.given)):
        raise DataError(f"{flag(unfit[0])}: goes with a table, and {config.data} has none")
    if folder:
        found = read_folder(folder, config.form, called=path)
    else:
        found = _suit_columns(chosen, tables.train)
    chosen.reasons = [*tables.notes, *found.notes, *chosen.reasons]
    for part in ("validation", "test"):
        _suit_part(chosen, part, getattr(tables, part), found)
    _suit_target(chosen, found)
    texts = [text for part in found.parts.values() for text in part.texts][: config.limit]
    if not config.numeric:
        chosen.reasons += find_giveaways(found)
    if not config.n_grams:
        chosen.take("n-grams, too: a linear model on them takes seconds", n_grams=True)
    _suit_tokens(chosen, texts)
    _suit_length(chosen, texts)
    return chosen


def _suit_columns(chosen: budget.Choices[SentimentConfig], path: Path) -> Corpus:
    """Choose the columns, and read the table."""
    config = chosen.config
    given = {
        name: getattr(config, name) if name in chosen.config.given else None
        for name in ("text_column", "label_column")
    }
    text_column, label_column, reasons = guess_labelled(
        path, **given, form=config.form, numeric=config.numeric
    )
    chosen.take(text_column=text_column, label_column=label_column)
    chosen.reasons += reasons
    config = chosen.config
    names, *rows = read_cells(path, config.form, as_wide=True)
    numbers = [str(number) for number, _ in enumerate(names, 1)]
    if config.label_column.isdecimal():  # then the first row is data, unless it was numbered
        names, rows = numbers, rows if names == numbers else [names, *rows]
    elif config.test is None and config.validation is None:
        used = {*text_columns(config.text_column), config.label_column, config.group_column}
        at = names.index(config.label_column) if config.label_column in names else 0
        labelled = [row for row in rows if row[at].casefold() not in UNLABELLED]
        if split := find_split_column(names, labelled, used, [config.label_column]):
            why = f"column {split!r} splits the texts: it holds nothing but names of parts"
            chosen.take(why, split_column=split)
    if pieces := _find_pieces(config, names, rows):
        chosen.take(
            f"texts with the same {pieces!r} stay in one split: they share most of their words "
            "(--group-column names another column, or none)",
            group_column=pieces,
        )
    config = chosen.config
    columns = (config.text_column, config.label_column, config.group_column)
    split_column, numeric = chosen.config.split_column, chosen.config.numeric
    return read_corpus(path, *columns, config.form, True, split_column, numeric)


def _find_pieces(
    config: SentimentConfig, names: Sequence[str], rows: Sequence[Sequence[str]]
) -> str | None:
    columns = (config.text_column, config.label_column, config.split_column or "")
    known = {*text_columns(config.text_column), config.label_column} <= {*names}
    return find_pieces(names, rows, *columns) if known and config.group_column is None else None


def _suit_part(
    chosen: budget.Choices[SentimentConfig], part: str, table: Path | None, train: Corpus
) -> None:
    """Take the table of a set that is for validation or the test, if it has labels to judge by."""
    config = chosen.config
    if table is None or part in config.given:
        return
    try:
        found = read_held_out(table, config)
    except DataError as error:
        reason = str(error).partition("\n  no column")
        why = f"it has no column{reason[2].split(';')[0]}" if reason[1] else reason[0]
        chosen.reasons.append(f"{table.name} is not used: {why}")
        return
    if unknown := [name for name in found.classes if name not in train.classes]:
        listed = ", ".join(unknown)
        chosen.reasons.append(
            f"{table.name} is not used for {part}: it has labels that training lacks: {listed}"
        )
        return
    chosen.take(f"{table.name} is for {part} (--{part} names another)", **{part: str(table)})


def _suit_target(chosen: budget.Choices[SentimentConfig], found: Corpus) -> None:
    """Choose the loss of ratings; say of classes that look like ratings how they are learned."""
    if not chosen.config.numeric:
        if look_rated(found.classes) and "target" not in chosen.config.given:
            chosen.reasons.append(
                f"the labels {', '.join(found.classes)} are classes here; if they are ratings, "
                "--target number learns them as numbers, so that a near miss counts less"
            )
        return
    different = torch.unique(torch.cat([part.targets for part in found.parts.values()]))
    if len(different) > MOST_LEVELS:
        chosen.take(
            f"the loss mse: ratings have {len(different):,} different values, and ordinal takes "
            f"{MOST_LEVELS}",
            loss="mse",
        )


def _suit_tokens(chosen: budget.Choices[SentimentConfig], texts: Sequence[str]) -> None:
    """Choose subwords where words are no units that come again."""
    config = chosen.config
    if {"tokenizer", "vectors"} & config.given or config.encoding == "one-hot":
        return
    share = joined_share(texts[:: max(1, len(texts) // _LOOKED_AT)])
    if share < _MOSTLY:
        return
    chosen.take(
        f"subwords: {share:.0%} of the letters are of a script such as Korean, where words cut at "
        "spaces differ with each particle",
        tokenizer="subwords",
        max_words=2000,
    )


def _suit_length(chosen: budget.Choices[SentimentConfig], texts: Sequence[str]) -> None:
    """Choose batches, updates and how many networks there are time for."""
    config, samples = chosen.config, max(1, round(len(texts) * _TRAINING))
    if config.encoding == "n-gram-bag":
        speed = 2000.0
    else:
        of_one = _TOKENS_PER_SECOND / max(1.0, _mean_tokens(config, texts))
        affordable = of_one * _MINUTES * 60 / (_EPOCHS * samples)
        if affordable < config.members:
            members = max(1, int(affordable))
            named = f"{members} networks" if members > 1 else "one network"
            chosen.take(
                f"{named} side by side, not {config.members}: more of them would not see "
                f"{samples:,} texts {_EPOCHS} times in {_MINUTES} minutes",
                members=members,
            )
        speed = of_one / chosen.config.members
    updates = max(_UPDATES, _EPOCHS * samples // config.batch_size)
    chosen.train_for(samples, budget.Needs(updates, int(speed * 60 * _MINUTES), speed))


def find_giveaways(found: Corpus) -> list[str]:
    """Return a sentence on classes that a single word tells from all others; none of no such.

    As `(Reuters)` in an agency's reports, or a newsgroup's name in the header of its messages.
    """
    whole = found.parts.get("all") or found.parts["train"]
    step = max(1, len(whole) // _LOOKED_AT)
    bags = [{*text.casefold().split()} for text in whole.texts[::step]]
    targets = whole.targets[::step].tolist()
    total = Counter(itertools.chain.from_iterable(bags))
    told = []
    for target, name in enumerate(found.classes):
        own = [bag for bag, each in zip(bags, targets, strict=True) if each == target]
        others = len(bags) - len(own)
        if min(len(own), others) < _ENOUGH:
            continue
        inside = Counter(itertools.chain.from_iterable(own))
        shares = {
            word: (count / len(own), (total[word] - count) / others)
            for word, count in inside.items()
            if count >= _GIVES_AWAY * len(own)
        }
        word = min(shares, key=lambda word: shares[word][1], default=None)
        if word is not None and shares[word][1] <= _HARDLY:
            told.append(f"{word!r} stands in {shares[word][0]:.0%} of {name}")
    more = f" and {len(told) - _SHOWN} more classes" if len(told) > _SHOWN else ""
    return [
        f"{', '.join(told[:_SHOWN])}{more}, and hardly in other texts: figures may say no more "
        "than how well such a word is found"
    ] * bool(told)


def joined_share(texts: Sequence[str]) -> float:
    """Return the share of letters whose script does not set words apart by spaces, as English."""
    letters = sum(sum(map(str.isalpha, text)) for text in texts)
    return sum(len(_JOINED.findall(text)) for text in texts) / max(1, letters)


def _mean_tokens(config: SentimentConfig, texts: Sequence[str]) -> float:
    """Return about how many tokens of a text the networks read."""
    per_character = {"characters": 1.0, "jamo": 2.2, "subwords": 0.5}.get(config.tokenizer, 0.22)
    return fmean(min(config.max_length, per_character * len(text)) for text in texts)
