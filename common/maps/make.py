"""The map of a network's last features, others beside it, and what they keep."""

from collections.abc import Mapping
from typing import NamedTuple

import numpy as np

from common.maps import trust, tsne
from common.maps.points import Points
from common.maps.trust import PIXELS, Near
from common.maps.words import Words
from common.metrics.metrics import Array, wilson_of
from common.report.html import Table
from common.steps import track

FEATURES = "features"

_WIDE = 50  # dimensions above which t-SNE gets principal components, as its authors did
_SPACE = Words("in the features", "특징 공간에서")


class Made(NamedTuple):
    """A map with what is known of it.

    Attributes:
        perplexity: with which it was made.
        panels: places by the title, the map itself first.
        table: what each panel keeps of its space.
        said: what the map itself keeps, and what neighbors say of classes.
        narrowed: what was done to wide features before; "" where nothing was.
    """

    perplexity: float
    panels: Mapping[str, Array]
    table: Table
    said: Words
    narrowed: str


def make(points: Points, dimensions: int, perplexity: float | None, seed: int) -> Made:
    """Make the map of last features, with PCA and, of images, the pixels beside it.

    Args:
        points: what is on the map.
        dimensions: of the map, 2 or 3.
        perplexity: neighbors that each point attends to, about; 30 when None, or fewer of few.
        seed: of the noise in the first positions.

    Raises:
        DataError: the perplexity is too large for the points, or the features make no map.
    """
    spaces = {FEATURES: points.features}
    if points.pixels is not None:
        spaces[PIXELS] = points.pixels
    perplexity = perplexity or tsne.usual_perplexity(len(points.features))
    narrow = {name: _narrow(each) for name, each in spaces.items()}
    wanted = [
        tsne.Wanted(each, dimensions, perplexity, seed, name == PIXELS)
        for name, (each, _) in narrow.items()
    ]
    panels: dict[str, Array] = {}
    for (name, each), made in zip(spaces.items(), tsne.embed_each(wanted), strict=True):
        panels[f"t-SNE of the {name}"] = made.coordinates
        panels[f"PCA of the {name}"] = tsne.components(each, dimensions)
    near = trust.find_near({**spaces, **panels})
    kept = {
        title: trust.compare(near[title.split()[-1]], near[title])
        for title in track(panels, "what each map keeps")
    }
    named = {} if points.truth is None else _named(near, points.truth)
    rows = [[title, *(f"{each:.3f}" for each in found)] for title, found in kept.items()]
    columns = ["", "trustworthiness", "continuity", "neighbors kept"]
    if named:
        columns.append("right by its neighbors")
        rows = [[*row, named[row[0]]] for row in rows]
        wholes = {name: f"all {each.shape[1]:,} {name}" for name, each in spaces.items()}
        rows += [[title, "", "", "", named[name]] for name, title in wholes.items()]
        rows.append(["the run's own answers", "", "", "", _share(~points.shown.mark.rows)])
    k = near[FEATURES].k
    said = trust.describe(kept[next(iter(panels))], k, _SPACE)
    return Made(perplexity, panels, Table(columns, rows), said, narrow[FEATURES][1])


def _narrow(vectors: Array) -> tuple[Array, str]:
    """Return the vectors (N, D), of wide ones the first 50 principal components, and say so.

    So van der Maaten and Hinton (2008) did it, too: distances have less noise, and cost less.
    """
    from sklearn.decomposition import PCA

    if min(vectors.shape) <= _WIDE:
        return vectors, ""
    pca = PCA(_WIDE, random_state=0)
    found = pca.fit_transform(vectors).astype(np.float32)
    share = float(pca.explained_variance_ratio_.sum())
    return found, (
        f"t-SNE got the first {_WIDE} of their principal components, with {100 * share:.1f} % of "
        "their variance."
    )


def _named(near: Mapping[str, Near], truth: Array) -> dict[str, str]:
    """Return the share of points whose class their neighbors name, with its interval, by space."""
    rows = trust.sample(len(truth), trust.MOST_POINTS)
    known = truth[rows]
    return {name: _share(trust.vote(each, known) == known) for name, each in near.items()}


def _share(right: Array) -> str:
    low, high = wilson_of(right)
    return f"{right.mean():.3f} ({low:.3f} to {high:.3f})"
