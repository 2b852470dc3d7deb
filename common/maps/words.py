"""Texts of maps in both languages of their pages."""

from typing import NamedTuple


class Words(NamedTuple):
    """A text in English and Korean."""

    en: str
    ko: str
