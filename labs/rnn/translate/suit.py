"""What suits a user's table of pairs: its columns, the tokens, how long to train."""

from pathlib import Path
from statistics import fmean

from common.options import budget
from common.runs.job import Suited
from labs.rnn.columns import guess_pairs
from labs.rnn.parallel import as_table, open_pairs
from labs.rnn.translate.config import DATA, TranslateConfig
from labs.rnn.translate.data import read_pairs

_BATCH = 32
_DROPOUT = 0.3
_UPDATES = 2500
_MINUTES = 8  # of training; writing the translations and the report takes about two
_TOKENS_PER_SECOND = 7_000  # of source and target, on one core
_TRAINING = 0.7  # of the pairs
_PAIRS_OF_A_TOKEN = 2.5  # as few make the subwords of a small set words that hardly come again
_FEWEST, _MOST = 500, 8000  # subwords


def suit_pairs(config: TranslateConfig) -> Suited[TranslateConfig]:
    """Choose what is not given; sets that are known by name stay as they are.

    Raises:
        DataError: the table cannot be read, or has a single column.
    """
    path = Path(config.data).expanduser()
    if config.data in DATA or not path.exists():
        return Suited(config)
    tables = open_pairs(path, config.form)
    path = as_table(path, config.form)
    chosen = budget.Choices(config)
    chosen.reasons += tables.notes
    for part in ("validation", "test"):
        if table := getattr(tables, part):
            chosen.take(
                f"{table.name} is for {part} (--{part} names another)", **{part: str(table)}
            )
    if not {"source_column", "target_column"} & chosen.config.given:
        source, target, reasons = guess_pairs(path, config.form)
        chosen.take(*reasons, source_column=source, target_column=target)
    config = chosen.config
    found = read_pairs(config.data, config)
    chosen.reasons += found.notes
    count = min(len(found.rows), config.limit or len(found.rows))
    samples = max(1, round(count * _TRAINING))

    if "tokenizer" not in config.given:
        words = round(samples / _PAIRS_OF_A_TOKEN / 100) * 100
        chosen.take(tokenizer="subwords", max_words=min(_MOST, max(_FEWEST, words)))
        chosen.reasons.append(
            f"subwords, {chosen.config.max_words or _MOST:,} of each side: "
            "sentences are far shorter in them than in characters"
        )
    chosen.take(f"dropout {_DROPOUT}: sentences that people wrote are never many", dropout=_DROPOUT)
    chosen.take(batch_size=_BATCH)

    letters = fmean(len(source) + len(target) for (source, target), _ in found.rows)
    tokens = letters / (1 if chosen.config.tokenizer in ("characters", "jamo") else 2.5)
    speed = _TOKENS_PER_SECOND / max(1.0, tokens)
    needs = budget.Needs(_UPDATES, int(speed * 60 * _MINUTES), speed)
    chosen.train_for(samples, needs)
    return Suited(chosen.config, chosen.reasons)
