"""Clusters of the latents, found without classes, and compared with them.

k-means (Lloyd 1982, "Least squares quantization in PCM") finds the clusters on the training split;
test images belong to the cluster of the nearest center.
"""

import warnings
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import torch
from matplotlib.figure import Figure

from common.errors import ConfigError
from common.metrics.metrics import Array, Interval, OfDraws, resample
from common.report.html import Section, Table
from common.report.plots import short
from labs.autoencoder.job import to_uint8
from labs.autoencoder.views import representations as spaces
from labs.autoencoder.views.material import Material, View, choose_rows
from labs.autoencoder.views.plots import cluster_plots, traversal_plots
from labs.autoencoder.views.plots.retrieval_plots import frame
from labs.autoencoder.views.representations import ABOUT, LATENTS, PCA, PIXELS

_MOST = 10_000  # images that clusters are found in, or measured on
_SILHOUETTE = 2000  # images of which the silhouette looks at all pairs
_STARTS = 10
_SHOWN = 10  # images of a cluster
_ROWS = 20  # clusters of a picture
_LABEL = 14  # letters of a class beside it


def fit(vectors: Array, clusters: int, seed: int = 0) -> Any:
    """Return scikit-learn's `KMeans`, fitted to vectors (N, D): the best of 10 starts.

    Vectors that are equal can leave clusters empty.

    Raises:
        ConfigError: there are fewer vectors than clusters, or less than one cluster.
    """
    from sklearn.cluster import KMeans
    from sklearn.exceptions import ConvergenceWarning

    if not 1 <= clusters <= len(vectors):
        raise ConfigError(
            f"--clusters {clusters}: expected 1 to {len(vectors):,}, the number of training images"
        )
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)  # fewer distinct vectors than clusters
        return KMeans(clusters, n_init=_STARTS, random_state=seed).fit(vectors)


def assign(material: Material, latents: Array, clusters: int | None = None, seed: int = 0) -> Array:
    """Return the cluster (N,) of each of some latents (N, L), found among the training latents.

    There are as many as classes when `clusters` is None; the seed is of the starts of k-means.

    Raises:
        ConfigError: the data has no classes and the number of clusters is not given, or there are
            more clusters than training images.
    """
    rows = choose_rows(material["train"], _MOST)
    number = _classes(material) if clusters is None else clusters
    model = fit(material["train"].latents[rows], number, seed)
    return np.asarray(model.predict(latents))


def _classes(material: Material) -> int:
    """Return how many classes the training images are of: without those left out."""
    material.classes("a number of clusters that is not given")
    return len(np.unique(material["train"].classes))


# --- figures, all from a table of counts: clusters (rows) against classes (columns) -------------


def contingency(clusters: Array, classes: Array, shape: tuple[int, int]) -> Array:
    """Count the images of each cluster and class, both numbers (N,), in a table of that shape."""
    return np.bincount(clusters * shape[1] + classes, minlength=shape[0] * shape[1]).reshape(shape)


def contingencies(pairs: Array, shape: tuple[int, int]) -> Array:
    """Return the table of each draw of pairs (R, N, 2) of cluster and class, (R, ...)."""
    places = pairs[..., 0] * shape[1] + pairs[..., 1]
    places = places + np.arange(len(pairs))[:, None] * (shape[0] * shape[1])
    counts = np.bincount(places.ravel(), minlength=len(pairs) * shape[0] * shape[1])
    return counts.reshape(len(pairs), *shape)


def purity(counts: Array) -> Any:
    """Return the share of images that are of the most frequent class of their cluster.

    Counts are a table, or several, (..., clusters, classes).
    """
    return counts.max(-1).sum(-1) / counts.sum((-2, -1))


def adjusted_rand(counts: Array) -> Any:
    """Return the adjusted Rand index (Hubert and Arabie 1985): 1 is perfect, chance is 0.

    Counts are a table, or several, (..., clusters, classes).
    """
    images = counts.sum((-2, -1))
    together = _pairs(counts).sum((-2, -1))
    clusters, classes = _pairs(counts.sum(-1)).sum(-1), _pairs(counts.sum(-2)).sum(-1)
    by_chance = clusters * classes / np.maximum(_pairs(images), 1)
    most = (clusters + classes) / 2
    room = most - by_chance
    return np.where(room != 0, (together - by_chance) / np.where(room != 0, room, 1), 1.0)[()]


def mutual_information(counts: Array) -> float:
    """Return the mutual information over the mean of both entropies: NMI, from 0 to 1."""
    shares = counts / counts.sum()
    clusters, classes = _entropy(shares.sum(1)), _entropy(shares.sum(0))
    if clusters + classes == 0:
        return 1.0
    return float(2 * (clusters + classes - _entropy(shares.ravel())) / (clusters + classes))


def _pairs(count: Array) -> Array:
    return count * (count - 1.0) / 2


def _entropy(shares: Array) -> float:
    """Return the entropy of shares in nats."""
    some = shares[shares > 0]
    return float(-(some * np.log(some)).sum())


def silhouette(vectors: Array, clusters: Array) -> float | None:
    """Return the mean silhouette (Rousseeuw 1987), of at most 2,000 images, from -1 to 1.

    None where it is not defined: with one cluster, or with each image its own.
    """
    from sklearn.metrics import silhouette_score

    if len(vectors) > _SILHOUETTE:
        rows = np.random.default_rng(0).permutation(len(vectors))[:_SILHOUETTE]
        vectors, clusters = vectors[rows], clusters[rows]
    if not 2 <= len(np.unique(clusters)) < len(vectors):
        return None
    return float(silhouette_score(vectors, clusters))


def centered_bootstrap(figure: Callable[..., float], *arrays: Array) -> Interval:
    """Return the percentile bootstrap interval, moved by what the resamples are off on average.

    An image drawn twice lies in the same cluster and class as itself, so that resamples agree
    better than samples do. Of a table whose ARI is 0.16, percentile intervals from 100, 300 and
    1,000 images held that value in 69, 85 and 91 % of 300 trials, these in 94, 95 and 93 %. The
    figure is called with the drawn rows of each array.
    """
    values = resample(figure, *arrays)
    low, high = np.quantile(values, [0.025, 0.975]).tolist()
    excess = float(np.mean(values)) - figure(*arrays)
    return low - excess, min(high - excess, 1.0)


FIGURES: dict[str, tuple[str, Callable[[Array], float]]] = {
    "purity": ("purity", purity),
    "ari": ("ARI", adjusted_rand),
    "nmi": ("NMI", mutual_information),
}


# --- the view -----------------------------------------------------------------------------------


def view(material: Material, clusters: int | None = None, seed: int = 0) -> View:
    """Find clusters of the latents, and compare them with the classes, PCA's and those of pixels.

    There are as many as classes when `clusters` is None; the seed is of the starts of k-means.

    Raises:
        ConfigError: the data has no classes, or there are more clusters than training images.
        DataError: all training images are of one class.
    """
    names = spaces.class_names(material, "comparing clusters with classes")
    number = _classes(material) if clusters is None else clusters
    shape = (number, len(names))
    found_in, rows = choose_rows(material["train"], _MOST), choose_rows(material["test"], _MOST)
    train = spaces.vectors(material, "train", found_in)
    test = spaces.vectors(material, "test", rows)
    classes = material["test"].classes[rows]
    models = {space: fit(each, number, seed) for space, each in train.items()}
    found = {space: np.asarray(model.predict(test[space])) for space, model in models.items()}
    records, figures, verdict = _summarize(found, classes, shape)
    silhouettes = {space: silhouette(test[space], each) for space, each in found.items()}
    known = {space: (value, None, None) for space, value in silhouettes.items()}
    records += spaces.list_records("silhouette", known, {})
    figures |= {f"{space.lower()}_silhouette": value for space, value in silhouettes.items()}

    model = models[LATENTS]
    counts = contingency(found[LATENTS], classes, shape)
    mostly = contingency(model.labels_, material["train"].classes[found_in], shape).argmax(1)
    order = np.lexsort((-counts.sum(1), mostly))
    shown = order[np.linspace(0, number - 1, min(number, _ROWS)).astype(int)]
    pictures = [
        material.save_picture(
            "clusters_table",
            "Test images of each cluster of the latents and each class; colors are shares of the "
            "cluster. Clusters are sorted by the class that most of their training images are of.",
            cluster_plots.table(counts[order], order, names),
        ),
        material.save_picture(
            "clusters_images",
            f"{len(shown)} of {number} clusters of the latents, each with its main class. At the "
            "left what the decoder draws at the center, beside it the test images of the cluster "
            "that are nearest to it; those of another class have a frame.",
            _draw(material, model, rows, found[LATENTS], mostly, shown),
        ),
    ]
    text = (
        f"k-means saw no classes: it found {number} clusters among {len(found_in):,} training "
        f"images, and each of {len(rows):,} test images belongs to the cluster of the nearest "
        "center. Purity is the share of images that are of their cluster's main class: it grows "
        "with the number of clusters, to 1 when each image has its own, so compare it only between "
        "equal numbers. ARI is corrected for that: it is about 0 for random clusters and 1 when "
        "clusters are the classes. NMI says how much of the one tells of the other, from 0 to 1; "
        "it grows with the number of clusters too, and is too high where images are few. "
        "The silhouette asks how far apart clusters are in their own space, without classes; "
        f"spaces of few dimensions have an easier time. {ABOUT} Intervals are bootstraps over the "
        "test images, paired ones for the leads; they do not cover that other starts of k-means "
        f"give other clusters.{spaces.warn_if_told(material)}"
    )
    section = Section("Clusters", f"{verdict}\n\n{text}", Table.of(records), pictures)
    return View(section, verdict, records, figures)


def _summarize(
    found: Mapping[str, Array], classes: Array, shape: tuple[int, int]
) -> tuple[list[dict[str, Any]], dict[str, float | None], str]:
    """Return records, figures and a verdict from the clusters (N,) of each space."""
    pairs = {space: np.stack([each, classes], 1) for space, each in found.items()}
    records: list[dict[str, Any]] = []
    figures: dict[str, float | None] = {}
    verdict = ""
    for name, (label, figure) in FIGURES.items():
        values, leads = spaces.compare(_of_pairs(figure, shape), pairs, resample=centered_bootstrap)
        records += spaces.list_records(label, values, leads)
        figures |= spaces.flat(name, values, leads)
        if name == "ari":
            verdict = (
                f"With {shape[0]} clusters the {label} is {values[LATENTS][0]:.4f} among the "
                f"latents, {values[PCA][0]:.4f} among PCA's components and "
                f"{values[PIXELS][0]:.4f} among pixels. Latents minus PCA is "
                f"{spaces.lead_text(leads[PCA])}: {spaces.judge_lead(leads[PCA])}."
            )
    return records, figures, verdict


def _of_pairs(figure: Callable[[Array], Any], shape: tuple[int, int]) -> OfDraws:
    """Return a figure of rows (N, 2) of clusters and classes."""
    if figure is mutual_information:  # whose logarithms are of no empty cells
        return OfDraws(lambda rows: np.array([figure(each) for each in contingencies(rows, shape)]))
    return OfDraws(lambda rows: figure(contingencies(rows, shape)))


def _draw(
    material: Material, model: Any, rows: Array, clusters: Array, mostly: Array, shown: Array
) -> Figure:
    """Draw the center of each cluster shown, decoded, and the test images nearest to it.

    Rows (N,) are of the test split, in these clusters (N,), each `mostly` of one class, (K,).
    """
    job, test = material.job, material["test"]
    centers = torch.from_numpy(model.cluster_centers_[shown]).float()
    drawn = to_uint8(job.decode(centers, torch.from_numpy(mostly[shown])))
    distances = model.transform(test.latents[rows])
    strips, labels = [], []
    for cluster, center in zip(shown, drawn, strict=True):
        inside = np.flatnonzero(clusters == cluster)
        near = rows[inside[distances[inside, cluster].argsort(kind="stable")[:_SHOWN]]]
        marked = np.append(False, test.classes[near] != mostly[cluster])
        images = [center, *(test.images([row])[0] for row in near.tolist())]
        strips.append(frame(torch.stack(images), marked))
        name = short(job.card.classes[mostly[cluster]], _LABEL)
        labels.append(f"cluster {cluster}\n{name}")
    return traversal_plots.rows(strips, labels, ["center"])
