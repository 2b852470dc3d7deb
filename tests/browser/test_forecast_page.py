"""The page of a forecaster, used as a person uses it."""

from itertools import product

import numpy as np
import pytest
import torch
from playwright.sync_api import expect

from common.live import program
from labs.rnn.forecast.config import ForecastConfig
from labs.rnn.forecast.job import Forecast
from labs.rnn.forecast.models import MODELS, AfterLine
from labs.rnn.live.forecast.view import _add_forecaster, _add_line, write
from labs.rnn.live.layers import Program
from tests.browser.access import assert_accessible
from tests.silent import Silent


def train(folder, **options):
    config = ForecastConfig(run_dir=str(folder), name="run", device="cpu", threads=1, **options)
    job, splits = Forecast.start(config, ["forecast"])
    with job.prepare(splits, lambda line: None):
        job.train(splits, Silent(), lambda line: None)
    write(job, folder / "open.html")
    return job, splits, folder / "open.html"


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """The default run."""
    return train(tmp_path_factory.mktemp("runs"))


@pytest.fixture(scope="module")
def several(tmp_path_factory):
    """A run of several series with quantiles, after a line, of logarithms."""
    options = {"data": "stocks", "linear": True, "log": True, "quantiles": ("0.1", "0.5", "0.9")}
    return train(tmp_path_factory.mktemp("runs"), **options, epochs=2, limit=600, hidden_size=8)


def opened(visit, path):
    page = visit(path)
    expect(page.locator("#numbers tr").nth(1)).to_be_visible()
    return page


def forecasts(page, windows, series):
    """Return what the page foretells after windows of its series, (N, H, outputs)."""
    script = """(places) => {
        const loaded = engine.load(program);
        return places.map(([number, origin]) => {
            const { offset, input } = scaleWindow(series[number], origin);
            return unscale(engine.run(loaded, input).pop().data, series[number], offset);
        });
    }"""
    dates = page.evaluate("dates")
    begin = len(windows.panel.dates) + page.evaluate("horizon") - len(dates)
    places = [[int(number), int(origin) - begin] for number, origin in series]
    return np.array(page.evaluate(script, places))


@pytest.mark.parametrize("kind", ["trained", "several"])
def test_it_foretells_of_test_windows_what_the_run_foretells(kind, visit, request):
    job, splits, path = request.getfixturevalue(kind)
    test = splits["test"]
    rows = np.linspace(0, len(test) - 1, 100).astype(int)
    pairs = np.stack([test.series[rows], test.origins[rows]], 1)
    before = np.arange(1 - job.config.window, 1)
    windows = test.panel.values[test.origins[rows, None] + before, test.series[rows, None]]
    centers = np.array(job.card.centers)[test.series[rows]]
    expected = job.forecast(windows, centers, test.factors[rows])
    found = forecasts(opened(visit, path), test, pairs)
    scale = test.naive[rows, None, None]
    np.testing.assert_allclose(found / scale, expected / scale, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize(
    ("strategy", "cell", "layers", "levels", "after"),
    [
        *product(MODELS, ("rnn", "lstm", "gru"), (1, 2), ((),), (False,)),
        *product(("direct", "encoder-decoder"), ("gru",), (1,), ((0.1, 0.5, 0.9),), (False, True)),
    ],
)
@torch.no_grad()
def test_each_strategy_foretells_what_torch_does(
    visit, trained, strategy, cell, layers, levels, after
):
    torch.manual_seed(0)
    model = MODELS[strategy](cell, 6, 4, layers=layers, levels=levels)
    model.head.weight.normal_()
    built, windows = Program(), torch.randn(1, 7)
    if after:
        model = AfterLine(model, 7)
        model.draw(np.random.default_rng(0).normal(size=(4, 7)), np.arange(4.0))
        model.share.fill_(0.3)
        _add_line(built, model, 7)
    else:
        _add_forecaster(built, model, 7)
    script = """({ dumped, values }) => {
        const input = engine.tensor([7], Float32Array.from(values));
        return Array.from(engine.run(engine.load(dumped), input).pop().data);
    }"""
    page = opened(visit, trained[2])
    asked = {"dumped": program.dump(built.steps), "values": windows[0].tolist()}
    found = torch.tensor(page.evaluate(script, asked))
    torch.testing.assert_close(found, model.eval()(windows).flatten(), rtol=1e-4, atol=1e-4)


def test_the_window_is_moved_by_keys_slider_and_pointer(visit, trained):
    page = opened(visit, trained[2])
    text, overview = page.locator("#origin-text"), page.locator("#overview")
    expect(text).to_contain_text("test part")
    start = page.evaluate("chosen.origin")
    overview.focus()
    page.keyboard.press("ArrowRight")
    page.keyboard.press("PageDown")
    assert page.evaluate("chosen.origin") == start + 1 + trained[0].config.horizon
    page.keyboard.press("Home")
    expect(text).to_contain_text("validation part")
    page.keyboard.press("End")
    expect(text).to_contain_text("nobody knows yet")
    expect(page.locator("#errors-note")).to_contain_text("not known")
    expect(page.locator("#errors li")).to_have_count(0)
    page.locator("#slider-window-end").fill(str(start))
    left, top, width, height = overview.bounding_box().values()
    page.mouse.move(left + width / 2, top + height / 2)
    page.mouse.down()
    page.mouse.move(left + 0.6 * width, top + height / 2, steps=4)
    page.mouse.up()
    assert page.evaluate("chosen.origin") > start + 20
    expect(page.locator("#errors li")).to_have_count(3)


def test_errors_and_simple_methods_are_those_of_the_window(visit, trained):
    page = opened(visit, trained[2])
    shown = page.evaluate("({ ...now, naive: now.each.values[now.origin] })")
    assert shown["persistence"] == [shown["naive"]] * trained[0].config.horizon
    error = np.abs(np.array(shown["forecast"]) - shown["truth"]).mean()
    expect(page.locator("#errors li").first).to_contain_text(f"{error:.5g}")
    expect(page.locator("#interval")).to_contain_text("--quantiles")


def test_several_series_are_chosen_among_and_have_intervals(visit, several):
    page = opened(visit, several[2])
    expect(page.locator("#series option")).to_have_count(len(several[0].card.names))
    before = page.inner_text("#numbers")
    page.select_option("#series", "1")
    expect(page.locator("#numbers")).not_to_have_text(before)
    expect(page.locator("#interval")).to_contain_text("should hold 80 %")
    expect(page.locator("#by")).to_contain_text(several[0].handed_out)
    low, middle, high = np.array(page.evaluate("now.rows")).T
    assert (low <= middle).all()
    assert (middle <= high).all()


def test_it_speaks_korean_has_no_serious_fault_of_access_and_fits_a_small_screen(visit, several):
    page = opened(visit, several[2])
    page.click("#language")
    expect(page.locator("#forecast-title")).to_have_text("예측")
    for scheme in ("light", "dark"):
        page.emulate_media(color_scheme=scheme)
        assert_accessible(page)
    page.set_viewport_size({"width": 360, "height": 700})
    assert page.evaluate("document.documentElement.scrollWidth") <= 360
    hour = "document.querySelector('.slider output').textContent = '2024-07-10T22:00:00'"
    page.evaluate(hour)
    assert page.evaluate("document.documentElement.scrollWidth") <= 360


def test_it_is_small(trained):
    assert trained[2].stat().st_size < 500_000
