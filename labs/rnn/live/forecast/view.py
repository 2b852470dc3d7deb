"""A trained forecaster as a page: what it needs of a run."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, cast

import numpy as np

from common.live import program
from common.live.page import write_page
from common.live.program import INPUT
from common.metrics.metrics import Array
from labs.rnn.forecast.data import Windows
from labs.rnn.forecast.job import Forecast
from labs.rnn.forecast.models import AfterLine, Direct, EncoderDecoder, Forecaster
from labs.rnn.forecast.series import spacing as calendar
from labs.rnn.live.layers import Program

_MOST_SERIES = 20  # in the page; of more, the first
_MOST_DATES = 3000  # of more, the last


def write(job: Forecast, path: Path) -> None:
    """Write the page of a run.

    Args:
        job: with its best weights.
        path: the HTML file.

    Raises:
        SaveError: it cannot be written.
    """
    data = {**describe(job), **choose_series(job, job.load_splits())}
    subtitle = f"{job.config.title} on {job.card.source}"
    write_page(path, job.run.path.name, subtitle, Path(__file__).parent, data)


def describe(job: Forecast) -> dict[str, Any]:
    """Return what computes the run's forecasts, and how series are scaled."""
    found, model = Program(), job.model.eval().cpu()
    if isinstance(model, AfterLine):
        _add_line(found, model, job.config.window)
    else:
        _add_forecaster(found, cast(Forecaster, model), job.config.window)
    config = job.config
    return {
        "program": program.dump(found.steps),
        "window": config.window,
        "horizon": config.horizon,
        "log": config.log,
        "difference": config.difference,
        "levels": list(config.levels),
        "middle": config.middle,
        "period": job.card.period,
        "by": job.handed_out,
    }


def choose_series(job: Forecast, splits: Mapping[str, Windows]) -> dict[str, Any]:
    """Return the series from validation on, and where validation and test begin.

    Before their first window there is a season; after the last date there are the dates to come.
    """
    test, validation = splits["test"], splits["validation"]
    panel, card, config = test.panel, job.card, job.config
    part = validation if validation.panel is panel and len(validation) else test
    first = int(part.origins.min())
    begin = max(0, first - max(config.window, card.period), len(panel.dates) - _MOST_DATES)
    future = panel.spacing.after(panel.dates[-1], config.horizon)
    return {
        "dates": calendar.to_iso(np.concatenate([panel.dates[begin:], future])),
        "testFrom": int(test.origins.min()) - begin,
        "seriesLeftOut": max(0, len(panel.names) - _MOST_SERIES),
        "series": [
            {
                "name": name,
                "values": _round(panel.values[begin:, number]),
                "first": max(first, panel.span(number)[0] + config.window - 1) - begin,
                "center": card.centers[number],
                "factor": card.factors[number],
            }
            for number, name in enumerate(panel.names[:_MOST_SERIES])
            if np.isfinite(panel.values[begin:, number]).sum() > config.window
        ],
    }


def _round(values: Array) -> list[float | None]:
    """Return values for JSON, None where there is none."""
    return [float(value) if np.isfinite(value) else None for value in values]


def _add_forecaster(found: Program, model: Forecaster, window: int, name: str = "") -> int:
    """Add a network, from a scaled window (W,) to forecasts (H, outputs)."""
    steps = found.add("reshape", f"{name}window", [INPUT], {"shape": [window, 1]})
    states, layers = found.add_recurrent(model.recurrent, f"{name}recurrent", steps)
    value = _cut(found, INPUT, window - 1)
    if isinstance(model, Direct):
        forecasts = _add_change(found, model, name, states, value)
        shape = [model.horizon, model.outputs]
        return found.add("reshape", f"{name}forecasts", [forecasts], {"shape": shape})
    recurrent, before = model.recurrent, [layer[0] for layer in layers]
    if isinstance(model, EncoderDecoder):
        recurrent = model.decoder
        states, before = _read(found, model, recurrent, name, value, before)
    rows = [_add_change(found, model, name, states, value)]
    while len(rows) < model.horizon:
        value = _cut(found, rows[-1], model.middle)
        states, before = _read(found, model, recurrent, name, value, before)
        rows.append(_add_change(found, model, name, states, value))
    shape = [1, model.outputs]
    rows = [found.add("reshape", f"{name}step", [row], {"shape": shape}) for row in rows]
    return found.add("concatenate", f"{name}forecasts", rows, {"dimension": 0})


def _read(
    found: Program,
    model: Forecaster,
    recurrent: Any,
    name: str,
    value: int,
    before: Sequence[int],
) -> tuple[int, list[int]]:
    """Add a step that reads a value; returns the hidden states and those of each layer."""
    step = found.add("reshape", f"{name}step", [value], {"shape": [1, 1]})
    part = "recurrent" if recurrent is model.recurrent else "decoder"
    states, layers = found.add_recurrent(recurrent, name + part, step, before)
    return states, [layer[0] for layer in layers]


def _add_change(found: Program, model: Forecaster, name: str, states: int, value: int) -> int:
    """Add the head on the last state, and the value before to what it says."""
    hidden = found.add("last_step", f"{name}hidden", [states], {"directions": 1})
    change = found.add_linear(model.head, f"{name}head", hidden)
    return found.add("add", f"{name}change", [change, value])


def _cut(found: Program, x: int, place: int) -> int:
    """Add what takes one value of a vector."""
    attributes = {"dimension": 0, "start": place, "stop": place + 1, "step": 1}
    return found.add("slice", "value", [x], attributes)


def _add_line(found: Program, model: AfterLine, window: int) -> int:
    """Add a line and a network after it; see `AfterLine`.

    forecast = line + change + (share - 1) * the median's change
    """
    network = model.network
    forecasts = _add_forecaster(found, network, window, "network.")
    last = _cut(found, INPUT, window - 1)
    negative = found.add("multiply", "minus", [last], {"constant": -1.0})
    change = found.add("add", "change", [forecasts, negative])
    middle = {"dimension": 1, "start": network.middle, "stop": network.middle + 1, "step": 1}
    median = found.add("slice", "median", [change], middle)
    less = found.add("multiply", "share", [median], {"constant": float(model.share) - 1})
    line = found.add("linear", "line", [INPUT], weight=model.weight, bias=model.bias)
    shape = {"shape": [network.horizon, 1]}
    line = found.add("reshape", "line", [line], shape)
    return found.add("add", "forecast", [found.add("add", "sum", [change, less]), line])
