"""`python -m labs runs`: found, filtered, sorted, noted, drawn; broken folders are named."""

import csv
import io
import json
import shutil
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest

from common.options import commandline
from labs.__main__ import LABS, labs

OLD = Path(__file__).parents[2] / "old_runs"
LAB = SimpleNamespace(main=lambda: commandline.main(labs, "python -m labs"))


def write_run(
    path, *, rate=0.1, f1=None, data="사진", began="2026-01-01T00:00:00", epochs=2, **more
):
    """Write the files of a run: finished where it has an F1."""
    path.mkdir(parents=True)
    config = {
        "epochs": 4,
        "learning_rate": rate,
        "data": data,
        "nesterov": "true",
        "model": "lenet5",
    }
    lines = [
        f"{n} = {v if n in ('epochs', 'learning_rate', 'nesterov') else json.dumps(v)}"
        for n, v in {**config, **more}.items()
    ]
    (path / "config.toml").write_text("\n".join(lines), encoding="utf-8")
    about = {"lab": "classification", "job": "train", "began": began}
    (path / "environment.json").write_text(json.dumps(about))
    rows = [json.dumps({"epoch": n + 1, "train/loss": 1.0}) + "\n" for n in range(epochs)]
    (path / "history.jsonl").write_text("".join(rows))
    if f1 is not None:
        metrics = {
            "test": {"f1": f1, "f1_interval": [f1 - 0.1, f1 + 0.1], "log_loss": 1 - f1},
            "validation": {"f1": f1 - 0.05},
            "baselines": {"majority class": {"f1": 0.1, "validation_f1": 0.1}},
            "seconds": {"train": 10 * rate, "total": 1.0},
        }
        (path / "metrics.json").write_text(json.dumps(metrics))
    return path


@pytest.fixture
def runs(tmp_path):
    """Return a folder of four runs, one of them unfinished, one inside a comparison."""
    folder = tmp_path / "runs"
    write_run(folder / "classification/b", rate=0.01, f1=0.7, began="2026-01-02T00:00:00")
    write_run(folder / "classification/a", rate=0.001, f1=0.9)
    write_run(folder / "classification/c", rate=0.1, began="2026-01-03T00:00:00", data="digits")
    write_run(folder / "rnn/d", f1=0.8, began="2026-01-04T00:00:00", model="vgg11")
    write_run(folder / "rnn/d/members/e", f1=0.6)
    return folder


@pytest.fixture
def ask(command, runs):
    """Return a function that lists the runs, and gives back the rows by the run."""

    def list_runs(*words):
        result = command(LAB, "runs", runs, *words, "--format", "csv")
        assert result.code == 0, result
        return {row["run"]: row for row in csv.DictReader(io.StringIO(result.out))}

    return list_runs


def test_runs_of_all_labs_are_listed_the_oldest_first(ask):
    rows = ask()
    assert list(rows) == ["classification/a", "classification/b", "classification/c", "rnn/d"]
    first, unfinished = rows["classification/a"], rows["classification/c"]
    assert (first["metric"], float(first["value"]), first["finished"]) == ("f1", 0.9, "True")
    assert float(first["validation/f1"]) == 0.85
    assert (first["config/data"], first["config/nesterov"]) == ("사진", "on")
    assert (unfinished["finished"], unfinished["value"], unfinished["test/f1"]) == ("False", "", "")
    assert "rnn/d/members/e" in ask("--members")


@pytest.mark.parametrize(
    ("words", "names"),
    [
        (["--sort", "f1"], "adbc"),
        (["--sort", "log_loss"], "adbc"),
        (["--sort", "log-loss", "--reverse"], "bdac"),
        (["--sort", "learning_rate"], "abcd"),
        (["--sort", "seconds"], "abdc"),
        (["--reverse"], "dcba"),
        (["--where", "learning_rate>0.001"], "bcd"),
        (["--where", "learning-rate <= 0.01", "--where", "f1>.8"], "a"),
        (["--where", "validation/f1<0.7"], "b"),
        (["--where", "model=VGG11"], "d"),
        (["--where", "model != vgg11", "--finished"], "ab"),
        (["--where", "nesterov=true", "--where", "learning_rate==1e-1"], "cd"),
        (["--data", "DIGIT"], "c"),
        (["--unfinished"], "c"),
    ],
)
def test_runs_are_filtered_and_sorted(ask, words, names):
    assert "".join(name[-1] for name in ask(*words)) == names


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (
            ["--where", "learning_rat>1"],
            "no run has the option or metric learning_rat; did you mean",
        ),
        (["--where", "f1"], "expected a name, one of > >= < <= = !=, and a value"),
        (["--where", "f1>high"], "'high' is no number"),
        (
            ["--sort", "f2"],
            "--sort: no run has the option or metric f2; there are the options of train, and f1",
        ),
        (["--picture", "scores.png"], "no finished run has a public score; note one with"),
    ],
)
def test_what_cannot_be_asked_is_one_error(command, runs, words, said):
    result = command(LAB, "runs", runs, *words)
    assert (result.code, result.out) == (2, "")
    assert said in result.err


def test_broken_folders_are_named_and_left_out(command, runs):
    (runs / "classification/a/environment.json").write_text("{")
    (runs / "classification/b/config.toml").write_text("epochs = ")
    (runs / "classification/c/config.toml").unlink()
    (runs / "rnn/d/metrics.json").write_text("[]")
    result = command(LAB, "runs", runs)
    assert result.code == 0
    for name, reason in (
        ("classification/a", "environment.json is damaged"),
        ("classification/b", "config.toml: not a TOML file"),
        ("classification/c", "no config.toml in it"),
        ("rnn/d", "metrics.json is damaged"),
    ):
        [line] = [each for each in result.err.splitlines() if name in each]
        assert line.startswith(f"left out {runs}/{name}: ")
        assert reason in line
    assert "0 of 0 runs" in result.out
    assert command(LAB, "runs", runs / "nowhere").code == 2


def test_notes_are_kept_and_scores_drawn(command, runs, tmp_path):
    for name, public in (
        ("classification/b", "0.65"),
        ("classification/a", "0.8"),
        ("rnn/d", "0.7"),
    ):
        assert command(LAB, "runs", "note", runs / name, "--public", public, "첫", "제출").code == 0
    assert command(LAB, "runs", "note", runs / "rnn/d", "a second look").code == 0
    page, picture = tmp_path / "out/runs.html", tmp_path / "out/scores.png"
    result = command(
        LAB, "runs", runs, "--sort", "public", "--html", page, "--picture", picture, drawn=True
    )
    assert result.code == 0, result
    rows = [line.split("|") for line in result.out.splitlines() if "/" in line and "|" in line]
    assert [row[1].strip()[-1] for row in rows] == ["a", "d", "b", "c"]
    assert "첫 제출" in result.out
    assert "a second look" in result.out
    said = " ".join(result.out.split())
    assert "Rank correlation +1.00 over 3 runs: that the two orders have to do with each" in said
    assert "other is not shown by so few (p = 0.33)" in said
    assert "0.0833 below the local ones" in said
    local = command(LAB, "runs", runs, "--sort", "log_loss", "--picture", tmp_path / "local.png")
    assert "Rank correlation -1.00" in local.out
    assert picture.stat().st_size > 5_000
    text = page.read_text(encoding="utf-8")
    assert text.count("data:image/png") == 1
    assert "첫 제출" in text
    for words in ((), ("--public", "nan"), ("--public", "high")):
        assert command(LAB, "runs", "note", runs / "rnn/d", *words).code == 2
    assert command(LAB, "runs", "note", runs / "rnn", "text").code == 2
    assert len(json.loads((runs / "rnn/d/notes.json").read_text(encoding="utf-8"))) == 2


def test_runs_of_an_older_version_are_listed(command):
    result = command(LAB, "runs", OLD, "--format", "json")
    rows = {row["run"]: row for row in json.loads(result.out)}
    assert not result.err
    assert rows["rnn/forecast-finished"]["metric"] == "mase"
    assert rows["detection/train-finished"]["metric"] == "map50_95"
    assert rows["classification/train-finished"]["config/label_column"] == "label"


def test_a_cross_validation_is_listed_by_what_it_says_out_of_fold(command, runs):
    run = write_run(runs / "classification/folds", f1=0.5)
    metrics = {
        "f1": 0.85,
        "f1_interval": [0.8, 0.9],
        "of_folds": [[0.8, 0.9]],
        "metrics": [{"name": "kappa", "value": 0.7}, {"name": "mine", "error": "it raised"}],
        "validation": [0.6, 0.7],
        "seconds": {"train": 1.0},
    }
    (run / "metrics.json").write_text(json.dumps(metrics))
    out = command(LAB, "runs", runs, "--sort", "f1").out
    names = [line.split("|")[1].strip() for line in out.splitlines() if "/" in line and "|" in line]
    assert [name[-1] for name in names] == ["a", "s", "d", "b", "c"]
    assert "f1 0.8500 out of fold" in out
    assert "0.7000" in command(LAB, "runs", runs, "--sort", "kappa").out


def test_a_copied_run_is_a_run(command, runs, tmp_path):
    shutil.copytree(runs / "classification/a", tmp_path / "한 run")
    assert "한 run" in command(LAB, "runs", tmp_path / "한 run").out


def test_the_labs_are_listed_without_torch_or_pandas():
    code = (
        "import sys; from click.testing import CliRunner; from labs.__main__ import labs;"
        "print(CliRunner().invoke(labs, sys.argv[1:]).output);"
        "print({'torch', 'pandas', 'matplotlib'} & set(sys.modules))"
    )
    for words in ([], ["runs", "--help"], ["runs", str(OLD), "--sort", "accuracy"]):
        out = subprocess.run(
            [sys.executable, "-c", code, *words], capture_output=True, text=True, check=True
        ).stdout
        assert out.endswith("set()\n")
    listed = subprocess.run(
        [sys.executable, "-m", "labs"], capture_output=True, text=True, check=True
    ).stdout
    assert all(f"python -m labs.{lab} " in listed for lab in LABS)


def test_the_name_of_a_lab_is_answered_with_its_module(command):
    result = command(LAB, "rnn")
    assert result.code == 2
    assert "python -m labs.rnn sentiment" in result.err
