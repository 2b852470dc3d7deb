"""What a run says of a user's images: tables, CSV and JSON that agree, and faults."""

import csv
import io
import json
import os
import shutil
import signal

import pytest
from PIL import Image

from common.images import decode
from labs.classification.config import ClassificationConfig
from labs.classification.models.catalogue import MODELS

DARK, BRIGHT = "고양이 [cat]", "강아지, 흰"


def cells(line):
    return [cell.strip() for cell in line.split("|")[1:-1]]


def test_table_csv_and_json_say_the_same(lab, run, photos):
    table = lab("predict", run, photos)
    text = lab("predict", run, photos, "--format", "csv")
    values = json.loads(lab("predict", run, photos, "--format", "json").out)
    assert (table.code, text.code) == (0, 0)
    assert (table.err, text.err) == ("", "")
    assert [row["path"] for row in values] == [str(path) for path in sorted(photos.rglob("*.png"))]
    expected = [
        {
            "path": row["path"],
            "rank": str(rank),
            "class": guess["class"],
            "number": str(guess["number"]),
            "probability": f"{guess['probability']:.6g}",
        }
        for row in values
        for rank, guess in enumerate(row["guesses"], 1)
    ]
    assert list(csv.DictReader(io.StringIO(text.out))) == expected

    lines = table.out.splitlines()
    assert lines[0] == "20 image(s)"
    assert cells(lines[2]) == ["image", "1.", "2."]
    shown = [cells(line) for line in lines[4:-1]]
    # A long path is folded over lines, whose other cells are empty; file names hold no "|".
    whole = []
    for row in shown:
        if row[1]:
            whole.append(row)
        else:
            whole[-1][0] += row[0]
    assert [row[1:] for row in whole] == [
        [f"{guess['class']} {guess['probability']:.3f}" for guess in row["guesses"]]
        for row in values
    ]
    assert [row[0].replace(" ", "") for row in whole] == [
        row["path"].replace(" ", "") for row in values
    ]


def test_probabilities_are_sorted_and_sum_to_one_and_the_pictures_are_told_apart(lab, run, photos):
    for row in json.loads(lab("predict", run, photos, "--format", "json").out):
        first, second = (guess["probability"] for guess in row["guesses"])
        assert first > second
        assert first + second == pytest.approx(1)
        assert row["guesses"][0]["class"] == (DARK if DARK in row["path"] else BRIGHT)


@pytest.mark.parametrize(("top", "number"), [(1, 1), (2, 2), (99, 2)])
def test_top_names_that_many_classes(top, number, lab, run, photos):
    values = json.loads(lab("predict", run, photos, "--format", "json", "--top", top).out)
    assert {len(row["guesses"]) for row in values} == {number}


def test_a_picture_gets_the_same_answer_alone_as_among_others(lab, run, photos):
    together = json.loads(lab("predict", run, photos, "--format", "json").out)
    path = together[7]["path"]
    [alone] = json.loads(lab("predict", run, path, "--format", "json").out)
    assert alone["guesses"][0]["class"] == together[7]["guesses"][0]["class"]
    for one, other in zip(alone["guesses"], together[7]["guesses"], strict=True):
        assert one["probability"] == pytest.approx(other["probability"], abs=1e-6)


def test_many_pictures_are_read_in_pieces(lab, run, photos, monkeypatch):
    whole = lab("predict", run, photos, "--format", "csv")
    monkeypatch.setattr("common.images.decode._CHUNK", 3)
    pieces = lab("predict", run, photos, "--format", "csv")
    numbers = [
        [float(row["probability"]) for row in csv.DictReader(io.StringIO(r.out))]
        for r in (whole, pieces)
    ]
    assert numbers[0] == pytest.approx(numbers[1], abs=1e-6)


def test_a_run_answers_without_its_data(lab, run, photos, tmp_path):
    moved = photos.with_name("elsewhere")
    photos.rename(moved)
    try:
        assert lab("predict", run, moved / DARK).code == 0
    finally:
        moved.rename(photos)


def test_bad_files_are_named_on_the_way(lab, run, photos, tmp_path):
    (tmp_path / "bad.jpg").write_text("no picture")
    good = next(photos.rglob("*.png"))
    result = lab("predict", run, tmp_path / "bad.jpg", good, "--format", "json")
    assert result.code == 0
    assert [row["path"] for row in json.loads(result.out)] == [str(good)]
    assert result.err == (
        f"skipped: cannot read the image {tmp_path / 'bad.jpg'}: "
        "not an image, or of an unknown format; replace or remove the file\n"
    )


def test_only_bad_files_fail(lab, run, tmp_path):
    for name in ("a.jpg", "b.png"):
        (tmp_path / name).write_bytes(b"")
    result = lab("predict", run, tmp_path)
    assert result.code == 2
    assert result.err.count("skipped: ") == 2
    assert "none of the 2 file(s) is an image that can be read" in result.err


def test_missing_paths_and_empty_folders_fail_at_once(lab, run, photos, tmp_path):
    result = lab("predict", run, tmp_path / "x.png", photos, tmp_path / "y")
    assert result.code == 2
    assert result.err == f"Error: no such file or folder: {tmp_path}/x.png, {tmp_path}/y\n"
    result = lab("predict", run, tmp_path)
    assert result.code == 2
    assert result.err == f"Error: no images in {tmp_path}; expected files such as .jpg and .png\n"


@pytest.mark.parametrize(
    "words", [["--top", "0"], ["--format", "xml"], ["--output", "."], ["--tpo", "3"]]
)
def test_wrong_options_are_refused(words, lab, run, photos):
    assert lab("predict", run, photos, *words).code == 2


def test_without_paths_the_usage_is_shown(lab, run):
    result = lab("predict", run)
    assert result.code == 2
    assert "PATHS" in result.err


@pytest.mark.parametrize("form", ["csv", "json", "table"])
def test_output_goes_to_a_file_as_to_the_screen(form, lab, run, photos, tmp_path):
    path = tmp_path / "새 폴더" / "out.txt"
    result = lab("predict", run, photos, "--format", form, "--output", path)
    assert (result.code, result.out, result.err) == (0, "", f"wrote {path}\n")
    text = path.read_text(encoding="utf-8")
    if form == "table":  # the lines of the CSV with tabs
        shown = lab("predict", run, photos, "--format", "csv").out
        rows = csv.reader(io.StringIO(text), delimiter="\t")
        assert list(rows) == list(csv.reader(io.StringIO(shown)))
    else:
        assert text == lab("predict", run, photos, "--format", form).out


def test_an_output_that_cannot_be_written_is_said(lab, run, photos, tmp_path):
    (tmp_path / "file").write_text("")
    result = lab("predict", run, photos, "--output", tmp_path / "file/below.csv")
    assert result.code == 1
    assert "could not write" in result.err


def test_names_that_are_no_utf8_do_not_stop_it(lab, run, photos, tmp_path):
    path = os.fsencode(tmp_path) + b"/\xb0\xed\xbe\xe7.png"  # cp949
    shutil.copy(next(photos.rglob("*.png")), path)
    for form in ("csv", "json", "table"):
        result = lab("predict", run, tmp_path, "--format", form)
        assert result.code == 0
        result.out.encode("utf-8")
    assert lab("predict", run, tmp_path, "--output", tmp_path / "out").code == 0


def test_a_color_run_takes_grey_and_other_kinds_of_pictures(lab, run, paint, tmp_path):
    for number, mode in enumerate(("L", "1", "P", "RGBA", "CMYK")):
        suffix = "tif" if mode == "CMYK" else "png"
        paint(tmp_path / f"{number}.{suffix}", 180, mode=mode, size=(20 + number, 9))
    result = lab("predict", run, tmp_path, "--format", "json")
    assert result.code == 0
    assert len(json.loads(result.out)) == 5


@pytest.mark.parametrize("signum", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_while_a_picture_is_read_stops_the_command(signum, lab, run, photos, monkeypatch):
    opened, sent = Image.open, []

    def open_and_signal(*args, **kwargs):
        if not sent:
            sent.append(signum)
            signal.raise_signal(signum)
        return opened(*args, **kwargs)

    monkeypatch.setattr(decode.Image, "open", open_and_signal)
    result = lab("predict", run, photos)
    assert result.code == 128 + signum


# Numbers


@pytest.fixture(scope="module")
def numbers(lab, photos, tmp_path_factory):
    """Return a run that predicts a number from a picture, and its table."""
    folder = tmp_path_factory.mktemp("표")
    table = folder / "표.csv"
    rows = [
        f'"{path}",{3.5 if DARK in str(path) else -2.25}' for path in sorted(photos.rglob("*.png"))
    ]
    table.write_text("\n".join(["사진,키", *rows]), encoding="utf-8")
    result = lab(
        *("train", "--data", table, "--path-column", "사진", "--label-column", "키"),
        *("--loss", "mse", "--model", "linear", "--image-size", "8", "--augment", "none"),
        *("--epochs", "60", "--learning-rate", "0.02"),
        *("--run-dir", folder / "runs", "--name", "수"),
    )
    assert result.code == 0, result
    return folder / "runs/classification/수", result


def test_numbers_are_learned_and_measured(numbers, lab):
    run, result = numbers
    metrics = json.loads((run / "metrics.json").read_text())
    assert metrics["test"]["mae"] < 1 < metrics["baselines"]["mean"]["mae"]
    assert {"mae", "mse", "rmse", "r2", "mae_interval"} == set(metrics["test"])
    assert "linear beats it" in result.out
    evaluated = lab("evaluate", run)
    assert evaluated.code == 0
    assert f"{metrics['test']['mae']:.4f}" in evaluated.out


def test_the_unit_of_numbers_changes_nothing_but_their_unit(numbers, lab, tmp_path):
    run, _ = numbers
    table = tmp_path / "표.csv"
    rows = [line.rsplit(",", 1) for line in (run.parents[2] / "표.csv").read_text().splitlines()]
    scaled = [f"{path},{1e6 + 1000 * float(number)}" for path, number in rows[1:]]
    table.write_text("\n".join(["사진,키", *scaled]), encoding="utf-8")
    result = lab(
        *("train", "--data", table, "--path-column", "사진", "--label-column", "키"),
        *("--loss", "mse", "--model", "linear", "--image-size", "8", "--augment", "none"),
        *("--epochs", "60", "--learning-rate", "0.02", "--run-dir", tmp_path, "--name", "수"),
    )
    assert result.code == 0, result
    mae, scaled = (
        json.loads((path / "metrics.json").read_text())["test"]["mae"]
        for path in (run, tmp_path / "classification/수")
    )
    assert scaled == pytest.approx(1000 * mae, rel=0.01, abs=1)


def test_numbers_are_predicted_in_every_form(numbers, lab, photos):
    run, _ = numbers
    values = json.loads(lab("predict", run, photos, "--format", "json").out)
    for row in values:
        [guess] = row["guesses"]
        assert guess.keys() == {"value"}
        assert abs(guess["value"] - (3.5 if DARK in row["path"] else -2.25)) < 2
    rows = list(csv.DictReader(io.StringIO(lab("predict", run, photos, "--format", "csv").out)))
    assert [row["value"] for row in rows] == [f"{r['guesses'][0]['value']:.6g}" for r in values]
    assert {row["class"] for row in rows} == {""}
    table = lab("predict", run, photos).out
    assert all(f" {row['guesses'][0]['value']:.3f} |" in table for row in values)


# Summary


def test_summary_lists_every_model(lab):
    result = lab("summary")
    assert result.code == 0
    assert all(name in result.out for name in MODELS)


def test_summary_shows_a_model_as_asked(lab):
    result = lab("summary", "lenet5")
    assert result.code == 0
    assert result.out.startswith("lenet5 on 1x28x28\n")
    assert "61,706 parameters (61,706 trainable, 0 frozen)" in result.out
    words = ("--image-size", "16", "--channels", "3", "--classes", "2", "--depth", "0")
    result = lab("summary", "linear", *words)
    assert "linear on 3x16x16" in result.out
    assert "1,538 parameters" in result.out
    assert "Linear" not in result.out


def test_summary_takes_torchvision_models_at_their_size(lab):
    result = lab("summary", "shufflenet_v2_x0_5", "--depth", "1")
    assert "shufflenet_v2_x0_5 on 3x224x224" in result.out
    assert "1,366,792 parameters" in result.out


def test_summary_refuses_what_it_cannot_build(lab):
    result = lab("summary", "resnet81")
    assert result.code == 2
    assert "no model 'resnet81'; did you mean resnet18?" in result.err
    result = lab("summary", "lenet5", "--image-size", "8")
    assert result.code == 2
    assert "at least 12x12 pixels" in result.err


def test_summary_and_train_know_the_same_models():
    [field] = [f for f in ClassificationConfig.__dataclass_fields__.values() if f.name == "model"]
    assert field.metadata["choices"] == ("auto", *MODELS)
