"""`python -m labs.detection`: train, compare, predict, export, and what to ask of data and runs."""

from collections.abc import Mapping, Sequence
from importlib import import_module
from pathlib import Path
from typing import Any

import click
from click.core import ParameterSource

from common.errors import ConfigError, RunError
from common.options import commandline, terminal
from common.options.config import FORM, build
from common.runs import commands
from common.runs.lab import Built, Lab, Verb, experiments
from common.suggest import suggest
from labs.detection.names import (
    DARKNET,
    DESCRIPTIONS,
    LOCALIZER,
    OF_CASCADE,
    PIXELS,
    SEGMENTATION,
    ULTRALYTICS,
    is_darknet,
)

CONFIG = "labs.detection.config:DetectionConfig"
IMAGE = click.option(
    "--image",
    type=click.IntRange(min=0),
    default=0,
    show_default=True,
    help="Its number in the split, from 0.",
)
PICTURE = click.option(
    "--output",
    type=click.Path(path_type=Path, dir_okay=False),
    help="The picture; in the run's figures when not given.",
)
SCORE = click.option(
    "--score",
    type=click.FloatRange(0, 1),
    help="Least score of what counts; the one chosen on validation when not given.",
)
TTA = click.option(
    "--tta",
    metavar="WAYS",
    help="Fuse the boxes of an image and of changed copies of it: auto, those that suit what the "
    "run was trained with, or some of hflip, vflip, shift:PIXELS, scale:FACTOR, with commas "
    "between.",
)

FORMATS = click.option(
    "--format",
    "form",
    default="onnx",
    show_default=True,
    help="onnx, torchscript, or both with a comma between.",
)
HANDED_IN = (  # options of `submit`
    click.option(
        "--score",
        type=click.FloatRange(0, 1),
        help="Least score of the boxes that are written; 0.01 when not given.",
    ),
    click.option(
        "--boxes",
        type=click.Choice(["corners", "sides"]),
        help="What the four numbers of a box are, where SAMPLE has all boxes in a cell: left, "
        "upper, right and lower edge, or left, upper, width and height.",
    ),
)


def _recipe_for(options: Mapping[str, str]) -> str | None:
    from labs.detection.config import recipe_for

    if options.get("model") == LOCALIZER and options.get("data", "scenes") != "scenes":
        return None  # its recipe is of the scenes; what photos need is chosen by them
    return recipe_for(options.get("model"), options.get("task"))


_TRAIN = Verb(
    "labs.detection.job:Detector",
    CONFIG,
    """Train a detector, compare it with a baseline, and write a report.

    Without options: a small YOLO on scenes composed of MNIST digits. Values come from the
    defaults, then a recipe, then a config file, then options; where no recipe is named, the
    one that suits the model.
    """,
    "labs.detection.config:RECIPES",
    _recipe_for,
    submits=True,
)

lab = Lab(
    "detection",
    """Find objects in images: YOLO, from its ideas to Ultralytics' models, and two-stage detectors.

    Begin with `train`; most other commands take the folder of a run.
    """,
    jobs={"train": _TRAIN},
    evaluate_options=(TTA,),
    ensembles={"train": "labs.detection.experiments.ensemble:BoxesTogether"},
    submit_options=(*HANDED_IN, TTA),
    doctor="labs.detection.inspect.doctor:report",
    doctor_options=(SCORE,),
    export_options=(FORMATS,),
    comparisons={
        **experiments(
            "train",
            _TRAIN,
            """Cut the images into folds; train a detector for each, and judge it on its own.

            Takes the options of `train`.
            """,
            of="Boxes",
            samples="images",
        ),
        "cascade": Verb(
            "labs.detection.cascade.run:CascadeRun",
            "labs.detection.cascade.config:CascadeConfig",
            """Train the ancestor of detectors: a cascade of boosted Haar features.

            It says where something is, not what, and needs no gradient. Drawn stage by stage, and
            its curve beside that of the baseline, and of a detector's run with --beside RUN.
            """,
            only=OF_CASCADE,
        ),
        "compare-models": Verb(
            "labs.detection.inspect.compare:Comparison", "labs.detection.config:CompareConfig"
        ),
    },
    renamed={"compare": "compare-models"},
    models={**DESCRIPTIONS, **PIXELS},
    more_models={
        "darknet's, of a .cfg": DARKNET,
        "Ultralytics' (AGPL-3.0)": ULTRALYTICS,
        "for --task segment": SEGMENTATION,
    },
    evaluate_help=(
        "Measure a run's best weights again: COCO's figures, each class, and the kinds of errors."
        "\n\nPrecision-recall curves and the confusion with the background are drawn into the "
        "run's figures."
    ),
)


@lab.command("compare-models")
def compare_models(**given: Any) -> None:
    """Train detectors of each kind on the same data: mAP, time per image, parameters, and errors.

    Takes the options of `train`. Each model has the values of its own recipe; an option that is
    given goes over them, for all.
    """
    if given["options"] and given["resume"] is None:
        given["options"].setdefault("chosen", ",".join(given["options"]))
    lab.train("compare-models", **given)


@lab.group.command()
@commands.RUN
@click.argument("paths", nargs=-1, required=True, type=click.Path(path_type=Path))
@click.option(
    "--output",
    type=click.Path(path_type=Path, file_okay=False),
    help="A folder; predictions/ of the run when not given.",
)
@click.option(
    "--format",
    "forms",
    default="drawn,json",
    show_default=True,
    help="Some of drawn, json, csv, yolo, with commas between; of classes of pixels, and of things "
    "and stuff, drawn, masks, json, csv, and drawn, masks and json when not given.",
)
@SCORE
@TTA
@commands.DEVICE
def predict(
    run: Path,
    paths: tuple[Path, ...],
    output: Path | None,
    forms: str,
    score: float | None,
    tta: str | None,
    device: str | None,
) -> None:
    """Find objects in photos and videos, or name their pixels or segments: files, or folders.

    What cannot be read is named on the way and left out; if nothing is left, the command fails.
    """
    from common.runs.tta.gain import use_copies
    from labs.detection.predict import predictions

    job = lab.open_trained(run, device)
    if job.config.task in ("semantic", "panoptic"):
        _name_pixels(job, paths, output or run / "predictions", forms, score=score, tta=tta)
        return
    chosen = _chosen("--format", forms, predictions.FORMATS)
    use_copies([job], tta)
    folder = output or run / "predictions"
    found = predictions.predict(job, paths, folder, chosen, score, terminal.note)
    terminal.show_table(*predictions.table(found, job.card.classes))
    click.echo(f"Output: {folder}")


def _name_pixels(
    job: Any, paths: Sequence[Path], output: Path, forms: str, **others: float | str | None
) -> None:
    """Do what `predict` does of a run that names classes of pixels, or segments."""
    predictions = import_module(f"labs.detection.{job.config.task}.predictions")
    for name, value in others.items():
        if value is not None:
            raise ConfigError(f"--{name}: goes with boxes, and {job.run.path} finds none")
    source = click.get_current_context().get_parameter_source("forms")
    text = ",".join(predictions.USUAL) if source is ParameterSource.DEFAULT else forms
    chosen = _chosen("--format", text, predictions.FORMATS)
    found = predictions.predict(job, paths, output, chosen, terminal.note)
    terminal.show_table(*predictions.table(found, job.card.classes))
    click.echo(f"Output: {output}")


@lab.group.command("explain-assignment")
@click.argument("run", type=click.Path(path_type=Path), required=False)
@IMAGE
@commands.SPLIT
@PICTURE
def explain_assignment(run: Path | None, image: int, split: str, output: Path | None) -> None:
    """Draw which cell and which anchor answer for which box.

    Without RUN: those of a tiny-yolo that was never trained, on the scenes.
    """
    from labs.detection.inspect import explain

    if run is None:
        job, splits = explain.without_run()
        path = output or Path("assignment.png")
    else:
        job, splits = _opened(run)
        path = output or run / "figures/assignment.png"
    _show_drawing(explain.draw_assignment(job, splits[split], image), path)


@lab.group.command()
@commands.RUN
@IMAGE
@commands.SPLIT
@click.option(
    "--iou",
    type=click.FloatRange(0, 1),
    default=0.5,
    show_default=True,
    help="Overlap with a box of its class and a higher score above which a box is removed.",
)
@SCORE
@PICTURE
def nms(
    run: Path, image: int, split: str, iou: float, score: float | None, output: Path | None
) -> None:
    """Draw the boxes before non-maximum suppression, step by step, and after."""
    from labs.detection.inspect.doctor import shown_from
    from labs.detection.inspect.explain import draw_nms

    job, splits = _opened(run)
    least = shown_from(job) if score is None else score
    drawing = draw_nms(job, splits[split], image, iou, least)
    _show_drawing(drawing, output or run / "figures/nms.png")


@lab.group.command()
@click.argument("localizer", type=click.Path(path_type=Path))
@click.argument("detector", type=click.Path(path_type=Path))
@IMAGE
@commands.SPLIT
@PICTURE
def beside(localizer: Path, detector: Path, image: int, split: str, output: Path | None) -> None:
    """Draw what a localizer and a grid detector say of the same images.

    LOCALIZER is a run of `train --model localizer`, DETECTOR one of tiny-yolo or another model.
    Both say what they find in an image of the localizer's data, which has one object, and in one
    of the detector's, which may have several.
    """
    from labs.detection.localizer.beside import draw_beside

    (one, of_one), (other, of_other) = _opened(localizer), _opened(detector)
    drawing = draw_beside(one, other, [of_one, of_other], split, image)
    _show_drawing(drawing, output or localizer / "figures/beside.png")


@lab.group.command("data-check", cls=commandline.FileCommand, configs=[CONFIG], of_run=False)
@click.argument("path", type=click.Path(path_type=Path))
@commands.FORM
@commands.OUTPUT
def data_check(path: Path, form: str, output: Path | None, options: dict[str, str]) -> None:
    """List what is wrong with a data set, changing nothing.

    PATH is a YOLO data.yaml, a COCO JSON, a table with boxes, or a folder with Pascal VOC XML, YOLO
    txt or LabelMe's JSON.
    """
    from labs.detection.data.check import check

    found = check(path, _reading(path, options))
    if found.problems or form != "table":
        commands.show_records("Problems", found.problems, form, output)
    if form == "table":
        commands.show_records("Boxes", found.counts, "table", None)
        terminal.say(found.summary)


@lab.group.command(cls=commandline.FileCommand, configs=[CONFIG], of_run=False)
@click.argument("source", type=click.Path(path_type=Path))
@click.argument("destination", type=click.Path(path_type=Path))
@click.option(
    "--to", "form", type=click.Choice(["voc", "coco", "yolo"]), required=True, help="The format."
)
@click.option("--images/--no-images", default=True, show_default=True, help="Copy the images too.")
def convert(
    source: Path, destination: Path, form: str, images: bool, options: dict[str, str]
) -> None:
    """Write a data set in another format into a new folder; the source is only read."""
    from labs.detection.data.convert import convert as write

    terminal.say(write(source, destination, form, images, _reading(source, options)))


@lab.group.command(
    cls=commandline.ConfigCommand,
    config=CONFIG,
    only=(
        *("test", "image_dir", "image_size", "limit", "augment", "model", "split_seed", "device"),
        *("threads", *FORM),
    ),
)
@click.argument("data", metavar="DATA")
@commands.PAGE
def explore(data: str, output: Path | None, options: dict[str, Any], problems: list[str]) -> None:
    """Look at the images and boxes of DATA before anyone trains on them: one HTML report.

    Classes, boxes' sizes and places, boxes on one another; copies and near-copies; whether train
    and test differ; what augmentation makes of them; and what training would wait for. DATA is what
    --data takes, and need not be fit to be trained on.
    """
    from labs.detection.config import DetectionConfig

    config = commands.of_data(DetectionConfig, data, options, problems, "a file or a folder")
    from labs.detection.inspect import explore as exploring

    exploring.command(config, output)


@lab.group.command("import-darknet")
@click.argument("cfg", type=click.Path(path_type=Path))
@click.argument("weights", type=click.Path(path_type=Path))
@click.option(
    "--names",
    type=click.Path(path_type=Path, dir_okay=False),
    required=True,
    help="A text with the name of a class in each line, such as obj.names.",
)
@commands.RUN_DIR
@click.option("--name", help="The run's own name; the network's and a number when not given.")
def import_darknet(cfg: Path, weights: Path, names: Path, run_dir: str, name: str | None) -> None:
    """Make a run of a network that darknet has trained: CFG has its layers, WEIGHTS its numbers.

    predict, evaluate --data, export and nms take the run. Nothing measures it here; boxes are shown
    from darknet's score of 0.25 on.
    """
    from labs.detection.darknet import imported

    path, said = imported.import_run(cfg, weights, names, Path(run_dir), name)
    terminal.say(said)
    click.echo(f"Run: {path}")


@lab.group.command("export-darknet")
@commands.RUN
@click.option(
    "--output",
    type=click.Path(path_type=Path, file_okay=False),
    help="A folder; darknet/ of the run when not given.",
)
def export_darknet(run: Path, output: Path | None) -> None:
    """Write a run of a .cfg as darknet's files: .cfg, .weights and .names."""
    job = lab.open_trained(run, "cpu")
    from labs.detection.darknet import imported

    for path in imported.export_run(job, output or run / "darknet"):
        click.echo(f"Output: {path}")


@lab.summary
@click.option("--image-size", type=click.IntRange(min=32), default=128, show_default=True)
@click.option("--classes", type=click.IntRange(min=1), default=10, show_default=True)
@click.option("--depth", type=click.IntRange(min=0), default=2, show_default=True)
def summary(model: str, image_size: int, classes: int) -> Built:
    """Build a detector of classes that have numbers for names."""
    from labs.detection.config import DetectionConfig

    task = "segment" if model in SEGMENTATION else "semantic" if model in PIXELS else "detect"
    if problems := DetectionConfig(model=model, image_size=image_size, task=task).problems():
        raise ConfigError(problems)
    if model in PIXELS:
        from labs.detection.models import pixel_models

        return Built(pixel_models.build(model, classes), (3, image_size, image_size))
    from labs.detection.models import build, torchvision_models

    if is_darknet(model) and model not in DARKNET:
        from labs.detection.darknet import cfg

        classes = cfg.parse(cfg.read(Path(model)), model).classes
    names = [str(number) for number in range(classes)]
    anchors = [(16.0, 16.0)] * DetectionConfig.anchors
    found = build.build(model, names, image_size, anchors, task)
    meta = model not in torchvision_models.WEIGHTS
    return Built(found, (3, image_size, image_size), meta)


def _reading(path: Path, options: Mapping[str, str]) -> Any:
    """Return what options say of how files with boxes are written.

    Raises:
        ConfigError: a value is wrong.
        DataError: an option does not go with the file.
    """
    from common.io.tables import refuse_unfit
    from labs.detection.config import DetectionConfig

    config = build(DetectionConfig, ("options", {"data": str(path), **options}))
    refuse_unfit(config)
    return config.reading


def _chosen(option: str, text: str, known: Sequence[str]) -> list[str]:
    chosen = [name.strip() for name in text.split(",") if name.strip()]
    wrong = [name for name in chosen if name not in known]
    if wrong or not chosen:
        near = suggest(wrong[0], known) if wrong else ""
        raise ConfigError(f"{option} {text}: expected some of {', '.join(known)}{near}")
    return chosen


def _opened(run: Path) -> Any:
    """Return a run of boxes with its weights, on the CPU, and its data.

    Raises:
        RunError: it finds no boxes.
    """
    job = lab.open_trained(run, "cpu")
    if job.config.task in ("semantic", "panoptic"):
        raise RunError(f"{run} names the classes of pixels; there are no boxes to explain")
    return job, job.load_splits()


def _show_drawing(drawing: Any, path: Path) -> None:
    figure, table = drawing
    terminal.show_table(*table)
    commands.show_drawing(figure, path)


if __name__ == "__main__":
    lab.main()
