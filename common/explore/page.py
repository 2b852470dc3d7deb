"""The page that `explore` writes: what was found, first what is worth a thought."""

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from common.files import write_text
from common.options import terminal
from common.report import html
from common.report.html import Section

NOTHING = "Nothing was found that stands against learning from these data."


class Part(NamedTuple):
    """A piece of the page, with what it found that is worth a thought, a sentence each."""

    section: Section
    findings: Sequence[str] = ()


def write(data: str, subtitle: str, parts: Sequence[Part | None], output: Path | None) -> None:
    """Write the page, and say on the terminal what was found.

    Args:
        data: what --data names.
        subtitle: one line on what they are.
        parts: in their order; None for what there is nothing to say of.
        output: the HTML file; in the current folder, named after the data, when None.

    Raises:
        SaveError: the file cannot be written.
    """
    kept = [part for part in parts if part is not None]
    findings = [finding for part in kept for finding in part.findings]
    sections = [part.section for part in kept]
    verdict = findings[0] if findings else NOTHING
    if len(findings) > 1:
        verdict = f"{len(findings)} findings: see the list below."
        sections.insert(0, Section("Findings", "\n\n".join(f"• {each}" for each in findings)))
    path = output or Path(f"explore-{Path(data).expanduser().resolve().stem}.html")
    write_text(path, html.render(f"Data: {Path(data).name}", subtitle, verdict, sections))
    for finding in findings or [NOTHING]:
        terminal.say(finding)
    terminal.say(f"Report: {path}")


def write_number(value: float) -> str:
    """Write a number for a table, in four digits or whole."""
    return f"{value:,.0f}" if abs(value) >= 1000 else f"{value:.4g}"
