"""What `open` does: a run becomes a page in which its network runs."""

from pathlib import Path
from pkgutil import resolve_name

import click

from common.errors import RunError
from common.options import terminal
from common.runs.lab import Lab


def command(lab: Lab, run: Path, output: Path | None) -> None:
    """Write the page of a run.

    Args:
        lab: whose run it is.
        run: the run.
        output: the HTML file; `open.html` of the run when None.

    Raises:
        InputError: there is no such run, or its network has no page.
        SaveError: it cannot be written.
    """
    job = lab.open_trained(run, "cpu")
    if job.page is None:
        raise RunError(f"{run}: runs of {job.config.title} by `{job.verb}` have no page")
    path = output or run / "open.html"
    with terminal.busy("writing the page"):
        resolve_name(job.page)(job, path)
    size = path.stat().st_size / 1e6
    click.echo(f"Page: {path} ({size:.1f} MB); open it in any browser")
