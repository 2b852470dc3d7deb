"""What the report says of a forecast: against persistence, each step, each series, when it errs."""

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from common.metrics.metrics import Array, is_known
from common.options.terminal import figure_text, interval_text
from common.report.html import PictureSaver, Section, Table
from common.runs import sections as common_sections
from common.runs.job import Outputs
from labs.rnn.forecast import metrics, plots
from labs.rnn.forecast.data import Windows
from labs.rnn.forecast.series.spacing import Spacing

if TYPE_CHECKING:
    from labs.rnn.forecast.job import Forecast


_PRICES = ("google", "stocks")
_NAMES = {"mase": "MASE", "mae": "MAE", "rmse": "RMSE", "smape": "sMAPE, %"}


def against_persistence(job: "Forecast", figures: Mapping[str, Any]) -> str:
    """Say plainly whether the network is nearer to the truth than "nothing changes"."""
    values = figures["baselines"]["persistence"]
    interval = values["lead_interval"]
    known = is_known(interval)
    lead = f"{values['lead']:+.4f} MASE ({job.main_metric.interval_text(interval, '+')})"
    if not known:
        return f"Over persistence, which says that nothing changes, its lead is {lead}."
    if interval[0] > 0:
        return f"It beats persistence, which says that nothing changes, by {lead}."
    why = (
        "For prices that is the expected result: what is known of tomorrow is in today's price."
        if job.config.data in _PRICES
        else "Nothing in the window tells this network more than the last value does."
    )
    return f"It does not beat persistence, which says that nothing changes (lead {lead}). {why}"


def handed_out(figures: Mapping[str, Any]) -> str:
    """Say what makes the forecasts, and why."""
    choice = figures["choice"]
    if choice["best"] == 0:
        why = "the network lowers its validation MASE by nothing"
    else:
        interval = choice["lead_interval"]
        span = "unknown" if not is_known(interval) else "{:+.4f} to {:+.4f}".format(*interval)
        why = f"with the network, validation MASE is lower by {choice['lead']:.4f} ({span})"
        if choice["share"] == 0:
            why += ", which may be chance"
    shares = choice.get("line", {}).items()
    parts = [f"{100 * share:.0f} % {name}" for name, share in shares if share > 0.005]
    of = f" ({', '.join(parts)})" if parts else ""
    return f"Handed out is the {figures['handed_out']}{of}: {why}."


def sections(
    job: "Forecast",
    outputs: Outputs,
    test: Windows,
    figures: Mapping[str, Any],
    save_picture: PictureSaver,
) -> list[Section]:
    """Return what the report says of this job alone; see `Conclusion.sections`."""
    forecasts, truth = job.arrange(outputs)["forecasts"], test.by_origin(test.truth)
    return [
        *_choice(job, figures),
        _forecasts(job, forecasts, test, save_picture),
        _all_figures(figures),
        _steps(figures, save_picture),
        _residuals(job, forecasts, truth, test, save_picture),
        *_series(job, forecasts, truth, test),
        *_coverage(job, forecasts, truth, figures, save_picture),
        _data(job),
    ]


def _choice(job: "Forecast", figures: Mapping[str, Any]) -> Iterator[Section]:
    if not job.config.linear:
        return
    text = (
        "The model is a line and a share of what a network adds to it, which learned from what the "
        "line leaves. The line is the mean of the linear autoregression, of persistence and of the "
        "last season, each weighed by its validation MASE. The share is the one with the least "
        f"validation MASE, but 0 where the gain may be chance. {handed_out(figures)}"
    )
    mase = figures["choice"]["validation_mase"]
    rows = [[share, figure_text(value)] for share, value in mase.items()]
    yield Section("What is handed out", text, Table(["share", "validation MASE"], rows))


def _forecasts(
    job: "Forecast", forecasts: Array, test: Windows, save_picture: PictureSaver
) -> Section:
    panel = test.panel
    picture = plots.forecasts(
        panel.dates,
        panel.values,
        np.unique(test.origins),
        forecasts,
        panel.names,
        job.config.levels,
    )
    text = (
        f"Each forecast sees {job.config.window} values and foretells {job.config.horizon}. All "
        "origins of the test part are measured; drawn are the last ones that do not overlap, of at "
        "most four series."
    )
    caption = "Forecasts of the test part, each beginning at the last value that it knew."
    return Section("Forecasts", text, pictures=(save_picture("forecasts", caption, picture),))


def _all_figures(figures: Mapping[str, Any]) -> Section:
    records = [
        {
            "": label,
            "validation": figures["validation"][name],
            "test": figures["test"][name],
            "95 % interval": interval_text(figures["test"][f"{name}_interval"]),
        }
        for name, label in _NAMES.items()
    ]
    text = (
        "MASE is the absolute error over the mean absolute change from one training value to the "
        "next: it has no unit, so series can be averaged. MAE and RMSE are in units of the series; "
        "of several series with different units, they tell most about the largest."
    )
    return Section("Figures", text, Table.of(records))


def _steps(figures: Mapping[str, Any], save_picture: PictureSaver) -> Section:
    steps, others = figures["steps"], dict(list(figures["steps_mase"].items())[1:])
    rows = []
    for step, interval in enumerate(steps["mase_interval"]):
        shown = [steps[name][step] for name in _NAMES]
        against = [values[step] for values in others.values()]
        texts = list(map(figure_text, [*shown, *against]))
        rows.append([str(step + 1), texts[0], interval_text(interval), *texts[1:]])
    columns = ["steps ahead", "MASE", "95 % interval", *list(_NAMES.values())[1:]]
    columns += [f"MASE of {name}" for name in others]
    picture = plots.by_step(figures["steps_mase"], steps["mase_interval"], "test MASE")
    return Section(
        "Error by step",
        "On the test part. The further ahead, the less is known.",
        Table(columns, rows),
        (
            save_picture(
                "steps", "Test MASE of each step; shaded, the network's 95 % interval.", picture
            ),
        ),
    )


def _residuals(
    job: "Forecast", forecasts: Array, truth: Array, test: Windows, save_picture: PictureSaver
) -> Section:
    origins = np.unique(test.origins)
    naive = np.array(job.card.naive)[:, None]
    persistence = test.panel.values[origins][:, :, None]
    network = (truth - forecasts[..., job.config.middle]) / naive
    dates = test.panel.dates[origins]
    picture = plots.residuals(dates, network, (truth - persistence) / naive, job.config.title)
    caption = "Above, the error at each origin; below, how the errors are spread."
    return Section("When it errs", pictures=(save_picture("residuals", caption, picture),))


def _series(job: "Forecast", forecasts: Array, truth: Array, test: Windows) -> Iterator[Section]:
    """Tell the series apart, where there are several."""
    names = job.card.names
    if len(names) == 1:
        return
    last = test.panel.values[np.unique(test.origins)][:, :, None]
    rows = []
    for series, name in enumerate(names):
        if not np.isfinite(truth[:, series]).any():
            rows.append([name, *["-"] * 5])
            continue
        middle = forecasts[:, series, :, job.config.middle]
        parts = metrics.errors(middle, truth[:, series], np.array(job.card.naive[series]))
        still = np.abs(last[:, series] - truth[:, series]) / job.card.naive[series]
        means = {key: float(np.nanmean(values)) for key, values in parts.items()}
        means["rmse"] = means["mse"] ** 0.5
        rows.append(
            [
                name,
                *(figure_text(means[key]) for key in _NAMES),
                figure_text(float(np.nanmean(still))),
            ]
        )
    columns = ["series", *_NAMES.values(), "MASE of persistence"]
    yield Section("Each series", "On the test part.", Table(columns, rows))


def _coverage(
    job: "Forecast",
    forecasts: Array,
    truth: Array,
    figures: Mapping[str, Any],
    save_picture: PictureSaver,
) -> Iterator[Section]:
    levels = job.config.levels
    if not levels:
        return
    test, wanted = figures["test"], levels[-1] - levels[0]
    interval = test["coverage_interval"]
    span = "95 % interval unknown"
    if is_known(interval):
        low, high = interval
        held = "which holds" if low <= wanted <= high else "which does not hold"
        span = f"95 % interval {low:.1%} to {high:.1%}, {held} the {wanted:.0%}"
    text = (
        f"Between the quantiles {levels[0]:g} and {levels[-1]:g} should lie {wanted:.0%} of what "
        f"came; on the test part {test['coverage']:.1%} does ({span}). The "
        f"mean width is {test['width']:.2f} naive errors."
    )
    picture = plots.coverage(metrics.shares_below(forecasts, truth), levels)
    caption = "The share of the truth below each quantile; dashed, where it should be."
    yield Section("Intervals", text, pictures=(save_picture("coverage", caption, picture),))


def _data(job: "Forecast") -> Section:
    card = job.card
    names = ", ".join(card.names)
    parts = "; ".join(f"{name} {low} to {high}" for name, (low, high) in card.spans.items())
    scale = "logarithms" if job.config.log else "values"
    against = "the window's last one" if job.config.difference else "the mean of the training part"
    text = (
        f"Series: {names}; {Spacing(*card.spacing)}. The split goes by time: {parts}; a window "
        f"belongs to the part in which all of its targets lie. Networks see {scale} relative to "
        f"{against}, over a factor fitted on the training part."
    )
    return common_sections.data(job, text)
