"""How the pages become a site: `make site`. It reads from a folder, with no server or network."""

import re
from pathlib import Path

import sphinx.search
from sphinx.search.en import SearchEnglish

ROOT = Path(__file__).parents[2]
READMES = {"start": "README.md", "ko/index": "README.ko.md"}  # pages that are files of the root
PLACES = {"README.md": "/start.md", "README.ko.md": "/ko/index.md", "LICENSE": "/../LICENSE"}
HANGUL = re.compile("[가-힣]")
KOREAN = {  # what the theme says around a page
    "Search": "검색",
    "Next": "다음",
    "Previous": "이전",
    "Home": "처음",
    "On this page": "이 페이지의 내용",
    "Back to top": "맨 위로",
    "Skip to content": "본문으로 가기",
    "Toggle Light / Dark / Auto color theme": "밝게, 어둡게, 자동",
    "Toggle site navigation sidebar": "차례 열고 닫기",
    "Toggle table of contents sidebar": "이 페이지의 내용 열고 닫기",
}

project = "Deep-learning labs"
author = copyright = ""
extensions = ["myst_parser", "sphinx.ext.autodoc", "sphinx.ext.napoleon"]
source_suffix = {".md": "markdown"}
exclude_patterns = ["site"]
myst_heading_anchors = 3

default_role = "code"  # one backtick, as in the docstrings
add_module_names = False
python_use_unqualified_type_names = True
autodoc_preserve_defaults = True
autodoc_member_order = "bysource"
napoleon_use_rtype = False
napoleon_use_ivar = True  # attributes are a list, not entries that others repeat

html_theme = "furo"
html_title = "Deep-learning labs · 딥러닝 실습실"
html_static_path = html_css_files = ["korean.css"]
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


def mark_code(app: object, kind: str, name: str, it: object, options: object, lines: list) -> None:
    """Say that formulas and code, which docstrings indent, are no quotations."""
    paragraph = True  # at the left, before a blank line
    marked = []
    for before, line in zip(["", *lines], lines, strict=False):
        indented = line.startswith("    ")
        if indented and not before and paragraph:
            marked += ["::", ""]
        if line:
            paragraph = not indented and not line.startswith(("-", ".. "))
        marked.append(line)
    lines[:] = marked


def mend_access(app: object, page: str, template: str, context: dict, tree: object) -> None:
    """Give headings of the navigation a level, and let keys scroll code: Sphinx does neither."""
    for name in ("furo_navigation_tree", "body"):
        if name in context:
            html = context[name].replace("<pre>", '<pre tabindex="0">')
            context[name] = html.replace('role="heading"', 'role="heading" aria-level="2"')


def speak_language(app: object, page: str, template: str, context: dict, tree: object) -> None:
    """Have a page say which language it is in, show that one's pages, and lead to the other's."""
    korean = page.startswith("ko/")
    if korean:
        context["language"] = "ko"
        context["gettext"] = lambda text: KOREAN.get(text, text)
    parts = re.split('(?=<p class="caption")', context.get("furo_navigation_tree", ""))
    kept = [part for part in parts if bool(HANGUL.search(part.split("</p>")[0])) == korean]
    context["furo_navigation_tree"] = "".join(kept)
    twin = page.removeprefix("ko/") if korean else f"ko/{page}"
    if page not in READMES and twin in app.env.found_docs:  # type: ignore[attr-defined]
        code, name = ("en", "English") if korean else ("ko", "한국어")
        link = f'<a href="{context["pathto"](twin)}" hreflang="{code}" lang="{code}">{name}</a>'
        context["body"] = f"<p>{link}</p>" + context["body"]


def setup(app: object) -> None:
    """Have the search know Korean, and the first pages their texts."""
    sphinx.search.languages["en"] = SearchBoth
    app.connect("source-read", read_readme)  # type: ignore[attr-defined]
    app.connect("html-page-context", speak_language, priority=800)  # type: ignore[attr-defined]
    app.connect("autodoc-process-docstring", mark_code, priority=400)  # type: ignore[attr-defined]
    app.connect("html-page-context", mend_access, priority=900)  # type: ignore[attr-defined]
