"""The n-grams of a text: its words, pairs of words, and the character n-grams of its words."""

import unicodedata
from collections.abc import Sequence
from typing import Any

import torch

from common.files import replace_surrogates
from common.training.sequences import Ragged

_WORD_ROWS, _CHARACTER_ROWS = 2**18, 2**19
ROWS = 1 + _WORD_ROWS + _CHARACTER_ROWS
"""How many numbers there are: 0 is padding."""

# scikit-learn's own pattern drops words of a single letter, which in Korean are many, and marks.
TOKENS = r"\w+|[^\w\s]"

_LONGEST = 20_000  # characters of a text that are read: one row sets the width of its whole batch


def normalize(text: str) -> str:
    """Return a text in NFC and lower case."""
    return unicodedata.normalize("NFC", replace_surrogates(text)).lower()  # they have no hash


def ngrams(texts: Sequence[str]) -> Ragged:
    """Return the numbers of each text's n-grams, int32, from 1 to `ROWS` - 1, each once.

    They are hashed (Weinberger et al. 2009, "Feature hashing for large scale multitask learning"),
    so there is no vocabulary to learn, and none is unknown: words and pairs of words to 262,144
    numbers, character n-grams of 2 to 5 letters inside a word, its edges marked, to 524,288. Of a
    text of more than 20,000 characters the beginning is read.
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
    found = sparse.hstack([words.transform(texts), characters.transform(texts)], format="csr")
    values = torch.from_numpy(found.indices.astype("int32")) + 1
    return Ragged(values, torch.from_numpy(found.indptr.astype("int64")))
