"""The page of a detector, used as a person uses it."""

import numpy as np
import pytest
import torch
from PIL import Image
from playwright.sync_api import expect

from labs.detection.config import DetectionConfig
from labs.detection.job import Detector
from labs.detection.live.view import write
from tests.browser.access import assert_accessible
from tests.silent import Silent

# What is left of letterboxed images (uint8, channels of a pixel together), as rows like the lab's.
LEFT = """(pictures) => {
    const loaded = engine.load(data.program);
    return pictures.map((values) => {
        const picture = { width: size, height: size, channels: 3, data: values };
        const grid = engine.run(loaded, images.normalize(picture, [0, 0, 0], [1, 1, 1])).pop();
        const before = candidatesOf(decode(grid)).filter(({ score }) => score >= data.score);
        const left = suppress(before, data.same).slice(0, data.most);
        return left.map(({ kept: { box, score, label } }) => [...box, score, label]);
    });
}"""


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """The default network, after fewer scenes; its score lets three boxes of an image through."""
    folder = tmp_path_factory.mktemp("runs")
    config = DetectionConfig(
        run_dir=str(folder), name="scenes", device="cpu", threads=1, limit=300, epochs=2
    )
    job, splits = Detector.start(config, ["train"])
    job.train(splits, Silent(), lambda line: None)
    scores = job.answers(splits["train"].images[:100])["detections"][..., 4].flatten()
    job.score = float(scores.sort(descending=True).values[300])
    write(job, folder / "open.html")
    return job, splits, folder / "open.html"


@pytest.fixture
def page(trained, visit):
    page = visit(trained[2])
    expect(page.locator("#cell-text")).not_to_be_empty()
    return page


def wait(page):
    """Wait until the network has answered what was asked last."""
    page.evaluate("() => new Promise((done) => network.ask('idle', null, done))")


def assert_same(found, expected):
    """Assert that boxes (n, 6) are the same within half a pixel, each of the same class."""
    assert len(found) == len(expected)
    left = [*expected]
    for row in found:
        near = [np.abs(row[:4] - each[:4]).max() if row[5] == each[5] else 9 for each in left]
        best = int(np.argmin(near))
        assert near[best] < 0.5
        assert abs(left.pop(best)[4] - row[4]) < 1e-3


def test_it_finds_in_a_hundred_scenes_what_the_run_finds(page, trained):
    job, splits, _ = trained
    inputs = splits["train"].images[:100]
    answers = job.answers(inputs)["detections"].numpy()
    found = page.evaluate(LEFT, inputs.permute(0, 2, 3, 1).flatten(1).tolist())
    assert sum(map(len, found)) > 250
    for ours, rows in zip(found, answers, strict=True):
        assert_same(np.array(ours).reshape(-1, 6), rows[rows[:, 4] >= job.score])


def test_it_finds_in_a_photo_of_any_size_what_predict_finds(page, trained, tmp_path):
    job, splits, _ = trained
    square = splits["train"].images[3].permute(1, 2, 0).numpy()
    photo = Image.fromarray(square).resize((301, 200), Image.Resampling.BICUBIC)
    photo.save(tmp_path / "photo.png")
    rows = job.find([torch.from_numpy(np.array(photo)).permute(2, 0, 1)])["detections"][0].numpy()
    page.set_input_files("#file", tmp_path / "photo.png")
    expect(page.locator("#show-true")).to_be_disabled()
    wait(page)
    found = page.evaluate("detections().map(({ box, score, label }) => [...box, score, label])")
    assert_same(np.array(found).reshape(-1, 6), rows[rows[:, 4] >= job.score])


def test_it_is_small_and_answers_soon(trained, page):
    assert trained[2].stat().st_size < 3_000_000
    times = page.evaluate(
        """async () => {
            const times = [], input = images.normalize(shown, [0, 0, 0], [1, 1, 1]);
            const time = (done) => network.ask("answer", input, (_, taken) => done(taken), "timed");
            for (let i = 0; i < 10; i++) times.push(await new Promise(time));
            return times;
        }"""
    )
    assert np.median(times) < 1000


def test_thresholds_change_what_is_left_at_once(page):
    wait(page)
    few = page.evaluate("steps.length")
    page.locator("#slider-score").fill("0")
    assert page.evaluate("before.length") == 300
    assert page.evaluate("steps.length") > few
    page.locator("#slider-iou").fill("1")
    assert page.evaluate("steps.length") == 100  # nothing goes, and so many count
    assert page.locator("#rows tr").count() <= 100


def test_suppression_goes_step_by_step(page):
    page.locator("#slider-score").fill("0")
    page.locator("#slider-step").fill("0")
    assert "300 boxes" in page.inner_text("#step-text")
    page.locator("#slider-step").fill("1")
    assert page.inner_text("#step-text").startswith("Kept: ")
    gone = page.evaluate("steps.flatMap(({ removed }) => removed).every(({ iou }) => iou > 0.5)")
    assert gone


def test_a_cell_says_what_its_anchors_and_classes_are(page):
    page.locator("#scene").hover(position={"x": 5, "y": 5})
    assert page.inner_text("#cell-title") == "The cell in row 1, column 1"
    expect(page.locator("#anchors li")).to_have_count(5)
    expect(page.locator("#probabilities li")).to_have_count(10)
    page.focus("#scene")
    page.keyboard.press("ArrowRight")
    page.keyboard.press("ArrowDown")
    page.keyboard.press("ArrowDown")
    assert page.inner_text("#cell-title") == "The cell in row 3, column 2"
    shares = page.evaluate("said[33].probabilities")
    assert sum(shares) == pytest.approx(1)


def test_it_speaks_korean_and_has_no_serious_fault_of_access(page):
    page.click("#language")
    assert page.inner_text("#found-title") == "찾은 물체"
    for scheme in ("light", "dark"):
        page.emulate_media(color_scheme=scheme)
        assert_accessible(page)


def test_a_small_screen_has_no_sideways_scrolling(page):
    page.set_viewport_size({"width": 360, "height": 700})
    assert page.evaluate("document.documentElement.scrollWidth") <= 360
