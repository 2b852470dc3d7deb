"""The command `doctor RUN`: what is found, the likely cause, and what to type next."""

import contextlib
from collections.abc import Iterator, Sequence
from pathlib import Path
from pkgutil import resolve_name
from typing import Any

from common.doctor.causes import CAUSES, Finding, diagnose
from common.doctor.patient import Patient
from common.doctor.trials import Trial
from common.errors import NonFiniteError, RunError
from common.options import terminal
from common.options.terminal import figure_text
from common.runs.job import Job

_LEARNED = 0.3  # share of the loss of one batch that a network has to lose to have learned it


def command(
    kind: type[Job[Any, Any]],
    run: Path,
    device: str | None,
    steps: int,
    own: str | None,
    **chosen: Any,
) -> None:
    """Examine a run, and print what was found.

    Args:
        kind: of its job.
        run: the folder.
        device: another than the run's.
        steps: updates of each trial; 0 for none.
        own: `module:function` of (job, splits, steps, chosen) that prints what the lab looks at by
            itself, and what follows from it; None where it has nothing of the kind.
        chosen: the lab's own options.

    Raises:
        RunError: there is no such run, or nobody could say what it has not seen.
    """
    job = kind.reopen(run, device)
    if job.unmeasured:
        raise RunError(f"{run} {job.unmeasured}: nothing is left to judge it by")
    splits = job.load_splits()
    if own is not None:
        resolve_name(own)(job, splits, steps, **chosen)
    with terminal.busy(f"examining {run}"):
        patient = Patient(kind.reopen(run, device), splits, steps)
        found = list(examine(patient))
        batch = None if own else _learn_batch(patient)
    show(found, batch)


def examine(patient: Patient) -> Iterator[Finding]:
    """Yield the causes that have evidence; a run whose loss is not finite has one of its own."""
    try:
        yield from diagnose(patient)
    except NonFiniteError as error:
        yield Finding("a loss that is not finite from the beginning", str(error), "Mend the data.")


def show(found: Sequence[Finding], batch: str | None) -> None:
    """Print findings, the likely cause first, and what to do next."""
    if batch is not None:
        terminal.say(f"One batch: {batch}.")
    if not found:
        names = ", ".join(cause.name for cause in CAUSES)
        terminal.say(f"No cause found; looked for: {names}.")
        return
    first, *others = found
    terminal.say(f"Likely cause: {first.cause}. {_sentence(first.evidence)}")
    terminal.say(f"Next: {first.advice}")
    for each in others:
        terminal.say(f"Also, which may follow from it: {each.cause}. {_sentence(each.evidence)}")


def _learn_batch(patient: Patient) -> str | None:
    with contextlib.suppress(NonFiniteError):
        if trials := patient.rates:
            return describe_batch(trials[0])
    return None


def describe_batch(trial: Trial) -> str:
    """Say whether a fresh network learned one batch."""
    text = (
        f"of a fresh network, {trial.updates} updates on one training batch alone at a rate of "
        f"{trial.rate:g} took the loss from {figure_text(trial.first)} to "
        f"{'infinity' if trial.last == float('inf') else figure_text(trial.last)}"
    )
    if trial.gain >= _LEARNED:
        return f"{text}: data, loss and network go together"
    return f"{text}: it hardly learns even that"


def _sentence(text: str) -> str:
    return f"{text[0].upper()}{text[1:].rstrip('.')}."
