"""What a user's texts show before anyone trains."""

from dataclasses import replace
from pathlib import Path

from common.errors import DataError, InputError
from common.explore import page, speed, texts
from common.explore.page import Part
from common.explore.samples import spread
from common.explore.texts import Sample
from common.options import terminal
from labs.rnn.columns import guess_labelled
from labs.rnn.grams import normalize
from labs.rnn.published import open_set
from labs.rnn.sentiment import data
from labs.rnn.sentiment.config import SentimentConfig
from labs.rnn.sentiment.job import Sentiment
from labs.rnn.texts import Corpus

_TIMED = 2000  # texts that tokenizer and model are timed on


def command(config: SentimentConfig, output: Path | None) -> None:
    """Look at a config's texts and write the page.

    Raises:
        DataError: there is no such set or table, or it cannot be read.
        SaveError: the page cannot be written.
    """
    with terminal.busy("reading the texts"):
        chosen, reasons = _with_columns(config)
        found = data.find_all(chosen)
    sample = _sample(found, config.limit)
    if not len(sample):
        raise DataError(f"--data {config.data}: there are no texts")
    with terminal.busy(f"counting the words of {len(sample):,} texts, and looking for copies"):
        words = texts.count_words(sample.texts, normalize)
        copies = texts.find_copies(sample, words, data.same_text)
    with terminal.busy("drawing, and comparing the parts"):
        parts: list[Part | None] = [
            texts.count_classes(sample),
            texts.measure(sample, words),
            texts.show_samples(sample),
            texts.show_words(sample, words),
            texts.show_copies(sample, copies),
            texts.list_left_out(found.skipped),
            texts.show_groups(sample, config.group_column or "group"),
            texts.compare_parts(sample, words),
        ]
    with terminal.busy("timing the tokenizer and a model"):
        parts.append(_speed(config, sample))
    about = ". ".join([found.source, *found.notes, *reasons])
    page.write(config.data, about, parts, output)


def _with_columns(config: SentimentConfig) -> tuple[SentimentConfig, list[str]]:
    """Guess the columns of a table that are not given, and say which."""
    path = Path(config.data).expanduser()
    if config.data in data.NAMES or not path.exists():
        return config, []
    path = open_set(path, config.form).train
    if path.is_dir():
        return config, []
    text, label = (
        getattr(config, name) if name in config.given else None
        for name in ("text_column", "label_column")
    )
    text, label, reasons = guess_labelled(path, text, label, config.form)
    return replace(config, text_column=text, label_column=label), reasons


def _sample(found: Corpus, limit: int | None) -> Sample:
    rows = [
        (text, found.classes[int(target)], name, group)
        for name, part in found.parts.items()
        for text, target, group in zip(
            part.texts, part.targets, part.groups or [None] * len(part), strict=True
        )
    ]
    columns = [list(each) for each in zip(*spread(rows, limit), strict=True)] or [[], [], [], []]
    return Sample(columns[0], columns[1], columns[2], columns[3])


def _speed(config: SentimentConfig, sample: Sample) -> Part:
    """Time the tokenizer, and the model that training would choose."""
    try:
        job, splits = Sentiment.check(replace(config, limit=min(_TIMED, config.limit or _TIMED)))
    except InputError as error:
        return speed.without(error)
    tokenizer = "words to numbers"
    some = [sample.texts[start : start + 100] for start in range(0, len(sample), 100)]
    encoded = (len(part) for part in some for _ in [job.encode(part)])
    figures = {
        tokenizer: speed.time_items(encoded, lambda number: number),
        "batches": speed.time_batches(job, splits),
        f"{job.config.title} learns": speed.time_model(job, splits),
    }
    slow = "fewer networks (--members), shorter texts (--max-length), or a GPU"
    advice = "a simpler --tokenizer"
    what = f"{job.config.title}, tokens: {job.config.tokenizer}, {job.compute}"
    return speed.report(figures, what, tokenizer, advice, slow)
