"""A model card: what a network is, how good it is, and what it is not for, as Markdown.

After Mitchell et al. 2019, "Model cards for model reporting", section 4, as far as a run knows it.
"""

import re
from collections.abc import Mapping, Sequence
from pkgutil import resolve_name
from typing import Any

from common.options import config as configs
from common.runs.conclude import conclusion_of
from common.runs.doubts import list_doubts
from common.runs.job import Job

_FOLDERS = re.compile(r"[^:]*[/\\]")  # of a path, also behind a prefix such as `placebo:`


def render_card(
    job: Job[Any, Any], report: Mapping[str, Any], limits: Sequence[str], *, asked: bool = True
) -> str:
    """Return the card of an exported network.

    Args:
        job: the run.
        report: of the export.
        limits: what is to be said of all such networks.
        asked: whether `predict` takes the files.
    """
    measured = job.run.read("metrics") if job.run.finished else None
    parts = [
        f"# {job.config.title} on {job.card.source}",
        _intended(job, report, asked),
        _result(job, measured),
        _data(job),
        _files(report),
        _training(job),
        _limits(job, measured, limits),
    ]
    return "\n\n".join(parts) + "\n"


def _intended(job: Job[Any, Any], report: Mapping[str, Any], asked: bool) -> str:
    trained = f"It was trained by `python -m labs.{job.lab} {job.verb}`."
    if not asked:
        return trained
    first = next(iter(report["files"].values()))
    return (
        f"{trained} Without torch, it answers by "
        f"`python -m labs.{job.lab} predict --onnx {first} INPUT...`."
    )


def _result(job: Job[Any, Any], measured: Mapping[str, Any] | None) -> str:
    if measured is None or "test" not in measured:
        return "## Result\n\nNothing has measured it: it learned all its data, or is not finished."
    label = job.main_metric.label
    conclusion = conclusion_of(job)
    columns = ["", f"validation {label}", f"test {label}", "95 % interval"]
    rows = as_markdown(columns, conclusion.table(measured))
    return f"## Result\n\n{conclusion.verdict(measured)}\n\n{rows}"


def _data(job: Job[Any, Any]) -> str:
    card = job.card
    lines = [f"- Source: {card.source}."]
    lines += [f"- {name}: {number:,} samples." for name, number in card.counts.items()]
    if classes := getattr(card, "classes", ()):
        lines.append(f"- Classes: {', '.join(classes)}.")
    if card.skipped:
        lines.append(f"- Left out or mended: {len(card.skipped):,}.")
    lines.append(f"- Fingerprint: `{card.fingerprint[:16]}`.")
    lines.append(f"- Licence: {_licence(job)}.")
    return "## Data\n\n" + "\n".join(lines)


def _licence(job: Job[Any, Any]) -> str:
    """Say under which licence the data are, where they have a name."""
    known = resolve_name("labs.known_sets:KNOWN").get(job.config.data)
    if known is None:
        return "not known to the run; look where the data come from"
    return f"{known.licence} ({known.source})"


def _files(report: Mapping[str, Any]) -> str:
    columns = ["file", "MB", "largest difference from torch", "times as fast"]
    rows = [
        [
            row["file"],
            f"{row['bytes'] / 1e6:.1f}",
            ", ".join(f"{name} {x:.1g}" for name, x in row["largest_difference"].items()),
            f"{row['times_as_fast']:.2f}",
        ]
        for row in report["exported"]
    ]
    parts = ["## Files", as_markdown(columns, rows)]
    for row in report["exported"]:
        told = [("input", row["inputs"]), ("output", row["outputs"])]
        lines = [
            f"- {kind} `{name}`: {what}" for kind, every in told for name, what in every.items()
        ]
        parts.append("\n".join([f"`{row['file']}`:", "", *lines]))
    parts.append(
        f"Compared and timed on {report['compared_samples']} samples of the test split, one at a "
        f"time, with {report['threads']} thread(s) of a CPU. Weights: `{report['weights'][:16]}`."
    )
    return "\n\n".join(parts)


def _training(job: Job[Any, Any]) -> str:
    config, kind = job.config, type(job.config)
    paths = config.locate_paths()
    rows = [
        [f"`{configs.flag(field.name)}`", f"`{_name(value) if field.name in paths else value}`"]
        for field in configs.options_of(kind)
        if field.metadata["saved"]
        and (value := getattr(config, field.name)) != getattr(kind, field.name, None)
    ]
    about = job.run.read("environment")
    trained = sum(row["seconds"] for row in job.run.history)
    made = f"torch {about['torch']}, {about['device']}, {trained:.0f} s of training"
    told = as_markdown(["option", "value"], rows) if rows else "All options are the defaults."
    return f"## Training\n\n{made}. Options other than the defaults:\n\n{told}"


def _name(value: Any) -> Any:
    """Return the value of an option that holds paths with their last parts alone."""
    if isinstance(value, tuple):
        return tuple(map(_name, value))
    return _FOLDERS.sub("", value)


def _limits(job: Job[Any, Any], measured: Mapping[str, Any] | None, limits: Sequence[str]) -> str:
    known = measured is not None and "test" in measured
    doubts = list_doubts(job, measured) if known and measured is not None else []
    lines = [
        *doubts,
        *limits,
        "It was measured on data like those that it learned from; on others it may be worse, and "
        "nothing here says how much.",
    ]
    return "## Limits\n\n" + "\n".join(f"- {line}" for line in lines)


def as_markdown(columns: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Return a table in Markdown."""
    lines = [list(columns), ["---"] * len(columns), *map(list, rows)]
    return "\n".join(f"| {' | '.join(cell.replace('|', '/') for cell in line)} |" for line in lines)
