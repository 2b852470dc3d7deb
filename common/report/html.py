"""The report of a run: one HTML file that shows everything and asks for nothing.

Pictures, style and (where there is Korean text) the glyphs needed for it are inside the file; there
is no script. So it can be mailed, printed, or opened years later on another machine.
"""

import base64
import functools
import io
import json
import re
import unicodedata
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from html import unescape
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from common.errors import RunError
from common.files import replace_surrogates
from common.options.terminal import figure_text
from common.steps import step

if TYPE_CHECKING:
    from jinja2 import Template
    from matplotlib.figure import Figure

_LONGEST = 40  # lines of code, or rows of a table, that are shown without a click


class Table(NamedTuple):
    """A table of texts."""

    columns: Sequence[str]  # the headers
    rows: Sequence[Sequence[str]]
    """A text for each column; the first one names the row, the others stand to the right."""

    @classmethod
    def of(
        cls,
        records: Sequence[Mapping[str, Any]],
        columns: Mapping[str, str] | None = None,
        text: Callable[[Any], str] = figure_text,
    ) -> "Table":
        """Return a row for each record.

        Args:
            records: values by their names, the same names in each.
            columns: header by name of what is shown; when not given, all, under their names.
            text: writes a value.
        """
        names = list(columns or (records[0] if records else ()))
        headers = list(columns.values()) if columns else names
        return cls(headers, [[text(record[name]) for name in names] for record in records])


@dataclass(frozen=True)
class Section:
    """A section, shown in the order of its attributes; what is empty is left out."""

    title: str  # stands in the table of contents too
    text: str = ""  # plain text; an empty line parts paragraphs
    table: Table | None = None  # folded away when it is long
    pictures: Sequence[tuple[str, Path | bytes]] = ()
    """(caption, PNG or the path of one); the caption is the alternative text too."""
    code: str = ""  # shown as it is (a command, a config); folded away when it is long


class PictureSaver:
    """Saves pictures as PNG files of one folder, with one prefix, and hands them to the report."""

    def __init__(self, folder: Path, prefix: str = ""):
        self._folder, self._prefix = folder, prefix

    def __call__(self, name: str, caption: str, figure: "Figure") -> tuple[str, Path]:
        """Save a picture; returns what a section takes."""
        from common.report import plots

        path = self._folder / f"{self._prefix}{name}.png"
        with step(f"drawing {path.name}"):
            plots.save(figure, path)
        return caption, path


def render(title: str, subtitle: str, verdict: str, sections: Sequence[Section]) -> str:
    """Return a report as HTML; equal input gives equal text.

    Args:
        title: names the run.
        subtitle: one line on what it is.
        verdict: the result in a sentence or two.
        sections: what follows.
    """
    template = load_template(Path(__file__).with_name("report.html.j2"))
    page = {"title": title, "subtitle": subtitle, "verdict": verdict, "sections": sections}
    html = template.render(page, font="", longest=_LONGEST)
    if font := korean_glyphs(html):
        html = template.render(page, font=font, longest=_LONGEST)
    return replace_surrogates(html)  # a command line may hold some


class Written(NamedTuple):
    """What a report says that was written."""

    title: str
    verdict: str  # plain text
    sections: Sequence[tuple[str, str]]  # title and content, both HTML


def read_report(path: Path) -> Written:
    """Read a report that `render` made.

    Raises:
        RunError: it is missing, or another page.
    """
    try:
        page = path.read_text(encoding="utf-8")
        [title] = re.findall("<h1>(.*?)</h1>", page)
    except (OSError, ValueError) as error:
        raise RunError(f"{path} is missing or no report; write it again with `report`") from error
    verdict = re.search('<p class="verdict">(.*?)</p>', page, re.DOTALL)
    sections = re.findall(r"<section id=.*?>\s*<h2>(.*?)</h2>(.*?)</section>", page, re.DOTALL)
    return Written(unescape(title), unescape(verdict[1]) if verdict else "", sections)


def load_template(path: Path) -> "Template":
    """Load a template of a page: it escapes what it is given, and refuses names it is not given."""
    from jinja2 import Environment, FileSystemLoader, StrictUndefined

    environment = Environment(
        autoescape=True,
        loader=FileSystemLoader(path.parent),
        lstrip_blocks=True,
        trim_blocks=True,
        undefined=StrictUndefined,
    )
    environment.filters["base64"] = _base64
    return environment.get_template(path.name)


def as_script(value: Any) -> str:
    """Return JSON that may stand in a script: it holds nothing that would end it."""
    return json.dumps(value, ensure_ascii=False).replace("<", "\\u003c")


def words_script() -> str:
    """Return the script by which a page shows its texts in English or Korean; see words.js."""
    return Path(__file__).with_name("words.js").read_text("utf-8")


def data_url(kind: str, picture: bytes) -> str:
    """Return a picture, a file of a kind such as png, as an address that holds it."""
    return f"data:image/{kind};base64,{_base64(picture)}"


def _base64(picture: Path | bytes) -> str:
    data = picture if isinstance(picture, bytes) else picture.read_bytes()
    return base64.b64encode(data).decode("ascii")


def korean_glyphs(text: str) -> str:
    """Return NanumGothic with no glyphs but those of a text, as WOFF in base64; or "" if none.

    Only East Asian letters are asked of it: all others every machine has. Browsers compose a
    decomposed syllable before they look for its glyph, hence NFC.
    """
    letters = set(unicodedata.normalize("NFC", text))  # few, where text is mostly pictures
    return _glyphs(frozenset(ord(letter) for letter in letters if _is_wide(letter)))


@functools.cache
def _glyphs(letters: frozenset[int]) -> str:
    if not letters:
        return ""
    from fontTools import subset

    from common.report.plots import korean_font

    options = subset.Options(
        flavor="woff", hinting=False, layout_features=[], name_IDs=[0, 13, 14], notdef_outline=False
    )
    # VTT's sources: dropped in any case, but with a warning.
    options.drop_tables += ["TSI0", "TSI1", "TSI2", "TSI3", "TSI5"]
    with subset.load_font(str(korean_font()), options) as font, io.BytesIO() as buffer:
        if letters.isdisjoint(font.getBestCmap()):
            return ""
        subsetter = subset.Subsetter(options)
        subsetter.populate(unicodes=letters)
        subsetter.subset(font)
        subset.save_font(font, buffer, options)
        return _base64(buffer.getvalue())


def _is_wide(letter: str) -> bool:
    return unicodedata.east_asian_width(letter) in "WF"
