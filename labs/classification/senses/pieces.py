"""Short texts in pieces: words, and two or three characters of a word.

Words alone would be too many where endings change with the sentence, as in Korean: `강아지가` and
`강아지를` have no word in common, but most of their pieces.
"""

import re
import unicodedata
from collections import Counter
from collections.abc import Iterable, Sequence

_WORD = re.compile(r"\w+")
_SIZES = (2, 3)  # characters, of which the first and the last of a word have an edge beside them
_LEAST = 2  # texts that have a piece, without which nothing can be learned of it
MOST = 5000  # pieces that are known
LONGEST = 256  # known pieces of one text that are taken


def cut(text: str) -> list[str]:
    """Return the different pieces of a text, in the order in which they come."""
    words = _WORD.findall(unicodedata.normalize("NFC", text).casefold())
    found: dict[str, None] = {}
    for word in (f" {word} " for word in words):
        for size in (len(word), *_SIZES):
            found |= dict.fromkeys(word[at : at + size] for at in range(len(word) - size + 1))
    return list(found)


def choose(texts: Iterable[str]) -> tuple[str, ...]:
    """Return the pieces that are in most texts, at most `MOST`, the most frequent first."""
    counts = Counter(piece for text in texts for piece in cut(text))
    often = [piece for piece, count in counts.items() if count >= _LEAST]
    return tuple(sorted(often, key=lambda piece: (-counts[piece], piece))[:MOST])


def number(text: str, known: dict[str, int], length: int) -> list[int]:
    """Return the numbers of the first known pieces of a text, from 1 on, and 0 behind them."""
    found = [known[piece] for piece in cut(text) if piece in known][:length]
    return found + [0] * (length - len(found))


def longest(texts: Sequence[str], known: Iterable[str]) -> int:
    """Return how many known pieces the text that has most of them has, at most `LONGEST`."""
    numbers = set(known)
    return min(LONGEST, max(len(numbers.intersection(cut(text))) for text in texts))
