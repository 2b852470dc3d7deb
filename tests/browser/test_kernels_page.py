"""The page of image kernels, used as a person uses it."""

import numpy as np
import pytest
import torch
from axe_playwright_python.sync_playwright import Axe
from PIL import Image
from playwright.sync_api import expect
from torch.nn import functional

from labs.classification.config import ClassificationConfig
from labs.classification.job import ClassifyImages
from labs.classification.kernels.page import first_convolution, write
from labs.classification.kernels.table import KERNELS
from tests.silent import Silent


@pytest.fixture(scope="module", params=["grey", "color"])
def trained(request, tmp_path_factory):
    """A short run, of kernels of 5 x 5 on grey images or of 3 x 3 on color, and its page."""
    folder = tmp_path_factory.mktemp("runs")
    options = {"data": "digits", "limit": 120, "model": "lenet5"}
    if request.param == "color":
        generator = np.random.default_rng(0)
        for number in range(24):
            path = folder / "photos" / "ab"[number % 2] / f"{number}.png"
            path.parent.mkdir(parents=True, exist_ok=True)
            Image.fromarray(generator.integers(0, 256, (32, 32, 3), np.uint8)).save(path)
        options = {"data": str(folder / "photos"), "model": "resnet20", "image_size": 32}
    options |= {"epochs": 1, "device": "cpu", "threads": 1, "batch_size": 8}
    config = ClassificationConfig(run_dir=str(folder), name="run", **options)
    job, splits = ClassifyImages.start(config, ["train"])
    job.train(splits, Silent(), lambda line: None)
    write(folder / "kernels.html", job, None)
    return job, folder / "kernels.html"


@pytest.fixture
def page(trained, visit):
    page = visit(trained[1])
    expect(page.locator("#size")).not_to_be_empty()
    return page


def numbers(page, name):
    """Return what the page computes with, and what comes out of it."""
    found = page.evaluate(f"() => [{name}.shape, Array.from({name}.data)]")
    return torch.tensor(found[1], dtype=torch.float32).view(found[0])


@pytest.mark.parametrize("stride", [1, 2])
def test_kernels_compute_what_torch_does(page, stride):
    page.select_option("#stride", str(stride))
    page.select_option("#padding", "2")
    for name, kernel in KERNELS.items():
        page.click(f"[data-kernel={name}]")
        inputs = numbers(page, "input")
        weight = torch.tensor(kernel, dtype=torch.float32).expand(len(inputs), 1, 3, 3)
        expected = functional.conv2d(inputs[None], weight, None, stride, 2, 1, len(inputs))[0]
        torch.testing.assert_close(numbers(page, "output"), expected, rtol=1e-4, atol=1e-3)


def test_learned_kernels_compute_what_the_run_does(page, trained):
    job, _ = trained
    _, first = first_convolution(job)
    page.select_option("#pictures", "1")
    for which in (0, first.out_channels - 1):
        page.click(f"[data-kernel=learned-{which}]")
        with torch.no_grad():
            expected = first.cpu()(numbers(page, "input")[None])[0, which : which + 1]
        torch.testing.assert_close(numbers(page, "output"), expected, rtol=1e-4, atol=1e-4)


def test_the_sum_that_is_written_out_is_the_number_that_comes_out(page):
    for kernel in ("sobel-x", "gaussian", "learned-1"):
        page.click(f"[data-kernel={kernel}]")
        page.locator("#result").click(position={"x": 60, "y": 40})
        value = float(page.get_attribute("#total", "data-value"))
        said = page.inner_text("#total").rpartition("= ")[2].partition(" ")[0]
        assert float(said.replace("−", "-")) == pytest.approx(value, abs=0.06)
        size = page.evaluate("() => kernel.size[0] * kernel.size[1]")
        maps = page.evaluate("() => (kernel.number === undefined ? 1 : input.shape[0])")
        assert page.locator("#written td").count() == size * maps


def test_ones_own_kernel_its_divisor_and_bias(page):
    page.click("[data-kernel=own]")
    for cell in range(9):
        page.fill(f"#weight-{cell}", "2")
    page.check("#normalize")
    page.fill("#slider-bias", "10")
    inputs = numbers(page, "input")
    expected = functional.avg_pool2d(inputs[None], 3, 1, 1)[0] + 10
    torch.testing.assert_close(numbers(page, "output"), expected, rtol=1e-4, atol=1e-3)
    assert page.inner_text("#about")


def test_arrow_keys_move_the_pixel_and_edges_are_zero(page):
    page.click("[data-kernel=sobel-x]")
    page.focus("#result")
    before = page.inner_text("#place")
    page.keyboard.press("ArrowLeft")
    assert page.inner_text("#place") != before
    for _ in range(40):
        page.keyboard.press("Shift+ArrowUp")
        page.keyboard.press("Shift+ArrowLeft")
    assert page.inner_text("#place").startswith("Row 0, column 0")
    assert page.locator("#written td").first.inner_text().startswith("0 ×")


def test_a_file_of_ones_own_is_taken_and_what_is_none_is_said(page, tmp_path):
    (tmp_path / "글.png").write_text("no picture")
    page.set_input_files("#file", tmp_path / "글.png")
    expect(page.locator("#note")).to_contain_text("글.png")


def test_it_speaks_korean_and_has_no_fault_that_axe_finds(page):
    assert not Axe().run(page).response["violations"]
    page.click("#language")
    expect(page.locator("#kernel-title")).to_have_text("커널")
    page.set_viewport_size({"width": 360, "height": 740})
    assert page.evaluate("() => document.documentElement.scrollWidth") <= 360
