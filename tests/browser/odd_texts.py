"""Texts of all kinds, good and odd, the same for each seed."""

import json
import random
import sys
import unicodedata
from pathlib import Path

_KINDS = json.loads(Path(__file__).with_suffix(".json").read_text("utf-8"))


def odd_texts(count: int, seed: int = 0) -> list[str]:
    """Return so many texts of Korean, English, emoji, NFD, odd white space and any characters."""
    chance = random.Random(seed)
    letters = [chr(code) for code in range(sys.maxunicode + 1) if not 0xD800 <= code < 0xE000]

    def word() -> str:
        kind = chance.random()
        if kind < 0.35:
            return chance.choice(_KINDS["english"])
        if kind < 0.65:
            return chance.choice(_KINDS["korean"])
        if kind < 0.72:
            return chance.choice(_KINDS["emoji"])
        if kind < 0.87:
            return chance.choice(_KINDS["odd"])
        if kind < 0.9:
            return chance.choice("ㅋ!a가") * chance.randrange(1, 250)
        return "".join(chance.choices(letters[:0x3000] if kind < 0.95 else letters, k=4))

    texts = [""]
    while len(texts) < count:
        text = "".join(
            word() + chance.choice(_KINDS["spaces"]) for _ in range(chance.randrange(1, 14))
        )
        form = chance.random()
        texts.append(unicodedata.normalize("NFD", text) if form < 0.2 else text)
    return texts
