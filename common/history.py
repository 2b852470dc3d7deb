"""The rows of a run's history: the best epoch, how long ago it was, and where a run stands.

A row holds the figures of one epoch: `{"epoch": 1, "train/loss": 0.3, "validation/accuracy": 0.9,
...}`. Everything here is a pure function of the rows so far, so a resumed run decides as the run
that was never stopped.
"""

import math
import re
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from common.errors import ConfigError
from common.suggest import suggest

Row = Mapping[str, Any]

# Words of figures whose smaller values are better; all others grow. A word may end in one of the
# long ones: `logloss`, `crossentropy`.
_ERRORS = (
    *("mae", "mse", "rmse", "mape", "smape", "wape", "mase", "msle", "rmsle", "errors", "losses"),
    *("nll", "kl", "kld", "ce", "bce", "brier", "crps", "pinball", "ece", "deviance", "cost"),
    *("wer", "cer", "ter", "eer", "ppl", "bpc", "bpd", "fid", "lpips"),
)
_LONG_ERRORS = ("loss", "error", "entropy", "perplexity")
_WORD = re.compile("[A-Z]?[a-z0-9]+|[A-Z0-9]+")


class Progress(NamedTuple):
    """Where a run stands, for a display."""

    epoch: int  # from 0
    update: int  # updates applied in this epoch
    updates: int  # updates in an epoch
    samples_per_second: float
    figures: dict[str, float]  # the means of the epoch so far


def better_direction(figure: str) -> str:
    """Return `min` or `max`, the direction in which a figure like `validation/f1` is better.

    What is negated turns round: `neg_log_loss` grows, `negative_log_likelihood` falls.
    """
    words = [word.lower() for word in _WORD.findall(figure.rpartition("/")[2])]
    falls = any(word in _ERRORS or word.endswith(_LONG_ERRORS) for word in words)
    negated = any(word in ("neg", "negative") for word in words)
    return "min" if falls != negated else "max"


def is_better(value: float, best: float, mode: str) -> bool:
    """Say whether a value beats the best so far; NaN never does, and anything else beats NaN."""
    if math.isnan(value):
        return False
    return math.isnan(best) or (value < best if mode == "min" else value > best)


def best_row(rows: Sequence[Row], monitor: str, mode: str) -> Row | None:
    """Return the row with the best figure, the first among equals; None when none has one.

    Raises:
        ConfigError: the rows have no such figure.
    """
    best = None
    for row in rows:
        if monitor not in row:
            raise ConfigError(_no_such_figure(monitor, row))
        if is_better(row[monitor], best[monitor] if best else math.nan, mode):
            best = row
    return best


def epochs_since_best(rows: Sequence[Row], monitor: str, mode: str) -> int:
    """Return how many epochs have passed since the best one, for early stopping."""
    best = best_row(rows, monitor, mode)
    return len(rows) - (rows.index(best) + 1 if best else 0)


def _no_such_figure(monitor: str, row: Row) -> str:
    names = [name for name, value in row.items() if "/" in name and isinstance(value, float)]
    same = [name for name in names if name.endswith(f"/{monitor}")]
    hint = suggest(same[0] if same else monitor, names, "did you mean {}? ")
    return f"--monitor {monitor}: no epoch reports that figure; {hint}reported: {', '.join(names)}"
