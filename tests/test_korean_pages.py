"""A Korean page has all that the English one has: commands, figures, tables, sections and links."""

import calendar
import os
import re
from collections import Counter
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
DOCS = ROOT / "docs"
KOREAN = sorted({*DOCS.glob("ko/**/*.md")} - {DOCS / "ko/index.md"})
README = ROOT / "README.ko.md"
MUST = [  # what students read: it grows, and nothing goes from it
    *(f"lessons/{page.stem}" for page in DOCS.glob("lessons/*.md")),
    "own-data",
    "which-lab",
    "coming-from",
    "gallery",
    "rnn",
    "rnn-forecast",
    "rnn-translate",
    "rnn-memory",
    "open",
    *("explore", "find-lr", "runs", "doctor", "experiments", "ensembles", "submit", "compete"),
    *("classification", "contrastive", "autoencoder", "detection", "segmentation"),
]
FENCE = re.compile(r"^ *```.*?^ *```", re.MULTILINE | re.DOTALL)
CODE = re.compile(r"(`+)(?!`)(.+?)(?<!`)\1(?!`)", re.DOTALL)
LINK = re.compile(r"\]\(([^()\s]+)\)")


def english(page):
    """Return the page that a Korean one says again."""
    return ROOT / "README.md" if page == README else DOCS / page.relative_to(DOCS / "ko")


def read_fences(text):
    """Return the blocks of code; what stands behind a # is a comment, and may be Korean."""
    return [re.sub(r"(^|\s+)#.*", "", block) for block in FENCE.findall(text)]


def read_prose(text):
    """Return a page's text without blocks of code, code in lines and addresses of links."""
    return LINK.sub("]", CODE.sub("`", FENCE.sub("", text)))


def read_figures(text):
    """Return the numbers of a page's prose; 133 million are 1억 3,300만."""
    text = re.sub(r"(?<=\d),(?=\d)", "", read_prose(text))
    text = re.sub(r"([\d.]+) million", lambda found: f"{float(found[1]) * 1e6:.0f}", text)
    text = re.sub(r"(\d+) thousand", r"\g<1>000", text)
    for number, month in enumerate(calendar.month_name[1:], 1):
        text = re.sub(rf"{month} (?=\d{{4}})", f"{number} ", text)
    text = re.sub(r"(\d+)억 (\d+)만", lambda found: f"{found[1]}{int(found[2]):04}만", text)
    text = re.sub(r"(\d+)만 (\d)천", r"\1\g<2>000", text)
    text = re.sub(r"(\d+)만(?!큼)", r"\g<1>0000", text)
    return Counter(re.findall(r"\d+(?:\.\d+)*", text))


def read_code(text):
    """Return what stands in lines as code, on one line each."""
    return {" ".join(code.split()) for _, code in CODE.findall(FENCE.sub("", text))}


def read_kind(line):
    """Return what a line begins: a heading of a level, a row of so many cells, a point, a text."""
    if line.startswith("|"):
        return "row", len(re.findall(r"(?<!\\)\|", line)) - 1
    found = re.match(r" *(#+(?= )|```|[-*](?= )|\d+\.(?= )|!\[)", line)
    return found[1] if found else "text"


def read_shape(text):
    """Return the kinds of a page's blocks, in order; lines of text on one another are one."""
    text = FENCE.sub("```code", text.strip())
    blocks = [[read_kind(line) for line in block.split("\n")] for block in text.split("\n\n")]
    shape = []
    for block in blocks:
        shape += [kind for place, kind in enumerate(block) if kind != "text" or place == 0]
    return shape


def read_anchors(text):
    """Return how links name the headings of a page."""
    headings = re.findall(r"^#+ (.+)", FENCE.sub("", text), re.MULTILINE)
    words = [re.sub(r"[^\w\- ]", "", LINK.sub("]", heading).lower()) for heading in headings]
    return [word.strip().replace(" ", "-") for word in words]


def translate_link(page, link):
    """Return where a link of an English page has to lead on the Korean one."""
    if link.startswith("http"):
        return link
    if link == README.name:
        return "README.md"
    file, _, anchor = link.partition("#")
    there = Path(os.path.normpath(english(page).parent / file)) if file else english(page)
    twin = DOCS / "ko" / there.relative_to(DOCS) if there.is_relative_to(DOCS) else there
    if twin in KOREAN:
        if anchor:
            place = read_anchors(there.read_text("utf-8")).index(anchor)
            anchor = read_anchors(twin.read_text("utf-8"))[place]
        there = twin
    name = os.path.relpath(there, page.parent) if file else ""
    return f"{name}#{anchor}" if anchor else name


@pytest.fixture(params=[*KOREAN, README], ids=lambda page: str(page.relative_to(ROOT)))
def page(request):
    """A Korean page."""
    return request.param


@pytest.fixture
def texts(page):
    """What the English page says and what the Korean one says."""
    return english(page).read_text("utf-8"), page.read_text("utf-8")


def test_its_code_is_the_same_but_for_comments(texts):
    ours, theirs = map(read_fences, texts)
    assert theirs == ours


def test_its_names_and_options_in_lines_are_the_same(texts):
    ours, theirs = map(read_code, texts)
    assert theirs == ours


def test_its_figures_are_the_same(texts):
    ours, theirs = map(read_figures, texts)
    assert theirs == ours


def test_it_has_as_many_headings_tables_points_and_paragraphs_in_the_same_order(texts):
    ours, theirs = map(read_shape, texts)
    assert theirs == ours


def test_its_bold_words_are_bold(texts):
    """Stars between a mark and a letter are shown as stars: the particle goes inside."""
    assert re.findall(r"[`).!?\"]\*\*[가-힣].*", texts[1]) == []


def test_its_links_lead_to_the_same_places_in_korean_where_they_are(page, texts):
    ours, theirs = (LINK.findall(CODE.sub("`", FENCE.sub("", text))) for text in texts)
    assert Counter(theirs) == Counter(translate_link(page, link) for link in ours)


@pytest.mark.parametrize("name", MUST)
def test_what_students_read_is_there_in_korean(name):
    assert DOCS / "ko" / f"{name}.md" in KOREAN


def test_every_korean_page_stands_in_the_index_of_the_site():
    index = (DOCS / "index.md").read_text("utf-8")
    listed = {*re.findall(r"^(?:.* <)?(ko/[\w/*-]+)>?$", index, re.MULTILINE)}
    names = [page.relative_to(DOCS).with_suffix("") for page in KOREAN]
    assert [name for name in names if not any(map(name.match, listed))] == []
