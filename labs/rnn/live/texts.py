"""How texts become numbers, as `tokens.js` needs it."""

import base64
import functools
import itertools
import json
import sys
import unicodedata
from collections import Counter
from collections.abc import Iterable, Sequence
from typing import Any

from common.errors import RunError
from labs.rnn.words import SPECIALS, Words

_PIECES = ["Metaspace", "Punctuation", "FixedLength"]  # by which words are cut before pairs join


def describe_words(words: Words) -> dict[str, Any]:
    """Return a tokenizer with its vocabulary.

    Raises:
        RunError: the page cannot cut texts as it does.
    """
    merges, punctuation = _describe_subwords(words) if words.tokenizer == "subwords" else ([], "")
    return {
        "tokenizer": words.tokenizer.replace("torchtext", "basic_english"),  # the same tokens
        "vocabulary": list(words.vocabulary),
        "specials": words.specials,
        "merges": merges,
        "punctuation": punctuation,
        "unassigned": pack_gaps(_unassigned()),
    }


def pack_gaps(numbers: Iterable[int]) -> str:
    """Return rising numbers in base64: the gaps between them, in bytes of 7 bits each."""
    packed, last = bytearray(), 0
    for number in numbers:
        gap, last = number - last, number
        while gap > 127:
            packed.append(gap & 127 | 128)
            gap >>= 7
        packed.append(gap)
    return base64.b64encode(packed).decode()


def count_scripts(texts: Sequence[str]) -> dict[str, float]:
    """Return the share of the letters of texts that each script has, as `LATIN` or `HANGUL`."""
    letters = Counter(itertools.chain.from_iterable(texts))
    scripts: Counter[str] = Counter()
    for letter, number in letters.items():
        if letter.isalpha():
            scripts[unicodedata.name(letter, "other").split()[0]] += number
    return {script: number / scripts.total() for script, number in scripts.most_common()}


def _describe_subwords(words: Words) -> tuple[list[str], str]:
    """Return which pairs were joined, in their order, and the characters that stand alone."""
    model = json.loads(words.model)
    pieces = [each["type"] for each in (model["pre_tokenizer"] or {}).get("pretokenizers", [])]
    if pieces != _PIECES or model["model"]["unk_token"] != SPECIALS[1]:
        raise RunError(
            f"a page cannot make subwords by {', '.join(pieces) or 'a tokenizer of its own'}; it "
            "makes words, characters, jamo, and the subwords that this program learns"
        )
    pairs = model["model"]["merges"]  # as strings in older files
    return [each if isinstance(each, str) else " ".join(each) for each in pairs], _punctuation()


@functools.cache
def _punctuation() -> str:
    """Return the characters that the tokenizer parts from words."""
    from tokenizers import pre_tokenizers

    cut = pre_tokenizers.Punctuation().pre_tokenize_str
    marks = [mark for mark in _characters() if unicodedata.category(mark)[0] in "PS"]
    return "".join(mark for mark in marks if len(cut(f"a{mark}a")) == 3)


@functools.cache
def _unassigned() -> tuple[int, ...]:
    """Return where characters begin, and cease, that this Python's Unicode does not know."""
    edges, inside = [], False
    for code in range(sys.maxunicode + 1):
        if (unicodedata.category(chr(code)) == "Cn") != inside:
            edges.append(code)
            inside = not inside
    return (*edges, sys.maxunicode + 1) if inside else tuple(edges)


def _characters() -> Iterable[str]:
    return map(chr, (*range(0xD800), *range(0xE000, sys.maxunicode + 1)))
