"""A user's data with labels, as a run sees it."""

import numpy as np
import pytest
import torch
from PIL import Image

from common.errors import DataError
from common.options.config import build
from common.runs.conclude import conclusion_of
from labs.classification.config import ClassificationConfig
from labs.classification.job import ClassifyImages

SMALL = {"data": "digits", "limit": "60", "model": "linear", "augment": "none", "device": "cpu"}


def started(**options):
    values = {name: str(value) for name, value in (SMALL | options).items()}
    return ClassifyImages.check(build(ClassificationConfig, ("options", values)))


def save(image, path):
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(image.permute(1, 2, 0).squeeze(2).numpy()).save(path)
    return path


def figures(job, split):
    splits = dict.fromkeys(("train", "validation", "test"), split)
    return conclusion_of(job).figures(job.predict_splits(splits, ["test"])["test"], split)


def test_the_runs_own_test_images_as_files_give_its_own_figures(tmp_path):
    job, splits = started()
    test, said = splits["test"], []
    for row in range(len(test)):
        part, name = ("train", "test")[row % 2], job.card.classes[test.targets[row]]
        save(test.images[row], tmp_path / part / name / f"{row:03}.png")
    (tmp_path / "test" / "3").mkdir(exist_ok=True)
    (tmp_path / "test" / "3" / "999.png").write_bytes(b"no image")
    found = job.labelled(tmp_path, said.append)
    split = found.select(torch.tensor(np.argsort([name[-7:-4] for name in found.names])))
    assert torch.equal(split.images[range(len(split))], test.images)
    assert torch.equal(split.targets, test.targets)
    assert figures(job, split) == figures(job, test)
    assert len(said) == 1
    assert said[0].startswith("skipped test/3/999.png: ")


def test_classes_are_the_runs_and_an_unknown_one_is_refused(tmp_path):
    job, splits = started()
    for name in ("7", "2"):
        save(splits["test"].images[0], tmp_path / name / "0.png")
    assert job.labelled(tmp_path, print).targets.tolist() == [2, 7]
    save(splits["test"].images[0], tmp_path / "eleven" / "0.png")
    with pytest.raises(DataError, match="know the class eleven; it knows 0, 1, 2, 3, 4, 5, 6, 7"):
        job.labelled(tmp_path, print)
    with pytest.raises(DataError, match="no such folder"):
        job.labelled(tmp_path / "nowhere", print)


def test_arrays_in_color_are_seen_as_grey_as_files_are(tmp_path):
    job, _ = started(image_size=8)
    pixels = np.random.default_rng(0).integers(0, 256, (3, 8, 8, 3), dtype=np.uint8)
    np.savez(tmp_path / "a.npz", x_test=pixels, y_test=[4, 9, 4])
    for row, name in enumerate(("4", "9", "4")):
        path = tmp_path / "files" / name / f"{row}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(pixels[row]).save(path)
    arrays, files = job.labelled(tmp_path / "a.npz", print), job.labelled(tmp_path / "files", print)
    assert arrays.targets.tolist() == [4, 9, 4]
    assert torch.equal(arrays.images[[0, 2, 1]], files.images[range(3)])
    np.savez(tmp_path / "b.npz", images=pixels)
    with pytest.raises(DataError, match="no labels"):
        job.labelled(tmp_path / "b.npz", print)


def test_several_columns_and_numbers_are_read_from_the_runs_columns(tmp_path, paint):
    kinds = [("hat", "old"), ("bare", "old"), ("hat", "young"), ("bare", "young")]
    rows = [f"{row}.png,{','.join(kinds[row % 4])},{row / 4}" for row in range(40)]
    for row in range(40):
        paint(tmp_path / f"{row}.png", 5 * row, "L", (8, 8))

    def write(name, lines):
        (tmp_path / name).write_text("\n".join(["path,head,age,size", *lines]))
        return tmp_path / name

    table = write("all.csv", rows)
    job, splits = started(data=table, label_column="head,age", limit=40, image_size=8)
    known = {
        n: t for s in splits.values() for n, t in zip(s.names, s.targets.tolist(), strict=True)
    }
    few = job.labelled(write("few.csv", rows[2:6:4] + rows[30:31]), print)
    assert few.targets.tolist() == [known["2.png"], known["30.png"]]
    with pytest.raises(DataError, match="column 'age': the run does not know the class dead"):
        job.labelled(write("other.csv", ["1.png,hat,dead,1"]), print)
    job, _ = started(data=table, label_column="size", loss="mse", limit=40, image_size=8)
    numbers = job.labelled(write("few.csv", rows[2:4]), print)
    assert numbers.targets.tolist() == [0.5, 0.75]
    assert set(figures(job, numbers)) >= {"mae", "mae_interval"}


def test_a_table_that_is_written_otherwise_is_measured_as_its_options_say(
    tmp_path, paint, lab, monkeypatch
):
    monkeypatch.chdir(tmp_path)
    names = [f"{row}.png" for row in range(40)]
    for row, name in enumerate(names):
        paint(tmp_path / "images" / name, 40 * (row % 2))
    rows = [f"{name},{('dark', 'light')[row % 2]}" for row, name in enumerate(names)]
    (tmp_path / "a.csv").write_text("\n".join(["path,label", *rows]), "utf-8")
    words = ("--image-dir", "images", "--model", "linear", "--epochs", "1", "--threads", "1")
    assert lab("train", "--data", "a.csv", *words, "--augment", "none", "--name", "run").code == 0
    (tmp_path / "images").rename(tmp_path / "moved")
    other = "\n".join(f"{row};밝기" for row in rows).replace(",", ";")
    (tmp_path / "b.csv").write_bytes(other.encode("cp949"))
    run = "runs/classification/run"
    result = lab(
        *("evaluate", run, "--data", "b.csv", "--image-dir", "moved", "--header", "no"),
        *("--path-column", "1", "--label-column", "2", "--delimiter", ";"),
        *("--file-encoding", "cp949"),
    )
    assert result.code == 0, result.err
    assert "on b.csv (40 samples)" in result.out
    assert "images are in moved (--image-dir names another folder)" in result.err
    for words, wrong in {
        ("--data", "moved", "--image-dir", "moved"): "--image-dir: goes with a table, and moved is",
        ("--data", "b.csv", "--sheet", "2"): "--sheet: goes with a workbook, and b.csv is none",
        ("--data", "b.csv", "--fit", "pad"): "No such option '--fit'",
        ("--delimiter", ";"): "--delimiter: goes with --data",
    }.items():
        result = lab("evaluate", run, *words)
        assert (result.code, wrong in result.err) == (2, True), result.err
