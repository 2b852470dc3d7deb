"""`open`: a run becomes a page; what the page does is tested in a browser."""

import base64
import json
import re

import numpy as np
import pytest

from common.errors import RunError
from labs.detection.config import DetectionConfig
from labs.detection.job import Detector
from labs.detection.live import view


@pytest.fixture(scope="module")
def begun(tmp_path_factory):
    """A run that has not learned yet, with the score that it would show boxes from."""
    folder = tmp_path_factory.mktemp("runs")
    config = DetectionConfig(run_dir=str(folder), name="run", limit=20, device="cpu", threads=1)
    job, splits = Detector.start(config, ["train"])
    job.score = 0.25
    return job, splits


@pytest.fixture(scope="module")
def page(begun, tmp_path_factory):
    path = tmp_path_factory.mktemp("page") / "open.html"
    view.write(begun[0], path)
    return path.read_text("utf-8")


def data_of(page):
    return json.loads(re.search(r'id="data">(.*?)</script>', page, re.DOTALL)[1])


def test_a_page_has_the_network_and_asks_for_nothing(begun, page):
    job, _ = begun
    found = data_of(page)
    assert "default-src 'none'" in page
    assert not re.search(r"(src|href)=[\"']?(https?:)?//", page)
    assert found["program"]["steps"][-1]["weights"]["weight"]["shape"] == [5 * 5 + 10, 128, 1, 1]
    np.testing.assert_allclose(found["anchors"], job.card.anchors, rtol=1e-6)
    assert (found["score"], found["same"], found["stride"]) == (0.25, 0.5, 8)


def test_scenes_are_there_with_their_true_boxes(begun, page):
    test, samples = begun[1]["test"], data_of(page)["samples"]
    assert len(samples) == min(len(test), 12)
    pixels = np.frombuffer(base64.b64decode(samples[0]["pixels"]), np.uint8)
    np.testing.assert_array_equal(pixels.reshape(128, 128, 3), test.image(0).permute(1, 2, 0))
    np.testing.assert_allclose(samples[0]["boxes"], test.boxes[0][:, :5])


def test_both_languages_have_each_text(page):
    texts = json.loads(re.search(r"const texts = (\{.*\});", page)[1])
    assert all(each["en"] and each["ko"] for each in texts.values())
    used = {*re.findall(r'data-(?:t|label)="([^"]+)"', page), *re.findall(r'say\("([\w-]+)"', page)}
    assert used <= texts.keys()


def test_another_detector_is_refused_with_what_can_be_opened(tmp_path):
    config = DetectionConfig(
        run_dir=str(tmp_path), name="run", limit=20, device="cpu", model="localizer"
    )
    job, _ = Detector.for_config(config).start(config, ["train"])
    with pytest.raises(RunError, match="cannot run localizer; it runs tiny-yolo"):
        view.write(job, tmp_path / "open.html")
