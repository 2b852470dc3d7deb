"""Maps of the latent space, with how much of them to believe, and new images put on them."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch

from common.errors import ConfigError, RunError
from common.files import write_text
from common.images.decode import list_inputs, read_squares
from common.maps import page, plots, trust, tsne
from common.maps.trust import PIXELS, Figures, Trust
from common.maps.words import Words
from common.metrics.metrics import Array
from common.options.terminal import note
from common.report.html import Section, Table
from common.runs import views
from labs.autoencoder.views.clusters import assign
from labs.autoencoder.views.material import Encoded, Material, View, choose_rows

_POINTS = 5000
_LATENTS = "latents"
SETTINGS = "maps/latents"
"""The JSON file of what the map that the run keeps was made of."""
_TSNE = "t-SNE of the latents"
_SPACE = Words("in the latent space", "잠재 공간에서")


def view(
    material: Material,
    split: str = "test",
    points: int = _POINTS,
    dimensions: int = 2,
    perplexity: float | None = None,
    seed: int = 0,
) -> View:
    """Map the latents of a split, with PCA and the pixels beside them, and say what to believe.

    At most `points` of the split (`all` for the whole data) are mapped, a share of each class. The
    perplexity, of how many neighbors each point attends to, about, is 30 when None, or less where
    there are not enough points.

    Raises:
        DataError: the perplexity is too large for the points, or there are too few.
    """
    encoded = material[split]
    rows = rows_of(encoded, points)
    perplexity = perplexity or tsne.usual_perplexity(len(rows))
    vectors = {_LATENTS: encoded.latents[rows], PIXELS: encoded.pixels[rows]}
    made, pixels = tsne.embed_each(
        [
            tsne.Wanted(each, dimensions, perplexity, seed, name == PIXELS)
            for name, each in vectors.items()
        ]
    )
    tsne.save(made, file_of(material))
    epochs = len(material.job.run.history)
    material.job.run.write(SETTINGS, {"split": split, "points": points, "epochs": epochs})
    views.forget(material.job.run, "placed")  # images on the map before
    panels = {
        _TSNE: made.coordinates,
        "PCA of the latents": tsne.components(vectors[_LATENTS], dimensions),
        "t-SNE of the pixels": pixels.coordinates,
        "PCA of the pixels": tsne.components(vectors[PIXELS], dimensions),
    }
    spaces = (_LATENTS, _LATENTS, PIXELS, PIXELS)
    near = trust.find_near({**vectors, **panels})
    found = {
        title: trust.compare(near[space], near[title])
        for space, title in zip(spaces, panels, strict=True)
    }
    table = trust.trust_table(
        {PIXELS: vectors[PIXELS], _LATENTS: vectors[_LATENTS]},
        perplexities=_tried(len(rows)) or (perplexity,),
        dimensions=dimensions,
        k=trust.count_neighbors(len(rows)),
        known={
            trust.Settings(space, perplexity, seed): each.coordinates
            for space, each in ((_LATENTS, made), (PIXELS, pixels))
        },
    )
    names = _names(material)
    what = (
        f"{len(rows):,} images of the {split} split" if split != "all" else f"{len(rows):,} images"
    )
    caption = f"{what}, perplexity {perplexity:.3g}; the axes have no meaning, near points do."
    pictures = (
        material.save_picture("latents", caption, plots.maps(panels, encoded.classes[rows], names)),
        material.save_picture(
            "trust",
            f"What maps of {table.points:,} points keep, of {len(trust.SEEDS)} seeds each.",
            plots.trust(table),
        ),
    )
    _write_page(material, encoded, rows, made.coordinates, found[_TSNE])
    records = [{"map": title, **figures._asdict()} for title, figures in found.items()]
    section = Section(
        "Map of the latent space",
        _text(material, what, found[_TSNE], table),
        Table.of(records, {name: name.replace("_", " ") for name in records[0]}),
        pictures,
    )
    return View(section, _sentence(found[_TSNE], table.neighbors), records, found[_TSNE]._asdict())


def place(material: Material, paths: Sequence[Path]) -> View:
    """Put new images, of files and folders, on the map that the run has.

    Raises:
        ConfigError: the encoder would have to know the class of the images.
        RunError: the run has no map yet, it is damaged, or not of the run's weights.
        DataError: no image can be read.
    """
    made = tsne.load(file_of(material))
    settings = material.job.run.read(SETTINGS)
    _check(material, settings)
    encoded = material[settings["split"]]
    rows = rows_of(encoded, settings["points"])
    names, new = _encoded(material, paths)
    vectors = encoded.latents[rows]
    coordinates = tsne.place(made, vectors, new)
    k = trust.count_neighbors(len(rows))
    picture = material.save_picture(
        "placed",
        f"{len(names)} new image(s) as stars among {len(rows):,} of the {settings['split']} split.",
        plots.maps(
            {_TSNE: made.coordinates},
            encoded.classes[rows],
            _names(material),
            {_TSNE: plots.Placed(coordinates, names)},
        ),
    )
    text = (
        "New images are put on the map without moving what is on it, each among the images whose "
        "latents are nearest. An image unlike all others lands somewhere too: a map has no place "
        f"for none of these. {_sentence(trust.figures(vectors, made.coordinates, k), k)}"
    )
    records = [
        {
            "image": name,
            **dict(zip("xyz", place.tolist(), strict=False)),
            "nearest": encoded.split.names[row],
            "class": _names(material)[encoded.classes[row]],
        }
        for name, place, row in zip(names, coordinates, rows[_nearest(new, vectors)], strict=True)
    ]
    return View(Section("New images on the map", text, pictures=(picture,)), records=records)


def _check(material: Material, settings: Mapping[str, Any]) -> None:
    """Refuse images that the encoder cannot take, and a map that is not of its latents."""
    job = material.job
    if job.model.conditional:
        raise ConfigError(
            f"--place: a {job.config.model} has to know the class of an image; place images with "
            "another model"
        )
    if settings["epochs"] != len(job.run.history):
        raise RunError(
            f"the run has trained on since its map was made; make it again: latents {job.run.path}"
        )


def _encoded(material: Material, paths: Sequence[Path]) -> tuple[list[str], Array]:
    """Return the names and the latents (n, L) of a user's images."""
    job = material.job
    names: list[str] = []
    latents: list[Array] = []
    size, channels = job.card.image_size, job.card.channels
    options = size, channels, note, job.config.fit, job.card.scale
    for some, pixels in read_squares(list_inputs(paths), *options):
        names += some
        latents.append(job.encode(job.prepared(torch.from_numpy(pixels))).numpy())
    return names, np.concatenate(latents)


def _nearest(new: Array, vectors: Array) -> Array:
    """Return the row of the nearest vector to each new one."""
    from sklearn.neighbors import NearestNeighbors

    index = NearestNeighbors(n_neighbors=1).fit(vectors)
    rows: Array = index.kneighbors(new, return_distance=False)[:, 0]
    return rows


def rows_of(encoded: Encoded, points: int) -> Array:
    """Return the rows that a map of so many points has, always the same."""
    return choose_rows(encoded, points) if len(encoded) > points else np.arange(len(encoded))


def file_of(material: Material) -> Path:
    """Return the file of the map."""
    return material.job.run.path / "maps" / "latents.npz"


def _names(material: Material) -> tuple[str, ...]:
    return material.job.card.classes or ("image",)


def _tried(points: int) -> tuple[float, ...]:
    """Return the perplexities of the table of trust that are not too large for so many points."""
    largest = tsne.largest_perplexity(points)
    return tuple(each for each in trust.PERPLEXITIES if each <= largest)


def _write_page(
    material: Material, encoded: Encoded, rows: Array, coordinates: Array, figures: Figures
) -> None:
    chosen, names = rows.tolist(), _names(material)
    classes, errors = encoded.classes[rows], encoded.errors[rows]
    by_class = page.Groups(Words("class", "클래스"), classes, names)
    by_error = page.Shades(
        Words("reconstruction error (mse)", "재구성 오차 (mse)"), encoded.errors[rows]
    )
    ways: list[page.Groups | page.Shades] = [by_class, by_error]
    facts = [
        page.Fact(Words("name", "이름"), [encoded.split.names[row] for row in chosen]),
        page.Fact(by_class.label, [names[each] for each in classes]),
        page.Fact(by_error.label, [f"{error:.3g}" for error in errors]),
    ]
    if material.job.card.classes:
        found = assign(material, encoded.latents[rows])
        numbers = [*map(str, range(int(found.max()) + 1))]
        ways.append(page.Groups(Words("cluster", "군집"), found, numbers))
        facts.append(page.Fact(Words("cluster", "군집"), [*map(str, found)]))
    pictures = [
        page.Pictures(Words("image", "이미지"), encoded.images(chosen).numpy()),
        page.Pictures(Words("reconstruction", "재구성"), encoded.reconstructions(chosen).numpy()),
    ]
    html = page.render(
        coordinates,
        ways,
        facts,
        title=material.job.run.path.name,
        subtitle=f"{material.job.config.title} on {material.job.card.source}",
        about=_described(figures, trust.count_neighbors(len(rows))),
        pictures=pictures,
    )
    write_text(material.job.run.path / "latent_map.html", html)


def _described(figures: Figures, neighbors: int) -> Words:
    return trust.describe(figures, neighbors, _SPACE)


def _sentence(figures: Figures, neighbors: int) -> str:
    return _described(figures, neighbors).en


def _text(material: Material, what: str, figures: Figures, table: Trust) -> str:
    spread = {item.space: item for item in table.summary if item.perplexity == _middle(table)}
    agreement = spread[_LATENTS].agreement
    agree = (
        f" Maps of the latents with different seeds agree in {100 * agreement.mean:.0f} % of the "
        "neighbors: the rest is chance, not data."
        if agreement
        else ""
    )
    return (
        f"{what[0].upper()}{what[1:]}, by the network's latents and by their pixels. "
        f"{_sentence(figures, table.neighbors)} Sizes of clusters and distances between them mean "
        f"little in t-SNE.{agree}\n\n"
        f"latent_map.html in the run folder shows the same map to be explored: pointing at a point "
        "shows its image and its reconstruction. `latents RUN --place IMAGES` puts new ones on it."
    )


def _middle(table: Trust) -> float:
    """Return the perplexity in the middle of those tried."""
    tried = sorted({item.perplexity for item in table.summary})
    return tried[len(tried) // 2]
