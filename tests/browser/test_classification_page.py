"""The page of a classifier, used as a person uses it."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from playwright.sync_api import expect

from labs.classification.config import ClassificationConfig
from labs.classification.job import ClassifyImages
from labs.classification.live.view import write
from tests.browser.access import assert_accessible
from tests.silent import Silent

# Two ways of writing each digit: strokes of points (x, y) on a board of 1 x 1.
DIGITS = json.loads(Path(__file__).with_name("digits.json").read_text("utf-8"))


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """The default run: its job, splits and page."""
    folder = tmp_path_factory.mktemp("runs")
    config = ClassificationConfig(run_dir=str(folder), name="digits", device="cpu", threads=1)
    job, splits = ClassifyImages.start(config, ["train"])
    job.train(splits, Silent(), lambda line: None)
    write(job, folder / "open.html")
    return job, splits, folder / "open.html"


@pytest.fixture
def page(trained, visit):
    page = visit(trained[2])
    expect(page.locator("#verdict")).not_to_be_empty()
    return page


def draw(page, strokes):
    page.click("#clear")
    left, top, width, height = page.locator("#board").bounding_box().values()
    for stroke in strokes:
        points = [(left + x * width, top + y * height) for x, y in stroke]
        page.mouse.move(*points[0])
        page.mouse.down()
        for point in points[1:]:
            page.mouse.move(*point, steps=3)
        page.mouse.up()


def wait_for_answer(page):
    """Wait until the network has answered what was asked last."""
    page.evaluate("() => new Promise((done) => network.ask('idle', null, done))")


def test_it_says_of_test_images_what_the_run_says(page, trained):
    job, splits, _ = trained
    images = splits["test"].images[:100]
    expected = job.answers(images)["outputs"]
    script = """(pictures) => {
        const { program, size, channels, mean, std } = data, loaded = engine.load(program);
        return pictures.map((values) => {
            const picture = { width: size, height: size, channels, data: values };
            const steps = engine.run(loaded, images.normalize(picture, mean, std));
            return Array.from(steps[steps.length - 1].data);
        });
    }"""
    found = torch.tensor(page.evaluate(script, images.permute(0, 2, 3, 1).flatten(1).tolist()))
    assert (found.argmax(1) == expected.argmax(1)).sum() == 100
    torch.testing.assert_close(found, expected, rtol=1e-4, atol=1e-4)


def test_it_reads_digits_that_a_mouse_draws(page):
    read = []
    for digit, strokes in DIGITS:
        draw(page, strokes)
        wait_for_answer(page)
        read.append((digit, page.inner_text("#verdict")[0]))
    assert sum(digit == said for digit, said in read) >= 18, read


def test_it_is_small_and_answers_at_once(trained, page):
    assert trained[2].stat().st_size < 3_000_000
    page.locator("#slider-dx").fill("2")
    wait_for_answer(page)
    times = page.evaluate(
        """async () => {
            const times = [], input = images.normalize(plain, mean, std);
            const time = (done) => network.ask("run", input, (_, taken) => done(taken));
            for (let i = 0; i < 20; i++) times.push(await new Promise(time));
            return times;
        }"""
    )
    assert np.median(times) < 30


def test_a_unit_says_what_it_sees_and_adds(page):
    page.locator("#layers canvas").nth(3).click(position={"x": 30, "y": 30})
    wait_for_answer(page)
    assert "c1, map 4" in page.inner_text("#unit-text")
    assert "5 × 5 pixels" in page.inner_text("#unit-text")
    expect(page.locator("#unit-effect li")).to_have_count(10)
    assert page.locator("#unit-kernel canvas").count() == 1


def test_sliders_show_which_layer_forgives_and_the_kernels_of_each_epoch_are_there(page):
    assert page.locator("#forgives li").count() == 0
    page.locator("#slider-dy").fill("3")
    wait_for_answer(page)
    expect(page.locator("#forgives li")).to_have_count(11)
    assert page.locator("#epochs").is_visible()
    page.locator("#slider-epoch").fill("0")
    assert page.locator("#epoch-kernels canvas").count() == 6


def test_a_head_of_ones_own_learns_what_one_draws(page):
    for name, number in [("round", 0), ("straight", 1)]:
        page.fill("#class-name", name)
        page.locator("#samples button").nth(number).click()
        wait_for_answer(page)
        page.click("#add")
    for _ in range(20):
        page.click("#step")
    assert "after 20 steps" in page.inner_text("#head-state")
    loss = float(page.inner_text("#head-state").split("loss is ")[1].split(",")[0])
    assert loss < 0.1
    assert page.inner_text("#own-answers li:last-child").startswith("straight")


def test_it_speaks_korean_and_has_no_serious_fault_of_access(page):
    page.click("#language")
    assert page.inner_text("#answer-title") == "신경망의 답"
    assert page.evaluate("document.documentElement.lang") == "ko"
    for scheme in ("light", "dark"):
        page.emulate_media(color_scheme=scheme)
        assert_accessible(page)


def test_a_small_screen_has_no_sideways_scrolling(page):
    page.set_viewport_size({"width": 360, "height": 700})
    assert page.evaluate("document.documentElement.scrollWidth") <= 360


def test_a_file_that_is_no_picture_is_named(page, tmp_path):
    bad = tmp_path / "letter.png"
    bad.write_text("no picture")
    page.set_input_files("#file", bad)
    expect(page.locator("#note")).to_contain_text("letter.png")
