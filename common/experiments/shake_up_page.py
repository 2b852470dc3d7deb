"""What `shake-up` prints, and its page."""

from collections.abc import Sequence
from itertools import combinations
from pathlib import Path

import numpy as np

from common.experiments.shake_up import Board, ShakeUp, foretell, gather
from common.files import write_text
from common.options import terminal
from common.report import html, plots
from common.report.html import Section, Table
from common.report.plots import Bar
from common.runs.side_by_side import shorten_names


def command(
    paths: Sequence[Path],
    private: float,
    size: int | None,
    metric: str | None,
    page: Path | None,
) -> None:
    """Say what a public board tells of a private one, of runs by their answers out of fold.

    Args:
        paths: folders of cross-validations.
        private: the share of the board that is private.
        size: its samples; as many as the runs were judged on when None.
        metric: by which it ranks; the main one when None.
        page: where to write all of it as a page, too.

    Raises:
        InputError: the runs are not of the same samples, or the board is too small.
    """
    with terminal.busy("reading answers out of fold"):
        contenders = gather(paths, shorten_names(paths), metric)
    board = Board.cut(size or len(contenders.groups), private)
    with terminal.progress_bar(f"drawing {contenders.draws:,} boards") as bar:
        found = foretell(contenders, board, bar.move)
    for section in (_of_runs(found), _of_pairs(found)):
        assert section.table is not None
        terminal.show_table(section.title, *section.table)
    said = describe(found)
    for sentence in said:
        terminal.say(sentence)
    if page is not None:
        _write(page, found, said)
        terminal.note(f"Page: {page}")


def describe(found: ShakeUp) -> list[str]:
    """Say how sure the order is, how much of a public rank is luck, and which two to hand in."""
    names, board = found.contenders.names, found.board
    (a, b), score, first = found.best_two()
    text, label = found.contenders.metric.text, found.contenders.metric.label
    samples = found.contenders.samples
    said = [
        f"On a board of {board.public:,} public and {board.private:,} private {samples}, the "
        f"public order of the {len(names)} runs is the private one with probability "
        f"{found.keeps_order():.2f}; the first in public stays first with probability "
        f"{found.stays_first():.2f}.",
        f"Of what sets public ranks apart, {found.luck():.0%} is luck: which {samples} are drawn "
        "as the public part. The rest is what the runs really differ in.",
    ]
    if len(names) > 2:
        said.append(
            f"To hand in two: {names[a]} and {names[b]}. The better of them has the highest "
            f"{'' if found.sign > 0 else '(here: lowest) '}expected private {label} of all pairs, "
            f"{text(score)}, and with probability {first:.2f} no other run is better."
        )
    said.append(
        f"Probabilities are shares of {len(found.private):,} boards that are drawn from "
        f"{len(found.contenders.groups):,} answers out of fold; they count that those are only "
        "some of the truth, and suppose that the board's are drawn from the same."
    )
    return said


def _of_runs(found: ShakeUp) -> Section:
    """Show a row for each run, the most probable winner first."""
    metric, best = found.contenders.metric, found.is_best()
    means, deviations = found.public_ranks()
    low, high = np.quantile(found.private, [0.025, 0.975], axis=0)
    rows = [
        [
            found.contenders.names[run],
            metric.text(found.known[run]),
            metric.interval_text((low[run], high[run])),
            f"{best[run]:.2f}",
            f"{means[run]:.1f} +- {deviations[run]:.1f}",
        ]
        for run in np.argsort(-best, kind="stable")
    ]
    columns = [
        "",
        f"{metric.label} out of fold",
        "private, 95 % of boards",
        "P(none is better)",
        "public rank",
    ]
    text = (
        "P(none is better) is the probability that no other run has a better private score; "
        "the public rank is its mean and standard deviation over the boards."
    )
    return Section("Runs", text, Table(columns, rows))


def _of_pairs(found: ShakeUp) -> Section:
    """Show how probable it is that one run beats another in private."""
    beats, names = found.beats(), found.contenders.names
    rows = []
    for one, other in combinations(range(len(names)), 2):
        if beats[other, one] > beats[one, other]:
            one, other = other, one
        first, second = beats[one, other], beats[other, one]
        rows.append([f"{names[one]} : {names[other]}", f"{first:.2f}", f"{second:.2f}"])
    columns = ["", "P(first is better in private)", "P(second is better)"]
    text = "What is missing to 1 is the probability that both have the very same score."
    return Section("Pairs", text, Table(columns, rows))


def _write(path: Path, found: ShakeUp, said: Sequence[str]) -> None:
    contenders, board = found.contenders, found.board
    low, high = np.quantile(found.private, [0.025, 0.975], axis=0)
    bars = [
        Bar(name, float(found.private[:, run].mean()), (float(low[run]), float(high[run])))
        for run, name in enumerate(contenders.names)
    ]
    marked = int(found.is_best().argmax())
    picture = plots.png(plots.bars(bars, f"private {contenders.metric.label}", marked))
    caption = (
        f"Expected score on {board.private:,} private {contenders.samples}, with the range of 95 % "
        "of boards; in color the most probable winner. Runs are judged on the same samples, so "
        "ranges that overlap may still be in a sure order: see the pairs."
    )
    parts = [
        Section("Shake-up", "\n\n".join(said[1:])),
        _of_runs(found),
        _of_pairs(found),
        Section("Private scores", pictures=((caption, picture),)),
    ]
    write_text(path, html.render("Shake-up", ", ".join(contenders.names), said[0], parts))
