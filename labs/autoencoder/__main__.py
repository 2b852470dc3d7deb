"""`python -m labs.autoencoder`: train, then look at what the latents hold."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import click

from common.options import terminal
from common.runs import commands
from common.runs.lab import Built, Lab, Verb, experiments
from labs.autoencoder.names import MODELS


def _recipe_for(options: Mapping[str, str]) -> str | None:
    from labs.autoencoder.config import recipe_for

    return recipe_for(options.get("model"))


_TRAIN = Verb(
    "labs.autoencoder.job:Compression",
    "labs.autoencoder.config:AutoencoderConfig",
    """Train an autoencoder, compare it with PCA, and write a report with all views.

    Without options: a convolutional one with 32 latents on 5,000 MNIST digits. Values come
    from the defaults, then a recipe, then a config file, then options.
    """,
    "labs.autoencoder.config:RECIPES",
    _recipe_for,
)

lab = Lab(
    "autoencoder",
    """Squeeze images into a few numbers, give them back, and look at those numbers.

    Begin with `train`. The commands of views take the folder of a run, show it in one way, and
    put that into the run's report.
    """,
    jobs={"train": _TRAIN},
    comparisons={
        **experiments(
            "train",
            _TRAIN,
            """Cut the images into folds; train a model for each, and measure its error there.

            Takes the options of `train`.
            """,
            of="Images",
            samples="images",
        ),
        "compare-anomalies": Verb(
            "labs.autoencoder.compare.anomalies:Comparison",
            "labs.autoencoder.compare.config:CompareAnomaliesConfig",
            """Leave out one class after the other; show which go unnoticed as anomalies, and why.

            Takes the options of `train`; its runs are narrower and shorter unless told otherwise.
            """,
            "labs.autoencoder.compare.config:UNTOLD",
            _recipe_for,
        ),
        "sweep": Verb(
            "labs.autoencoder.compare.sizes:Sweep",
            "labs.autoencoder.compare.config:SweepConfig",
            """Train a run for each of several sizes of the latents, and compare each with PCA.

            Takes the options of `train`, and --sizes and --seeds. Members that are finished are not
            trained again.
            """,
            "labs.autoencoder.compare.config:SWEPT",
            _recipe_for,
        ),
    },
    models=MODELS,
)


@lab.group.command()
@commands.RUN
@click.argument("paths", nargs=-1, required=True, type=click.Path(path_type=Path))
@click.option("--class", "class_name", help="Class of the images, for a conditional-vae.")
@click.option(
    "--images",
    "folder",
    type=click.Path(path_type=Path, file_okay=False),
    help="Folder for what the network gives back, as PNG files; a denoising one cleans them.",
)
@commands.ONNX
@commands.FORM
@commands.OUTPUT
@commands.DEVICE
def predict(
    run: Path,
    paths: tuple[Path, ...],
    class_name: str | None,
    folder: Path | None,
    onnx: bool,
    form: str,
    output: Path | None,
    device: str | None,
) -> None:
    """Encode images: files, or folders of them. CSV and JSON hold the latents too.

    Unreadable images are named on the way and left out; if none is left, the command fails.
    """
    from labs.autoencoder import predictions

    if onnx:
        commands.refuse_with_onnx(device=device)
        from labs.autoencoder.export.asked import AskedImages

        job: Any = AskedImages(run)
    else:
        job = lab.open_trained(run, device)
    latents = form != "table" or output is not None
    records = predictions.predict(job, paths, class_name, folder, terminal.note, latents)
    commands.show_records(f"{len(records):,} image(s)", records, form, output)


@lab.summary
@click.option(
    "--image-size", type=click.IntRange(min=1), default=28, show_default=True, help="Pixels."
)
@click.option("--channels", type=click.IntRange(min=1), default=1, show_default=True)
@click.option("--latent-size", type=click.IntRange(min=1), default=32, show_default=True)
@click.option(
    "--depth",
    type=click.IntRange(min=0),
    default=3,
    show_default=True,
    help="Levels of the module tree.",
)
def summary(model: str, image_size: int, channels: int, latent_size: int) -> Built:
    """Build an autoencoder; what no option says is as the defaults have it."""
    lab.check_model(model)
    from labs.autoencoder import models
    from labs.autoencoder.config import AutoencoderConfig

    config = AutoencoderConfig(model=model)
    built = models.build(
        model,
        architecture=config.architecture,
        channels=channels,
        image_size=image_size,
        classes=10,
        latent_size=latent_size,
        depth=config.depth,
        width=config.width,
    )
    return Built(built, (channels, image_size, image_size))


def view(name: str, text: str, *options: Any) -> None:
    """Add the command of a view: it takes a run, and shows the view with the options' values."""

    def show(run: Path, form: str, output: Path | None, device: str | None, **given: Any) -> None:
        from labs.autoencoder.views import material

        material.show(run, device, name, form, output, **given)

    shown: Any = show
    every = [commands.RUN, *options, commands.FORM, commands.OUTPUT, commands.DEVICE]
    for option in reversed(every):
        shown = option(shown)
    lab.group.command(name, help=text)(shown)


view(
    "reconstruct",
    "Show inputs beside outputs, the worst ones too, and the error of each class.",
    commands.SPLIT,
    click.option(
        "--count",
        type=click.IntRange(1, 96),
        default=24,
        show_default=True,
        help="Images of each picture.",
    ),
)


@lab.group.command()
@commands.RUN
@click.option(
    "--split",
    type=click.Choice(["train", "validation", "test", "all"]),
    default="test",
    show_default=True,
)
@commands.add_map_options
@click.option(
    "--place",
    type=click.Path(path_type=Path),
    multiple=True,
    help="A file or folder of images to put on the map that the run has; may be repeated.",
)
@commands.FORM
@commands.OUTPUT
@commands.DEVICE
def latents(
    run: Path,
    place: tuple[Path, ...],
    form: str,
    output: Path | None,
    device: str | None,
    **options: Any,
) -> None:
    """Map the latents, say how much of the map to believe, and write one to explore.

    With --place, put new images on the map that there is; its other options are then that map's.
    """
    from labs.autoencoder.views import material

    if place:
        material.show(run, device, "placed", form, output, paths=place)
    else:
        material.show(run, device, "latents", form, output, **options)


view("codes", "Say how sparse the latents are, how many are dead, and how far noise moves them.")
view("probe", "Ask a linear model for the class: from the latents, from PCA, from the pixels.")
view(
    "neighbours",
    "Find images of the same class among the nearest: by latents, by PCA, by pixels.\n\n"
    "IMAGES are rows of the test split, such as 12, or files, whose neighbors are shown.",
    click.argument("images", nargs=-1),
    click.option("--count", type=click.IntRange(1, 16), default=8, show_default=True),
    click.option(
        "--metric",
        type=click.Choice(["euclidean", "cosine"]),
        default="euclidean",
        show_default=True,
    ),
)
view(
    "cluster",
    "Compare k-means clusters of the latents with the classes.",
    click.option(
        "--clusters", type=click.IntRange(min=2), help="How many; as many as classes if not given."
    ),
    click.option("--seed", type=click.IntRange(min=0), default=0, show_default=True),
)
view("posterior", "Say which latents of a VAE carry anything, and whether the posterior collapsed.")
view(
    "interpolate",
    "Walk from one image to another through the latent space.\n\n"
    "A and B are rows of the test split, such as 12, or files; some pairs if not given.",
    click.argument("a", required=False),
    click.argument("b", required=False),
    click.option("--steps", type=click.IntRange(3, 25), default=9, show_default=True),
)
view(
    "traverse",
    "Move an image along latent dimensions, one at a time.\n\n"
    "IMAGE is a row of the test split, such as 12, or a file.",
    click.argument("image", default="0"),
    click.option(
        "--dimension",
        "dimensions",
        type=click.IntRange(min=1),
        multiple=True,
        help="One to move along, from 1; may be repeated. The most influential if not given.",
    ),
)
view(
    "sample",
    "Draw images from the prior of a VAE; of a conditional one, images of chosen classes.",
    click.option("--count", type=click.IntRange(1, 400), default=64, show_default=True),
    click.option("--seed", type=click.IntRange(min=0), default=0, show_default=True),
    click.option(
        "--class",
        "classes",
        multiple=True,
        help="To draw, of a conditional-vae; may be repeated.",
    ),
)
view(
    "anomalies",
    "Find the classes that a run was trained --without, by their reconstruction error.",
    click.option(
        "--false-alarms",
        type=click.FloatRange(0, 1, min_open=True, max_open=True),
        default=0.05,
        show_default=True,
        help="Share of normal validation images above the threshold.",
    ),
)


if __name__ == "__main__":
    lab.main()
