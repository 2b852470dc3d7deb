"""Ensembles of classifiers: made of runs or folds, asked as runs are, refused where unfit."""

import json
import re

import pytest

from common.ensembles.answers import read_together
from common.runs.folder import Run

SMALL = (
    *("--data", "digits", "--limit", "150", "--model", "linear", "--augment", "none"),
    *("--epochs", "2", "--warmup", "0", "--batch-size", "16", "--learning-rate", "0.02"),
    *("--ema", "none", "--threads", "1"),
)


@pytest.fixture(scope="module")
def runs(lab, tmp_path_factory):
    """Return the folder of two runs that fit one another, and of one of another split."""
    root = tmp_path_factory.mktemp("runs")
    for name, *more in (
        ("하나", "--seed", "0"),
        ("two", "--seed", "1", "--image-size", "12"),
        ("elsewhere", "--split-seed", "3"),
    ):
        done = lab("train", *SMALL, *more, "--run-dir", root, "--name", name)
        assert done.code == 0, done.err
    return root / "classification"


@pytest.fixture(scope="module")
def made(lab, runs):
    """Return the result of an ensemble of two, and its folder."""
    words = ("--method", "greedy", "--name", "both", "--run-dir", runs.parent)
    done = lab("ensemble", runs / "하나", runs / "two", *words)
    assert done.code == 0, done.err
    return done, runs / "both"


def test_an_ensemble_is_measured_beside_its_members(made):
    done, run = made
    found = json.loads((run / "metrics.json").read_text("utf-8"))
    assert [each["name"] for each in found["members"]] == ["하나", "two"]
    assert sum(each["weight"] for each in found["members"]) == pytest.approx(1)
    shares, targets = read_together(Run(run))
    assert found["test"]["accuracy"] == pytest.approx((shares.argmax(1) == targets).mean())
    low, high = found["gain_interval"]
    [best] = [each for each in found["members"] if each["name"] == found["best"]]
    assert found["gain"] == pytest.approx(found["test"]["accuracy"] - best["accuracy"])
    assert low <= found["gain"] <= high
    assert found["nested"].keys() >= {"accuracy", "gain", "gain_interval", "seen"}
    assert "2 members together have a test accuracy of" in done.out
    assert "nested, chosen on some folds and judged on another, it is" in done.out
    page = (run / "report.html").read_text("utf-8")
    assert all(title in page for title in ("Members", "Agreement", "Is the gain its own selection"))


def test_evaluate_and_report_take_it(lab, made):
    _, run = made
    found = json.loads((run / "metrics.json").read_text("utf-8"))
    done = lab("evaluate", run)
    assert done.code == 0, done.err
    assert f"| accuracy          |           {found['test']['accuracy']:.4f} |" in done.out
    before = (run / "report.html").read_text("utf-8")
    (run / "report.html").unlink()
    assert lab("report", run).code == 0
    assert (run / "report.html").read_text("utf-8") == before


def test_predict_and_submit_give_the_weighted_mean(lab, made, runs, paint, tmp_path, monkeypatch):
    _, run = made
    monkeypatch.chdir(tmp_path)
    for name, level in (("1", 0), ("2", 180)):
        paint(tmp_path / "test" / f"{name}.png", level)

    def ask(one):
        done = lab("predict", one, tmp_path / "test", "--top", "10", "--format", "json")
        assert done.code == 0, done.err
        return [
            {guess["class"]: guess["probability"] for guess in each["guesses"]}
            for each in json.loads(done.out)
        ]

    weights = json.loads((run / "combination.json").read_text("utf-8"))["weights"]
    each, together = [ask(runs / name) for name in ("하나", "two")], ask(run)
    for row, shares in enumerate(together):
        mean = {
            name: sum(w * one[row][name] for w, one in zip(weights, each, strict=True))
            for name in shares
        }
        assert shares == pytest.approx(mean, abs=1e-6)
    sample = tmp_path / "sample_submission.csv"
    sample.write_text("id,label\n2.png,0\n1.png,0\n")
    done = lab("submit", run, tmp_path / "test", sample)
    assert done.code == 0, done.err
    said = [max(shares, key=shares.get) for shares in reversed(together)]
    assert (tmp_path / "submission.csv").read_text().split() == [
        "id,label",
        *(f"{name}.png,{label}" for name, label in zip("21", said, strict=True)),
    ]
    manifest = json.loads((tmp_path / "submission.json").read_text())
    for words in (["--refit"], ["--bundle", tmp_path / "bundle"], ["--tta", "hflip"]):
        done = lab("submit", run, tmp_path / "test", sample, *words)
        assert done.code == 2
        assert f"{words[0]}: {run} is an ensemble; give one of its members" in done.err
    assert [each["run"] for each in manifest["members"]] == [str(runs / "하나"), str(runs / "two")]


def test_a_member_that_has_changed_is_refused(lab, made, runs):
    _, run = made
    weights = runs / "하나" / "best.safetensors"
    before = weights.read_bytes()
    weights.write_bytes((runs / "elsewhere" / "best.safetensors").read_bytes())
    done = lab("evaluate", run)
    weights.write_bytes(before)
    assert done.code == 2
    assert "하나 has other weights than when the ensemble was made of it" in done.err


def test_what_was_asked_is_not_asked_again(lab, made, runs, monkeypatch):
    _, run = made
    before = (run / "metrics.json").read_text("utf-8")
    (run / "metrics.json").unlink()
    monkeypatch.setattr("common.ensembles.answers._ask", None)
    monkeypatch.setattr("common.ensembles.make.load_views", None)
    done = lab("ensemble", "--resume", run)
    assert done.code == 0, done.err
    now = json.loads((run / "metrics.json").read_text("utf-8"))
    assert {**now, "seconds": None} == {**json.loads(before), "seconds": None}


@pytest.mark.parametrize(
    ("words", "problem"),
    [
        (["하나"], "is one run alone: name two or more"),
        (["하나", "하나"], "is named twice"),
        (["하나", "elsewhere"], "another split than .*하나: --split-seed 3 instead of 0"),
        (["하나", "both"], "is an ensemble itself: name its members"),
        (["하나", "nowhere"], "is not a run folder"),
    ],
)
def test_what_does_not_fit_is_refused_and_leaves_nothing(lab, made, runs, words, problem):
    there = sorted(runs.iterdir())
    done = lab("ensemble", *(runs / word for word in words), "--run-dir", runs.parent)
    assert done.code == 2
    assert done.err.count("\n") == 1
    assert re.search(problem, done.err), done.err
    assert sorted(runs.iterdir()) == there


def test_what_looks_into_a_network_names_the_members(lab, made):
    _, run = made
    done = lab("explain", run)
    assert done.code == 2
    assert "is an ensemble: to look into a network, name one" in done.err
