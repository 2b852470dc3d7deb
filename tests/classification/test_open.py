"""`open`: a run becomes a page; what the page does is tested in a browser."""

import json
import re

import pytest

from common.errors import RunError
from common.runs.conclude import conclusion_of
from labs.classification.config import ClassificationConfig
from labs.classification.job import ClassifyImages
from labs.classification.live.view import write
from tests.silent import Silent

SMALL = {"data": "digits", "limit": 120, "epochs": 2, "device": "cpu", "threads": 1}


def train(folder, **options):
    config = ClassificationConfig(run_dir=str(folder), name="run", **{**SMALL, **options})
    job, splits = ClassifyImages.start(config, ["train"])
    job.train(splits, Silent(), lambda line: None)
    conclusion_of(job).conclude(splits, prepared=0.0)
    return job


@pytest.fixture(scope="module")
def trained(tmp_path_factory, quick_pictures):
    return train(tmp_path_factory.mktemp("runs"), model="mlp")


def data_of(page):
    return json.loads(re.search(r'id="data">(.*?)</script>', page, re.DOTALL)[1])


def test_the_command_writes_one_page_that_asks_for_nothing(trained, lab, tmp_path):
    path = tmp_path / "page.html"
    result = lab("open", trained.run.path, "--output", path)
    assert result.code == 0, result.err
    assert f"Page: {path}" in result.out
    page = path.read_text("utf-8")
    assert "default-src 'none'" in page
    assert not re.search(r"(src|href)=[\"']?(https?:)?//", page)
    found = data_of(page)
    assert found["classes"] == [*"0123456789"]
    assert [step["operation"] for step in found["program"]["steps"]] == [
        *("reshape", "linear", "activation", "linear", "activation", "linear")
    ]
    assert [sample["name"] for sample in found["samples"]][:3] == ["0", "1", "2"]


def test_both_languages_have_each_text(trained, tmp_path):
    write(trained, tmp_path / "page.html")
    page = (tmp_path / "page.html").read_text("utf-8")
    texts = json.loads(re.search(r"const texts = (\{.*\});", page)[1])
    assert all(each["en"] and each["ko"] for each in texts.values())
    used = {*re.findall(r'data-(?:t|label)="([^"]+)"', page), *re.findall(r'say\("([\w-]+)"', page)}
    assert used - {"op-"} <= texts.keys()


def test_a_network_that_is_too_large_is_refused_with_what_can_be_opened(tmp_path):
    config = ClassificationConfig(
        run_dir=str(tmp_path), name="run", model="vgg11", image_size=32, **SMALL
    )
    job, _ = ClassifyImages.start(config, ["train"])
    with pytest.raises(RunError, match=r"9,\d+,\d+ weights.*lenet5 or resnet20"):
        write(job, tmp_path / "page.html")
