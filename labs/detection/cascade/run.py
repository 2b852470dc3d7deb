"""The command `cascade`: it trains a cascade, measures it beside others, and writes a report."""

import dataclasses
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

import click
import numpy as np

from common.card import say_skipped
from common.errors import RunError
from common.files import write_text
from common.options import terminal
from common.options.config import build, read_toml, to_toml
from common.report.html import PictureSaver, Section, Table
from common.runs import commands, folder, sections
from common.runs.folder import Run
from common.steps import step, track
from common.training.compute import set_threads
from labs.detection import baselines
from labs.detection.cascade import features, plots, roc, train, windows
from labs.detection.cascade.config import PHOTO, CascadeConfig
from labs.detection.cascade.roc import Matched
from labs.detection.cascade.train import Cascade, Line
from labs.detection.cascade.windows import Picture
from labs.detection.data import load as data
from labs.detection.data.load import BoxSet, Card
from labs.detection.job import Detector
from labs.detection.names import LOCALIZER, OF_CASCADE

NAME = "cascade"
_FIRST = 8  # features that are drawn
_COLUMNS = (
    *("stage", "features", "passes of objects", "of windows without"),
    *("all stages: of objects", "of windows without"),
)


class Data(NamedTuple):
    """The images of a run."""

    splits: Mapping[str, BoxSet]
    card: Card
    sides: tuple[float, float]  # see `Cascade`
    pictures: Mapping[str, list[Picture]]  # of each split


class CascadeRun:
    """A run without a network: its cascade is kept in cascade.json."""

    lab, verb = "detection", "cascade"
    config_type = CascadeConfig
    recipes: Mapping[str, Any] = {}

    def __init__(self, run: Run, config: CascadeConfig):
        self.run, self.config = run, config

    @classmethod
    def command(
        cls,
        *,
        recipe: str | None,
        config_path: Path | None,
        resume: Path | None,
        options: dict[str, Any],
        problems: list[str],
    ) -> None:
        """Train a cascade, or one that was stopped again from its beginning, and show the result.

        The arguments are those of `common.runs.commands.train`.
        """
        begun = time.perf_counter()
        set_threads(1, 0)
        if resume is None:
            config = commands.layered(cls.config_type, {}, recipe, config_path, options, problems)
            whole, found, rival = cls.start(config)
        else:
            commands.resume_device(options, problems, recipe, config_path)
            whole = cls.reopen(resume)
            found, rival = whole.load(), _rival(whole.config)
        if whole.run.finished:
            terminal.note(f"{whole.run.path} is finished: nothing to do")
        else:
            with whole.run.locked():
                whole.train(found, rival, begun)
        whole.show(whole.run.read("metrics"))
        click.echo(f"Report: {whole.run.report}")

    @classmethod
    def start(cls, config: CascadeConfig) -> tuple["CascadeRun", Data, Detector | None]:
        """Make a run folder, once data and the run beside it are there.

        Raises:
            InputError: they are not.
        """
        if config.data != data.SCENES and config.image_size is None:
            config = dataclasses.replace(config, image_size=PHOTO)
            terminal.note(f"chosen: {PHOTO} pixels: a window is slid over each size of an image")
        rival = _rival(config)
        found = _load(config)
        train.check(found.pictures["train"], found.pictures["validation"])
        stem = f"{NAME}-{Path(config.data).stem}"
        run = folder.create(Path(config.run_dir), cls.lab, config.name, stem)
        run.write(
            "environment",
            {"lab": cls.lab, "job": cls.verb, "command": sys.argv, **folder.environment("cpu")},
        )
        run.write("data", found.card.as_dict())
        lines = to_toml(config.located()).splitlines()
        own = [line for line in lines if line.partition(" = ")[0] in OF_CASCADE]
        write_text(run.config, "\n".join(own) + "\n")  # the last: it makes the folder a run
        return cls(run, config), found, rival

    @classmethod
    def reopen(cls, path: Path) -> "CascadeRun":
        """Open a run.

        Raises:
            RunError: there is no such run.
        """
        run = folder.open_run(path, cls.lab, cls.verb)
        return cls(run, build(cls.config_type, (str(run.config), read_toml(run.config))))

    @classmethod
    def report(cls, path: Path) -> None:
        """Write the report of a finished run again.

        Raises:
            RunError: there is no such run, or it is not finished.
        """
        whole = cls.reopen(path)
        figures = whole.run.read("metrics")
        found, rival = whole.load(), _rival(whole.config)
        cascade = Cascade.from_dict(whole.run.read("cascade"))
        whole.write_report(cascade, found, _match_all(cascade, found, rival), figures)
        click.echo(f"Report: {whole.run.report}")

    def load(self) -> Data:
        """Load the run's images again.

        Raises:
            RunError: they are not what they were.
        """
        found = _load(self.config)
        if found.card.fingerprint != self.run.read("data")["fingerprint"]:
            raise RunError(f"the data of {self.run.path} has changed since it was trained")
        return found

    def train(self, found: Data, rival: Detector | None, begun: float) -> None:
        """Train, measure on the test split, and write all files of the run."""
        say_skipped(found.card.skipped, terminal.note)
        terminal.note(f"cascade on {found.card.source}; {self.run.path}")
        generator = np.random.default_rng(self.config.seed)
        every = features.all_features()
        number = min(self.config.features, len(every))
        pool = [every[place] for place in generator.choice(len(every), number, replace=False)]
        started = time.perf_counter()
        learned, judged = found.pictures["train"], found.pictures["validation"]
        cascade = train.train(learned, judged, pool, found.sides, generator, _tell)
        trained = time.perf_counter() - started
        self.run.write("cascade", cascade.as_dict())
        with step("measuring on the test split"):
            matched = _match_all(cascade, found, rival)
            figures = _figures(matched)
        figures["stages"] = [line._asdict() for line in cascade.lines]
        figures["seconds"] = {"train": trained, "total": time.perf_counter() - begun}
        self.write_report(cascade, found, matched, figures)
        self.run.write("metrics", figures)

    def show(self, figures: Mapping[str, Any]) -> None:
        """Print the stages, the rates, and the verdict."""
        terminal.show_table("Stages", list(_COLUMNS), _stage_rows(figures["stages"]))
        terminal.show_table(
            "Share of the objects that are found, of test images", *_rate_table(figures)
        )
        terminal.say(_verdict(figures))

    def write_report(
        self,
        cascade: Cascade,
        found: Data,
        matched: Mapping[str, Matched],
        figures: Mapping[str, Any],
    ) -> None:
        """Draw the run's figures and write its report."""
        save = PictureSaver(self.run.figures)
        with step("the report"):
            parts = [
                _result(matched, figures, save),
                _features(cascade, found, figures, save),
                _stages(cascade, found, matched[NAME], figures, save),
                _about(found),
                *sections.settings(self.run),
            ]
            title = f"A cascade of Haar features on {found.card.source}"
            sections.write_report(self.run, title, _verdict(figures), parts)


def _rival(config: CascadeConfig) -> Detector | None:
    """Return the detector beside which the cascade is drawn.

    Raises:
        RunError: there is no such run, it has no weights yet, finds no boxes, or may have learned
            from the images on which both are tested.
    """
    if config.beside is None:
        return None
    found = Detector.open_trained(Path(config.beside), "cpu")
    if not isinstance(found, Detector) or found.config.model == LOCALIZER:
        raise RunError(f"--beside {config.beside}: {found.config.title} does not find objects")
    theirs, mine = (
        (each.data, each.test, each.split_seed) for each in (found.config, config.located())
    )
    if theirs != mine:
        raise RunError(
            f"--beside {config.beside}: it was trained on --data {found.config.data} with "
            f"--split-seed {found.config.split_seed}, so it may have seen these test images; give "
            "the same data and split to both"
        )
    return found


def _load(config: CascadeConfig) -> Data:
    with step("reading the data"):
        splits, card = data.load(config)
        sides = windows.span(splits["train"])
        most = {"train": config.images}
        pictures = {
            name: [
                windows.picture(split, row, sides)
                for row in _some(len(split), most.get(name, len(split)))
            ]
            for name, split in splits.items()
        }
    return Data(splits, card, sides, pictures)


def _some(total: int, number: int) -> list[int]:
    rows: list[int] = np.unique(np.linspace(0, total - 1, min(total, number)).astype(int)).tolist()
    return rows


def _tell(line: Line) -> None:
    terminal.note(
        f"a stage of {line.features} features: {line.detection:.1%} of the objects that reach it "
        f"pass, {line.false:.1%} of the windows without one; of all {line.all_detection:.1%} and "
        f"{line.all_false:.2%}"
    )


# --- what is found ------------------------------------------------------------------------------


def _match_all(cascade: Cascade, found: Data, rival: Detector | None) -> dict[str, Matched]:
    """Return what the cascade, the lab's baseline and the other run find in the test images."""
    pictures, splits = found.pictures["test"], found.splits
    mine = [roc.detect(cascade, each) for each in track(pictures, "searching the test images")]
    matched = {NAME: roc.match(pictures, mine)}
    seen = {**splits, "validation": splits["test"]}  # of which it makes no use but to answer
    few = _subset(splits["train"], len(found.pictures["train"]))
    names = len(found.card.classes)
    with step("the baseline"):
        [(name, said)] = baselines.predictions({**seen, "train": few}, names).items()
    matched[name] = roc.match(pictures, [roc.of_boxes(each) for each in said["test"]])
    if rival is not None:
        images = [splits["test"].image(row) for row in range(len(splits["test"]))]
        rows = rival.find(images)["detections"].numpy()
        matched[rival.config.title] = roc.match(pictures, [roc.of_boxes(each) for each in rows])
    return matched


def _subset(split: BoxSet, number: int) -> BoxSet:
    import torch

    rows = _some(len(split), number)
    images = torch.stack([split.image(row) for row in rows])
    names = [split.names[row] for row in rows]
    return BoxSet(images, split.boxes.select(rows), split.sizes[rows], names)


def _figures(matched: Mapping[str, Matched]) -> dict[str, Any]:
    """Return the figures for metrics.json."""
    main = f"{roc.MAIN:g}"
    rates = {name: roc.rates(each) for name, each in matched.items()}
    rate, *interval = rates[NAME][main]
    others = {
        name: {
            "detection_rate": rates[name][main][0],
            "detection_rate_interval": rates[name][main][1:],
            "rates": rates[name],
            "lead": lead,
            "lead_interval": low_high,
        }
        for name, each in matched.items()
        if name != NAME
        for lead, *low_high in [roc.lead(matched[NAME], each)]
    }
    test = {"detection_rate": rate, "detection_rate_interval": interval, "rates": rates[NAME]}
    return {"test": test, "baselines": others}


# --- what is said -------------------------------------------------------------------------------


def _stage_rows(lines: Any) -> list[list[str]]:
    return [
        [
            str(number),
            str(line["features"]),
            f"{line['detection']:.3f}",
            f"{line['false']:.3f}",
            f"{line['all_detection']:.3f}",
            f"{line['all_false']:.4f}",
        ]
        for number, line in enumerate(lines, 1)
    ]


def _rate_table(figures: Mapping[str, Any]) -> tuple[list[str], list[list[str]]]:
    columns = ["", *(f"{false:g} false of an image" for false in roc.RATES)]
    rates = {NAME: figures["test"]["rates"]}
    rates |= {name: each["rates"] for name, each in figures["baselines"].items()}
    rows = [
        [name, *("{:.3f} ({:.3f} to {:.3f})".format(*each[f"{false:g}"]) for false in roc.RATES)]
        for name, each in rates.items()
    ]
    return columns, rows


def _verdict(figures: Mapping[str, Any]) -> str:
    """Say what the cascade reaches, and how far it is from the others."""
    test = figures["test"]
    low, high = test["detection_rate_interval"]
    stages, asked = len(figures["stages"]), sum(line["features"] for line in figures["stages"])
    parts = [
        f"A cascade of {stages} stages and {asked} features finds {test['detection_rate']:.3f} of "
        f"the objects (95 % interval {low:.3f} to {high:.3f}) where it is wrong {roc.MAIN:g} time "
        "in an image; it says no class."
    ]
    for name, each in figures["baselines"].items():
        low, high = each["lead_interval"]
        what = "ahead of" if low > 0 else "behind" if high < 0 else "not apart from"
        parts.append(
            f"It is {what} {name}, which finds {each['detection_rate']:.3f}: a difference of "
            f"{each['lead']:+.3f} ({low:+.3f} to {high:+.3f})."
        )
    return " ".join(parts)


def _result(
    matched: Mapping[str, Matched], figures: Mapping[str, Any], save: PictureSaver
) -> Section:
    rates = {NAME: figures["test"]["rates"]}
    rates |= {name: each["rates"] for name, each in figures["baselines"].items()}
    found = {name: roc.curve(each) for name, each in matched.items()}
    text = (
        "A window is a square and knows no class. So the boxes of all are made squares, classes "
        "are left out, and a detection is right where its square has an IoU of at least "
        f"{roc.OVERLAP:g} with that of an object. To the right of the whole cascade the curve goes "
        "on with the windows that fail one of its last stages. Intervals are bootstraps over the "
        "images."
    )
    if len(matched) < 3:
        text += (
            " A detector's curve is drawn beside it with --beside RUN, of a run such as `train` "
            "makes."
        )
    picture = save("roc", "The test images.", plots.curves(found, rates))
    return Section("What it finds", text, Table(*_rate_table(figures)), (picture,))


def _features(
    cascade: Cascade, found: Data, figures: Mapping[str, Any], save: PictureSaver
) -> Section:
    shown = windows.objects(found.pictures["train"], None).astype(np.float64)
    apart = np.abs(shown - shown.mean((1, 2), keepdims=True)) / shown.std((1, 2), keepdims=True)
    first = [
        (feature, bool(size))
        for stage in cascade.stages
        for feature, size in zip(stage.features, stage.sizes, strict=True)
    ][:_FIRST]
    number = len(features.all_features())
    text = (
        f"Of {number:,} features that fit a window of {features.WINDOW}x{features.WINDOW} pixels, "
        f"stumps may ask some that were drawn. An object may be lighter or darker than its ground: "
        "“signed” asks for a light middle or for a dark one, “size” whether the parts differ at "
        "all."
    )
    caption = (
        "The features that were chosen first, over the mean window of an object (how far each "
        "pixel is from the window's mean)."
    )
    drawn = plots.first_features(
        apart.mean(0), [each for each, _ in first], [size for _, size in first]
    )
    return Section("Features", text, pictures=(save("features", caption, drawn),))


def _stages(
    cascade: Cascade, found: Data, matched: Matched, figures: Mapping[str, Any], save: PictureSaver
) -> Section:
    text = (
        f"Each stage lets {train.PASS:.0%} of the objects of validation images pass that reach it, "
        "and has as many features as it takes to turn half of the windows without an object away, "
        "up to a number that grows from stage to stage. It learns from windows of training images "
        "that all stages before it let pass."
    )
    whole = matched.scores >= len(cascade.stages)
    false = np.bincount(matched.image[whole & ~matched.right], minlength=len(matched.objects))
    picture = found.pictures["test"][int(np.argsort(false, kind="stable")[len(false) // 2])]
    final = roc.detect(cascade, picture, len(cascade.stages)).squares
    drawn = plots.stage_by_stage(picture, cascade, final)
    caption = (
        "The middles of the windows, of all sizes, that are left after each stage, of a test image "
        "with a middling number of false positives; the objects' squares are dashed."
    )
    table = Table(_COLUMNS, _stage_rows(figures["stages"]))
    return Section("Stage by stage", text, table, (save("stages", caption, drawn),))


def _about(found: Data) -> Section:
    card, (low, high) = found.card, found.sides
    counts = ", ".join(f"{len(part):,} {name}" for name, part in found.pictures.items())
    text = (
        f"{card.source}. It was trained and measured on {counts} images of "
        f"{card.image_size}x{card.image_size} pixels, and looks for squares of {low:.0f} to "
        f"{high:.0f} pixels."
    )
    return Section("Data", text)
