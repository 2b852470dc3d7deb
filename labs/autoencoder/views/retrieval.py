"""Neighbors of images in latent space: does one find the same class there?

As retrieval: a query is a test image, the collection the training images, and what is relevant has
the query's class. So no query is in the collection.
"""

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from matplotlib.figure import Figure

from common.errors import ConfigError, DataError
from common.images.load import pixel_rows
from common.images.sets import ImageSet
from common.metrics import metrics
from common.metrics.metrics import Array
from common.report.html import Section, Table
from common.report.plots import short
from common.suggest import suggest
from labs.autoencoder.views import image_references
from labs.autoencoder.views import representations as spaces
from labs.autoencoder.views.image_references import Referred
from labs.autoencoder.views.material import Material, View, choose_rows
from labs.autoencoder.views.plots import traversal_plots
from labs.autoencoder.views.plots.retrieval_plots import frame
from labs.autoencoder.views.representations import ABOUT, LATENTS, PCA, PIXELS

METRICS = ("euclidean", "cosine")
FIGURES = {"map": "MAP", "mrr": "MRR", "ndcg10": "NDCG@10"}

_QUERIES, _COLLECTION = 1000, 20_000  # images, at most
_MEMORY = 32  # MiB of distances at a time; the ranks take several times that
_SHOWN = 6  # queries of a picture
_LABEL = 14  # letters beside a query
_ABOUT_PICTURE = (
    "At the left the image, beside it the nearest training images: above in latent space, below by "
    "pixels. Those of another class have a frame."
)


class Neighbors(NamedTuple):
    """The nearest items of each query, nearest first."""

    rows: Array  # (Q, k) of the collection
    distances: Array  # (Q, k)


def retrieval(
    queries: Array,
    query_classes: Array,
    collection: Array,
    collection_classes: Array,
    metric: str = "euclidean",
) -> Array:
    """Return average precision, reciprocal rank and NDCG@10 of each query, (Q, 3).

    The collection (N, D), which has none of the queries (Q, D), is sorted by its distance from
    each, `euclidean` or `cosine`; relevant are items of the query's class. Equally far items are in
    random order, always the same one, so that a space in which all vectors are equal is as good as
    chance.

    Raises:
        ConfigError: there is no such metric.
        DataError: the collection has no image of a query's class.
    """
    from sklearn.metrics import pairwise_distances_chunked

    _check(metric)
    lacking = set(query_classes.tolist()) - set(collection_classes.tolist())
    if lacking:
        raise DataError(
            f"no training image has class number {min(lacking)}, of which there are test images; "
            "give each class some of both"
        )
    order = np.random.default_rng(0).permutation(len(collection))
    classes = collection_classes[order]

    def measured(distances: Array, start: int) -> Array:
        ranks = distances.argsort(1, kind="stable")
        wanted = query_classes[start : start + len(distances)]
        return metrics.ranking(classes[ranks] == wanted[:, None])

    chunks = pairwise_distances_chunked(
        queries, collection[order], reduce_func=measured, metric=metric, working_memory=_MEMORY
    )
    return np.concatenate(list(chunks))


def nearest(queries: Array, collection: Array, count: int, metric: str = "euclidean") -> Neighbors:
    """Return the nearest items of a collection (N, D), `count` or all, for each query of (Q, D).

    Raises:
        ConfigError: there is no such metric, or `count` is below 1.
    """
    from sklearn.neighbors import NearestNeighbors

    _check(metric)
    if count < 1:
        raise ConfigError(f"--count {count}: expected at least 1 neighbor")
    count = min(count, len(collection))
    index = NearestNeighbors(n_neighbors=count, metric=metric, algorithm="brute").fit(collection)
    distances, rows = index.kneighbors(queries)
    return Neighbors(rows, distances)


def _check(metric: str) -> None:
    if metric not in METRICS:
        raise ConfigError(
            f"--metric {metric}: expected {' or '.join(METRICS)}{suggest(metric, METRICS)}"
        )


def view(
    material: Material, images: Sequence[str] = (), count: int = 8, metric: str = "euclidean"
) -> View:
    """Find the nearest training images of test images, or of given ones.

    Images are rows of the test split or files, see `image_references.resolve`, whose neighbors are
    listed and drawn, `count` of each; when none is given, neighbors are drawn of some test images,
    and of those of which fewest neighbors are of their class.

    Raises:
        ConfigError: the data has no classes, or there is no such row or metric.
        DataError: there is no such file, or all training images are of one class.
    """
    names = spaces.class_names(material, "retrieval")
    test, train = material["test"], material["train"]
    asked, items = choose_rows(test, _QUERIES), choose_rows(train, _COLLECTION)
    collection = spaces.vectors(material, "train", items)
    found = {
        space: retrieval(
            queries, test.classes[asked], collection[space], train.classes[items], metric
        )
        for space, queries in spaces.vectors(material, "test", asked).items()
    }
    summary, figures, verdict = _summarize(found)
    pictures, records = [], summary
    for name, caption, queries in _shown(material, images, asked, found[LATENTS][:, 0]):
        near = {
            space: Neighbors(items[rows], distances)
            for space, (rows, distances) in _nearest(
                material, queries, collection, count, metric
            ).items()
        }
        drawing = _draw(material, queries, near)
        pictures.append(
            material.save_picture(f"neighbors_{name}", f"{caption} {_ABOUT_PICTURE}", drawing)
        )
        if images:
            records = list(_records(material, queries, near, names))
    chance = np.bincount(train.classes[items])[test.classes[asked]].mean() / len(items)
    text = (
        f"Each of {len(asked):,} test images is a query: the {len(items):,} training images are "
        f"sorted by their {metric} distance from it, and those of its class should come first. No "
        "query is itself among the training images. MAP asks whether all images of the class come "
        "before the others (in random order it is about "
        f"{chance:.2f}), MRR how far down the first of them is, NDCG@10 how many of the first ten "
        f"are of the class. {ABOUT} Intervals are bootstraps over the queries, paired ones for the "
        f"leads.{spaces.warn_if_told(material)}"
    )
    section = Section("Neighbors", f"{verdict}\n\n{text}", Table.of(summary), pictures)
    return View(section, verdict, records, {**figures, "chance_map": float(chance)})


def _summarize(
    found: Mapping[str, Array],
) -> tuple[list[dict[str, Any]], dict[str, float], str]:
    """Return records, figures and a verdict from the figures (Q, 3) of each space."""
    records: list[dict[str, Any]] = []
    figures: dict[str, float] = {}
    sentences: list[str] = []
    for column, (name, label) in enumerate(FIGURES.items()):
        values, leads = spaces.compare(
            metrics.mean, {space: each[:, column] for space, each in found.items()}
        )
        records += spaces.list_records(label, values, leads)
        figures |= spaces.flat(name, values, leads)
        if not sentences:
            sentences = [
                f"The {label} of latents minus that of {space} is {spaces.lead_text(lead)}: "
                f"{spaces.judge_lead(lead)}."
                for space, lead in leads.items()
            ]
            sentences.insert(
                0,
                f"{label} is {values[LATENTS][0]:.4f} among the latents, {values[PCA][0]:.4f} "
                f"among PCA's components and {values[PIXELS][0]:.4f} among pixels.",
            )
    return records, figures, " ".join(sentences)


# --- the neighbors of some images ---------------------------------------------------------------


def _shown(
    material: Material, images: Sequence[str], asked: Array, precision: Array
) -> Iterator[tuple[str, str, Referred]]:
    """Yield the name of a picture, what it shows, and its queries."""
    if images:
        yield "given", "The images that were given.", image_references.resolve(material, images)
        return
    generator = np.random.default_rng(material.job.config.seed)
    some = generator.permutation(asked)[:_SHOWN]
    worst = asked[precision.argsort(kind="stable")[:_SHOWN]]
    test = material["test"].split
    yield "random", "Test images chosen at random.", _of_split(test, some)
    yield (
        "worst",
        "The test images whose class is the hardest to find in latent space, by average precision.",
        _of_split(test, worst),
    )


def _of_split(split: ImageSet, rows: Array) -> Referred:
    chosen = split.select(torch.from_numpy(rows))
    images = torch.stack([chosen.images[row] for row in range(len(chosen))])
    return Referred(chosen.names, images, chosen.targets)


def _nearest(
    material: Material, queries: Referred, collection: Mapping[str, Array], count: int, metric: str
) -> dict[str, Neighbors]:
    """Return the neighbors of images in latent space and by pixels."""
    names, images, classes = queries
    job = material.job
    wanted = {
        LATENTS: job.encode(job.prepared(images), classes).numpy(),
        PIXELS: pixel_rows(ImageSet(images, classes, names), 32),
    }
    return {
        space: nearest(each, collection[space], count, metric) for space, each in wanted.items()
    }


def _draw(material: Material, queries: Referred, near: Mapping[str, Neighbors]) -> Figure:
    """Draw each query at the left of its neighbors, a row for each space."""
    train = material["train"]
    strips, labels = [], []
    for row, (name, image, number) in enumerate(zip(*queries, strict=True)):
        known = int(number) >= 0
        title = material.job.card.classes[int(number)] if known else Path(name).name
        for space, (rows, _) in near.items():
            wrong = known & (train.classes[rows[row]] != int(number))
            found = train.images(rows[row].tolist())
            strips.append(frame(torch.cat([image[None], found]), np.append(False, wrong)))
            labels.append(f"{short(title, _LABEL)}\n{space}")
    headers = ["query", *(f"{rank}." for rank in range(1, strips[0].shape[0]))]
    return traversal_plots.rows(strips, labels, headers, together=len(near))


def _records(
    material: Material, queries: Referred, near: Mapping[str, Neighbors], classes: Sequence[str]
) -> Iterator[dict[str, Any]]:
    """Yield a record for each neighbor of each query."""
    train = material["train"]
    for row, (name, number) in enumerate(zip(queries.names, queries.classes.tolist(), strict=True)):
        for space, (rows, distances) in near.items():
            for rank, (item, distance) in enumerate(
                zip(rows[row].tolist(), distances[row].tolist(), strict=True), 1
            ):
                yield {
                    "image": name,
                    "class": classes[number] if number >= 0 else "",
                    "space": space,
                    "rank": rank,
                    "neighbor": train.split.names[item],
                    "neighbor's class": classes[train.classes[item]],
                    "distance": distance,
                }
