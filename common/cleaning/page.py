"""The page on which a person judges suspects, key by key, and that saves the patch.

It is one HTML file that asks nothing of any network: pictures, glyphs, style and script are inside.
What was decided is kept by the browser (localStorage), so that it survives a reload.
"""

import hashlib
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from common.files import replace_surrogates, write_text
from common.report.html import korean_glyphs, load_template


def write_page(
    path: Path,
    title: str,
    subtitle: str,
    suspects: Sequence[dict[str, Any]],
    classes: Sequence[str],
    patch: str,
) -> None:
    """Write the page.

    Args:
        path: the HTML file.
        title: names the run.
        subtitle: a sentence on what is shown.
        suspects: the likeliest first: `sample`, `given`, `suggested`, the probabilities
            `given_share` and `suggested_share`, `fingerprint`, and `picture`, a `data:` URL or "".
        classes: what a sample can be relabelled to.
        patch: the name under which the page saves.

    Raises:
        SaveError: it cannot be written.
    """
    template = load_template(Path(__file__).with_name("page.html.j2"))
    saved = [
        {name: each[name] for name in ("sample", "given", "suggested", "fingerprint")}
        for each in suspects
    ]
    known_as = hashlib.sha256(json.dumps(saved).encode()).hexdigest()[:16]
    page = {
        **{"title": title, "subtitle": subtitle, "suspects": suspects, "classes": classes},
        **{"saved": saved, "patch": patch, "known_as": known_as},
    }
    html = template.render(page, font="")
    if font := korean_glyphs(html):
        html = template.render(page, font=font)
    write_text(path, replace_surrogates(html))
