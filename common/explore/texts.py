"""What texts show before anyone learns from them, section by section."""

import re
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np

from common.explore import drawing, samples, shift
from common.explore.page import Part
from common.explore.samples import in_order
from common.metrics.metrics import Array
from common.report import plots
from common.report.html import Section, Table

_WORD = r"(?u)\w\w+|[가-힣]"
_MOST_WORDS = 50_000
_TOP = 20  # words in a list
_PRIOR = 500.0  # words of the prior, in all
_SHARED = 0.01  # share of texts from which on a word tells nothing of which they are
_ALIKE, _FEWEST = 0.8, 5  # share of words in common; words of a text, to be a near-copy
_CHUNK = 1000
_CUT = 300  # letters of a text that is shown
_KINDS = {
    "a link": re.compile(r"https?://|www\."),
    "marks of HTML": re.compile(r"<[a-z/][^>]{0,60}>|&[a-z]{2,6};|&#\d+;", re.IGNORECASE),
    "no letter": re.compile(r"^[\W\d_]*$"),
    "a letter four times on end": re.compile(r"([^\W\d_])\1{3}"),
    "a replaced letter (U+FFFD)": re.compile("\ufffd"),
}


@dataclass(frozen=True, eq=False)
class Sample:
    """Texts with what is known of them, N of each."""

    texts: list[str]
    labels: list[str]
    parts: list[str]  # train, validation, test, or all
    groups: list[Any] | None = None  # what each belongs to

    def __len__(self) -> int:
        """Return the number of texts."""
        return len(self.texts)

    @property
    def names(self) -> list[str]:
        """The parts that there are."""
        return in_order(set(self.parts))

    def rows_of(self, part: str) -> Array:
        """Return the rows of a part."""
        return np.flatnonzero([each == part for each in self.parts])


class Words(NamedTuple):
    """Words of texts, counted."""

    names: Array  # (V,)
    counts: Any  # sparse (N, V)


def count_words(texts: Sequence[str], normalize: Callable[[str], str]) -> Words | None:
    """Count the words of texts: letters and digits together, two or more, or a Hangul syllable.

    None where there are no words.
    """
    from sklearn.feature_extraction.text import CountVectorizer

    counter = CountVectorizer(preprocessor=normalize, token_pattern=_WORD, max_features=_MOST_WORDS)
    try:
        counts = counter.fit_transform(texts)
    except ValueError:  # an empty vocabulary
        return None
    return Words(counter.get_feature_names_out(), counts.tocsr())


def log_odds(inside: Array, outside: Array) -> Array:
    """Return how surely words are more frequent inside than outside, (V,), in deviations.

    Log-odds ratios with an informative Dirichlet prior, by what words are in both (Monroe et al.
    2008, "Fightin' words", equations 15, 16 and 22). Above 1.96 a word alone would be unlikely.

    Args:
        inside: counts of words, (V,).
        outside: likewise.
    """
    both = np.maximum(inside + outside, 1)
    prior = _PRIOR * both / both.sum()
    logs, variance = np.zeros(len(both)), np.zeros(len(both))
    for sign, counts in ((1, inside), (-1, outside)):
        known = counts + prior
        logs += sign * (np.log(known) - np.log(counts.sum() + _PRIOR - known))
        variance += 1 / known
    return np.asarray(logs / np.sqrt(variance))


# --- sections -----------------------------------------------------------------------------------


def count_classes(sample: Sample) -> Part:
    """Count the texts of each class, in each part."""
    numbers = {part: Counter[str]() for part in sample.names}
    for part, label in zip(sample.parts, sample.labels, strict=True):
        numbers[part][label] += 1
    return samples.count_classes(
        numbers, len(sample), "texts", advice="; look at balanced accuracy"
    )


def measure(sample: Sample, words: Words | None) -> Part:
    """Show how long texts are, and what is odd in them."""
    letters = np.array([len(text) for text in sample.texts], float)
    number = np.zeros(len(sample)) if words is None else np.asarray(words.counts.sum(1)).ravel()
    quantiles = [0, 0.05, 0.5, 0.95, 0.99, 1]
    rows = [
        [name, *(f"{value:,.0f}" for value in np.quantile(values, quantiles))]
        for name, values in {"letters": letters, "words": number.astype(float)}.items()
    ]
    labels = np.array(sample.labels)
    tested = {part: letters[sample.rows_of(part)] for part in sample.names}
    panels = {"letters of a text": tested}
    panels["words of a text"] = {part: number[sample.rows_of(part)] for part in sample.names}
    pictures = [("Lengths, each part by itself.", plots.png(drawing.histograms(panels)))]
    means = {label: letters[labels == label].mean() for label in sorted(set(sample.labels))[:20]}
    listed = ", ".join(f"{label} {mean:,.0f}" for label, mean in means.items())
    hangul = sum(any("가" <= each <= "힣" for each in text) for text in sample.texts)
    text = f"Letters of a text, by class: {listed}."
    text += f" {hangul / len(sample):.0%} of the texts have Hangul."
    found = {
        name: [row for row, text in enumerate(sample.texts) if pattern.search(text)]
        for name, pattern in _KINDS.items()
    }
    odd = [f"{len(rows):,} texts have {name}" for name, rows in found.items() if rows]
    text += f"\n\n{'; '.join(odd)}." if odd else ""
    findings = []
    if found["a replaced letter (U+FFFD)"]:
        findings.append("Some letters were lost when the file was written: see --file-encoding.")
    if found["marks of HTML"]:
        findings.append(
            f"{len(found['marks of HTML']):,} texts have marks of HTML, which no reader sees."
        )
    columns = ["", "least", "5 %", "median", "95 %", "99 %", "most"]
    return Part(Section("Lengths", text, Table(columns, rows), pictures), findings)


def show_samples(sample: Sample) -> Part:
    """List some texts: from all over, the shortest and the longest."""
    order = np.argsort([len(text) for text in sample.texts], kind="stable").tolist()
    shown = {
        "Samples": samples.spread(range(len(sample)), 12),
        "The shortest": order[:5],
        "The longest": order[-3:],
    }
    lines = []
    for title, rows in shown.items():
        lines += [f"{title}, after their classes:"]
        lines += [f"  {sample.labels[row]}: {_cut(sample.texts[row])}" for row in rows]
    return Part(Section("Texts", code="\n".join(lines)))


def show_words(sample: Sample, words: Words | None) -> Part:
    """Show frequent words, and which go with which class."""
    title = "Words"
    if words is None:
        return Part(Section(title, "There are no words."))
    labels, totals = np.array(sample.labels), np.asarray(words.counts.sum(0)).ravel()
    order = np.argsort(-totals, kind="stable")[:_TOP]
    frequent = {"most frequent": [(str(words.names[at]), float(totals[at])) for at in order]}
    groups = {}
    for label in sorted(set(sample.labels)):
        inside = np.asarray(words.counts[labels == label].sum(0)).ravel()
        scores = log_odds(inside, totals - inside)
        best = np.argsort(-scores, kind="stable")[:_TOP]
        groups[label] = [(str(words.names[at]), float(scores[at])) for at in best if scores[at] > 0]
    pictures = []
    if len(groups) > 1:
        drawn = plots.png(drawing.words(groups, "deviations"))
        pictures.append(("Words that go with a class, in deviations.", drawn))
    pictures.append(("Most frequent words.", plots.png(drawing.words(frequent, "times"))))
    text = (
        f"{'The most frequent ' if len(words.names) == _MOST_WORDS else ''}{len(words.names):,} "
        f"words; {int((totals == 1).sum()):,} of them occur once. "
        "Which words go with a class: log-odds against the other texts, with a prior of how "
        "frequent words are in all (Monroe et al. 2008), in deviations; beyond 2 is no chance of a "
        "single word, of many words some are. A name or a link among them is a leak."
    )
    lines = [f"{label}: {_listed(each)}" for label, each in groups.items()]
    code = "\n".join(lines) if len(groups) > 1 else ""
    return Part(Section(title, text, pictures=pictures, code=code))


def _listed(weighed: Sequence[tuple[str, float]]) -> str:
    return ", ".join(f"{word} {score:.1f}" for word, score in weighed) or "none"


def _cut(text: str) -> str:
    return text if len(text) <= _CUT else f"{text[: _CUT - 1]}…"


# --- copies -------------------------------------------------------------------------------------


def find_copies(
    sample: Sample, words: Words | None, plain: Callable[[str], str]
) -> dict[str, list[tuple[int, int]]]:
    """Return pairs of texts that are the same, but for how they are written, and nearly the same.

    Args:
        sample: the texts.
        words: counted of them.
        plain: returns what is left of a text without what does not count.
    """
    first: dict[str, int] = {}
    same = []
    for row, text in enumerate(map(plain, sample.texts)):
        if text and first.setdefault(text, row) != row:
            same.append((first[text], row))
    again = {row for _, row in same}
    near = [] if words is None else [*_near_pairs(words, again)]
    return {"same": same, "near": near}


def _near_pairs(words: Words, again: set[int]) -> Iterator[tuple[int, int]]:
    """Yield pairs of rows of which at least four of five words are in common."""
    present = words.counts.copy()
    present.data = np.ones_like(present.data, dtype=np.int32)
    rows = present.shape[0]
    sizes = np.asarray(present.sum(1)).ravel()
    texts = np.asarray(present.sum(0)).ravel()
    telling = present[:, (texts > 1) & (texts <= max(20, _SHARED * rows))]
    kept = np.array([row for row in range(rows) if row not in again and sizes[row] >= _FEWEST])
    for start in range(0, len(kept), _CHUNK):
        piece = kept[start : start + _CHUNK]
        shared = (telling[piece] @ telling.T).tocoo()
        ones, others = piece[shared.row], shared.col
        enough = (ones < others) & (sizes[others] >= _FEWEST) & (shared.data >= 2)
        for one, other in zip(ones[enough].tolist(), others[enough].tolist(), strict=True):
            if other in again or min(sizes[one], sizes[other]) < _ALIKE * max(
                sizes[one], sizes[other]
            ):
                continue
            common = int(present[one].multiply(present[other]).sum())
            if common >= _ALIKE * (sizes[one] + sizes[other] - common):
                yield one, other


def show_copies(sample: Sample, found: dict[str, list[tuple[int, int]]]) -> Part:
    """List copies within parts and across them, and those with two labels."""
    says = {
        "same": "the same, but for case, spaces, links and names of users",
        "near": "nearly: four of five words in common",
    }
    pairs = [(kind, *pair) for kind, some in found.items() for pair in some]
    counted = samples.count_copies(pairs, says, sample.parts, sample.labels, "texts")
    contrary = [pairs[place] for place in counted.contrary]
    text = "Pairs of texts: each text beside the first that it is a copy of."
    lines = []
    for kind, one, other in [*contrary, *(("near", *pair) for pair in found["near"])][:30]:
        lines += [f"{kind}: {sample.labels[one]} / {sample.labels[other]}"]
        lines += [f"  {_cut(sample.texts[row])}" for row in (one, other)]
    code = "\n".join(lines)
    return Part(Section("Copies", text, counted.table, code=code), counted.findings)


def list_left_out(skipped: Sequence[tuple[str, str]]) -> Part | None:
    """List the rows that were left out."""
    if not skipped:
        return None
    place, why = skipped[0]
    said = f"{len(skipped):,} texts are left out, such as {place}: {why}."
    return Part(Section("Left out", said, Table(["where", "why"], skipped[:1000])), [said])


def show_groups(sample: Sample, name: str) -> Part | None:
    """Show how large groups are, and whether they stand in several parts and classes."""
    rows = [row for row, group in enumerate(sample.groups or ()) if group is not None]
    if sample.groups is None or not rows:
        return None
    groups, parts, labels = (
        [every[row] for row in rows] for every in (sample.groups, sample.parts, sample.labels)
    )
    return samples.show_groups(groups, parts, labels, name, of=len(sample), noun="texts")


def compare_parts(sample: Sample, words: Words | None) -> Part:
    """Ask whether a classifier can tell parts of the split apart, and by which words."""
    title, parts = "Can train and test be told apart?", sample.names
    if len(parts) < 2:
        return Part(Section(title, "The data come without parts, so there is nothing to compare."))
    if words is None:
        return Part(Section(title, "There are no words that could tell parts apart."))
    from sklearn.feature_extraction.text import TfidfTransformer

    weighed = TfidfTransformer(sublinear_tf=True).fit_transform(words.counts)
    texts, rows, findings = [], [], []
    labels = np.array(sample.parts)
    compared = shift.compare(weighed, sample.parts, parts, "texts", linear=True)
    for first, second, said, grave, told in compared:
        texts.append(said)
        findings += [said] if grave else []
        if told is None:
            continue
        counts = [
            np.asarray(words.counts[labels == part].sum(0)).ravel() for part in (first, second)
        ]
        scores = log_odds(counts[1], counts[0])
        for part, sign in ((second, -1), (first, 1)):
            best = np.argsort(sign * scores, kind="stable")[:_TOP]
            each = [(str(words.names[at]), float(abs(scores[at]))) for at in best]
            rows.append([f"{part}, not {first if part == second else second}", _listed(each)])
    texts.append("A linear classifier of words, five folds; 0.5 is chance.")
    return Part(Section(title, "\n\n".join(texts), Table(["more in", "words"], rows)), findings)
