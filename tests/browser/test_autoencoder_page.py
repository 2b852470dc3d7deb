"""The page of an autoencoder, used as a person uses it."""

import numpy as np
import pytest
import torch
from playwright.sync_api import expect

from labs.autoencoder.config import AutoencoderConfig
from labs.autoencoder.job import Compression
from labs.autoencoder.live.view import write
from labs.autoencoder.names import MODELS
from tests.browser.access import assert_accessible
from tests.silent import Silent

# The browser's answers for images (uint8, channels of a pixel together) and their classes.
ANSWERS = """({ pictures, told }) => {
    const encoder = engine.load(data.encoder), decoder = engine.load(data.decoder);
    return pictures.map((values, i) => {
        const pixels = pixelsOf({ width: size, height: size, channels, data: values });
        const input = conditional ? given(pixels.data, told[i]) : pixels;
        const code = engine.run(encoder, input).pop().data.subarray(0, latents);
        const pictured = engine.run(decoder, given(code, told[i])).pop().data;
        return [Array.from(code), Array.from(pictured)];
    });
}"""


def train(folder, **options):
    config = AutoencoderConfig(
        run_dir=str(folder), name="digits", device="cpu", threads=1, **options
    )
    job, splits = Compression.start(config, ["train"])
    job.train(splits, Silent(), lambda line: None)
    write(job, folder / "open.html")
    return job, splits, folder / "open.html"


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """The default network, after fewer epochs."""
    return train(tmp_path_factory.mktemp("runs"), epochs=2)


@pytest.fixture(scope="module")
def variational(tmp_path_factory):
    """A VAE of two latents."""
    return train(
        tmp_path_factory.mktemp("runs"), model="vae", loss="bce", latent_size=2, epochs=2, width=8
    )


def visit_run(visit, run):
    page = visit(run[2])
    expect(page.locator("#error")).not_to_be_empty()
    return page


@pytest.fixture
def page(trained, visit):
    return visit_run(visit, trained)


def wait(page):
    """Wait until both networks have answered what was asked last."""
    for name in ("encoder", "decoder", "decoder"):
        page.evaluate(f"() => new Promise((done) => {name}.ask('idle', null, done))")


def test_it_gives_back_of_test_images_what_the_run_gives_back(page, trained):
    job, splits, path = trained
    assert path.stat().st_size < 3e6
    inputs = splits["test"].images[:100]
    expected = job.answers(inputs)
    pictures = inputs.permute(0, 2, 3, 1).flatten(1).tolist()
    found = page.evaluate(ANSWERS, {"pictures": pictures, "told": [-1] * 100})
    codes, outputs = (torch.tensor([each[place] for each in found]) for place in (0, 1))
    # A pixel has 256 levels: half of one.
    torch.testing.assert_close(outputs, expected["outputs"].flatten(1), rtol=0, atol=0.5 / 255)
    torch.testing.assert_close(codes, expected["latents"], rtol=1e-3, atol=2e-3)


@pytest.mark.parametrize("model", MODELS)
def test_every_model_says_what_torch_says(visit, tmp_path, model):
    options = {"loss": "bce"} if "vae" in model else {}
    job, splits, path = train(
        tmp_path, data="digits", limit=200, epochs=1, model=model, latent_size=6, width=4, **options
    )
    page = visit_run(visit, (job, splits, path))
    inputs, told = splits["test"].images[:5], splits["test"].targets[:5]
    expected = job.answers(inputs, told if job.conditional else None)
    pictures = inputs.permute(0, 2, 3, 1).flatten(1).tolist()
    found = page.evaluate(ANSWERS, {"pictures": pictures, "told": told.tolist()})
    codes, outputs = (torch.tensor([each[place] for each in found]) for place in (0, 1))
    torch.testing.assert_close(codes, expected["latents"], rtol=1e-4, atol=1e-4)
    torch.testing.assert_close(outputs, expected["outputs"].flatten(1), rtol=1e-4, atol=1e-4)


def test_it_answers_at_once(page):
    wait(page)
    times = page.evaluate(
        """async () => {
            const times = [];
            for (let i = 0; i < 20; i++) {
                const start = performance.now();
                await new Promise((done) => encoder.ask("answer", encoded(clean), done, "timed"));
                await new Promise((done) => decoder.ask("answer", given(own), done, "timed"));
                times.push(performance.now() - start);
            }
            return times;
        }"""
    )
    assert np.median(times) < 200


def test_a_slider_decodes_live_and_the_way_back_is_there(page):
    wait(page)
    before = page.evaluate("find('decoded').toDataURL()")
    first = page.locator("#latents input").first
    first.fill(first.get_attribute("max"))
    wait(page)
    assert page.evaluate("find('decoded').toDataURL()") != before
    page.click("#return")
    wait(page)
    assert page.evaluate("find('decoded').toDataURL()") == before
    expect(page.locator("#latents input")).to_have_count(12)
    assert "20 more" in page.inner_text("#more-title")


def test_a_pointer_on_the_map_decodes_and_a_click_keeps_it(page):
    wait(page)
    own = page.evaluate("own")
    page.locator("#map").scroll_into_view_if_needed()
    page.locator("#map").hover(position={"x": 60, "y": 60})
    wait(page)
    there = page.evaluate("code")
    assert there != own
    assert "nearest test image" in page.inner_text("#map-text")
    page.mouse.move(5, 5)
    assert page.evaluate("code") == own
    page.locator("#map").click(position={"x": 60, "y": 60})
    page.mouse.move(5, 5)
    np.testing.assert_allclose(page.evaluate("code"), there, atol=1e-4)
    # What the pointer does not move stays: the change is within the plane of two components.
    moved = np.subtract(there, own)
    plane = np.array(page.evaluate("directions"))
    np.testing.assert_allclose(moved, moved @ plane.T @ plane, atol=1e-3)


def test_arrow_keys_move_on_the_map(page):
    wait(page)
    page.focus("#map")
    before = page.evaluate("cursor")
    page.keyboard.press("ArrowRight")
    after = page.evaluate("cursor")
    assert after[0] > before[0]
    assert after[1] == pytest.approx(before[1])


def test_a_test_image_is_decoded_where_it_lies_among_two_latents(visit, variational):
    page = visit_run(visit, variational)
    wait(page)
    job, splits, _ = variational
    assert page.input_value("#mode") == "latents"
    latents = job.answers(splits["test"].images[:1])["latents"][0]
    np.testing.assert_allclose(page.evaluate("[points[0][0], points[0][1]]"), latents, atol=1e-4)
    page.check("#plane")
    wait(page)
    assert page.evaluate("plane.length") == 121


def test_samples_are_drawn_from_a_seed_and_can_be_taken(visit, variational):
    page = visit_run(visit, variational)
    wait(page)
    first = page.evaluate("drawn.map(({ button }) => button.code)")
    page.click("#draw-samples")
    assert page.inner_text("#seed") == "seed 1"
    other = page.evaluate("drawn.map(({ button }) => button.code)")
    assert first != other
    page.locator("#drawn button").first.click()
    assert page.evaluate("code") == other[0]
    values = np.array(
        page.evaluate("(() => { const n = normals(3); return Array.from({ length: 4000 }, n); })()")
    )
    assert abs(values.mean()) < 0.06
    assert abs(values.std() - 1) < 0.05
    assert "±" in page.inner_text("#latents") or page.click("#return") is None


def test_a_walk_goes_from_one_code_to_another(page):
    wait(page)
    page.click("#walk-from")
    page.locator("#samples button").nth(3).click()
    wait(page)
    page.click("#walk-to")
    page.locator("#slider-way").fill("100")
    end = page.evaluate("walk.to")
    np.testing.assert_allclose(page.evaluate("code"), end)
    expect(page.locator("#strip canvas")).to_have_count(9)


def test_it_speaks_korean_and_has_no_serious_fault_of_access(page):
    page.click("#language")
    assert page.inner_text("#back-title") == "되돌아온 그림"
    wait(page)
    for scheme in ("light", "dark"):
        page.emulate_media(color_scheme=scheme)
        assert_accessible(page)


def test_a_small_screen_has_no_sideways_scrolling(page):
    page.set_viewport_size({"width": 360, "height": 700})
    assert page.evaluate("document.documentElement.scrollWidth") <= 360
