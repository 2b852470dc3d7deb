"""What `submit` does: answers of runs for test data, written as a sample submission is."""

import contextlib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import click

from common.errors import DataError
from common.files import replacing, write_json
from common.options import terminal
from common.runs import commands
from common.runs.lab import Lab
from common.runs.tta.gain import use_copies
from common.submission.bundle import check_place, options_as_words, write_bundle
from common.submission.kind import Rows, Submission
from common.submission.manifest import describe
from common.submission.refit import train_on_all
from common.submission.runs import open_runs, submission_of
from common.submission.sample import Sample, list_some


def command(
    lab: Lab,
    run: Path,
    files: Sequence[Path],
    *,
    out: Path,
    id_column: str | None,
    answer_columns: Sequence[str],
    form: str | None,
    refit: bool,
    bundle: Path | None,
    device: str | None,
    options: Mapping[str, str],
    tta: str | None = None,
    **more: Any,
) -> None:
    """Write a submission and, beside it, its manifest.

    Args:
        lab: whose run it is.
        run: the run, or a cross-validation.
        files: the test data and the sample submission; of runs that go on with their own data, the
            sample alone.
        out: the file to write.
        id_column: of the sample; guessed when None.
        answer_columns: of the sample, to be filled; guessed when ().
        refit: whether a run that learns from all rows answers in their place.
        bundle: where to write what answers without a network, see `write_bundle`.
        form: what is written of classes, one of `answers.FORMS`; found out when None.
        device: another device than the run's.
        options: on how the test data are written, see `read_written`.
        tta: changed copies of images, over which each answer is the mean; see `common.runs.tta`.
        more: the lab's own options.

    Raises:
        InputError: the run is none of a kind that hands in, or the files do not fit it or one
            another.
        SaveError: the submission cannot be written.
    """
    if len(files) > 2:
        raise click.UsageError("give RUN, TEST and SAMPLE: the run, the test data, and the sample")
    *before, path = files
    test = next(iter(before), None)
    manifest = out.with_suffix(".json")
    refuse_to_replace("--out", out, [*files, manifest])
    refuse_to_replace(f"--out {out}: its manifest", manifest, files)
    if bundle is not None:
        refuse_to_replace("--bundle", bundle, [*files, out, manifest])
        check_place(bundle)
    opened = open_runs(lab, run, device)
    submission = submission_of(lab, opened)
    sample = submission.choose(Sample.read(path), id_column, answer_columns)
    terminal.note(
        f"ids from column {sample.id_column!r} of {path.name}, answers into "
        f"{list_some(list(map(repr, sample.answer_columns)))}"
    )
    written, how = commands.read_written(opened.jobs[0], test, options), {"form": form, **more}
    use_copies(opened.jobs, tta)
    if refit:
        submission.refuse(sample, test, written, how)
        opened = train_on_all(lab, opened, device)
        use_copies(opened.jobs, tta)
        submission = submission_of(lab, opened)
    if len(opened.jobs) > 1:
        terminal.note(f"the answers are {submission.merging} of those of {len(opened.jobs)} folds")
    rows = submission.rows(sample, test, written, how)
    terminal.note(rows.said)
    _say_kept(rows, sample)
    write(submission, sample, rows, out)
    write_json(manifest, describe(opened, sample, rows, test, out))
    click.echo(f"Submission: {out} ({len(rows.cells):,} rows)")
    click.echo(f"Manifest: {manifest}")
    if bundle is not None:
        given = {"id_column": id_column, "tta": tta, **options, **more}
        words = options_as_words(given, answer_columns, form)
        with terminal.busy(f"writing {bundle}"):
            write_bundle(bundle, lab.name, opened, words, test=test is not None)
        click.echo(f"Bundle: {bundle}")


def write(submission: Submission[Any], sample: Sample, rows: Rows, out: Path) -> None:
    """Write a submission, which is read again before it takes its place.

    Raises:
        DataError: it would have other columns or ids than the sample.
        SaveError: it cannot be written.
    """
    with replacing(out) as file:
        file.write(sample.render(rows.cells))
        file.flush()
        file.seek(0)
        again = Sample.parse(file.read(), out)
        chosen = submission.choose(again, sample.id_column, sample.answer_columns)
        submission.check(sample, chosen)


def refuse_to_replace(what: str, target: Path, files: Sequence[Path]) -> None:
    """Refuse to write over what is given, or over what is written beside."""
    for path in files:
        same = target.resolve() == path.resolve()
        with contextlib.suppress(OSError):
            same |= target.samefile(path)
        if same:
            raise DataError(f"{what} {target}: would be written over {path}; name another file")


def _say_kept(rows: Rows, sample: Sample) -> None:
    """Say which rows have the sample's own answer."""
    if rows.kept:
        named = [f"{name} ({why})" for name, why in rows.kept.items()]
        terminal.note(
            f"{len(named):,} of the {len(sample.ids):,} rows could not be answered and have the "
            f"sample's own values: {list_some(named)}"
        )
