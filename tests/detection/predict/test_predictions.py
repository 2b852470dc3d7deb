"""What a run finds in a user's photos and videos: drawn, as JSON, CSV and YOLO txt, and faults."""

import csv
import dataclasses
import json
import unicodedata

import numpy as np
import pytest
import torch
from PIL import Image, ImageDraw

from common.errors import DataError
from common.submission.sample import Sample
from common.training import checkpoint
from labs.detection.boxes import keep_inside
from labs.detection.config import DetectionConfig
from labs.detection.job import Detector
from labs.detection.predict import predictions, video
from labs.detection.predict.drawing import draw
from labs.detection.predict.submission import BoxSubmission
from labs.detection.task import detections

CLASSES = ("빨강", "blue")
ALL = predictions.FORMATS


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """Return the folder of a run that has learned nothing, and the scenes that it knows."""
    folder = tmp_path_factory.mktemp("runs")
    config = DetectionConfig(limit=20, run_dir=str(folder), name="run")
    job, splits = Detector.start(config, [])
    checkpoint.save(job.run.best, dict(job.model.state_dict()), json.dumps({"row": {}}))
    job.run.write("metrics", {"validation": {"score_threshold": 0.001}})
    return job.run.path, splits


@pytest.fixture
def job(run):
    job = Detector.reopen(run[0])
    job.load_best()
    return job


class FindsColors:
    """Stands for a network that knows its job: finds what is red (0.9) and blue (0.6)."""

    def __call__(self, model, images):
        red, green, blue = images.unbind(1)
        rows = []
        for masks in zip((red - blue) > 0.5, (blue - red) > 0.5, strict=True):
            found = []
            for label, mask in enumerate(masks):
                y, x = mask.nonzero(as_tuple=True)
                if len(x):
                    box = [x.min(), y.min(), x.max() + 1, y.max() + 1, 0.9 - 0.3 * label, label]
                    found.append(torch.tensor([float(value) for value in box]))
            rows.append(torch.stack(found) if found else torch.zeros(0, 6))
        return detections(rows)


@pytest.fixture
def finder(job, monkeypatch):
    """Return a job that finds colored rectangles."""
    monkeypatch.setattr(job.detection, "detect", FindsColors())
    job.card = dataclasses.replace(job.card, classes=CLASSES)
    return job


def photo(path, size=(400, 300), red=(100, 60, 220, 150), blue=None):
    path.parent.mkdir(parents=True, exist_ok=True)
    picture = Image.new("RGB", size, (90, 90, 90))
    for box, color in ((red, "#ff0000"), (blue, "#0000ff")):
        if box:
            x1, y1, x2, y2 = box
            ImageDraw.Draw(picture).rectangle((x1, y1, x2 - 1, y2 - 1), fill=color)
    picture.save(path)
    return path


def predict(job, paths, output, formats=ALL, score=None):
    said = []
    found = predictions.predict(job, paths, output, formats, score, said.append)
    return found, said


# Where the boxes are


@pytest.mark.parametrize(
    ("size", "red"),
    [
        ((400, 300), (100, 60, 220, 150)),
        ((300, 400), (0, 310, 80, 400)),
        ((64, 48), (10, 8, 30, 40)),
        ((1600, 200), (1200, 40, 1600, 200)),
        ((2000, 3000), (500, 900, 1500, 2100)),
        ((1, 1), (0, 0, 1, 1)),
    ],
)
def test_boxes_are_in_pixels_of_the_photo(size, red, finder, tmp_path):
    [found], said = predict(finder, [photo(tmp_path / "a.png", size, red)], tmp_path / "out")
    pixel = max(size) / finder.card.image_size  # of the square, in pixels of the photo
    assert found.boxes[0, :4].tolist() == pytest.approx(red, abs=pixel)
    assert found.size == (size[1], size[0])
    corners = found.boxes[:, :4]
    assert (corners >= 0).all()
    assert (corners <= torch.tensor([size[0], size[1]] * 2)).all()
    assert said == []


def test_boxes_are_cut_off_at_the_border_and_dropped_outside():
    boxes = torch.tensor([[-5.0, 2, 8, 30, 0.9, 1], [-9, -9, -1, -1, 0.8, 0], [3, 3, 3, 9, 0.7, 0]])
    assert keep_inside(boxes, 20, 10).tolist() == [
        [0, 2, 8, 20, pytest.approx(0.9), 1],
    ]


def test_a_scene_gets_what_the_evaluation_finds_in_it(run, job, tmp_path):
    test = run[1]["test"]
    expected = job.predict_splits(run[1], ["test"])["test"]["detections"]
    paths = []
    for row in range(len(test)):
        paths.append(tmp_path / f"{row}.png")
        Image.fromarray(test.image(row).permute(1, 2, 0).numpy()).save(paths[-1])
    found, _ = predict(job, paths, tmp_path / "out", ("json",), 0.0)
    assert len(found) == len(test)
    for each, rows in zip(found, expected, strict=True):
        rows = keep_inside(rows[rows[:, 5] >= 0], 128, 128)
        torch.testing.assert_close(each.boxes, rows, atol=1e-4, rtol=1e-4)
        assert (each.boxes[:, 4].diff() <= 0).all()


def test_the_score_from_validation_or_the_option_says_what_is_told(finder, tmp_path):
    path = photo(tmp_path / "a.png", blue=(10, 10, 60, 60))
    labels = {}
    for score in (None, 0.0, 0.59, 0.7, 0.95):
        [found], _ = predict(finder, [path], tmp_path / "out", ("json",), score)
        labels[score] = found.boxes[:, 5].tolist()
    assert labels == {None: [0, 1], 0.0: [0, 1], 0.59: [0, 1], 0.7: [0], 0.95: []}


def test_many_photos_are_read_in_pieces(finder, tmp_path, monkeypatch):
    boxes = [(10 * n, 20, 10 * n + 90, 120) for n in range(7)]
    for number, red in enumerate(boxes):
        photo(tmp_path / f"{number}.png", red=red)
    monkeypatch.setattr(predictions, "_BATCH", 3)
    found, _ = predict(finder, [tmp_path], tmp_path / "out", ("json",))
    assert [each.file.name for each in found] == [f"{number}.png" for number in range(7)]
    for each, red in zip(found, boxes, strict=True):
        assert each.boxes[0, :4].tolist() == pytest.approx(red, abs=4)


# What is written


def test_json_csv_and_yolo_say_the_same(finder, tmp_path):
    photo(tmp_path / "in/a.png", blue=(300, 200, 400, 300))
    photo(tmp_path / "in/없음.png", red=None)
    found, _ = predict(finder, [tmp_path / "in"], tmp_path / "out")
    values = json.loads((tmp_path / "out/predictions.json").read_text("utf-8"))
    assert [row["file"] for row in values] == [str(each.file) for each in found]
    assert [(row["width"], row["height"]) for row in values] == [(400, 300)] * 2
    assert [[box["class"] for box in row["boxes"]] for row in values] == [["빨강", "blue"], []]
    text = (tmp_path / "out/predictions.csv").read_text("utf-8")
    rows = list(csv.DictReader(text.splitlines()))
    flat = [
        {
            "file": row["file"],
            "frame": "",
            "seconds": "",
            "class": box["class"],
            "number": str(box["number"]),
            "score": str(box["score"]),
            **dict(zip(("x1", "y1", "x2", "y2"), map(str, box["xyxy"]), strict=True)),
        }
        for row in values
        for box in row["boxes"]
    ]
    assert rows == flat
    lines = (tmp_path / "out/yolo/a.txt").read_text().splitlines()
    for line, box in zip(lines, values[0]["boxes"], strict=True):
        number, x, y, width, height, score = map(float, line.split())
        corners = np.array([x - width / 2, y - height / 2, x + width / 2, y + height / 2])
        assert corners * [400, 300, 400, 300] == pytest.approx(box["xyxy"], abs=0.01)
        assert (number, score) == (box["number"], pytest.approx(box["score"], abs=1e-6))
    assert (tmp_path / "out/yolo/없음.txt").read_text() == ""


@pytest.mark.parametrize(
    ("form", "made"),
    [
        ("json", "predictions.json"),
        ("csv", "predictions.csv"),
        ("yolo", "yolo"),
        ("drawn", "drawn"),
    ],
)
def test_only_what_is_asked_for_is_written(form, made, finder, tmp_path):
    predict(finder, [photo(tmp_path / "a.png")], tmp_path / "out", (form,))
    assert [entry.name for entry in (tmp_path / "out").iterdir()] == [made]


def test_photos_of_one_name_do_not_overwrite_each_other(finder, tmp_path):
    names = ["하나/a.png", "둘/a.png", "둘/A.PNG", "둘/a.jpg", "둘/b/a.png"]
    for number, name in enumerate(names):
        photo(tmp_path / name, red=(10 * number, 10, 10 * number + 50, 80))
    paths = [*(tmp_path / name for name in names[:2]), tmp_path / "둘"]
    found, _ = predict(finder, paths, tmp_path / "out")
    drawn = sorted(
        str(file.relative_to(tmp_path / "out/drawn")) for file in (tmp_path / "out").rglob("*.jpg")
    )
    assert drawn == ["A-3.jpg", "a-2.jpg", "a-4.jpg", "a-5.jpg", "a.jpg", "b/a.jpg"]
    assert len({each.name.casefold() for each in found}) == len(found) == 6
    assert len(list((tmp_path / "out/yolo").rglob("*.txt"))) == 6


def test_composed_and_decomposed_names_are_told_apart_from_each_other(finder, tmp_path):
    names = [unicodedata.normalize(form, "사진") for form in ("NFC", "NFD")]
    for number, name in enumerate(names):
        photo(tmp_path / f"{number}" / f"{name}.png")
    found, _ = predict(finder, [tmp_path / "0", tmp_path / "1"], tmp_path / "out", ("drawn",))
    assert [each.name for each in found] == [names[0], f"{names[1]}-2"]
    assert len(list((tmp_path / "out/drawn").iterdir())) == 2


def test_what_was_drawn_before_is_neither_read_nor_drawn_over(finder, tmp_path):
    path = photo(tmp_path / "a.png")
    for _ in range(2):
        found, _ = predict(finder, [tmp_path], tmp_path / "out", ("drawn",))
        assert [each.file for each in found] == [path]
    with pytest.raises(DataError, match="may be drawn over; choose another --output"):
        predict(finder, [tmp_path / "out/drawn/a.jpg"], tmp_path / "out", ("drawn",))


def test_photos_are_never_changed(finder, tmp_path):
    path = photo(tmp_path / "a.png")
    before = path.read_bytes()
    predict(finder, [path], tmp_path)
    assert path.read_bytes() == before


def test_the_table_has_a_line_for_each_file(finder, tmp_path):
    photo(tmp_path / "a.png", blue=(10, 10, 60, 60))
    photo(tmp_path / "b.png", red=None)
    found, _ = predict(finder, [tmp_path], tmp_path / "out", ("json",))
    title, columns, rows = predictions.table(found, CLASSES)
    assert (title, columns) == ("2 file(s)", ["file", "boxes", "classes"])
    assert rows == [
        [str(tmp_path / "a.png"), "2", "빨강 (1), blue (1)"],
        [str(tmp_path / "b.png"), "0", ""],
    ]


# Faults


def test_bad_files_are_named_and_left_out(finder, tmp_path):
    (tmp_path / "bad.jpg").write_text("no picture")
    (tmp_path / "notes.txt").write_text("a text")
    good = photo(tmp_path / "good.png")
    paths = [tmp_path / "bad.jpg", tmp_path / "notes.txt", good]
    found, said = predict(finder, paths, tmp_path / "out")
    assert [each.file for each in found] == [good]
    assert [line.partition(": ")[0] for line in said] == ["skipped"] * 2
    assert "bad.jpg" in said[0]
    assert "notes.txt" in said[1]
    found, said = predict(finder, [tmp_path], tmp_path / "out")  # a folder's texts are no photos
    assert len(said) == 1


def test_only_bad_files_fail(finder, tmp_path):
    for name in ("a.jpg", "b.mp4"):
        (tmp_path / name).write_bytes(b"")
    with pytest.raises(DataError, match=r"none of the 2 file\(s\) is a photo or video"):
        predict(finder, [tmp_path], tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_missing_paths_and_empty_folders_fail_at_once(finder, tmp_path):
    good = photo(tmp_path / "in/a.png")
    (tmp_path / "empty").mkdir()
    with pytest.raises(DataError, match=f"no such file or folder: {tmp_path}/x, {tmp_path}/y"):
        predict(finder, [tmp_path / "x", good, tmp_path / "y"], tmp_path / "out")
    with pytest.raises(DataError, match=f"no photos or videos in {tmp_path}/empty; expected"):
        predict(finder, [good, tmp_path / "empty"], tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_names_that_are_no_utf8_do_not_stop_it(finder, tmp_path):
    name = b"\xb0\xed\xbe\xe7.png".decode("utf-8", "surrogateescape")  # cp949
    photo(tmp_path / "a.png").rename(tmp_path / name)
    found, _ = predict(finder, [tmp_path], tmp_path / "out")
    predictions.table(found, CLASSES)[2][0][0].encode("utf-8")
    assert len(list((tmp_path / "out/drawn").iterdir())) == 1


# Drawn


@pytest.mark.parametrize("size", [(1, 1), (128, 128), (90, 1000), (640, 480), (4000, 3000)])
@pytest.mark.parametrize(
    "name", ["고양이", unicodedata.normalize("NFD", "고양이"), "x" * 300, "$5 ∞"]
)
def test_a_picture_is_drawn_at_any_size(size, name):
    width, height = size
    pixels = torch.full((3, height, width), 90, dtype=torch.uint8)
    boxes = torch.tensor(
        [
            [0, 0, width, height, 0.99, 0],
            [width * 0.8, height * 0.9, width, height, 0.5, 0],
            [0, 0, 0.5, 0.5, 0.1, 0],
        ]
    )
    picture = draw(pixels, boxes, [name])
    factor = picture.width // width
    assert picture.size == (factor * width, factor * height)
    assert max(picture.size) >= 640
    assert factor == 1 or max(size) < 640


def test_what_is_far_from_boxes_stays_as_it_was():
    pixels = torch.randint(0, 256, (3, 480, 640), dtype=torch.uint8)
    picture = np.asarray(draw(pixels, torch.tensor([[50.0, 60, 200, 200, 0.5, 1]]), CLASSES))
    changed = (picture != pixels.permute(1, 2, 0).numpy()).any(-1)
    y, x = changed.nonzero()
    assert (x.min(), x.max(), y.max()) == (50, 199, 199)
    assert 30 < y.min() < 60  # the label stands above
    assert not changed[70:190, 60:190].any()


@pytest.mark.parametrize("corner", [(0, 0), (600, 0), (0, 440), (600, 440)])
def test_labels_stay_inside_the_picture(corner):
    x, y = corner
    pixels = torch.zeros(3, 480, 640, dtype=torch.uint8)
    boxes = torch.tensor([[x, y, x + 40.0, y + 40, 0.5, 0]])
    label, short = (
        np.asarray(draw(pixels, boxes, [name])).astype(int).sum() for name in ("고양이 고양이", "")
    )
    middle = boxes.clone()
    middle[:, :4] = torch.tensor([300.0, 200, 340, 240])
    long, little = (
        np.asarray(draw(pixels, middle, [name])).astype(int).sum() for name in ("고양이 고양이", "")
    )
    assert label - short > 0.7 * (long - little)  # as much is to be seen as in the middle


# Videos


@pytest.fixture
def film(tmp_path):
    """Write a video of ten frames in which a red rectangle moves to the right."""
    path = tmp_path / "films/움직임.mp4"
    with video.write_video(path, 5.0) as writer:
        for number in range(10):
            frame = photo(
                tmp_path / "frame.png", (320, 240), (20 * number, 40, 20 * number + 80, 120)
            )
            writer.add(np.asarray(Image.open(frame)))
    return path


def test_a_video_is_drawn_and_told_frame_by_frame(film, finder, tmp_path):
    found, said = predict(finder, [film.parent], tmp_path / "out")
    assert said == []
    for number, each in enumerate(found):
        assert (each.frame, each.seconds) == (number, pytest.approx(number / 5))
        expected = (20 * number, 40, 20 * number + 80, 120)
        assert each.boxes[0, :4].tolist() == pytest.approx(expected, abs=5)
    values = json.loads((tmp_path / "out/predictions.json").read_text("utf-8"))
    assert [(row["frame"], row["seconds"]) for row in values] == [
        (number, pytest.approx(number / 5)) for number in range(10)
    ]
    labels = sorted(file.name for file in (tmp_path / "out/yolo/움직임").iterdir())
    assert labels == [f"{number:06}.txt" for number in range(10)]
    with video.open_video(tmp_path / "out/drawn/움직임.mp4") as drawn:
        frames = list(drawn.frames)
        assert (drawn.rate, len(frames)) == (5.0, 10)
    assert frames[0].pixels.shape == (3, 480, 640)
    _, _, [row] = predictions.table(found, CLASSES)
    assert row[1:] == ["10", "빨강 (10)"]
    assert row[0].endswith("움직임.mp4 (10 frames)")


def test_a_damaged_video_is_left_out_beside_a_whole_one(film, finder, tmp_path):
    data = film.read_bytes()
    (film.parent / "a.mp4").write_bytes(data[: len(data) // 2])
    found, said = predict(finder, [film.parent], tmp_path / "out", ("json",))
    assert len(found) == 10
    assert len(said) == 1
    assert "a.mp4" in said[0]
    assert not (tmp_path / "out/drawn").exists()


# The command


def test_the_command_writes_into_the_run_and_shows_a_table(run, lab, tmp_path):
    path = photo(tmp_path / "사진 [1].png")
    result = lab("predict", run[0], path, "--score", "0")
    assert (result.code, result.err) == (0, "")
    assert f"{path}" in result.out
    folder = run[0] / "predictions"
    assert result.out.endswith(f"Output: {folder}\n")
    assert (folder / "drawn/사진 [1].jpg").is_file()
    assert json.loads((folder / "predictions.json").read_text("utf-8"))[0]["boxes"]
    assert sorted(entry.name for entry in folder.iterdir()) == ["drawn", "predictions.json"]


@pytest.mark.parametrize(
    "words", [["--format", "xml"], ["--format", ""], ["--score", "2"], ["--tpo", "3"]]
)
def test_wrong_options_are_refused(words, run, lab, tmp_path):
    assert lab("predict", run[0], photo(tmp_path / "a.png"), *words).code == 2


# What is handed in


@pytest.fixture
def hand_in(finder, tmp_path):
    """Return a function that answers a sample's text for three photos; the lines, and what is said.

    On a both colors are, on b blue, on c nothing.
    """
    photo(tmp_path / "test/a.png", blue=(10, 20, 50, 80))
    photo(tmp_path / "test/b.png", red=None, blue=(40, 30, 80, 90))
    photo(tmp_path / "test/c.png", red=None)

    def call(text, form=None, boxes=None, score=None, test="test", runs=1):
        said = []
        (tmp_path / "sample.csv").write_text(text)
        submission = BoxSubmission([finder] * runs, said.append)
        sample = submission.choose(Sample.read(tmp_path / "sample.csv"), None, ())
        how = {"form": form, "boxes": boxes, "score": score}
        rows = submission.rows(sample, tmp_path / test, {}, how)
        written = Sample.parse(sample.render(rows.cells), tmp_path / "out.csv")
        submission.check(sample, submission.choose(written, None, ()))
        return written.decoded.text.splitlines(), [*said, rows.said], rows.kept

    return call


ONE_EACH = "image_id,class,xmin,ymin,xmax,ymax\na,0,0,0,1,1\nb,0,0,0,1,1\nc,0,0,0,1,1\n"
ALL_IN_ONE = "image_id,PredictionString\nb,\na.png,\nc,\n"


def near(line, expected, pixels=10):
    """Say whether the numbers of a text are those that are expected, nearly."""
    numbers = [float(cell) for cell in line.replace(",", " ").split()]
    return numbers == pytest.approx(expected, abs=pixels)


def test_runs_that_find_the_same_find_it_together(hand_in):
    alone = hand_in(ALL_IN_ONE, boxes="corners")
    assert hand_in(ALL_IN_ONE, boxes="corners", runs=2) == alone


def test_all_boxes_of_a_photo_are_in_a_cell(hand_in):
    [header, *lines], said, _ = hand_in(ALL_IN_ONE, boxes="corners")
    assert [line.split(",")[0] for line in lines] == ["b", "a.png", "c"]
    assert near(lines[0].partition(",")[2], [1, 0.6, 40, 30, 80, 90])
    both = [0, 0.9, 100, 60, 220, 150, 1, 0.6, 10, 20, 50, 80]
    assert near(lines[1].partition(",")[2], both)
    assert lines[2] == "c,"
    assert "in 1 photos nothing is found: their cells are empty" in said
    sides, _, _ = hand_in(ALL_IN_ONE.replace("b,\n", "b,빨강 1 0 0 1 1\n"), boxes="sides")
    assert sides[1].startswith("b,blue 0.600000 ")
    assert near(sides[1].partition("blue")[2], [0.6, 40, 30, 40, 60])
    assert "0.6" not in "".join(hand_in(ALL_IN_ONE, boxes="corners", score=0.7)[0][1:])


def test_each_box_has_a_row(hand_in):
    head = "image_id,class,confidence,xmin,ymin,xmax,ymax"
    rows = [f"{name},0,0.0,0,0,1,1" for name in ("b.png", "a.png", "c.png")]
    lines, said, _ = hand_in("\n".join([head, *rows]) + "\n", form="names")
    assert [line.split(",")[:2] for line in lines[1:]] == [
        ["b.png", "blue"],
        ["a.png", "빨강"],
        ["a.png", "blue"],
    ]
    assert near(lines[2].partition("빨강,")[2], [0.9, 100, 60, 220, 150])
    assert "in 1 photos nothing is found: they have no row" in said
    shares = [row.replace("0,0,1,1", "0,0,0.5,0.5") for row in rows]
    lines, said, _ = hand_in("\n".join([head, *shares]) + "\n")
    assert near(lines[2].partition("a.png,")[2], [0, 0.9, 0.25, 0.2, 0.55, 0.5], pixels=0.05)
    assert "corners in shares of the photo" in said[-1]


def test_a_photo_that_cannot_be_read_keeps_the_samples_own_rows(hand_in, tmp_path):
    (tmp_path / "test/b.png").write_text("none")
    lines, _, kept = hand_in(ALL_IN_ONE.replace("b,", "b,0 1 0 0 1 1"), boxes="corners")
    assert lines[1] == "b,0 1 0 0 1 1"
    assert [*kept] == ["b"]


@pytest.mark.parametrize(
    ("text", "more", "problem"),
    [
        (ALL_IN_ONE, {}, "give --boxes corners .* or --boxes sides"),
        (ALL_IN_ONE + "d,\n", {"boxes": "sides"}, "1 of the 4 rows .* have no sample"),
        (ALL_IN_ONE + "b,\n", {"boxes": "sides"}, "ids stand in several rows: b"),
        ("image_id,PredictionString\na,\n", {"boxes": "sides"}, "2 samples .* have no row"),
        ("image_id,P\na,1 2 3 4\n", {"boxes": "sides"}, "cells such as '1 2 3 4'; expected"),
        ("image_id,x,y\na,0,0\n", {}, "expected a column of photos and one for all boxes"),
        (ALL_IN_ONE.replace("b,", "b,dog 1 0 0 1 1"), {"boxes": "sides"}, "classes dog, which"),
        (ONE_EACH, {"score": 0.95}, "no box is found on any of its 3 photos from a score of 0.95"),
        (ALL_IN_ONE, {"boxes": "sides", "test": "none"}, "no such file or folder"),
    ],
)
def test_what_does_not_fit_is_not_handed_in(hand_in, text, more, problem):
    with pytest.raises(DataError, match=problem):
        hand_in(text, **more)


@pytest.mark.parametrize("text", ["a,x,\n", "a,x,\na,x,\n", "b,x,\na,x,\n", "a,y,\nb,x,\n"])
def test_what_is_written_has_each_photo_once_and_its_other_columns(finder, tmp_path, text):
    submission = BoxSubmission([finder], print)
    sample, again = (
        submission.choose(
            Sample.parse(f"image_id,site,boxes\n{rows}".encode(), tmp_path / "out.csv"),
            "image_id",
            ["boxes"],
        )
        for rows in ("a,x,\nb,x,\n", text)
    )
    submission.check(sample, sample)
    with pytest.raises(DataError, match="other columns or ids"):
        submission.check(sample, again)
