"""Which samples belong together: what names, times and sentences let one guess, and its worth."""

import math
import re
import unicodedata
from collections import Counter, defaultdict
from collections.abc import Collection, Hashable, Sequence
from typing import NamedTuple

_ENDS = re.compile(r"[.!?。！？…]+|\n+")
_WORDS, _LETTERS = 5, 24  # that a sentence has, or it is one that anybody writes
_MOST_TEXTS = 50  # that have a sentence in common, or it is a phrase of the trade
_IDENTITIES = re.compile(  # names of columns whose values are persons, or things seen again
    r"(?i:(?:^|[\W_])(?:person|patient|subject|participant|speaker|user|author|writer|reviewer|customer"
    r"|client|owner|family|animal|movie|film|product|item|article|document|book|scene|site|place"
    r"|location|camera|device|scanner|hospital|session|sequence|series|video|clip|study|group)"
    r"s?(?:[\W_\d]|$)|[\W_]id$)|[a-z]I[dD]$"
    r"|사람|인물|환자|사용자|작성자|저자|화자|고객|회원|영화|상품|제품|장소|위치|카메라|병원|그룹|가족|영상"
)
_COLUMNS = 10  # that are judged
_TOGETHER = 0.2  # share of samples that have companions, from which on a guess is worth a trial
_LARGEST = 0.34  # share of samples that the largest group may have


class Guess(NamedTuple):
    """Groups that samples may be of."""

    option: str  # that says so, as it is typed
    samples: int
    groups: int
    together: float  # share of samples that are not alone in their group
    largest: int  # samples of the largest group
    one_label: float  # share of the samples not alone whose group has one label
    problem: str = ""  # why they cannot be groups; empty where they may be
    measure: str = ""  # the column, where its numbers may measure something, not name it

    def describe(self) -> str:
        """Say how many groups there are, and of which sizes; or why there are none."""
        if self.problem:
            return self.problem
        return (
            f"{self.groups:,} groups of up to {self.largest:,}, {100 * self.together:.0f} % of all "
            f"are not alone in theirs; {100 * self.one_label:.0f} % of these are with their own "
            "label only"
            + (
                "; numbers, which may measure something: only --guess tries them"
                * bool(self.measure)
            )
        )


def judge(option: str, keys: Sequence[Hashable], labels: Sequence[Hashable], folds: int) -> Guess:
    """Say whether keys may be the groups of samples.

    Args:
        option: that gives these groups.
        keys: what each sample belongs to; None where it is alone.
        labels: of each.
        folds: into which the groups are to be dealt.
    """
    sizes = Counter(key for key in keys if key is not None)
    companions = {key: size for key, size in sizes.items() if size > 1}
    labels_of: dict[Hashable, set[Hashable]] = defaultdict(set)
    groups_of: dict[Hashable, set[Hashable]] = defaultdict(set)
    for row, (key, label) in enumerate(zip(keys, labels, strict=True)):
        labels_of[key].add(label)
        groups_of[label].add(("alone", row) if key is None else key)
    alone = len(keys) - sum(companions.values())
    with_own = sum(size for key, size in companions.items() if len(labels_of[key]) == 1)
    largest, number = max(sizes.values(), default=0), len(companions) + alone
    problem = ""
    if len(keys) - alone < _TOGETHER * len(keys):
        problem = f"{(len(keys) - alone) / max(1, len(keys)):.0%} of all would have companions"
    elif largest > _LARGEST * len(keys):
        problem = f"one group would have {largest:,} of {len(keys):,}"
    elif number < 2 * folds or min(map(len, groups_of.values())) < folds:
        problem = f"{number:,} groups, and of a class {min(map(len, groups_of.values())):,}"
    return Guess(
        option,
        len(keys),
        number,
        1 - alone / max(1, len(keys)),
        largest,
        with_own / max(1, len(keys) - alone),
        problem,
    )


def find_group_columns(
    cells: Sequence[Sequence[str]], used: Collection[str], folds: int
) -> tuple[list[str], list[str], list[str]]:
    """Return the columns of a table that may say which rows belong together, the finest first.

    They have a value in each row, which repeats; more of them than may be dealt into folds; and are
    no fractions, which measure something.

    Args:
        cells: of the table, its first row first, which has the names.
        used: columns that say something else, such as the label.
        folds: into which groups are to be dealt.

    Returns:
        Those that are called as persons or things are; others; and others that have numbers alone,
        which may measure something. Of many, not all.
    """
    names, *rows = cells or [[]]
    found: dict[str, set[str]] = {}
    for name, values in zip(names, zip(*rows, strict=True), strict=bool(rows)):
        different = set(values)
        usable = all(values) and 2 * folds <= len(different) < len(rows)
        if name and name not in used and usable and not _are_fractions(different):
            found[name] = different
    finest = sorted(found, key=lambda name: -len(found[name]))
    identities = [name for name in finest if _IDENTITIES.search(name)]
    others = [name for name in finest if name not in identities]
    measures = [name for name in others if _are_numbers(found[name])]
    others = [name for name in others if name not in measures]
    return identities[:_COLUMNS], others[:_COLUMNS], measures[:_COLUMNS]


def _are_numbers(values: Collection[str]) -> bool:
    try:
        return all(math.isfinite(float(value)) for value in values)
    except ValueError:
        return False


def _are_fractions(values: Collection[str]) -> bool:
    return _are_numbers(values) and not all(float(value).is_integer() for value in values)


def share_sentences(texts: Sequence[str]) -> list[int | None]:
    """Return what each text belongs to by its sentences; None where it shares none.

    Sentences count that have five words or 24 letters, and that at most 50 texts have; case, white
    space and form do not matter. Texts that share one with a third are of its group, too.
    """
    from common.training.splits import number_linked  # torch, which exported files do without

    rows: dict[str, set[int]] = defaultdict(set)
    for row, text in enumerate(texts):
        for sentence in _ENDS.split(unicodedata.normalize("NFKC", text).casefold()):
            plain = " ".join(sentence.split())
            if len(plain.split()) >= _WORDS or len(plain) >= _LETTERS:
                rows[plain].add(row)
    shared = [sorted(each) for each in rows.values() if 1 < len(each) <= _MOST_TEXTS]
    links = [(first, row) for first, *others in shared for row in others]
    numbers = number_linked(len(texts), links).tolist()
    linked = {row for link in links for row in link}
    return [number if row in linked else None for row, number in enumerate(numbers)]
