"""`python -m labs.classification`: train, measure, predict, report, and see what networks see."""

from pathlib import Path
from typing import Any

import click

from common import cli, commands
from common.config import nearest
from common.errors import ConfigError
from labs.classification.config import RECIPES, ClassificationConfig, transfer_problem
from labs.classification.names import MODELS, TORCHVISION, model_names, usual_input

PROGRAM = "python -m labs.classification"

_USUAL = "; when not given, as the model was published."


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
@click.option("--image-size", type=click.IntRange(min=1), help=f"Pixels{_USUAL}")
@click.option("--channels", type=click.IntRange(min=1), help=f"1 is grey, 3 color{_USUAL}")
@click.option("--classes", type=click.IntRange(min=1), help=f"Number of them{_USUAL}")
@click.option(
    "--depth",
    type=click.IntRange(min=0),
    default=3,
    show_default=True,
    help="Levels of the module tree.",
)
@click.option(
    "--transfer",
    help="Show what trains with it: feature-extraction, freeze:N or freeze:NAME, as for train.",
)
def summary(
    model: str | None,
    image_size: int | None,
    channels: int | None,
    classes: int | None,
    depth: int,
    transfer: str | None,
) -> None:
    """Show a model's module tree, shapes, parameters and multiply-adds.

    Without a name, list the models.
    """
    if model is None:
        cli.show_table("Models", ["name", ""], [[name, text] for name, text in MODELS.items()])
        click.echo(f"and torchvision's: {', '.join(TORCHVISION)}")
        return
    if model not in model_names():
        raise ConfigError(f"no model {model!r}{nearest(model, model_names())}")
    from labs.classification import models
    from labs.classification.transfer import freeze

    usual = usual_input(model)
    channels, size, classes = channels or usual[0], image_size or usual[1], classes or usual[2]
    built = models.build(model, channels, size, classes)
    if transfer is not None:
        if problem := transfer_problem(transfer):
            raise ConfigError(problem)
        freeze(built, transfer)
    cli.show_summary(built, (channels, size, size), model, depth)


@group.command()
@commands.RUN
@click.argument("images", nargs=-1)
@click.option("--layer", help="Whose maps Grad-CAM weighs; the last convolution's when not given.")
@commands.FORM
@commands.OUTPUT
@commands.DEVICE
def explain(
    run: Path,
    images: tuple[str, ...],
    layer: str | None,
    form: str,
    output: Path | None,
    device: str | None,
) -> None:
    """Show what a network looks at: in rows of the test split such as 12, or in files.

    Without any, in the most confident mistakes of the test split: what speaks for its guess, and
    for the right class. Pictures go into the run's figures and its report.
    """
    from labs.classification import explain as lab_explain
    from labs.classification import report
    from labs.classification.job import Images

    job = Images.reopen(run, device)
    job.load_best()
    splits = job.load_splits()
    section, records = lab_explain.show(job, splits, images, layer)
    commands.show_records(section.title, records, form, output)
    report.add(job, splits, "explain", section)


@group.command("receptive-field")
@click.argument("model", metavar="MODEL", required=False)
@click.option("--run", type=click.Path(path_type=Path), help="A run instead of a name: as trained.")
@click.option("--image-size", type=click.IntRange(min=1), help=f"Pixels{_USUAL}")
@click.option("--channels", type=click.IntRange(min=1), help=f"1 is grey, 3 color{_USUAL}")
@click.option("--seed", default=0, show_default=True, help="Names weights and random images.")
@click.option(
    "--picture",
    type=click.Path(path_type=Path, dir_okay=False),
    help="Where to draw; receptive-field-MODEL.png when not given. A run has figures.",
)
@commands.FORM
@commands.OUTPUT
def receptive_field(
    model: str | None,
    run: Path | None,
    image_size: int | None,
    channels: int | None,
    seed: int,
    picture: Path | None,
    form: str,
    output: Path | None,
) -> None:
    """Show how much of a picture the layers of a model see: in theory, and in effect.

    Of a model by its name, untrained, or of a run, whose report then has it too.
    """
    if (model is None) == (run is None):
        raise ConfigError("give the name of a model, such as lenet5, or --run RUN")
    if run is not None and (image_size or channels or picture):
        raise ConfigError(
            "--image-size, --channels and --picture go with the name of a model; a run has its own "
            "images and figures"
        )
    if run is None and model not in model_names():
        raise ConfigError(f"no model {model!r}{nearest(str(model), model_names())}")
    from labs.classification import receptive_field as fields

    if run is None:
        usual = usual_input(str(model))
        found = fields.of_model(str(model), channels or usual[0], image_size or usual[1], seed)
        commands.show_records(f"Receptive fields of {model}", fields.records(found), form, output)
        fields.save(found, picture or Path(f"receptive-field-{model}.png"))
        return
    from labs.classification import report
    from labs.classification.job import Images

    job = Images.reopen(run, "cpu")
    job.load_best()
    splits, found = job.load_splits(), fields.of_run(job, seed)
    commands.show_records(f"Receptive fields of {job.title}", fields.records(found), form, output)
    report.add(job, splits, "receptive-field", fields.section(found, job.run))


if __name__ == "__main__":
    cli.main(group, PROGRAM)
