"""What the report says of translations: how they came about, and where they are wrong."""

from collections.abc import Iterator
from typing import TYPE_CHECKING

from common import training
from common.options.terminal import figure_text
from common.report.html import PictureSaver, Section, Table
from common.report.plots import short
from common.runs import sections as common_sections
from common.runs.job import Outputs, Splits
from labs.rnn.translate import measures, plots, predictions
from labs.rnn.translate.data import Split

if TYPE_CHECKING:
    from labs.rnn.translate.job import Translate

_ALIGNED = 4  # translations whose attention is drawn
_LONGEST = 45  # tokens of a source that is drawn
_EXAMPLES, _MISTAKES = 12, 20
_BEAMS = (1, 2, 5)
_SEARCHED = 300  # validation pairs on which they are compared
_CELLS = 60  # of a text in a table


def sections(
    job: "Translate", outputs: Outputs, splits: Splits, save_picture: PictureSaver
) -> list[Section]:
    """Return what the report says of translations; see `Conclusion.sections`."""
    test = splits["test"]
    return [
        *_attention(job, outputs, test, save_picture),
        *_examples(job, outputs, test),
        _lengths(job, outputs, test, save_picture),
        _beams(job, splits["validation"]),
        _data(job, splits),
    ]


def _attention(
    job: "Translate", outputs: Outputs, test: Split, save_picture: PictureSaver
) -> Iterator[Section]:
    if job.config.attention == "none":
        return
    rows = [row for row, size in enumerate(test.source.lengths.tolist()) if size <= _LONGEST]
    pictures = []
    for number, row in enumerate(rows[:_ALIGNED], 1):
        aligned = predictions.attend_to(job, test.sources[row], outputs["tokens"][row])
        caption = f"“{test.sources[row]}”"
        pictures.append(save_picture(f"attention_{number}", caption, plots.alignment(*aligned)))
    text = (
        "Each row is a token that the decoder wrote, each column one that the encoder read; the "
        "darker, the more it attended to that one. A state of the encoder knows its neighbors too, "
        "so the dark cell may stand beside the letter that matters. These are the first test pairs "
        f"of at most {_LONGEST} tokens."
    )
    yield Section("Attention", text, pictures=pictures)


def _examples(job: "Translate", outputs: Outputs, test: Split) -> Iterator[Section]:
    translations = job.decide(outputs)
    log_probabilities = outputs["log_probabilities"].tolist()
    columns = ["source", "translation", "target", "log-probability"]
    rows = [
        [short(text, _CELLS) for text in (source, translation, target)] + [f"{log_probability:.3f}"]
        for source, translation, target, log_probability in zip(
            test.sources, translations, test.targets, log_probabilities, strict=True
        )
    ]
    yield Section("The first test pairs", table=Table(columns, rows[:_EXAMPLES]))
    wrong = [
        row
        for row, pair in enumerate(zip(translations, test.targets, strict=True))
        if len({*pair}) > 1
    ]
    wrong.sort(key=lambda row: -log_probabilities[row])
    text = (
        f"{len(wrong):,} of {len(test):,} test translations are not the target letter for letter."
    )
    if wrong:
        text += " Here are those that the model holds most likely; some may be right all the same."
    table = Table(columns, [rows[row] for row in wrong[:_MISTAKES]]) if wrong else None
    yield Section("Most confident differences", text, table)


def _lengths(
    job: "Translate", outputs: Outputs, test: Split, save_picture: PictureSaver
) -> Section:
    figure = plots.by_length(test.sources, job.decide(outputs), job.targets(test), job.main_metric)
    caption = "Groups of about as many test pairs each; 95 % intervals."
    text = "Is it harder to translate what is longer?"
    return Section("Length", text, pictures=(save_picture("lengths", caption, figure),))


def _beams(job: "Translate", validation: Split) -> Section:
    part = validation.select(range(min(_SEARCHED, len(validation))))
    rows = []
    for beam in _BEAMS:
        task = job.translation(beam=beam)
        outputs = training.infer(job.model, task, job.batches(part), job.compute)
        found = measures.figures(task.texts(outputs), part.targets)
        likely = outputs["log_probabilities"].mean().item()
        figures = [figure_text(found[name]) for name in ("exact_match", "chrf", "bleu")]
        rows.append([f"{beam}{' (greedy)' if beam == 1 else ''}", *figures, f"{likely:.3f}"])
    text = (
        "How much is gained where more beginnings are kept, on the first "
        f"{len(part):,} validation pairs. The run itself used a beam of {job.config.beam}. "
        "Beginnings are ranked by log-probability over ((5 + length) / 6) to the power of "
        f"{job.config.length_penalty:g} (Wu et al. 2016)."
    )
    columns = ["beam", "exact match", "chrF", "BLEU", "mean log-probability"]
    return Section("Beam search", text, Table(columns, rows))


def _data(job: "Translate", splits: Splits) -> Section:
    source, target = job.source_words, job.target_words
    tokenization = measures.bleu_tokenization(splits["test"].targets)
    text = (
        f"Tokens are {job.config.tokenizer}: {len(source):,} of the source and {len(target):,} of "
        f"the target are known, special ones included; {job.card.unknown:.2%} of the test sources' "
        f"tokens are not. BLEU and chrF are sacrebleu's; BLEU with its tokenization {tokenization}."
    )
    return common_sections.data(job, text)
