"""What `map` does: the last features of a run become a map, drawn and to be explored."""

from dataclasses import dataclass
from pathlib import Path
from pkgutil import resolve_name
from typing import Any

import click

from common.errors import DataError, RunError
from common.files import write_text
from common.maps import page, plots, tsne
from common.maps.make import FEATURES, Made, make
from common.maps.page import Groups
from common.maps.points import Points
from common.maps.words import Words
from common.options import terminal
from common.report.html import PictureSaver, Section
from common.runs import commands, views
from common.runs.conclude import conclusion_of
from common.runs.lab import Lab
from common.steps import step


@dataclass(frozen=True)
class Asked:
    """How a map is wanted.

    Attributes:
        split: of the run's own data.
        data: a file or folder in place of it; None for the split.
        points: on the map at most, about.
        dimensions: of the map, 2 or 3.
        perplexity: see `make`.
        seed: of the noise in the first positions.
        output: the page; in the run folder when None.
    """

    split: str
    data: Path | None
    points: int
    dimensions: int
    perplexity: float | None
    seed: int
    output: Path | None

    @property
    def name(self) -> str:
        """What its files are called in the run folder: those of other data stand beside."""
        return "map" if self.data is None else "map-data"

    @property
    def what(self) -> str:
        """Whose samples are on the map, in words."""
        return f"the {self.split} split" if self.data is None else str(self.data)


def command(lab: Lab, run: Path, asked: Asked, device: str | None, options: dict[str, Any]) -> None:
    """Draw the map of a run, write its page, and put it into the run's report.

    Args:
        lab: whose run it is.
        run: the run.
        asked: how the map is wanted.
        device: another device than the run's.
        options: on how a file of the user's is written.

    Raises:
        InputError: there is no such run, it has no last features, or the data make no map.
        SaveError: something cannot be written.
    """
    kind = lab.kind_of(run)
    if kind.features is None:
        able = [verb for verb, row in lab.jobs.items() if row.resolve().features is not None]
        raise RunError(
            f"{run} was trained by `{kind.verb}`, whose runs a map cannot show: it draws the last "
            f"features of runs of `{'` and `'.join(able)}`"
        )
    job: Any = kind.open_trained(run, device)
    job.model  # noqa: B018 - an ensemble has none, and says so before any data are read
    commands.refuse_unmeasured(job, asked.data)
    splits, split = _load(job, asked, options)
    if len(split) < tsne.FEWEST:
        raise DataError(
            f"{asked.what} has {len(split)} samples, and a map needs at least {tsne.FEWEST}: give "
            "another --split, or --data"
        )
    with step("the last features"):
        points: Points = resolve_name(job.features)(job, split, asked.points)
    made = make(points, asked.dimensions, asked.perplexity, asked.seed)
    section = _section(job, points, made, asked)
    path = asked.output or run / f"{asked.name}.html"
    with step("the page"):
        write_text(path, _page(job, points, made, asked))
    terminal.show_table(section.title, *made.table)
    terminal.say(" ".join(filter(None, _sentences(points, made))))
    for _, picture in views.files(section):
        terminal.note(f"picture: {picture}")
    if asked.data is None:
        views.keep(job.run, views.MAP, section)
        if job.run.finished:
            conclusion_of(job).report_again(splits)
            terminal.note(f"report: {job.run.report}")
    click.echo(f"Page: {path} ({path.stat().st_size / 1e6:.1f} MB); open it in any browser")


def _load(job: Any, asked: Asked, options: dict[str, Any]) -> tuple[Any, Any]:
    """Return the run's splits, none where other data are asked for, and the one to map."""
    if asked.data is None:
        splits = job.load_splits()
        return splits, splits[asked.split]
    written = commands.read_written(job, asked.data, options)
    return {}, job.labelled(asked.data, terminal.note, **written)


def _section(job: Any, points: Points, made: Made, asked: Asked) -> Section:
    way = points.shown.ways[0]
    marked = plots.Marked(points.shown.mark.label.en, points.shown.mark.rows)
    if isinstance(way, Groups):
        figure = plots.maps(made.panels, way.numbers, way.names, marked=marked)
    else:
        figure = plots.maps(made.panels, way.values, (), marked=marked, scale=way.label.en)
    count = len(points.features)
    settings = f"{count:,} points of {asked.what}, perplexity {made.perplexity:.3g}"
    caption = (
        f"{settings}, colors: {way.label.en}, crosses: {marked.label}; the axes have no meaning, "
        "near points do."
    )
    picture = PictureSaver(job.run.figures)(asked.name, caption, figure)
    text = [
        f"{count:,} samples of {asked.what}, by {points.source}: its last features.",
        *_sentences(points, made),
        "Sizes of clusters and distances between them mean little in t-SNE.",
    ]
    where = asked.output or f"{asked.name}.html in the run folder"
    more = f"{where} is the same map to be explored, each point with its sample."
    return Section(
        "Map of the last features",
        "\n\n".join([" ".join(filter(None, text)), more]),
        made.table,
        [picture],
    )


def _sentences(points: Points, made: Made) -> list[str]:
    """Return what is to be known of a map; some may be empty."""
    return [made.said.en, made.narrowed, "" if points.remark is None else points.remark.en]


def _page(job: Any, points: Points, made: Made, asked: Asked) -> str:
    known = [made.said, points.remark]
    about = [each for each in known if each is not None]
    source = job.card.source if asked.data is None else asked.data
    return page.render(
        made.panels[f"t-SNE of the {FEATURES}"],
        points.shown.ways,
        points.shown.facts,
        title=job.run.path.name,
        subtitle=f"{job.config.title} on {source}",
        about=Words(" ".join(each.en for each in about), " ".join(each.ko for each in about)),
        pictures=[] if points.pictures is None else [points.pictures],
        texts=points.texts,
        mark=points.shown.mark,
    )
