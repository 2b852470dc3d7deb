"""A trained autoencoder as a page: what it needs of a run."""

import base64
import math
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor, nn

from common.errors import RunError
from common.images.sets import ImageSet
from common.live import program
from common.live.page import write_page
from common.live.samples import describe_board, draw_sheet
from common.maps import tsne
from common.metrics.metrics import Array
from labs.autoencoder.job import Compression
from labs.autoencoder.models import Autoencoder, Encoder, Shape
from labs.autoencoder.views import latent_map as maps
from labs.autoencoder.views.material import Material

_POINTS = 500  # test images on the map
_BITS = 12  # of many weights: what comes back differs by less than one of the 256 levels of a pixel
_CODES = 2000  # training images whose codes say how far the sliders reach
_REACH = (0.005, 0.995)  # quantiles of these


def write(job: Compression, path: Path) -> None:
    """Write the page of a run.

    Args:
        job: with its best weights.
        path: the HTML file.

    Raises:
        RunError: its network is too large for a page, or computes what a page cannot.
        SaveError: it cannot be written.
    """
    encoder, decoder = trace(job)
    splits = job.load_splits()
    card, config = job.card, job.config
    test, train = splits["test"], splits["train"]
    data = {
        "encoder": program.dump(encoder, _BITS),
        "decoder": program.dump(decoder, _BITS),
        "classes": list(card.classes),
        **describe_board(card, config.fit, test),
        "variational": job.model.variational,
        "conditional": job.model.conditional,
        "clipped": config.model == "linear",
        "noise": config.noise.split(":") if job.denoises else None,
        **describe_codes(job, train.select(torch.arange(min(len(train), _CODES)))),
        "map": describe_map(Material(job, splits)),
    }
    subtitle = f"{config.title} on {card.source}, {config.latent_size} latents"
    write_page(path, job.run.path.name, subtitle, Path(__file__).parent, data)


def trace(job: Compression) -> tuple[list[program.Step], list[program.Step]]:
    """Return the run's encoder and decoder.

    The encoder takes pixels in [0, 1] (C, S, S), the decoder latents. Of a conditional model both
    take one vector: the pixels or the latents, then the class as one-hot. Of a variational one the
    encoder gives the means, then the log variances.

    Raises:
        RunError: see `write`.
    """
    model, config = job.model.eval().cpu(), job.config
    count = sum(weight.numel() for weight in model.parameters())
    if count > (most := program.MOST_WEIGHTS):
        raise RunError(
            f"{job.run.path}: its {count:,} weights are more than the {most:,} of a page; "
            f"a run with a --width below {config.width} can be opened"
        )
    shape = (job.card.channels, job.card.image_size, job.card.image_size)
    try:
        return program.trace(_encoder(model, shape)), program.trace(_decoder(model))
    except RunError as error:
        raise RunError(f"{job.run.path}: a page cannot run {config.model}: {error}") from error


class _ToldEncoder(nn.Module):
    """The encoder of a conditional model, with one input: pixels, then the class."""

    def __init__(self, encoder: Encoder, shape: Shape):
        super().__init__()
        self.pixels, self.unflatten = math.prod(shape), nn.Unflatten(1, shape)
        self.trunk, self.perceptron = encoder.trunk, encoder.perceptron

    def forward(self, given: Tensor) -> Tensor:
        features = self.trunk(self.unflatten(given[:, : self.pixels]))
        latents: Tensor = self.perceptron(torch.cat([features, given[:, self.pixels :]], 1))
        return latents


def _encoder(model: Autoencoder, shape: Shape) -> nn.Module:
    encoder = model.encoder
    assert isinstance(encoder, Encoder)
    if model.conditional:
        return _ToldEncoder(encoder, shape).eval()
    return nn.Sequential(encoder.trunk, encoder.perceptron, model.code).eval()


def _decoder(model: Autoencoder) -> nn.Module:
    return nn.Sequential(model.decoder, model.output).eval()


def describe_codes(job: Compression, train: ImageSet) -> dict[str, Any]:
    """Return what the codes of training images are like.

    Returns:
        `order` of the latents, the largest variance first; where each one's slider begins and ends,
        `low` and `high`; the `origin` of a plane, and the two `directions` along it. The plane is
        that of two latents, or of the two principal components; of a single latent there is none.
    """
    codes = job.predict_splits({"train": train}, ["train"])["train"]["latents"]
    low, high = codes.quantile(torch.tensor(_REACH), dim=0)
    latents = codes.shape[1]
    origin, directions = torch.zeros(latents), torch.eye(latents)[: 0 if latents == 1 else 2]
    if latents > 2:
        origin = codes.mean(0)
        directions = torch.linalg.svd(codes - origin, full_matrices=False).Vh[:2]
    return {
        "order": codes.var(0).argsort(descending=True, stable=True).tolist(),
        "low": _rounded(low),
        "high": _rounded(torch.maximum(high, low + 1e-3)),
        "origin": _rounded(origin),
        "directions": [_rounded(each) for each in directions],
    }


class _Kept(NamedTuple):
    """A t-SNE map of test images that the run has kept."""

    rows: Array  # of the test split
    places: Array  # (n, 2)


def describe_map(material: Material) -> dict[str, Any]:
    """Return test images for the map: codes, classes, errors, pictures, and the places of t-SNE.

    The places are of the map that the run has kept of its test split, if it is flat and the weights
    are still those; None otherwise.
    """
    encoded = material["test"]
    kept = _kept_map(material)
    rows = np.arange(len(encoded)) if kept is None else kept.rows
    chosen = np.linspace(0, len(rows) - 1, min(len(rows), _POINTS)).round().astype(int)
    shown = rows[chosen]
    codes = encoded.latents[shown].astype("<f4")
    return {
        "codes": base64.b64encode(codes.tobytes()).decode(),
        "targets": encoded.classes[shown].tolist() if material.job.card.classes else None,
        "errors": [float(f"{error:.4g}") for error in encoded.errors[shown]],
        "sheet": draw_sheet(encoded.images(shown.tolist())),
        "places": None if kept is None else kept.places[chosen].round(2).tolist(),
    }


def _kept_map(material: Material) -> _Kept | None:
    path, run = maps.file_of(material), material.job.run
    if not path.exists():
        return None
    settings, places = run.read(maps.SETTINGS), tsne.load(path).coordinates
    if settings["split"] != "test" or settings["epochs"] != len(run.history):
        return None
    rows = maps.rows_of(material["test"], settings["points"])
    return _Kept(rows, places) if places.shape == (len(rows), 2) else None


def _rounded(values: Tensor) -> list[float]:
    return [float(f"{value:.7g}") for value in values.tolist()]
