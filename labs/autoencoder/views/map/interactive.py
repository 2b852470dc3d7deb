"""The interactive map: one HTML file that asks for nothing from outside.

Pointing at a point shows its image and its reconstruction, its name, class, error and cluster;
buttons choose what the colors say. plotly.js stands in the file (4.8 MB), and the images are two
sheets in PNG; a policy in the page forbids every request.
"""

import base64
import html
import io
import json
import math
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from common.files import replace_surrogates
from common.metrics.metrics import Array
from common.report.html import korean_glyphs, load_template
from common.report.plots import short
from labs.autoencoder.views.map.plots import colors

if TYPE_CHECKING:
    import plotly.graph_objects as go


_CLIPPED = 98  # percentile of the errors from which on colors stay the same
_SHEET = 6_000_000  # numbers in a sheet of images at most: 5,000 of 34x34 in grey
_SMALLEST = 8  # pixels of an image's side
_MOST_SVG = 5000  # points that are drawn without WebGL, which not every machine has
_LONGEST = 24  # cells of a name in the legend
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


def render(
    coordinates: Array,
    images: Array,
    reconstructions: Array,
    *,
    classes: Array,
    class_names: Sequence[str],
    errors: Array,
    names: Sequence[str],
    title: str,
    trust_text: str,
    clusters: Array | None = None,
) -> str:
    """Return the map as HTML; equal input gives equal text.

    Maps of two dimensions need WebGL above 5,000 points, those of three always. Images are scaled
    down where all of them would make more than 6 million numbers: 5,000 grey ones to 34x34, 5,000
    in color to 20x20.

    Args:
        coordinates: (N, 2) or (N, 3).
        images: uint8 (N, C, S, S), C 1 or 3.
        reconstructions: likewise.
        classes: (N,) class numbers.
        class_names: of all classes.
        errors: (N,) mean squared errors of the reconstructions.
        names: N file names, or the like.
        title: names the map.
        trust_text: a sentence on how much of the map to believe, shown above it.
        clusters: (N,) cluster numbers; None leaves their button out.
    """
    from plotly.offline import get_plotlyjs

    names, class_names = ([*map(replace_surrogates, each)] for each in (names, class_names))
    side = sprite_side(*images.shape[:3])
    columns = math.ceil(math.sqrt(len(images)))
    points = {
        "side": side,
        "columns": columns,
        "names": names,
        "class_names": class_names,
        "classes": classes.tolist(),
        "errors": [float(f"{error:.4g}") for error in errors],
        "clusters": None if clusters is None else clusters.tolist(),
    }
    drawn = _figure(coordinates, classes, class_names, errors, clusters)
    return load_template(Path(__file__).with_name("latent_map.html.j2")).render(
        title=replace_surrogates(title),
        trust_text=replace_surrogates(trust_text),
        plotly=get_plotlyjs(),
        figure={
            **json.loads(drawn.to_json()),
            "config": {**_CONFIG, "modeBarButtons": [_BUTTONS[coordinates.shape[1]]]},
        },
        family=_FAMILY,
        font=korean_glyphs(" ".join([title, trust_text, *class_names, *names])),
        points=points,
        sheets={
            "input": _data_url(sheet(images, side, columns)),
            "output": _data_url(sheet(reconstructions, side, columns)),
        },
    )


def sprite_side(count: int, channels: int, side: int) -> int:
    """Return the side in pixels that so many images get in their sheet."""
    return min(side, max(_SMALLEST, math.isqrt(_SHEET // (count * channels))))


def sheet(images: Array, side: int, columns: int) -> Array:
    """Lay out images, uint8 (N, C, S, S), each of `side` pixels, S at most, in rows of `columns`.

    The sheet is uint8, (H, W) of grey images and (H, W, 3) of those in color.
    """
    import cv2

    count, channels = images.shape[:2]
    rows = math.ceil(count / columns)
    pixels = np.zeros((rows * columns, side, side, channels), np.uint8)
    for place, image in enumerate(images.transpose(0, 2, 3, 1)):
        small = cv2.resize(image, (side, side), interpolation=cv2.INTER_AREA)
        pixels[place] = small.reshape(side, side, channels)
    pixels = pixels.reshape(rows, columns, side, side, channels).swapaxes(1, 2)
    return np.squeeze(pixels.reshape(rows * side, columns * side, channels))


def _data_url(pixels: Array) -> str:
    from PIL import Image

    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, format="PNG", optimize=True)
    return f"data:image/png;base64,{base64.b64encode(buffer.getvalue()).decode('ascii')}"


def _figure(
    coordinates: Array,
    classes: Array,
    class_names: Sequence[str],
    errors: Array,
    clusters: Array | None,
) -> "go.Figure":
    """Lay all ways to color over one another, of which a button shows one."""
    import plotly.graph_objects as go

    ways = {
        "class": _by_group(coordinates, classes, [_shown(name) for name in class_names]),
        "reconstruction error": [_by_error(coordinates, errors)],
    }
    if clusters is not None:
        numbers = [f"cluster {number}" for number in range(int(clusters.max()) + 1)]
        ways["cluster"] = _by_group(coordinates, clusters, numbers)
    traces = [trace for way in ways.values() for trace in way]
    for trace in traces[len(ways["class"]) :]:
        trace.visible = False
    figure = go.Figure(traces)
    figure.update_layout(
        template="none",
        font={"family": _FAMILY},
        hoverlabel={"font": {"family": _FAMILY}},
        margin={"l": 8, "r": 8, "t": 48, "b": 8},
        legend={"itemsizing": "constant", "title": {"text": "class"}},
        dragmode="pan" if coordinates.shape[1] == 2 else "orbit",
        hovermode="closest",
        uirevision="kept",
        updatemenus=[_menu(ways, traces)],
    )
    bare = {"showgrid": False, "zeroline": False, "showticklabels": False, "title": ""}
    if coordinates.shape[1] == 2:
        figure.update_xaxes(**bare, ticks="")
        figure.update_yaxes(**bare, ticks="", scaleanchor="x")
    else:
        walls = {**bare, "showbackground": True, "backgroundcolor": "#f6f8fa", "showspikes": False}
        figure.update_scenes(xaxis=walls, yaxis=walls, zaxis=walls, aspectmode="data")
    return figure


def _menu(ways: dict[str, list[Any]], traces: Sequence[Any]) -> dict[str, Any]:
    buttons = [
        {
            "label": f"color by {name}",
            "method": "update",
            "args": [
                {"visible": [any(trace is mine for mine in way) for trace in traces]},
                {"legend.title.text": name},
            ],
        }
        for name, way in ways.items()
    ]
    return {
        "type": "buttons",
        "direction": "right",
        "buttons": buttons,
        "x": 0,
        "xanchor": "left",
        "y": 1,
        "yanchor": "bottom",
        "pad": {"b": 8},
        "showactive": True,
    }


def _by_group(coordinates: Array, groups: Array, names: Sequence[str]) -> list[Any]:
    palette = colors(len(names))
    traces = []
    for group in np.unique(groups):
        marker = {"color": palette[group], "size": _size(coordinates), "opacity": 0.75}
        trace = _trace(coordinates, np.flatnonzero(groups == group), marker)
        traces.append(
            trace.update(name=names[group], hovertemplate=f"{names[group]}<extra></extra>")
        )
    return traces


def _by_error(coordinates: Array, errors: Array) -> Any:
    marker = {
        "color": errors,
        "cmin": float(errors.min()),
        "cmax": float(np.percentile(errors, _CLIPPED)),
        "colorscale": "Viridis",
        "colorbar": {
            "title": {"text": f"error (mse);<br>highest {100 - _CLIPPED} %<br>in one color"}
        },
        "size": _size(coordinates),
    }
    trace = _trace(coordinates, np.arange(len(errors)), marker)
    return trace.update(showlegend=False, hovertemplate="error %{marker.color:.3g}<extra></extra>")


def _trace(coordinates: Array, rows: Array, marker: dict[str, Any]) -> Any:
    import plotly.graph_objects as go

    places = dict(zip("xyz", coordinates[rows].T, strict=False))
    if "z" in places:
        kind = go.Scatter3d
    else:
        kind = go.Scatter if len(coordinates) <= _MOST_SVG else go.Scattergl
    return kind(**places, mode="markers", marker=marker, customdata=rows.astype(np.int32))


def _size(coordinates: Array) -> float:
    """Return the diameter of a point in pixels."""
    size = float(np.clip(200 / math.sqrt(len(coordinates)), 3.5, 8))
    return size if coordinates.shape[1] == 2 else 0.7 * size


def _shown(name: str) -> str:
    """Return a class name that plotly, which reads some HTML, shows as it is."""
    return html.escape(short(name, _LONGEST), quote=False)
