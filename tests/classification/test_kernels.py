"""`kernels`: the page of image kernels; what it does is tested in a browser."""

import json
import re
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from scipy import ndimage

from common.runs.conclude import conclusion_of
from labs.classification.config import ClassificationConfig
from labs.classification.job import ClassifyImages
from labs.classification.kernels import page as pages
from labs.classification.kernels.table import KERNELS
from tests.silent import Silent

FOLDER = Path(pages.__file__).parent


def train(folder, **options):
    small = {"data": "digits", "limit": 120, "epochs": 1, "device": "cpu", "threads": 1}
    config = ClassificationConfig(run_dir=str(folder), name="run", **{**small, **options})
    job, splits = ClassifyImages.start(config, ["train"])
    job.train(splits, Silent(), lambda line: None)
    conclusion_of(job).conclude(splits, prepared=0.0)
    return job


@pytest.fixture(scope="module")
def trained(tmp_path_factory, quick_pictures):
    return train(tmp_path_factory.mktemp("runs"), model="lenet5", image_size=28)


def data_of(path):
    return json.loads(re.search(r'id="data">(.*?)</script>', path.read_text("utf-8"), re.DOTALL)[1])


def test_without_a_run_it_is_one_page_that_asks_for_nothing(lab, tmp_path):
    path = tmp_path / "page.html"
    result = lab("kernels", "--output", path)
    assert result.code == 0, result.err
    text = path.read_text("utf-8")
    assert "default-src 'none'" in text
    assert not re.search(r"(src|href)=[\"']?(https?:)?//|https?://", text)
    found = data_of(path)
    assert found["learned"] is None
    assert [each["name"] for each in found["pictures"]] == ["photo-temple", "photo-flower", "digit"]
    assert found["kernels"]["sobel-x"] == [[-1, 0, 1], [-2, 0, 2], [-1, 0, 1]]


def test_a_run_gives_its_first_convolution_and_test_images(lab, trained, tmp_path):
    path, photo = tmp_path / "page.html", tmp_path / "사진.png"
    Image.new("RGB", (600, 300), "red").save(photo)
    result = lab("kernels", trained.run.path, "--image", photo, "--output", path)
    assert result.code == 0, result.err
    found = data_of(path)
    name, first = pages.first_convolution(ClassifyImages.open_trained(trained.run.path))
    learned = found["learned"]
    assert learned["name"] == name
    weights = torch.tensor(learned["weights"]).view(learned["shape"])
    torch.testing.assert_close(weights, first.weight.detach())
    assert (learned["stride"], learned["padding"]) == ([*first.stride], [*first.padding])
    assert found["pictures"][0]["label"] == "사진.png"
    assert [each.get("name") for each in found["pictures"]][-1] == "test"


def test_a_run_without_convolutions_is_refused(lab, tmp_path, quick_pictures):
    job = train(tmp_path, model="linear")
    result = lab("kernels", job.run.path, "--output", tmp_path / "page.html")
    assert result.code == 2
    assert "linear has no convolution, and so no kernels" in result.err
    assert not (tmp_path / "page.html").exists()


def test_a_convolution_that_a_page_cannot_show_is_refused(trained):
    job = ClassifyImages.open_trained(trained.run.path)
    job.model = torch.nn.Sequential(torch.nn.Conv2d(1, 2, 3, dilation=2))
    with pytest.raises(Exception, match="is not a plain one over the pixels"):
        pages.first_convolution(job)


def test_a_picture_that_cannot_be_read_is_refused(lab, tmp_path):
    result = lab("kernels", "--image", tmp_path / "none.png", "--output", tmp_path / "page.html")
    assert result.code == 2
    assert "cannot read the image" in result.err


def test_the_kernels_do_what_they_are_called():
    ramp = np.tile(np.arange(8.0), (8, 1))  # brighter to the right by 1 a pixel
    inside = (slice(1, -1), slice(1, -1))

    def apply(name, image):
        return ndimage.correlate(image, KERNELS[name].astype(float))[inside]

    assert np.allclose(apply("sobel-x", ramp), 8)
    assert np.allclose(apply("sobel-y", ramp), 0)
    assert np.allclose(apply("sobel-y", ramp.T), 8)
    assert np.allclose(apply("prewitt-x", ramp), 6)
    assert np.allclose(apply("prewitt-y", ramp.T), 6)
    assert np.allclose(apply("sobel-x", ramp), ndimage.sobel(ramp, 1)[inside])
    noise = np.random.default_rng(0).random((8, 8))
    assert np.allclose(apply("laplacian", noise), ndimage.laplace(noise)[inside])
    assert np.allclose(apply("box", noise), ndimage.uniform_filter(noise, 3)[inside])
    assert np.allclose(apply("identity", noise), noise[inside])
    flat = np.full((8, 8), 3.0)
    for name in ("box", "gaussian", "sharpen", "emboss", "identity"):
        assert np.allclose(apply(name, flat), 3)


def test_every_text_is_there_in_both_languages():
    texts = json.loads((FOLDER / "texts.json").read_text("utf-8"))
    shared = json.loads((FOLDER.parents[2] / "common/live/texts.json").read_text("utf-8"))
    assert all(each["en"] and each["ko"] for each in texts.values())
    view, script = ((FOLDER / name).read_text("utf-8") for name in ("view.html", "view.js"))
    used = {
        *re.findall(r'data-(?:t|label)="([\w-]+)"', view),
        *re.findall(r'say\("([\w-]+)"', script),
    }
    used |= {f"kernel-{name}" for name in (*KERNELS, "own")}
    used |= {f"about-{name}" for name in (*KERNELS, "own")}
    assert used <= {*texts, *shared}
