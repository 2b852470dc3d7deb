"""A page in which a trained network runs: one HTML file that asks nothing of any network.

What computes (`engine.js`), what makes the pictures (`images.js`), the weights and the glyphs of
Korean texts are inside; a policy in the page forbids every request. It works from a folder, a USB
stick or a mail.
"""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from common.files import replace_surrogates, write_text
from common.report.html import as_script, korean_glyphs, load_template, words_script

_HERE = Path(__file__).parent


def write_page(
    path: Path, title: str, subtitle: str, folder: Path, data: Mapping[str, Any]
) -> None:
    """Write the page.

    Args:
        path: the HTML file.
        title: names the run.
        subtitle: a line on what it is.
        folder: of the lab's `view.html` (in which `<!-- board -->` stands for the board to draw
            on), `texts.json` (each text in English, `en`, and Korean, `ko`, by its name) and
            scripts, of which `view.js` comes last.
        data: what the view needs: the program, classes, how inputs are made.

    Raises:
        SaveError: it cannot be written.
    """
    from markupsafe import Markup

    texts = {
        **json.loads((_HERE / "texts.json").read_text("utf-8")),
        **json.loads((folder / "texts.json").read_text("utf-8")),
    }
    board = (_HERE / "board.html").read_text("utf-8")
    body = (folder / "view.html").read_text("utf-8").replace("<!-- board -->\n", board)
    template = load_template(_HERE / "page.html.j2")
    page = {
        **{"title": title, "subtitle": subtitle},
        "body": Markup(body),
        "data": Markup(as_script(data)),
        "texts": Markup(as_script(texts)),
        "words": Markup(words_script()),
        "engine": Markup((_HERE / "engine.js").read_text("utf-8")),
        "images": Markup((_HERE / "images.js").read_text("utf-8")),
        "parts": Markup((_HERE / "parts.js").read_text("utf-8")),
        "scripts": Markup("\n".join(path.read_text("utf-8") for path in _scripts(folder))),
    }
    html = template.render(page, font="")
    if font := korean_glyphs(html):
        html = template.render(page, font=font)
    write_text(path, replace_surrogates(html))


def _scripts(folder: Path) -> list[Path]:
    return sorted(folder.glob("*.js"), key=lambda path: (path.name == "view.js", path.name))
