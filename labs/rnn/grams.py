"""The n-grams of texts, hashed to numbers; without torch, for who asks an exported file."""

import unicodedata
from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from common.files import replace_surrogates
from common.steps import track

_WORD_ROWS, _CHARACTER_ROWS = 2**18, 2**19
ROWS = 1 + _WORD_ROWS + _CHARACTER_ROWS
"""How many numbers there are: 0 is padding."""

# scikit-learn's own pattern drops words of a single letter, which in Korean are many, and marks.
TOKENS = r"\w+|[^\w\s]"

_CHUNK = 10_000  # texts at a time
_LONGEST = 20_000  # characters of a text that are read: one row sets the width of its whole batch


def normalize(text: str) -> str:
    """Return a text in NFC and lower case."""
    return unicodedata.normalize("NFC", replace_surrogates(text)).lower()  # they have no hash


def hash_grams(
    texts: Sequence[str],
) -> tuple[npt.NDArray[np.int32], npt.NDArray[np.int64]]:
    """Return the numbers of each text's n-grams, from 1 to `ROWS` - 1, each once.

    They are hashed (Weinberger et al. 2009, "Feature hashing for large scale multitask learning"),
    so there is no vocabulary to learn, and none is unknown: words and pairs of words to 262,144
    numbers, character n-grams of 2 to 5 letters inside a word, its edges marked, to 524,288. Of a
    text of more than 20,000 characters the beginning is read.

    Returns:
        The numbers of all texts, one text after the other, and where each text's begin, (N + 1,).
    """
    from scipy import sparse
    from sklearn.feature_extraction.text import HashingVectorizer

    shared: dict[str, Any] = {
        "preprocessor": normalize,
        "binary": True,
        "norm": None,
        "alternate_sign": False,
    }
    words = HashingVectorizer(
        token_pattern=TOKENS, ngram_range=(1, 2), n_features=_WORD_ROWS, **shared
    )
    characters = HashingVectorizer(
        analyzer="char_wb", ngram_range=(2, 5), n_features=_CHARACTER_ROWS, **shared
    )
    texts = [text[:_LONGEST] for text in texts]
    parts = []
    chunks = range(0, max(1, len(texts)), _CHUNK)
    for start in track(chunks, f"n-grams of {len(texts):,} texts"):
        some = texts[start : start + _CHUNK]
        parts.append(sparse.hstack([words.transform(some), characters.transform(some)]))
    found = sparse.vstack(parts, format="csr")
    return found.indices.astype(np.int32) + np.int32(1), found.indptr.astype(np.int64)
