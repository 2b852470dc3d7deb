"""What `export` does: a run becomes files, and a table says how they compare."""

from pathlib import Path
from pkgutil import resolve_name
from typing import Any

import click

from common.errors import RunError
from common.export.exporter import Exporter, table
from common.options import terminal
from common.runs.lab import Lab


def command(lab: Lab, run: Path, output: Path | None, form: str = "onnx") -> None:
    """Write a run's network to files, and show how they compare with it.

    Args:
        lab: whose run it is.
        run: the run.
        output: a folder; `export` of the run when None.
        form: the formats, with commas between.

    Raises:
        InputError: it cannot be written.
        RunFailed: a file does not say what the network says.
    """
    job = lab.open_trained(run, "cpu")
    if (kind := job.exporter) is None:
        raise RunError(f"{run}: runs of {job.config.title} by `{job.verb}` cannot be exported")
    exporter: Exporter[Any] = resolve_name(kind)(job)
    folder = output or run / "export"
    formats = [name.strip() for name in form.split(",") if name.strip()]
    with terminal.busy("writing the network, and comparing it on the test split"):
        report = exporter.export(folder, formats)
    terminal.show_table(*table(report))
    click.echo(f"Output: {folder}")
