"""Signs that a run was too short, learned by heart, or learned nothing: said beside its result."""

from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from common.history import Row, best_row
from common.metrics.main_metric import MainMetric
from common.options.times import write_time

if TYPE_CHECKING:
    from common.runs.job import Job

CONSTANT = ("majority class", "class frequencies", "mean", "median", "mean image")
"""The baselines that always say the same."""

_FEW_UPDATES = 200
_STILL_IMPROVING = 0.1  # share of the whole gain that came in the last third of the epochs
_RISEN = 1.5  # validation loss at the end over its smallest


def list_doubts(job: "Job[Any, Any]", figures: Mapping[str, Any]) -> list[str]:
    """Say what speaks against taking a run's result for what its model can do, and what to try.

    Args:
        job: the run.
        figures: what metrics.json holds.
    """
    rows = job.run.history
    by_heart = (f"{said} {_what_counts(figures)}" for said in list_by_heart(rows))
    return [*list_too_short(job, rows), *by_heart, *_nothing_learned(figures)]


def _out_of_time(job: "Job[Any, Any]", rows: Sequence[Row]) -> Iterator[str]:
    """Say where the time that was given ended a run."""
    timed = job.run.timed
    if timed is None:
        return
    cut = "updates" in rows[-1]
    if cut or len(rows) == timed["epochs"] < timed["asked"]:
        inside = f", the last one cut short after {rows[-1]['updates']:,} updates" if cut else ""
        yield (
            f"It was given {write_time(timed['given'])}, which was time for {len(rows)} of "
            f"{timed['asked']} epochs{inside}: "
            f"{_longer(job, max(timed['asked'], len(rows) + 1))}."
        )


def _longer(job: "Job[Any, Any]", epochs: int) -> str:
    """Return the command that goes on with a run, as the end of a sentence."""
    words = f"python -m labs.{job.lab} {job.verb} --resume {job.run.path} --epochs {epochs}"
    return f"go on with {words}"


def list_too_short(job: "Job[Any, Any]", rows: Sequence[Row]) -> Iterator[str]:
    """Say whether a run was too short, and what to type to go on with it."""
    yield from list(_out_of_time(job, rows)) or _too_short(job, rows)


def _too_short(job: "Job[Any, Any]", rows: Sequence[Row]) -> Iterator[str]:
    whole = -(-job.card.counts.get("train", 0) // job.config.batch_size)
    updates = sum(row.get("updates", whole) for row in rows)  # fewer of one that was cut short
    longer = _longer(job, 2 * len(rows))
    if updates < _FEW_UPDATES:
        yield f"It was trained for {updates} updates only, which is few: {longer}."
    elif _improves(job.main_metric, rows):
        yield f"Validation was still improving when training ended: {longer}."


def _improves(main_metric: MainMetric, rows: Sequence[Row]) -> bool:
    name = f"validation/{main_metric.name}"
    if len(rows) < 3 or name not in rows[0]:
        return False
    mode = "max" if main_metric.larger_is_better else "min"
    early, best = (best_row(part, name, mode) for part in (rows[: 2 * len(rows) // 3], rows))
    if early is None or best is None:
        return False
    return bool(abs(best[name] - early[name]) > _STILL_IMPROVING * abs(best[name] - rows[0][name]))


def list_by_heart(rows: Sequence[Row]) -> Iterator[str]:
    """Say whether validation got worse while training went on."""
    losses = [row.get("validation/loss", float("nan")) for row in rows]
    if losses and losses[-1] > _RISEN * min(losses):
        yield (
            f"Validation loss rose from {min(losses):.4g} to {losses[-1]:.4g} while training went "
            "on: the network learned its samples by heart."
        )


def _what_counts(figures: Mapping[str, Any]) -> str:
    return (
        f"Epoch {figures['best_epoch']} is what counts; more data, or more --augment, dropout or "
        "--weight-decay, would let it go on."
    )


def _nothing_learned(figures: Mapping[str, Any]) -> Iterator[str]:
    for name, values in figures["baselines"].items():
        low, _ = values["lead_interval"]
        if name in CONSTANT and not (low is not None and low > 0):
            yield (
                f'It is not shown to know more than "{name}", which always says the same: look at '
                "the learning curves, and try another --learning-rate, or train longer."
            )
