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


@pytest.mark.parametrize("group", ["person", "auto", "none"])
def test_a_photo_stays_whole_however_it_is_called_and_whosever_parts_it_has(table, group):
    (table.parent / "link.png").symlink_to(table.parent / "photos" / "0.png")
    head, *rows = table.read_text().splitlines()
    forms = ("./{}", "photos/../{}", "{}")
    rows = [forms[at % 3].format(row) + f",{at}" for at, row in enumerate(rows)]
    rows[0] = rows[0].replace("./photos/0.png", "link.png")
    table.write_text("\n".join([f"{head},person", *rows]))
    config = ImageConfig(
        data=str(table), crop_column=("x", "y", "w", "h"), image_size=8, group_column=group
    )
    sides = [
        {name.split(" ")[0].rpartition("/")[2].replace("link", "0") for name in part.names}
        for part in load(config)[0].values()
    ]
    assert sum(map(len, sides)) == 12


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


@pytest.fixture
def boxes(table):
    """Write the same parts in a table of boxes, beside a table of images and their folders."""
    lines = [line.split(",") for line in table.read_text().splitlines()[1:]]
    path = table.with_name("parts.csv")
    path.write_text("\n".join(["image,x,y,w,h", *(",".join([r[0], *r[2:]]) for r in lines)]))
    rows = [f"{r[0]},{'ab'[int(r[0][7:-4]) % 2]}" for r in lines[::2]]
    table.with_name("images.csv").write_text("\n".join(["path,label", *rows]))
    for number in range(12):
        place = table.parent / "folders" / "ab"[number % 2] / f"{number}.png"
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_bytes((table.parent / "photos" / f"{number}.png").read_bytes())
    return path


@pytest.mark.parametrize("data", ["images.csv", "folders"])
def test_each_box_of_an_image_is_a_sample_of_its_class(boxes, data):
    if data == "folders":
        boxes.write_text(boxes.read_text().replace("photos/", ""))
    config = ImageConfig(data=str(boxes.parent / data), crop_boxes=str(boxes), image_size=8)
    splits, card = load(config)
    assert sum(card.counts.values()) == 24
    assert card.source.endswith("24 images in 2 classes")
    for part in splits.values():
        photos = [name.split(" ")[0] for name in part.names]
        assert all(photos.count(name) == 2 for name in photos)
        for row, name in enumerate(part.names):
            number, left = int(name.split(".")[0].rpartition("/")[2]), name.split(" ")[1][0]
            assert int(part.targets[row]) == number % 2
            assert part.images[row].unique().tolist() == [
                20 + number if left == "0" else 230 - number
            ]


def test_what_cannot_be_matched_is_named_and_other_columns_may_hold_boxes(boxes):
    text = boxes.read_text().replace("image,x,y,w,h", "파일,왼,위,폭,높이")
    kept = [line for line in text.splitlines() if not line.startswith("photos/5.png")]
    kept = [line for line in kept if "/7.png,0" not in line]  # a photo with one box, not two
    more = ["photos/99.png,0,0,5,5", "folders/a/0.png,0,0,5,5", "photos/5.png,,,,", kept[1]]
    boxes.write_text("\n".join([*kept, *more]), encoding="cp949")
    crop = ("왼", "위", "폭", "높이")
    config = ImageConfig(
        data=str(boxes.parent / "images.csv"), crop_boxes=str(boxes), crop_column=crop
    )
    _, card = load(config)
    assert sum(card.counts.values()) == 21
    assert "boxes of parts.csv (1 of other images)" in card.source
    assert {(place, why.partition(":")[0]) for place, why in card.skipped} == {
        ("parts.csv:23", "no such image file"),
        ("photos/5.png", "no box in parts.csv"),
    }


@pytest.mark.parametrize(
    ("old", "new", "problem"),
    [
        ("0,0,10,10", "20,0,10,10", r"parts.csv, line 2: the crop 20,0,10,10 .* photos/0.png"),
        ("0,0,10,10", "0,,10,10", r"parts.csv, line 2: 0,,10,10 is no crop"),
        ("x,y", "left,top", "has these columns: image, left, top, w, h; .*--crop-column"),
        ("photos/", "elsewhere/", "none of its 24 boxes is of an image of .*none for whole images"),
    ],
)
def test_wrong_boxes_are_one_error(boxes, old, new, problem):
    boxes.write_text(boxes.read_text().replace(old, new, 24 if "/" in old else 1))
    with pytest.raises(DataError, match=problem):
        load(ImageConfig(data=str(boxes.parent / "images.csv"), crop_boxes=str(boxes)))


def test_boxes_of_coco_are_no_table(boxes):
    coco = boxes.with_name("coco.json")
    coco.write_text('{"images": [], "annotations": []}')
    with pytest.raises(DataError, match="has these columns: none; expected a table"):
        load(ImageConfig(data=str(boxes.parent / "images.csv"), crop_boxes=str(coco)))


def test_a_run_takes_its_boxes_everywhere(boxes, lab, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    words = ("--data", "images.csv", "--crop-boxes", "parts.csv", *QUICK, "--image-size", 8)
    assert lab("train", *words, "--run-dir", "runs").code == 0
    run = newest_run(tmp_path / "runs")
    for inputs, name in ((["images.csv"], "photos/0.png 0,0,10,10"), (["photos"], "0,0,10,10")):
        said = lab("predict", run, *inputs, "--top", 1, "--format", "csv")
        assert said.code == 0, said.err
        rows = list(csv.DictReader(io.StringIO(said.out)))
        assert len(rows) == 24
        assert rows[0]["path"].endswith(name)
    whole = lab("predict", run, "photos", "--crop-boxes", "none", "--top", 1, "--format", "csv")
    assert len(list(csv.DictReader(io.StringIO(whole.out)))) == 12
    measured = lab("evaluate", run, "--data", "images.csv")
    assert "24" in measured.out, measured
    for data, said in (("digits", "files of images"), ("nothing.csv", "no such folder or file")):
        done = lab("train", "--data", data, "--crop-boxes", "parts.csv", "--run-dir", "no")
        assert done.code == 2
        assert said in done.err
    done = lab("train", "--data", "images.csv", "--crop-boxes", "part.csv", "--run-dir", "no")
    assert done.code == 2
    assert "table of boxes" in done.err
    assert "Did you mean 'parts.csv'?" in done.err
    assert not (tmp_path / "no").exists()
