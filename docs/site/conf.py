"""How the pages become a site: `make site`. It reads from a folder, with no server or network."""

import re
from pathlib import Path

import sphinx.search
from sphinx.search.en import SearchEnglish

ROOT = Path(__file__).parents[2]
READMES = {"start": "README.md", "ko/index": "README.ko.md"}  # pages that are files of the root
PLACES = {"README.md": "/start.md", "README.ko.md": "/ko/index.md", "LICENSE": "/../LICENSE"}

project = "Deep-learning labs"
author = copyright = ""
extensions = ["myst_parser"]
source_suffix = {".md": "markdown"}
exclude_patterns = ["site"]
myst_heading_anchors = 3

html_theme = "furo"
html_title = "Deep-learning labs · 딥러닝 실습실"
html_copy_source = html_show_sourcelink = html_show_copyright = False
html_show_search_summary = False  # a page that is read from a folder may not fetch others


class SearchBoth(SearchEnglish):
    """Korean words are found by their beginning: 학습률을 is found by 학습률, and by 학습."""

    def split(self, input: str) -> list[str]:
        """Return the words of a text, Korean ones with their beginnings from two syllables on."""
        words = super().split(input)
        return [part for word in words for part in (*beginnings(word), word)]


def beginnings(word: str) -> list[str]:
    """Return the shorter beginnings of a Korean word; none of others."""
    korean = re.fullmatch("[가-힣]{3,}", word)
    return [word[:end] for end in range(2, len(word))] if korean else []


def read_readme(app: object, page: str, source: list[str]) -> None:
    """Take a page from the file of the root that it is, with links as the site has them."""
    if page not in READMES:
        return
    text = (ROOT / READMES[page]).read_text("utf-8")
    text = re.sub(r"(\]\(|src=\")docs/", r"\1/", text)
    for file, place in PLACES.items():
        text = text.replace(f"]({file})", f"]({place})")
    source[0] = text


def mend_access(app: object, page: str, template: str, context: dict, tree: object) -> None:
    """Give headings of the navigation a level, and let keys scroll code: Sphinx does neither."""
    for name in ("furo_navigation_tree", "body"):
        if name in context:
            html = context[name].replace("<pre>", '<pre tabindex="0">')
            context[name] = html.replace('role="heading"', 'role="heading" aria-level="2"')


def setup(app: object) -> None:
    """Have the search know Korean, and the first pages their texts."""
    sphinx.search.languages["en"] = SearchBoth
    app.connect("source-read", read_readme)  # type: ignore[attr-defined]
    app.connect("html-page-context", mend_access, priority=900)  # type: ignore[attr-defined]
