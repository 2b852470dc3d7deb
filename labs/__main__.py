"""`python -m labs`: the labs there are, what to type first, and what to ask of runs of any lab."""

import contextlib
from pathlib import Path
from typing import Any

import click

from common.options import commandline, terminal
from common.runs import commands

LABS = {
    "autoencoder": ("autoencoders and VAEs: compress, reconstruct, map the latent space", "train"),
    "classification": ("CNNs on images: train, compare with baselines, see the mistakes", "train"),
    "detection": ("YOLO and its rivals: boxes, mAP, and why a detector errs", "train"),
    "rnn": ("RNN, LSTM, GRU: sentiment, forecasts, translation, memory", "sentiment"),
}
HTML = click.option(
    "--html",
    type=click.Path(path_type=Path, dir_okay=False),
    help="Write all of it to a page, too, with its pictures inside.",
)
PICTURE = click.Path(path_type=Path, dir_okay=False)


class Labs(commandline.LabGroup):
    """The commands on runs of any lab; the name of a lab is answered with its module."""

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """Find the command that the first argument names."""
        if args and args[0] in LABS:
            raise click.UsageError(
                f"a lab is run by its module, such as: python -m labs.{args[0]} {LABS[args[0]][1]}",
                ctx,
            )
        return super().resolve_command(ctx, args)


class Runs(click.Group):
    """`runs` lists, unless its first word is another command of it."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Put the name of the list before what is given, where no command is named."""
        named = bool(args) and args[0] in self.commands
        return super().parse_args(ctx, args if named else ["list", *args])


@click.group(
    cls=Labs,
    invoke_without_command=True,
    context_settings={"help_option_names": ["-h", "--help"]},
)
@click.pass_context
def labs(context: click.Context) -> None:
    """List the labs, and what to type first; look at runs of any of them."""
    if context.invoked_subcommand is not None:
        return
    click.echo("Labs:\n")
    for name, (what, first) in LABS.items():
        click.echo(f"  {name:<16} {what}\n  {'':<16} begin with: python -m labs.{name} {first}\n")
    click.echo("Runs of any lab:\n")
    for name, command in labs.commands.items():
        click.echo(f"  {name:<16} {command.get_short_help_str(80)}\n")
    click.echo("Every command has --help; every lab works without a network.")


@labs.group(cls=Runs, short_help="List runs, by any metric; note what a leaderboard says.")
def runs() -> None:
    """List runs, or note something of one."""


@runs.command("list")
@click.argument("folder", type=click.Path(path_type=Path), default=Path("runs"))
@click.option("--lab", type=click.Choice(list(LABS)), help="Runs of one lab.")
@click.option("--data", metavar="TEXT", help="Runs whose --data holds this text.")
@click.option("--finished/--unfinished", default=None, help="Runs that are, or are not.")
@click.option(
    "--where",
    multiple=True,
    metavar="CONDITION",
    help="Runs that fit, such as 'learning_rate>0.001' or 'model=lenet5'; may be given again.",
)
@click.option(
    "--sort",
    "by",
    metavar="NAME",
    help="By a metric of the test split (validation/NAME for the other), the best first, or by an "
    "option; the oldest first when not given.",
)
@click.option("--reverse", is_flag=True, help="The other way round.")
@click.option("--members", is_flag=True, help="Runs of which comparisons are made, too.")
@click.option("--picture", type=PICTURE, help="Draw local against public scores.")
@HTML
@commands.FORM
@commands.OUTPUT
def list_runs(
    folder: Path,
    members: bool,
    by: str | None,
    reverse: bool,
    picture: Path | None,
    html: Path | None,
    form: str,
    output: Path | None,
    **chosen: Any,
) -> None:
    """List the runs of all labs below a FOLDER (runs/ when not given).

    `runs note RUN --public 0.7488 TEXT` keeps a score that was measured elsewhere, and a text, with
    a run.
    """
    from common.runs import listing

    found = listing.find(folder, members=members)
    for path, reason in found.broken:
        terminal.note(f"left out {path}: {reason}")
    shown = listing.choose(found.runs, **chosen)
    by = by and by.replace("-", "_")
    if by is not None:
        shown = listing.sort(shown, by, reverse=reverse)
    elif reverse:
        shown = shown[::-1]
    more = listing.name_columns(by, chosen["where"])
    drawn = listing.scores(shown, by) if picture is not None else None
    if form == "table" and output is None and not shown:
        click.echo(listing.describe(found, shown))
    elif form == "table":
        rows = listing.table(found, shown, more)
        commands.show_records(listing.describe(found, shown), rows, form, output)
    else:
        commands.show_records("", listing.records(found, shown), form, output)
    if drawn is not None and picture is not None:
        commands.show_drawing(drawn.draw(), picture)
        terminal.say(drawn.describe())
    if html is not None:
        listing.write_html(html, found, shown, more, by)
        click.echo(f"Page: {html}")


@runs.command()
@commands.RUN
@click.argument("text", nargs=-1)
@click.option("--public", type=float, help="A score measured elsewhere, as by a leaderboard.")
def note(run: Path, text: tuple[str, ...], public: float | None) -> None:
    """Keep a score, or a text, or both with a RUN; `runs` shows the last."""
    from common.runs import listing

    notes = listing.note(run, " ".join(text), public)
    click.echo(f"Noted in {run}/notes.json ({len(notes)} {'note' if len(notes) == 1 else 'notes'})")


@labs.command(short_help="Compare runs: what differs, which is better, and why.")
@click.argument("runs", nargs=-1, required=True, type=click.Path(path_type=Path))
@commands.DEVICE
@click.option("--picture", type=PICTURE, help="Draw their learning curves.")
@HTML
def compare(
    runs: tuple[Path, ...], device: str | None, picture: Path | None, html: Path | None
) -> None:
    """Compare the first of some RUNS with each of the others.

    Shows the options that differ, whether one is better on the same test items, and the first thing
    in which they differ: data, config, environment or seed. Runs that differ in their seeds alone
    are taken together.
    """
    from common.runs import side_by_side

    found = side_by_side.compare(runs, device)
    measured = found.measured()
    side_by_side.show(found, measured)
    if picture is not None:
        commands.show_drawing(side_by_side.draw_curves(found), picture)
    if html is not None:
        side_by_side.write_html(html, found, measured)
        click.echo(f"Page: {html}")


@labs.command("shake-up", short_help="Foretell a private leaderboard from answers out of fold.")
@click.argument("runs", nargs=-1, required=True, type=click.Path(path_type=Path))
@click.option(
    "--private",
    type=click.FloatRange(0, 1, min_open=True, max_open=True),
    default=0.7,
    show_default=True,
    help="The share of the board that is private.",
)
@click.option(
    "--size",
    type=click.IntRange(min=2),
    help="Test samples of the board, public and private; as many as the runs were judged on when "
    "not given.",
)
@click.option(
    "--metric",
    help="By which the board ranks: f1, quadratic-kappa, roc-auc and so on, or your own as "
    "FILE.py:function; the runs' main metric when not given.",
)
@HTML
def shake_up(
    runs: tuple[Path, ...],
    private: float,
    size: int | None,
    metric: str | None,
    html: Path | None,
) -> None:
    """Say how far a private board may turn a public one round.

    RUNS are finished cross-validations of the same data. Shows the probability that one beats
    another in private, that the public order holds, how much of a public rank is luck, and which
    two to hand in.
    """
    from common.experiments import shake_up_page

    shake_up_page.command(runs, private, size, metric, html)


@labs.command(short_help="Look whether this machine can run the labs, and what to mend.")
@commands.RUN_DIR
def doctor(run_dir: Path) -> None:
    """Look at packages, device, threads, memory, disk: whether the labs can run here.

    What has to be mended is named with its fix, and the exit code is then 1. What is wrong with a
    run says `doctor RUN` of its lab.
    """
    from common.doctor import machine

    checks = list(machine.examine(run_dir))
    rows = [[check.name, check.verdict, check.found] for check in checks]
    terminal.show_table("This machine", ["", "", "found"], rows)
    for check in checks:
        if check.fix:
            terminal.say(f"{check.name}: {check.fix}")
    broken = [check.name for check in checks if check.verdict == machine.MEND]
    if not broken:
        terminal.say("Nothing has to be mended.")
        return
    terminal.say(f"To be mended: {', '.join(broken)}.")
    raise SystemExit(1)


@labs.command(short_help="Twelve lessons: list them, show one, check your file.")
@click.argument("number", type=int, required=False)
@click.option(
    "--check", "file", type=click.Path(path_type=Path), help="Your file with the lesson's task."
)
def lesson(number: int | None, file: Path | None) -> None:
    """List the lessons, show the NUMBER of one, or check your file of it.

    The pages are in docs/lessons. A check runs your file, and says what it sees.
    """
    if number is None and file is not None:
        raise click.UsageError("--check goes with the NUMBER of a lesson")
    from labs.lessons.command import command

    command(number, file)


@labs.command(short_help="List the data sets with a name, or fetch one.")
@click.argument("name", required=False)
@click.option(
    "--data-dir",
    type=click.Path(path_type=Path, file_okay=False),
    help="Folder of its files; the cache when not given.",
)
@commands.FORM
@commands.OUTPUT
def data(name: str | None, data_dir: Path | None, form: str, output: Path | None) -> None:
    """List the data sets that have a name: size, licence, source, and whether they are here.

    With a NAME, fetch that one, so that it is there when there is no network.
    """
    from labs import known_sets

    if name is None:
        if data_dir is not None:
            raise click.UsageError("--data-dir goes with the NAME of a set to fetch")
        records = [known.record() for known in known_sets.KNOWN.values()]
        commands.show_records("Data sets", records, form, output)
        return
    known = known_sets.find(name)
    size = sum(remote.size for remote in known.files())
    with contextlib.ExitStack() as stack:
        bar = terminal.Bar()
        if size and not known.is_here(data_dir):
            bar = stack.enter_context(
                terminal.progress_bar(f"fetching {name}, {size / 1e6:,.1f} MB")
            )
        said = known_sets.fetch(known, data_dir, lambda done, whole: bar.move(done / whole))
    click.echo(said)


if __name__ == "__main__":
    commandline.main(labs, "python -m labs")
