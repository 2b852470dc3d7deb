"""The command `verify` of every lab: one run in full, or a line for each of many."""

import secrets
from pathlib import Path
from typing import Any

import click

from common.errors import InputError
from common.options import terminal
from common.runs import commands, listing
from common.runs.folder import Run, open_run
from common.runs.lab import Lab, load_lab
from common.runs.proof.judge import Verdict
from common.runs.proof.verify import Verification, Verifier

_SEEDS = 2**31
_UNKNOWN = "not verified"


def verify(
    lab: Lab, path: Path, seed: int | None, form: str, output: Path | None, **how: Any
) -> None:
    """Verify a run of a lab, or all runs below a folder, and show what was found.

    Exits with 1 where something is not the run that it says it is.

    Args:
        lab: the lab.
        path: of a run or a folder.
        seed: draws the parts that are computed again; by chance when None.
        form: of what is shown: `table`, `csv` or `json`.
        output: a file for it.
        how: the other arguments of `_look`.
    """
    seed = secrets.randbelow(_SEEDS) if seed is None else seed
    terminal.note(f"what is computed again is drawn by chance; the same again: --seed {seed}")
    if form == "table" and output is None and (path / "config.toml").is_file():
        run = open_run(path, lab.name)
        if run.job in lab.jobs:
            found = _look(run, seed=seed, **how)
            _show(found)
            _exit([found.verdict])
            return
    below = listing.find(path, members=True)
    for place, reason in below.broken:
        terminal.note(f"left out {place}: {reason}")
    records, verdicts = [], []
    for listed in below.runs:
        if listed.job not in load_lab(listed.lab).comparisons:  # whose members come by themselves
            record, verdict = _record(listed, seed=seed, **how)
            records.append(record)
            verdicts.append(verdict)
    commands.show_records(f"Runs below {path}", records, form, output)
    _exit(verdicts)


def _exit(verdicts: list[Verdict | None]) -> None:
    if Verdict.OTHER in verdicts:
        click.get_current_context().exit(1)


def _look(
    run: Run, *, seed: int, updates: int, data: str | None, device: str | None
) -> Verification:
    """Verify one run; the arguments are those of `Verifier`."""
    lab = load_lab(run.read("environment")["lab"])
    return Verifier(lab.kind_of(run.path), run, data, device).look(updates, seed)


def _record(listed: listing.Listed, **how: Any) -> tuple[dict[str, Any], Verdict | None]:
    """Return a line about a run; one that cannot be verified stops nothing."""
    try:
        if listed.job not in load_lab(listed.lab).jobs:
            raise InputError("it is made of other runs, which are verified one by one")
        found = _look(listed.run, **how)
    except InputError as error:
        found = Verification(listed.run.path, remarks=[" ".join(str(error).split())])
    verdict = found.verdict
    record = {
        "run": str(listed.run.path),
        "verdict": _UNKNOWN if verdict is None else str(verdict),
        "first difference": found.difference,
        "updates again": f"{found.again} of {found.total}",
        "metric": listed.main_metric,
        "test": listed.main_value,
        "remarks": "; ".join(found.remarks),
    }
    return record, verdict


def _show(found: Verification) -> None:
    """Print what was compared of one run, and what it comes to."""
    rows = [[each.what, str(each.verdict), each.remark] for each in found.checks]
    terminal.show_table(str(found.run), ["compared", "found", "first difference"], rows)
    for remark in found.remarks:
        terminal.say(f"Mind that {remark}.")
    rest = ", not those between, which --updates adds" if found.more else ""
    terminal.say(f"{found.again:,} of {found.total:,} updates were computed again{rest}.")
    verdict = _UNKNOWN if found.verdict is None else str(found.verdict)
    difference = f": {found.difference}" if found.difference else ""
    terminal.say(f"Verdict: {verdict}{difference}.")
