"""From labelled images to a submission, stopped and gone on with, and refused before it begins."""

import csv
import json
import shutil

import pytest
import torch
from PIL import Image
from safetensors.torch import load_file
from sklearn.datasets import load_digits

from common.options.config import read_toml

WORDS = ("--time", "3h", "--threads", "1", "--folds", "2", "--warmup", "0", "--epochs")


@pytest.fixture(scope="module")
def competition(tmp_path_factory):
    """Return a folder with 90 digits to learn from, 20 to answer, and a sample submission."""
    folder = tmp_path_factory.mktemp("대회")
    digits = load_digits()
    rows = [("id", "digit")]
    for row, (pixels, digit) in enumerate(zip(digits.images[:110], digits.target, strict=False)):
        path = folder / (f"train/{digit}/{row}.png" if row < 90 else f"test/{row}.png")
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray((pixels * 15).astype("uint8")).save(path)
        rows += [(row, 0)] if row >= 90 else []
    with (folder / "sample.csv").open("w", newline="") as file:
        csv.writer(file).writerows(rows)
    return folder


def _three(folder):
    return folder / "train", folder / "test", folder / "sample.csv"


@pytest.fixture(scope="module")
def made(lab, competition, tmp_path_factory):
    """Return the result of a short competition, and its folder."""
    root = tmp_path_factory.mktemp("runs")
    where = ("--run-dir", root, "--name", "made", "--model", "linear")
    done = lab("compete", *_three(competition), *WORDS, "2", *where)
    assert done.code == 0, done.err
    return done, root / "classification" / "made"


def _predict(run):
    lines = (run / "submission.csv").read_text("utf-8").splitlines()
    return dict(line.split(",") for line in lines[1:])


def test_every_row_of_the_sample_is_answered(made):
    _, run = made
    answers = _predict(run)
    assert list(answers) == [str(row) for row in range(90, 110)]
    assert set(answers.values()) <= set(map(str, range(10)))
    manifest = json.loads((run / "submission.json").read_text("utf-8"))
    assert manifest["run"].endswith("steps/classification/linear")
    second = json.loads((run / "submission-refit.json").read_text("utf-8"))
    assert second["run"].endswith("steps/classification/linear-refit")


def test_the_run_tells_what_was_done(made):
    done, run = made
    found = json.loads((run / "metrics.json").read_text("utf-8"))
    [rung] = found["steps"]
    assert found["out_of_fold"]["accuracy"] == rung["accuracy"]
    low, high = found["board"]
    assert low <= rung["accuracy"] <= high
    assert found["rows"] == 20
    assert "expect between" in done.out
    page = (run / "report.html").read_text("utf-8")
    assert all(word in page for word in ("What was done", "The ladder", "Go on", "linear"))
    assert (run / "explore.html").is_file()


def test_a_finished_run_is_not_worked_on_again(lab, made):
    _, run = made
    before = (run / "submission.csv").stat().st_mtime_ns
    done = lab("compete", "--resume", run)
    assert done.code == 0, done.err
    assert "is finished: nothing to do" in done.err
    assert (run / "submission.csv").stat().st_mtime_ns == before


def test_a_run_hands_in_what_it_handed_in(lab, made, competition, tmp_path):
    _, run = made
    done = lab("submit", run, *_three(competition)[1:], "--out", tmp_path / "again.csv")
    assert done.code == 0, done.err
    assert (tmp_path / "again.csv").read_bytes() == (run / "submission.csv").read_bytes()
    done = lab("evaluate", run)
    assert done.code == 2
    assert "the one that answers is" in done.err


def _break_sample(folder, text):
    (folder / "sample.csv").write_text(text)


@pytest.mark.parametrize(
    ("words", "break_it", "problem"),
    [
        ((), lambda folder: _break_sample(folder, "id,digit\n90,0\n90,0\n"), "stand in several"),
        ((), lambda folder: _break_sample(folder, "id,digit\n90,0\nx,0\n"), "have no sample in"),
        ((), lambda folder: _break_sample(folder, "id,digit\n90,cat\n"), "cat"),
        ((), lambda folder: shutil.rmtree(folder / "test"), "test"),
        (("--time", "20s"), lambda folder: None, "is too little"),
        (("--time", "soon"), lambda folder: None, "expected a time such as 30m"),
        (("--tme", "3m"), lambda folder: None, "no option --tme"),
        (("--repeats", "2"), lambda folder: None, "--repeats: goes with `crossval`, not here"),
        (("--learning-rate", "-1"), lambda folder: None, "--learning-rate"),
    ],
)
def test_what_cannot_be_handed_in_is_refused_before_it_begins(
    lab, competition, tmp_path, words, break_it, problem
):
    folder = shutil.copytree(competition, tmp_path / "copy")
    break_it(folder)
    where = ("--run-dir", tmp_path / "runs", "--model", "linear")
    done = lab("compete", *_three(folder), *WORDS, "1", *where, *words)
    assert done.code == 2
    assert problem in done.err, done.err
    assert len(done.err.strip().splitlines()) <= 3
    assert not (tmp_path / "runs").exists()


def test_nothing_that_is_given_is_written_over(lab, competition, tmp_path):
    before = (competition / "sample.csv").read_bytes()
    words = (
        "--out",
        competition / "sample.csv",
        "--run-dir",
        tmp_path / "runs",
        "--model",
        "linear",
    )
    done = lab("compete", *_three(competition), *WORDS, "1", *words)
    assert done.code == 2
    assert "would be written over" in done.err
    assert (competition / "sample.csv").read_bytes() == before
    assert not (tmp_path / "runs").exists()


@pytest.mark.slow
def test_groups_that_are_given_hold_and_others_are_guessed(lab, competition, tmp_path):
    """Of numbers too, of which no two are alike; a guess never takes the place of what is given."""
    names = sorted(path.relative_to(competition) for path in competition.glob("train/*/*.png"))
    rows = [("image", "target", "person", "site")]
    rows += [(name, n + 0.5, f"p{n // 3}", f"s{n // 5}") for n, name in enumerate(names)]
    table = competition / "numbers.csv"
    with table.open("w", newline="") as file:
        csv.writer(file).writerows(rows)
    sample = competition / "numbers-sample.csv"
    sample.write_text("id,target\n" + "".join(f"{row},0.0\n" for row in range(90, 110)))
    for more, option in ((("--group-column", "site"), "site"), ((), "person")):
        words = ("--loss", "mse", "--model", "linear", "--run-dir", tmp_path, "--name", option)
        done = lab("compete", table, competition / "test", sample, *WORDS, "1", *words, *more)
        assert done.code == 0, done.err
        found = json.loads((tmp_path / "classification" / option / "metrics.json").read_text())
        assert found["grouped_by"] == f"--group-column {option}"
        card = tmp_path / "classification" / option / "steps/classification/linear/members"
        assert option in (card / "fold-1" / "config.toml").read_text("utf-8")


@pytest.mark.slow
def test_any_number_of_labels_from_relative_paths(lab, competition, tmp_path, monkeypatch):
    rows = [("image", "small", "even")]
    rows += [
        (path.relative_to(competition), int(int(path.parent.name) < 5), int(path.parent.name) % 2)
        for path in sorted(competition.glob("train/*/*.png"))
    ]
    with (competition / "several.csv").open("w", newline="") as file:
        csv.writer(file).writerows(rows)
    lines = "".join(f"{row},0,0\n" for row in range(90, 110))
    (competition / "several-sample.csv").write_text(f"id,small,even\n{lines}")
    monkeypatch.chdir(competition)
    words = ("several.csv", "test", "several-sample.csv", *WORDS, "1", "--model", "linear")
    done = lab("compete", *words, "--run-dir", tmp_path, "--name", "c")
    assert done.code == 0, done.err
    run = tmp_path / "classification" / "c"
    assert read_toml(run / "config.toml")["options"]["data"] == str(competition / "several.csv")
    lines = (run / "submission.csv").read_text().splitlines()
    assert lines[0] == "id,small,even"
    assert len(lines) == 21


@pytest.mark.slow
def test_a_ladder_of_models_answers_together(lab, competition, tmp_path):
    words = (*WORDS, "3", "--run-dir", tmp_path, "--name", "whole")
    done = lab("compete", *_three(competition), *words)
    assert done.code == 0, done.err
    run = tmp_path / "classification" / "whole"
    found = json.loads((run / "metrics.json").read_text("utf-8"))
    assert [each["name"] for each in found["steps"]] == ["linear", "lenet5", "resnet20"]
    assert sum(found["weights"].values()) == pytest.approx(1)
    assert found["final"] == "steps/classification/ensemble"
    assert len(_predict(run)) == 20


@pytest.mark.slow
def test_kills_change_no_bit_and_nothing_is_done_again(process, kill_often, competition, tmp_path):
    begin = ("compete", *_three(competition), *WORDS, "2", "--name", "c", "--run-dir")
    assert process("classification", (*begin, tmp_path / "whole"), "", tmp_path / "o").end() == 0
    whole, folder = (tmp_path / each / "classification" / "c" for each in ("whole", "killed"))
    kill_often((*begin, tmp_path / "killed"), folder, (0.0, 4.0), finished="**/metrics.json")
    last = process("classification", ("compete", "--resume", folder), "", tmp_path / "last.out")
    assert last.end() == 0
    names = [path.relative_to(whole) for path in whole.rglob("best.safetensors")]
    assert len(names) >= 6
    for name in names:
        mine, theirs = (load_file(each / name) for each in (folder, whole))
        assert all(torch.equal(mine[key], theirs[key]) for key in theirs), name
    combination = "steps/classification/ensemble/combination.json"
    for name in ("submission.csv", "submission-refit.csv", combination):
        assert (folder / name).read_bytes() == (whole / name).read_bytes(), name
