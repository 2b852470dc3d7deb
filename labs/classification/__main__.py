"""`python -m labs.classification`: train, measure, predict, report, and see what networks see."""

from pathlib import Path
from pkgutil import resolve_name
from typing import Any

import click

from common.errors import ConfigError
from common.options import commandline, terminal
from common.runs import commands
from common.suggest import suggest
from labs.classification.config import (
    AUGMENT_OPTIONS,
    RECIPES,
    AdviseConfig,
    ClassificationConfig,
    CompareArchitecturesConfig,
    CompareHeadsConfig,
    CompareImbalanceConfig,
    CompareTeacherConfig,
    CompareTransferConfig,
    recipe_for,
    transfer_problem,
)
from labs.classification.models.catalogue import DESCRIPTIONS, MODELS, TORCHVISION

PROGRAM = "python -m labs.classification"
JOB = "labs.classification.job:ClassifyImages"
WHOLES = {  # runs made of runs, by the command that trains them
    "compare-architectures": "labs.classification.compare.architectures:Comparison",
    "advise": "labs.classification.compare.advice:Probe",
    "compare-heads": "labs.classification.compare.heads:Comparison",
    "compare-imbalance": "labs.classification.compare.imbalance:Comparison",
    "compare-teacher": "labs.classification.compare.teacher:Comparison",
    "compare-transfer": "labs.classification.compare.transfer:Comparison",
}

_USUAL = "; when not given, as the model was published."


@click.group(cls=commandline.LabGroup, context_settings={"help_option_names": ["-h", "--help"]})
def group() -> None:
    """Classify images with networks from a linear template to torchvision's.

    Begin with `train`: its runs are what `evaluate`, `predict`, `explain` and `report` take.
    """


@group.command(cls=commandline.TrainCommand, config=ClassificationConfig, recipes=RECIPES)
def train(**given: Any) -> None:
    """Train a model, measure it against baselines, and write a report.

    Without options: LeNet-5 on 5,000 MNIST digits. Values come from the defaults, then a recipe,
    then a config file, then options; where no recipe is named, the one that suits the model.
    """
    own = recipe_for(given["options"].get("model"), given["options"].get("weights"))
    if own and given["recipe"] is None and given["resume"] is None:
        terminal.note(f"with the values of --recipe {own}, where no others are given")
        given["recipe"] = own
    commands.train(JOB, ClassificationConfig, RECIPES, **given)


@group.command()
@commands.RUN
@commands.SPLIT
@commands.DEVICE
def evaluate(run: Path, split: str, device: str | None) -> None:
    """Measure a run's best weights again."""
    from labs.classification.job import ClassifyImages

    job, outputs, measured = commands.evaluate(ClassifyImages, run, split, device)
    if job.card.labels:
        from labs.classification import label_columns
        from labs.classification.results import ClassificationResults

        terminal.show_table(
            "Each label column",
            *label_columns.table(ClassificationResults(job).columns(outputs, measured)),
        )


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
    from labs.classification.job import ClassifyImages

    job = ClassifyImages.reopen(run, device)
    job.load_best()
    found = predictions.predict(job, paths, top, terminal.note)
    text = predictions.render(found, form)
    if output is None:
        click.echo(text, nl=False) if form != "table" else terminal.show_table(
            *predictions.table(found)
        )
    else:
        from common.files import write_text

        write_text(output, text)
        terminal.note(f"wrote {output}")


@group.command("report")
@commands.RUN
@commands.DEVICE
def report_command(run: Path, device: str | None) -> None:
    """Draw a finished run's report again."""
    from common.runs.folder import open_run

    whole = WHOLES.get(open_run(run, "classification").job)
    if whole is not None:
        resolve_name(whole).report(run)
        return
    commands.report(resolve_name(JOB), run, device)


@group.command(
    "compare-architectures",
    cls=commandline.TrainCommand,
    config=CompareArchitecturesConfig,
    recipes={},
)
def compare_architectures(**given: Any) -> None:
    """Train a ladder of models with one budget: accuracy, size, time, and what shifts do to them.

    Nearest neighbors are held against them. Each model has the values of its own recipe; what is
    given as an option or in a config file goes over them, for all.
    """
    resolve_name(WHOLES["compare-architectures"]).command(**given)


@group.command("compare-heads", cls=commandline.TrainCommand, config=CompareHeadsConfig, recipes={})
def compare_heads(**given: Any) -> None:
    """Tell several labels at once by one network, by one for each, and by one for combinations."""
    resolve_name(WHOLES["compare-heads"]).command(**given)


@group.command(
    "compare-imbalance", cls=commandline.TrainCommand, config=CompareImbalanceConfig, recipes={}
)
def compare_imbalance(**given: Any) -> None:
    """Make classes rare, and show what each strategy of --imbalance does for their recall."""
    resolve_name(WHOLES["compare-imbalance"]).command(**given)


@group.command(
    "compare-teacher", cls=commandline.TrainCommand, config=CompareTeacherConfig, recipes={}
)
def compare_teacher(**given: Any) -> None:
    """Train the same student alone and with a teacher, and show whether the teacher helps."""
    resolve_name(WHOLES["compare-teacher"]).command(**given)


@group.command(
    "compare-transfer", cls=commandline.TrainCommand, config=CompareTransferConfig, recipes={}
)
def compare_transfer(**given: Any) -> None:
    """Train with each mode of transfer, and see which one wins, if any does."""
    resolve_name(WHOLES["compare-transfer"]).command(**given)


@group.command(cls=commandline.TrainCommand, config=AdviseConfig, recipes={})
def advise(**given: Any) -> None:
    """Say which mode of transfer suits one's images; with --probe, try whether that is so.

    By the two tables of the textbooks: few images or many, similar ones or different.
    """
    resolve_name(WHOLES["advise"]).command(**given)


@group.command(cls=commandline.ConfigCommand, config=ClassificationConfig, only=AUGMENT_OPTIONS)
@click.argument("data", metavar="DATA")
@click.option(
    "--samples",
    type=click.IntRange(min=1),
    default=6,
    show_default=True,
    help="Images to draw: the first that training takes.",
)
@click.option(
    "--epochs",
    type=click.IntRange(min=1),
    default=2,
    show_default=True,
    help="Epochs to draw of each change.",
)
@click.option(
    "--picture",
    type=click.Path(path_type=Path, dir_okay=False),
    help="File to draw to; augment-DATA.png when not given.",
)
@click.option(
    "--write",
    "out",
    metavar="OUT",
    type=click.Path(path_type=Path),
    help="Write the images and augmented copies into a new folder, in place of the picture.",
)
@click.option("--copies", type=click.IntRange(min=1), help="Of each training image, for --write.")
def augment(
    data: str,
    samples: int,
    epochs: int,
    picture: Path | None,
    out: Path | None,
    copies: int | None,
    options: dict[str, Any],
    problems: list[str],
) -> None:
    """Draw what each change does to real images of DATA, before anyone trains with it.

    DATA is what --data takes. Without --augment, --mixup and --cutmix: every change that there is,
    with values for a start.
    """
    if data.startswith("-"):
        problems.append(f"DATA {data}: no such option, or no data; name a set or a folder")
    if (out is None) != (copies is None):
        problems.append("--write and --copies go together")
    # `linear` takes images of any size: they are shown, and written, as they are.
    given = {"augment": "none", "model": "linear", **options, "data": data}
    config = commands.layered(ClassificationConfig, {}, None, None, given, problems)
    from labs.classification.augmentation import export, preview

    if out is not None and copies is not None:
        export.command(config, out, copies)
        return
    preview.command(config, samples, epochs, picture)


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
    help="Show what trains with it: feature-extraction, freeze:N and so on, as for train.",
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
        terminal.show_table("Models", ["name", ""], [list(each) for each in DESCRIPTIONS.items()])
        click.echo(f"and torchvision's: {', '.join(TORCHVISION)}")
        return
    if model not in MODELS:
        raise ConfigError(f"no model {model!r}{suggest(model, MODELS)}")
    from labs.classification.models import build
    from labs.classification.transfer.weights import freeze

    usual = MODELS[model].usual
    channels, size, classes = channels or usual[0], image_size or usual[1], classes or usual[2]
    built = build.build(model, channels, size, classes)
    if transfer is not None:
        if problem := transfer_problem(transfer):
            raise ConfigError(problem)
        freeze(built, transfer)
    commands.show_summary(built, (channels, size, size), model, depth)


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
    from labs.classification import report
    from labs.classification.job import ClassifyImages
    from labs.classification.look import explain as lab_explain

    job = ClassifyImages.reopen(run, device)
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
    if run is None and model not in MODELS:
        raise ConfigError(f"no model {model!r}{suggest(str(model), MODELS)}")
    from labs.classification.look import receptive_field as fields

    if run is None:
        usual = MODELS[str(model)].usual
        found = fields.of_model(str(model), channels or usual[0], image_size or usual[1], seed)
        commands.show_records(f"Receptive fields of {model}", fields.records(found), form, output)
        fields.save(found, picture or Path(f"receptive-field-{model}.png"))
        return
    from labs.classification import report
    from labs.classification.job import ClassifyImages

    job = ClassifyImages.reopen(run, "cpu")
    job.load_best()
    splits, found = job.load_splits(), fields.of_run(job, seed)
    commands.show_records(
        f"Receptive fields of {job.config.title}", fields.records(found), form, output
    )
    report.add(job, splits, "receptive-field", fields.section(found, job.run))


if __name__ == "__main__":
    commandline.main(group, PROGRAM)
