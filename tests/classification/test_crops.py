"""Parts of images as samples: trained on, measured and predicted alike."""

import csv
import io
import json

import numpy as np
import pytest
from PIL import Image

from common.errors import DataError
from common.images.glance import glance
from common.images.load import load
from common.options.config import ImageConfig
from tests.classification.conftest import newest_run

BOXES = {"dark": "0,0,10,10", "bright": "10,2,12,12"}
QUICK = ("--model", "linear", "--augment", "none", "--epochs", "8", "--warmup", "0")
CROP = ("--crop-column", "x,y,w,h")


@pytest.fixture
def table(tmp_path):
    """Write twelve photos with a dark part and a bright one, and a table with a row for each."""
    noise, rows = np.random.default_rng(0), []
    for number in range(12):
        pixels = noise.integers(90, 160, (16, 24), np.uint8)
        pixels[:10, :10], pixels[2:14, 10:22] = 20 + number, 230 - number
        (tmp_path / "photos").mkdir(exist_ok=True)
        Image.fromarray(pixels).save(tmp_path / "photos" / f"{number}.png")
        rows += [f"photos/{number}.png,{label},{box}" for label, box in BOXES.items()]
    path = tmp_path / "boxes.csv"
    path.write_text("\n".join(["path,label,x,y,w,h", *rows]))
    return path


@pytest.mark.parametrize("decoding", ["memory", "cache", "stream"])
def test_a_sample_is_the_part_of_its_row(table, decoding, tmp_path, monkeypatch):
    monkeypatch.setenv("LABS_CACHE", str(tmp_path / "cache"))
    crop = ("x", "y", "w", "h")
    config = ImageConfig(data=str(table), crop_column=crop, image_size=8, decoding=decoding)
    splits, card = load(config)
    assert sum(card.counts.values()) == 24
    for part in splits.values():
        photos = [name.split(" ")[0] for name in part.names]
        assert all(photos.count(name) == 2 for name in photos)  # both parts on one side
        for row, name in enumerate(part.names):
            number, label = int(name.split("/")[1].split(".")[0]), int(part.targets[row])
            level = [230 - number, 20 + number][label]
            assert card.classes[label] == ["bright", "dark"][label]
            assert part.images[row].unique().tolist() == [level]


def test_what_is_chosen_goes_by_the_parts(table):
    config = ImageConfig(data=str(table), crop_column=("x", "y", "w", "h"))
    found = glance(config)
    assert (found.total, found.side, found.lost) == (24, 11, 0)


def test_a_run_predicts_and_is_measured_by_the_parts_of_a_table(table, lab, tmp_path):
    done = lab("train", "--data", table, *CROP, *QUICK, "--image-size", 8, "--run-dir", tmp_path)
    assert done.code == 0, done.err
    run = newest_run(tmp_path)
    other = tmp_path / "test.csv"
    lines = [line.split(",") for line in table.read_text().splitlines()]
    other.write_text("\n".join(",".join([line[0], "", *line[2:]]) for line in lines))
    for path in (table, other):  # labels, or cells that lack them, do not matter
        said = lab("predict", run, path, "--top", 1, "--format", "csv")
        assert said.code == 0, said.err
        rows = list(csv.DictReader(io.StringIO(said.out)))
        assert [row["class"] for row in rows] == ["dark", "bright"] * 12
        assert rows[1]["path"] == "photos/0.png 10,2,12,12"
    measured = lab("evaluate", run, "--data", table)
    assert "1.0000" in measured.out, measured
    assert json.loads((run / "metrics.json").read_text())["test"]["accuracy"] == 1
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    moved = elsewhere / "moved.csv"
    moved.write_text(table.read_text())
    said = lab("predict", run, moved, "--image-dir", tmp_path, "--format", "csv")
    assert said.code == 0, said.err


@pytest.mark.parametrize(
    ("box", "problem"),
    [
        ("20,0,10,10", "line 2: the crop 20,0,10,10 .* lies outside of photos/0.png, .* 24 x 16"),
        ("0,-1,10,10", "line 2: the crop 0,-1,10,10"),
        ("0,0,0,10", "line 2: the crop 0,0,0,10"),
        ("0,0,ten,10", "line 2: 0,0,ten,10 is no crop: four numbers"),
        (",,,", "line 2: ,,, is no crop: four numbers"),
    ],
)
def test_a_part_outside_of_its_image_is_one_error(table, box, problem):
    table.write_text(table.read_text().replace(BOXES["dark"], box, 1))
    with pytest.raises(DataError, match=problem):
        load(ImageConfig(data=str(table), crop_column=("x", "y", "w", "h")))


def test_crops_are_four_columns_of_a_table(lab, tmp_path):
    done = lab("train", "--crop-column", "x,y", "--run-dir", tmp_path)
    assert "--crop-column: expected four columns, such as x,y,w,h" in done.err
    done = lab("train", "--data", "digits", *CROP, "--run-dir", tmp_path)
    assert done.code == 2
    assert "--crop-column: goes with a table" in done.err
