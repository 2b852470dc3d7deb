"""The command `verify` of every lab: one run in full, or a line for each of many."""

import secrets
from pathlib import Path
from typing import Any

import click

from common.errors import LabError, RunError
from common.options import terminal
from common.runs import commands, listing
from common.runs.folder import Run, open_run
from common.runs.job import Job
from common.runs.lab import Lab
from common.runs.proof.judge import Verdict
from common.runs.proof.verify import Verification, Verifier
from common.runs.side_by_side import find_lab

_SEEDS = 2**31
_UNKNOWN = "not verified"
# What reading a hand-in may raise, which may hold anything.
_UNREADABLE = (
    *(AttributeError, ImportError, LookupError),
    *(OSError, RuntimeError, TypeError, ValueError),
)


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
        if (kind := lab.network_of(run)) is not None:
            found = _look(kind, run, seed=seed, **how)
            _show(found)
            _exit([found.verdict])
            return
    below = listing.find(path, members=True)
    unread = [_describe(Verification(place, remarks=[why])) for place, why in below.broken]
    tried = [_try(listed, seed=seed, **how) for listed in below.runs if not _has_members(listed)]
    records = [_describe(each, listed) for listed, each in tried]
    commands.show_records(f"Runs below {path}", [*records, *unread], form, output)
    _exit([each.verdict for _, each in tried])


def _exit(verdicts: list[Verdict | None]) -> None:
    if Verdict.OTHER in verdicts:
        click.get_current_context().exit(1)


def _look(
    kind: type[Job[Any, Any]],
    run: Run,
    *,
    seed: int,
    updates: int,
    data: str | None,
    device: str | None,
) -> Verification:
    """Verify one run; the arguments are those of `Verifier`."""
    return Verifier(kind, run, data, device).look(updates, seed)


def _has_members(listed: listing.Listed) -> bool:
    """Say whether a run is a comparison, whose members come by themselves."""
    try:
        return listed.job in find_lab(listed).comparisons
    except RunError:
        return False


def _try(listed: listing.Listed, **how: Any) -> tuple[listing.Listed, Verification]:
    """Verify one run of many; one that cannot be verified stops nothing."""
    try:
        if (kind := find_lab(listed).network_of(listed.run)) is None:
            raise RunError("it is made of other runs, which are verified one by one")
        return listed, _look(kind, listed.run, **how)
    except LabError as error:
        reason = str(error)
    except _UNREADABLE as error:
        reason = f"it cannot be read: {type(error).__name__}: {error}"
    return listed, Verification(listed.run.path, remarks=[" ".join(reason.split())])


def _describe(found: Verification, listed: listing.Listed | None = None) -> dict[str, Any]:
    """Return a line about a run."""
    return {
        "run": str(found.run),
        "verdict": _UNKNOWN if found.verdict is None else str(found.verdict),
        "first difference": found.difference,
        "updates again": f"{found.again} of {found.total}",
        "metric": None if listed is None else listed.main_metric,
        "test": None if listed is None else listed.main_value,
        "remarks": "; ".join(found.remarks),
    }


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
