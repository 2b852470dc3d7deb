"""`python -m labs.classification`: train, evaluate, predict, report, summary."""

from pathlib import Path
from typing import Any

import click

from common import cli, commands
from common.config import nearest
from common.errors import ConfigError
from labs.classification.config import RECIPES, ClassificationConfig
from labs.classification.names import DESCRIPTIONS, TORCHVISION, model_names

PROGRAM = "python -m labs.classification"


@click.group(cls=cli.LabGroup, context_settings={"help_option_names": ["-h", "--help"]})
def group() -> None:
    """Classify images with networks from a linear template to torchvision's.

    Begin with `train`; every other command takes the folder of a run.
    """


@group.command(cls=cli.TrainCommand, config=ClassificationConfig, recipes=RECIPES)
def train(**given: Any) -> None:
    """Train a model, measure it against baselines, and write a report.

    Without options: LeNet-5 on 5,000 MNIST digits. Values come from the defaults, then a recipe,
    then a config file, then options.
    """
    commands.train("labs.classification.job:Images", ClassificationConfig, RECIPES, **given)


@group.command()
@commands.RUN
@commands.SPLIT
@commands.DEVICE
def evaluate(run: Path, split: str, device: str | None) -> None:
    """Measure a run's best weights again."""
    from labs.classification.job import Images

    commands.evaluate(Images, run, split, device)


@group.command()
@commands.RUN
@click.argument("paths", nargs=-1, required=True, type=click.Path(path_type=Path))
@click.option(
    "--top",
    default=3,
    show_default=True,
    type=click.IntRange(min=1),
    help="Classes to name for each image.",
)
@commands.FORM
@commands.OUTPUT
@commands.DEVICE
def predict(
    run: Path, paths: tuple[Path, ...], top: int, form: str, output: Path | None, device: str | None
) -> None:
    """Say what images show: files, or folders of them.

    Unreadable images are named on the way and left out; if none is left, the command fails.
    """
    from labs.classification import predictions
    from labs.classification.job import Images

    job = Images.reopen(run, device)
    job.load_best()
    found = predictions.predict(job, paths, top, cli.note)
    text = predictions.render(found, form)
    if output is None:
        click.echo(text, nl=False) if form != "table" else cli.show_table(*predictions.table(found))
    else:
        from common.files import write_text

        write_text(output, text)
        cli.note(f"wrote {output}")


@group.command("report")
@commands.RUN
@commands.DEVICE
def report_command(run: Path, device: str | None) -> None:
    """Draw a finished run's report again."""
    from labs.classification.job import Images

    commands.report(Images, run, device)


@group.command()
@click.argument("model", metavar="MODEL", required=False)
@click.option(
    "--image-size",
    type=click.IntRange(min=1),
    help="Pixels; 28 for the lab's own models, else 224.",
)
@click.option("--channels", type=click.IntRange(min=1), help="1 for the lab's own models, else 3.")
@click.option(
    "--classes", type=click.IntRange(min=1), help="10 for the lab's own models, else 1000."
)
@click.option(
    "--depth",
    type=click.IntRange(min=0),
    default=3,
    show_default=True,
    help="Levels of the module tree.",
)
def summary(
    model: str | None, image_size: int | None, channels: int | None, classes: int | None, depth: int
) -> None:
    """Show a model's module tree, shapes, parameters and multiply-adds.

    Without a name, list the models.
    """
    if model is None:
        cli.show_table(
            "Models", ["name", ""], [[name, text] for name, text in DESCRIPTIONS.items()]
        )
        click.echo(f"and torchvision's: {', '.join(TORCHVISION)}")
        return
    if model not in model_names():
        raise ConfigError(f"no model {model!r}{nearest(model, model_names())}")
    from labs.classification import models

    own = model not in TORCHVISION
    size, channels, classes = (
        image_size or (28 if own else 224),
        channels or (1 if own else 3),
        classes or (10 if own else 1000),
    )
    cli.show_summary(
        models.build(model, channels, size, classes), (channels, size, size), model, depth
    )


if __name__ == "__main__":
    cli.main(group, PROGRAM)
