"""`python -m labs.classification`: train, measure, predict, report, and see what networks see."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import click

from common.compete.options import COMPETITION
from common.errors import ConfigError, RunError
from common.options import commandline, terminal
from common.options.config import CROPS, FORM, LABEL_RULES
from common.pseudo.options import ONLY as PSEUDO_OPTIONS
from common.runs import commands
from common.runs.lab import Built, Lab, Verb, experiments
from labs.classification.models.catalogue import DESCRIPTIONS, MODELS, TIMM, TORCHVISION

_CONFIG = "labs.classification.config"
_COMPARE = "labs.classification.compare"
_USUAL = "; when not given, as the model was published."

AUGMENT_OPTIONS = (  # that `augment` takes: what says which images are fed, and how
    *(
        "data_dir",
        "path_column",
        "label_column",
        "split_column",
        *LABEL_RULES,
        *CROPS,
        "image_dir",
        *FORM,
    ),
    *("image_size", "fit", "limit", "augment", "mixup"),
    *("cutmix", "batch_size", "loss", "seed", "split_seed"),
)

EXPLORE_OPTIONS = (  # that `explore` takes: what says which images there are, and how to read them
    *("data_dir", "test", "path_column", "label_column", "group_column"),
    *("group_by", "image_dir"),
    *(*LABEL_RULES, *CROPS),
    *(*FORM, "image_size", "fit", "limit", "augment", "loss"),
    *("split_seed", "device", "threads"),
)

TABLE_OPTIONS = (*FORM, "path_column", *CROPS, "image_dir")  # of `predict`


def _recipe_for(options: Mapping[str, str]) -> str | None:
    from labs.classification.config import recipe_for

    return recipe_for(options.get("model"), options.get("weights"))


_TRAIN = Verb(
    "labs.classification.job:ClassifyImages",
    f"{_CONFIG}:ClassificationConfig",
    """Train a model, compare it with baselines, and write a report.

    Without options: LeNet-5 on 5,000 MNIST digits. Values come from the defaults, then a
    recipe, then a config file, then options; where no recipe is named, the one that suits
    the model.
    """,
    f"{_CONFIG}:RECIPES",
    _recipe_for,
    submits=True,
)

lab = Lab(
    "classification",
    """Classify images with networks from a linear template to torchvision's.

    Begin with `train`: its runs are what `evaluate`, `predict`, `explain` and `report` take.
    """,
    jobs={
        "train": _TRAIN,
        "contrast": Verb(
            "labs.classification.contrastive.job:ContrastScenes",
            "labs.classification.contrastive.config:ContrastConfig",
            """Learn which caption belongs to which picture, and ask what was learned of each word.

            A small network sees drawn scenes of colored shapes, another reads their captions; both
            put them into one space (CLIP). Measured are retrieval, prompts without training, and
            captions that differ in one thing, of combinations never seen, too. --data takes a
            folder of images with a table of captions.
            """,
            "labs.classification.contrastive.config:RECIPES",
        ),
    },
    comparisons={
        **experiments(
            "train",
            _TRAIN,
            """Cut the images into folds; train a network for each, and judge it on its own.

            Takes the options of `train`. A --group-column keeps groups in one fold.
            """,
            of="Images",
            samples="images",
        ),
        "leaks": Verb(
            "labs.classification.experiments.leaks:LeaksOfImages",
            "labs.classification.experiments.config:LeaksConfig",
            """Guess which images belong together, and prove whether random folds leak.

            The same model is trained under random folds and under folds that keep groups whole.
            Takes the options of `train`; DATA is its --data.
            """,
            "labs.classification.config:RECIPES",
            _recipe_for,
            options=(commands.DATA_SET,),
        ),
        "compete": Verb(
            "labs.classification.experiments.compete:CompeteWithImages",
            "labs.classification.experiments.config:CrossvalConfig",
            """Go the whole way from TRAIN to a submission, in --time (30m when not given).

            Explores the images, finds out what belongs together, cross-validates a ladder of
            models, the cheapest first, lets them answer together, and writes the answers for TEST
            as SAMPLE is written. Takes the options of `crossval`.
            """,
            "labs.classification.config:RECIPES",
            options=COMPETITION,
        ),
        "compare-architectures": Verb(
            f"{_COMPARE}.architectures:Comparison",
            f"{_COMPARE}.config:CompareArchitecturesConfig",
            """Train a ladder of models with one budget: accuracy, size, time, robustness to shifts.

            They are compared with nearest neighbors. Each model has the values of its own recipe;
            what is given as an option or in a config file goes over them, for all.
            """,
        ),
        "advise": Verb(
            f"{_COMPARE}.advice:Probe",
            f"{_COMPARE}.config:AdviseConfig",
            """Say which mode of transfer suits one's images; with --probe, try whether that is so.

            By the textbooks' rule: few images or many, and how similar they are to the source's.
            """,
        ),
        "compare-heads": Verb(
            f"{_COMPARE}.heads:Comparison",
            f"{_COMPARE}.config:CompareHeadsConfig",
            "Predict several labels at once: by one network, one for each, one for combinations.",
        ),
        "compare-imbalance": Verb(
            f"{_COMPARE}.imbalance:Comparison",
            f"{_COMPARE}.config:CompareImbalanceConfig",
            "Make classes rare, and show what each strategy of --imbalance does for their recall.",
        ),
        "compare-patch": Verb(
            "labs.classification.experiments.suspects:PatchedImages",
            "labs.classification.experiments.config:ComparePatchConfig",
            """Train with a --patch, with a placebo of it, and without; show whether it helps.

            The placebo changes as many training samples in the same way, at random. RUN is a
            finished cross-validation whose options are taken; those that are given go over them.
            """,
            options=(commands.OPTIONS_OF,),
        ),
        "pseudo-label": Verb(
            "labs.classification.experiments.pseudo:PseudoImages",
            "labs.classification.experiments.config:PseudoLabelConfig",
            """Let a cross-validation label more images, learn from them, and say what that gains.

            CROSSVAL is a finished cross-validation, whose options hold where none are given, not
            the defaults below. UNLABELLED is a folder, a zip or a table of images. Each fold's own
            network labels them; those of which it is sure join the training images of its fold, and
            a new network is judged on the fold.
            """,
            options=(commands.UNLABELLED, commands.CROSSVAL),
            only=PSEUDO_OPTIONS,
        ),
        "compare-senses": Verb(
            f"{_COMPARE}.senses:Comparison",
            f"{_COMPARE}.config:CompareSensesConfig",
            """Train with all senses, with all but each, and with each alone; show what each adds.

            Senses are the image and the columns of --with. The networks differ in what they get,
            and are judged on the same test rows.
            """,
        ),
        "compare-sizes": Verb(
            f"{_COMPARE}.sizes:Comparison",
            f"{_COMPARE}.config:CompareSizesConfig",
            """Train at one image size, and measure at others: who holds up, and why.

            A vision transformer whose positions are interpolated is compared with convolutional
            ways to build it, and with a convolutional network. Each model has the values of its own
            recipe; what is given as an option or in a config file goes over them, for all.
            """,
        ),
        "compare-teacher": Verb(
            f"{_COMPARE}.teacher:Comparison",
            f"{_COMPARE}.config:CompareTeacherConfig",
            "Train the same student alone and with a teacher, and show whether the teacher helps.",
        ),
        "compare-transfer": Verb(
            f"{_COMPARE}.transfer:Comparison",
            f"{_COMPARE}.config:CompareTransferConfig",
            "Train with each mode of transfer, and see which one wins, if any does.",
        ),
    },
    suspects="labs.classification.experiments.suspects:SuspectImages",
    maps=True,
    evaluate_options=(commands.TTA,),
    submit_options=(commands.TTA,),
    ensembles={"train": "labs.classification.experiments.ensemble:ImagesTogether"},
    models=DESCRIPTIONS,
    more_models={"torchvision's": TORCHVISION},
)


@lab.group.command(
    cls=commandline.FileCommand, configs=[f"{_CONFIG}:ClassificationConfig"], only=TABLE_OPTIONS
)
@commands.RUN
@click.argument(
    "inputs", metavar="PATHS...", nargs=-1, required=True, type=click.Path(path_type=Path)
)
@click.option(
    "--top",
    default=3,
    show_default=True,
    type=click.IntRange(min=1),
    help="Classes to name for each image.",
)
@commands.TTA
@commands.ONNX
@commands.FORM
@commands.OUTPUT
@commands.DEVICE
def predict(
    run: Path,
    inputs: tuple[Path, ...],
    top: int,
    onnx: bool,
    tta: str | None,
    form: str,
    output: Path | None,
    device: str | None,
    options: dict[str, Any],
) -> None:
    """Say what images show: files, folders of them, or those that one table names.

    Unreadable images are named on the way and left out; if none is left, the command fails.
    """
    from labs.classification.export.guesses import Prediction, render, table

    found: list[Prediction]
    if onnx:
        from labs.classification.export import predict as exported

        commands.refuse_with_onnx(tta=tta, device=device, **options)
        found = exported.predict(run, inputs, top, terminal.note)
    else:
        from common.runs.tta.gain import use_copies
        from labs.classification import predictions

        job = _open_classifier(run, device)
        use_copies([job], tta)
        written = commands.read_written(job, inputs[0], options)
        found = predictions.predict(job, inputs, top, terminal.note, **written)
    if form == "table" and output is None:
        terminal.show_table(*table(found))
    else:
        commands.show_text(render(found, form), output)


@lab.group.command(
    cls=commandline.ConfigCommand, config=f"{_CONFIG}:ClassificationConfig", only=AUGMENT_OPTIONS
)
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
    if (out is None) != (copies is None):
        problems.append("--write and --copies go together")
    from labs.classification.config import ClassificationConfig

    # `linear` takes images of any size: they are shown, and written, as they are.
    given = {"augment": "none", "model": "linear", **options}
    config = commands.of_data(ClassificationConfig, data, given, problems, "a set or a folder")
    from labs.classification.augmentation import export, preview

    if out is not None and copies is not None:
        export.command(config, out, copies)
        return
    preview.command(config, samples, epochs, picture)


@lab.group.command(
    cls=commandline.ConfigCommand, config=f"{_CONFIG}:ClassificationConfig", only=EXPLORE_OPTIONS
)
@click.argument("data", metavar="DATA")
@commands.PAGE
def explore(data: str, output: Path | None, options: dict[str, Any], problems: list[str]) -> None:
    """Look at the images of DATA before anyone trains on them: one HTML report.

    Classes, sizes, colors, samples; copies and near-copies; what cannot be read; whether train and
    test differ; what augmentation makes of them; and what training would wait for. DATA is what
    --data takes, and need not be fit to be trained on.
    """
    from labs.classification.config import ClassificationConfig

    given = {"augment": "none", "model": "linear", **options}
    config = commands.of_data(ClassificationConfig, data, given, problems, "a set or a folder")
    from labs.classification.look import explore as exploring

    exploring.command(config, output)


def _open_classifier(run: Path, device: str | None) -> Any:
    """Return a run of `train` with its weights; one of `contrast` answers other questions."""
    kind = lab.kind_of(run)
    if kind.verb == "contrast":
        raise RunError(
            f"{run} was trained by `contrast`; ask it with "
            f"{lab.program} contrast-ask {run} IMAGE --caption 'two red circles'"
        )
    return kind.open_trained(run, device)


def _usual(model: str) -> tuple[int, int, int]:
    """Return channels, pixels of a side, and classes that a model was published for."""
    if not model.startswith(TIMM):
        lab.check_model(model)
        return MODELS[model].usual
    from labs.classification.models import timm_models

    return timm_models.find_usual(model)


@lab.group.command("contrast-ask")
@commands.RUN
@click.argument("images", metavar="[IMAGES]...", nargs=-1, type=click.Path(path_type=Path))
@click.option(
    "--caption",
    "captions",
    multiple=True,
    required=True,
    help="A description; may be given several times.",
)
@click.option(
    "--top",
    type=click.IntRange(min=1),
    default=10,
    show_default=True,
    help="Images to name for a single caption.",
)
@commands.FORM
@commands.OUTPUT
@commands.DEVICE
def contrast_ask(
    run: Path,
    images: tuple[Path, ...],
    captions: tuple[str, ...],
    top: int,
    form: str,
    output: Path | None,
    device: str | None,
) -> None:
    """Say which of several captions suits each image, or which images suit one caption best.

    RUN is one of `contrast`. IMAGES are files and folders; without any, the run's own test
    pictures. A word that the run never saw is refused.
    """
    kind = lab.kind_of(run)
    if kind.verb != "contrast":
        raise RunError(f"{run} was trained by `{kind.verb}`; give a run of `contrast`")
    from labs.classification.contrastive import ask

    job: Any = kind.open_trained(run, device)
    records = ask.ask(job, images, captions, top, terminal.note)
    commands.show_records(f"{job.config.title} of {run}", records, form, output)


@lab.summary
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
    model: str,
    image_size: int | None,
    channels: int | None,
    classes: int | None,
    transfer: str | None,
) -> Built:
    """Build a model as it was published, but for what is given."""
    usual = _usual(model)
    from labs.classification.models import build
    from labs.classification.transfer.weights import freeze

    channels, size, classes = channels or usual[0], image_size or usual[1], classes or usual[2]
    built = build.build(model, channels, size, classes)
    if transfer is not None:
        from labs.classification.config import transfer_problem

        if problem := transfer_problem(transfer):
            raise ConfigError(problem)
        freeze(built, transfer)
    return Built(built, (channels, size, size))


@lab.group.command()
@commands.RUN
@click.argument("images", nargs=-1)
@click.option(
    "--layer", help="Layer whose maps Grad-CAM weighs; the last convolution's when not given."
)
@click.option(
    "--rollout",
    is_flag=True,
    help="Draw attention rollout alone: which patches a vision transformer mixes into its answer.",
)
@commands.FORM
@commands.OUTPUT
@commands.DEVICE
def explain(
    run: Path,
    images: tuple[str, ...],
    layer: str | None,
    rollout: bool,
    form: str,
    output: Path | None,
    device: str | None,
) -> None:
    """Show what a network looks at: in rows of the test split such as 12, or in files.

    Without any, in the most confident mistakes of the test split: what speaks for its guess, and
    for the right class. Pictures go into the run's figures and its report.
    """
    if rollout and layer is not None:
        raise ConfigError("--rollout: goes over all layers; drop it, or --layer")
    from labs.classification import report
    from labs.classification.look import explain as lab_explain

    job = _open_classifier(run, device)
    job.only_images("explain")
    splits = job.load_splits()
    if rollout:
        section, records = lab_explain.show_rollout(job, splits, images)
    else:
        section, records = lab_explain.show(job, splits, images, layer)
    commands.show_records(section.title, records, form, output)
    report.add(job, splits, "rollout" if rollout else "explain", section)


@lab.group.command()
@click.argument("run", required=False, type=click.Path(path_type=Path))
@click.option(
    "--image",
    type=click.Path(path_type=Path, dir_okay=False),
    help="A picture that is in the page, too; others can be opened there.",
)
@click.option(
    "--output",
    type=click.Path(path_type=Path, dir_okay=False),
    help="The page; kernels.html of the run when not given, or here.",
)
def kernels(run: Path | None, image: Path | None, output: Path | None) -> None:
    """Write a page on which kernels go over pictures: blur, edges, sharpen, one's own.

    With RUN, those that its first convolution learned, too. It is one file, and asks for nothing.
    """
    job = None if run is None else lab.open_trained(run, "cpu")
    from labs.classification.kernels import page

    path = output or (run or Path()) / "kernels.html"
    page.write(path, job, image)
    click.echo(f"Page: {path}; open it in any browser")


@lab.group.command("receptive-field")
@click.argument("model", metavar="MODEL", required=False)
@click.option("--run", type=click.Path(path_type=Path), help="A run instead of a name: as trained.")
@click.option("--image-size", type=click.IntRange(min=1), help=f"Pixels{_USUAL}")
@click.option("--channels", type=click.IntRange(min=1), help=f"1 is grey, 3 color{_USUAL}")
@click.option("--seed", default=0, show_default=True, help="Of weights and random images.")
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
    if run is None:
        name = str(model)
        usual = _usual(name)
        from labs.classification.look import receptive_field as fields

        found = fields.of_model(name, channels or usual[0], image_size or usual[1], seed)
        commands.show_records(f"Receptive fields of {name}", fields.records(found), form, output)
        fields.save(found, picture or Path(f"receptive-field-{name.replace(':', '-')}.png"))
        return
    from labs.classification import report
    from labs.classification.look import receptive_field as fields

    job = _open_classifier(run, "cpu")
    job.only_images("receptive-field")
    splits, found = job.load_splits(), fields.of_run(job, seed)
    commands.show_records(
        f"Receptive fields of {job.config.title}", fields.records(found), form, output
    )
    report.add(job, splits, "receptive-field", fields.section(found, job.run))


if __name__ == "__main__":
    lab.main()
