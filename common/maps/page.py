"""The map to be explored: one HTML file that asks for nothing from outside.

Pointing at a point, or going there by the arrow keys, shows its pictures or its text and what is
known of it; controls choose what colors say and which points are shown, in English or Korean.
plotly.js stands in the file (4.8 MB), and pictures are sheets; a policy in the page forbids every
request.
"""

import io
import json
import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from common.files import replace_surrogates
from common.maps.plots import colors
from common.maps.words import Words
from common.metrics.metrics import Array
from common.report.html import as_script, data_url, korean_glyphs, load_template, words_script
from common.report.plots import short
from common.steps import track

_HERE = Path(__file__).parent
_CLIPPED = 98  # percentile of values from which on colors stay the same
_SHEET = {1: 6_000_000, 3: 18_000_000}  # numbers in a sheet at most: 5,000 images of 34x34
_LOSSLESS = 1_500_000  # numbers of a sheet in color above which it is a JPEG, a tenth as large
_QUALITY = 90  # of that
_SMALLEST = 8  # pixels of an image's side
_MOST_SVG = 5000  # points that are drawn without WebGL, which not every machine has
_LONGEST = 24  # cells of a name in the legend
_MOST_LETTERS = 1200  # of a text
_FAMILY = (
    '"Map Korean", system-ui, -apple-system, "Segoe UI", Roboto, "Helvetica Neue", "DejaVu Sans", '
    "sans-serif"
)
_CONFIG = {"displaylogo": False, "responsive": True, "scrollZoom": True, "plotlyServerURL": ""}
# Named one by one: what is there by default includes a button that uploads the map.
_BUTTONS = {
    2: ["toImage", "pan2d", "zoom2d", "zoomIn2d", "zoomOut2d", "resetScale2d"],
    3: ["toImage", "orbitRotation", "tableRotation", "pan3d", "zoom3d", "resetCameraDefault3d"],
}


class Groups(NamedTuple):
    """Colors that say to which of several groups a point belongs."""

    label: Words
    numbers: Array  # (N,) of the groups
    names: Sequence[str]  # of all groups


class Shades(NamedTuple):
    """Colors that say a number."""

    label: Words
    values: Array  # (N,)


class Fact(NamedTuple):
    """What is known of each point."""

    label: Words
    values: Sequence[str]  # N


class Mark(NamedTuple):
    """Points that have a shape of their own."""

    label: Words  # what such a point is
    other: Words  # what all others are
    rows: Array  # bool (N,)


class Pictures(NamedTuple):
    """A picture of each point."""

    label: Words
    images: Any  # uint8 (N, C, S, S), C 1 or 3: an array, a tensor, or what gives rows one by one


def render(
    coordinates: Array,
    ways: Sequence[Groups | Shades],
    facts: Sequence[Fact],
    *,
    title: str,
    subtitle: str,
    about: Words,
    pictures: Sequence[Pictures] = (),
    texts: Sequence[str] = (),
    mark: Mark | None = None,
) -> str:
    """Return the map as HTML; equal input gives equal text.

    Maps of two dimensions need WebGL above 5,000 points, those of three always. Images are scaled
    down where all of them would make more than 6 million pixels: 5,000 of them to 34x34. Texts are
    cut after 1,200 letters.

    Args:
        coordinates: (N, 2) or (N, 3).
        ways: to color points, of which the page shows the first; groups of that one can be chosen.
        facts: what is known of each point.
        title: names the run.
        subtitle: a line on what it is.
        about: how much of the map to believe, shown above it.
        pictures: of each point.
        texts: N, in place of pictures.
        mark: the points that have another shape.
    """
    from markupsafe import Markup
    from plotly.offline import get_plotlyjs

    points = {
        "places": [[float(f"{each:.5g}") for each in axis] for axis in coordinates.T],
        "ways": [_way(each) for each in ways],
        "facts": [{"label": each.label._asdict(), "values": [*each.values]} for each in facts],
        "pictures": [_sheet(each) for each in pictures],
        "texts": [_cut(each) for each in texts],
        "mark": mark and {**_labels(mark), "rows": mark.rows.astype(int).tolist()},
        "about": about._asdict(),
        "size": _size(coordinates),
        "webgl": len(coordinates) > _MOST_SVG,
        "family": _FAMILY,
    }
    said = json.loads((_HERE / "texts.json").read_text("utf-8"))
    settings = {**_CONFIG, "modeBarButtons": [_BUTTONS[coordinates.shape[1]]]}
    own = " ".join([title, subtitle, *(as_script(each) for each in (points, said))])
    page = load_template(_HERE / "page.html.j2").render(
        title=title,
        subtitle=subtitle,
        plotly=Markup(get_plotlyjs()),
        family=Markup(_FAMILY),
        font=korean_glyphs(own),
        points=Markup(as_script(points)),
        texts=Markup(as_script(said)),
        settings=Markup(as_script(settings)),
        words=Markup(words_script()),
        script=Markup((_HERE / "map.js").read_text("utf-8")),
    )
    return replace_surrogates(page)


def sprite_side(count: int, channels: int, side: int) -> int:
    """Return the side in pixels that so many images get in their sheet."""
    return min(side, max(_SMALLEST, math.isqrt(_SHEET[channels] // (count * channels))))


def sheet(images: Any, side: int, columns: int) -> Array:
    """Lay out images, uint8 (N, C, S, S), each of `side` pixels, S at most, in rows of `columns`.

    The sheet is uint8, (H, W) of grey images and (H, W, 3) of those in color.
    """
    import cv2

    count, channels = images.shape[:2]
    rows = math.ceil(count / columns)
    pixels = np.zeros((rows * columns, side, side, channels), np.uint8)
    for place in track(range(count), "making the pictures small"):
        image = np.asarray(images[place]).transpose(1, 2, 0)
        small = cv2.resize(image, (side, side), interpolation=cv2.INTER_AREA)
        pixels[place] = small.reshape(side, side, channels)
    pixels = pixels.reshape(rows, columns, side, side, channels).swapaxes(1, 2)
    return np.squeeze(pixels.reshape(rows * side, columns * side, channels))


def _sheet(pictures: Pictures) -> dict[str, Any]:
    side = sprite_side(*pictures.images.shape[:3])
    columns = math.ceil(math.sqrt(len(pictures.images)))
    source = _as_url(sheet(pictures.images, side, columns))
    return {
        "label": pictures.label._asdict(),
        "side": side,
        "columns": columns,
        "source": source,
    }


def _as_url(pixels: Array) -> str:
    from PIL import Image

    buffer = io.BytesIO()
    kind, how = "png", dict[str, Any](optimize=True)
    if pixels.ndim == 3 and pixels.size > _LOSSLESS:
        # Subsampling would mix neighbors.
        kind, how = "jpeg", dict[str, Any](quality=_QUALITY, subsampling=0)
    Image.fromarray(pixels).save(buffer, kind, **how)
    return data_url(kind, buffer.getvalue())


def _way(way: Groups | Shades) -> dict[str, Any]:
    label = way.label._asdict()
    if isinstance(way, Groups):
        names = [short(name, _LONGEST) for name in way.names]
        numbers = way.numbers.tolist()
        return {"label": label, "groups": numbers, "names": names, "colors": colors(len(names))}
    highest = float(np.percentile(way.values, _CLIPPED))
    return {
        "label": label,
        "values": [float(f"{value:.4g}") for value in way.values],
        "lowest": float(way.values.min()),
        "highest": highest,
        "clipped": 100 - _CLIPPED if highest < way.values.max() else 0,
    }


def _labels(mark: Mark) -> dict[str, Any]:
    return {"label": mark.label._asdict(), "other": mark.other._asdict()}


def _cut(text: str) -> str:
    return text if len(text) <= _MOST_LETTERS else f"{text[:_MOST_LETTERS]}…"


def _size(coordinates: Array) -> float:
    """Return the diameter of a point in pixels."""
    size = float(np.clip(200 / math.sqrt(len(coordinates)), 3.5, 8))
    return size if coordinates.shape[1] == 2 else 0.7 * size
