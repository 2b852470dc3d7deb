"""`python -m labs compare`: runs that an older version trained, and copies of them that differ."""

import json
import shutil
from importlib import import_module
from pathlib import Path
from types import SimpleNamespace

import pytest

from common.experiments.out_of_fold import OutOfFold
from common.options import commandline
from common.runs import side_by_side
from common.runs.folder import Run
from common.training.checkpoint import load, save
from labs.__main__ import labs

pytestmark = pytest.mark.usefixtures("quick_pictures")

OLD = Path(__file__).parents[2] / "old_runs"
LAB = SimpleNamespace(main=lambda: commandline.main(labs, "python -m labs"))


@pytest.fixture
def copy(tmp_path):
    """Return a function that copies a run under a name, with other options."""

    def make(name, of="classification/train-finished", **options):
        run = shutil.copytree(OLD / of, tmp_path / name)
        path = run / "config.toml"
        lines = path.read_text(encoding="utf-8").replace("/old_runs", OLD.as_posix()).splitlines()
        for key, value in options.items():
            lines = [line for line in lines if not line.startswith(f"{key} =")]
            lines.insert(0, f"{key} = {json.dumps(value)}")
        path.write_text("\n".join(lines), encoding="utf-8")
        return run

    return make


def spoil(run, factor=-1.0):
    """Turn the best weights of a run round."""
    path = run / "best.safetensors"
    loaded = load(path)
    save(path, {name: factor * tensor for name, tensor in loaded.tensors.items()}, loaded.text)
    return run


def edit(path, **values):
    """Change values of a JSON file."""
    path.write_text(json.dumps({**json.loads(path.read_text(encoding="utf-8")), **values}))


@pytest.fixture
def ask(command):
    """Return a function that compares runs, and gives back what was printed in one line."""

    def compare(*words, **options):
        result = command(LAB, "compare", *words, **options)
        assert result.code == 0, result
        return " ".join(result.out.split())

    return compare


def test_a_worse_run_is_told_from_one_that_is_the_same(ask, copy, tmp_path):
    first, twin, worse = copy("첫 run"), copy("twin"), spoil(copy("worse", learning_rate=0.5))
    page, picture = tmp_path / "page.html", tmp_path / "curves.png"
    out = ask(first, twin, worse, "--html", page, "--picture", picture)
    assert "Cannot be told apart from 첫 run by test accuracy: twin +0.0000 (+0.0000 to" in out
    assert "Worse than 첫 run by test accuracy: worse -0." in out
    assert "twin is 첫 run once more: data, config, environment and seed are the same" in out
    assert "worse differs from 첫 run in its config: learning_rate 0.5 instead of 0.05." in out
    assert "| learning_rate | 0.05 | 0.05 | 0.5 |" in out
    assert "batch_size" not in out, "in which they do not differ"
    assert "another seed may turn a difference round" in out
    assert picture.is_file()
    text = page.read_text(encoding="utf-8")
    assert text.count("data:image/png") == 2
    assert "Worse than 첫 run" in text


@pytest.mark.parametrize("of", ["rnn/forecast", "detection/train", "autoencoder/train"])
def test_runs_of_every_lab_are_judged(ask, copy, of, monkeypatch):
    narrow = ((2, 0), (4, 1), (6, 1))  # the detector of the old runs
    monkeypatch.setattr("labs.detection.models.tiny_yolo.STAGES", narrow)
    out = ask(copy("one", f"{of}-finished"), spoil(copy("other", f"{of}-finished"), 9.0))
    assert "other -" in out or "other +" in out
    assert "is not judged" not in out


def test_the_difference_is_that_of_the_metrics(copy):
    runs = [copy("one"), spoil(copy("other"), 0.3)]
    found = side_by_side.compare(runs)
    measured = found.measured()
    metrics = [json.loads((run / "metrics.json").read_text())["test"]["accuracy"] for run in runs]
    assert measured["one"]["accuracy"] == pytest.approx(metrics[0])
    assert measured["other"]["difference"] == pytest.approx(
        measured["other"]["accuracy"] - measured["one"]["accuracy"]
    )


def test_runs_that_differ_in_seeds_alone_are_taken_together(ask, copy):
    words = [
        copy("a-1", seed=1),
        copy("a-2", seed=2),
        spoil(copy("b-2", seed=2, momentum=0.5)),
        spoil(copy("b-1", seed=1, momentum=0.5)),
    ]
    out = ask(*words)
    assert "Worse than a-1 (2 seeds) by test accuracy: b-2 (2 seeds) -0." in out
    assert "over seeds and test items" in out
    assert "a-2 differs from a-1 in its seed alone: seed 2 instead of 1." in out
    assert "(2 seeds)" not in ask(*words[:3])


def test_what_cannot_be_judged_is_shown_with_the_reason(ask, copy):
    first = copy("first")
    other = copy("fewer", limit=60)
    edit(
        other / "data.json", fingerprint="f" * 64, counts={"train": 42, "validation": 6, "test": 12}
    )
    changed = copy("changed")
    edit(changed / "data.json", fingerprint="e" * 64)
    text = copy("text", "rnn/sentiment-finished")
    half = copy("half", "classification/train-interrupted")
    out = ask(
        first, other, changed, text, half, copy("heads", "classification/compare-heads-finished")
    )
    assert "changed is not judged with the others: the data of " in out
    assert "text is not judged with the others: it is judged by balanced_accuracy, and" in out
    assert "half is not finished" in out
    assert "heads was trained by `compare-heads`" in out
    assert "fewer differs from first in its data: limit 60 instead of 100, samples 42 + 6" in out
    assert "text differs from first in what it trains: rnn sentiment instead of" in out
    assert "Worse" not in out
    assert "Better" not in out


def test_other_test_items_are_refused_and_another_share_of_training_is_not(copy, monkeypatch):
    runs = [copy("all"), copy("half", share=0.5), copy("cut", split_seed=7)]
    for run in runs[1:]:  # as if it had been trained so
        monkeypatch.setattr("common.runs.job.Job.load_splits", lambda job: job.load(job.config)[0])
        edit(run / "data.json", fingerprint=run.name)
    found = side_by_side.compare(runs)
    assert list(found.measured()) == ["all", "half"]
    assert (
        "test items are others than those of all, since --split-seed differs"
        in (found.refused["cut"])
    )


def test_cross_validations_are_judged_out_of_fold(ask, command, tmp_path):
    words = ("--data", "digits", "--limit", "100", "--model", "linear", "--epochs", "1")
    classification = import_module("labs.classification.__main__").lab
    given = (*words, "--folds", "2", "--threads", "1", "--run-dir", tmp_path, "--name", "one")
    assert command(classification, "crossval", *given).code == 0
    one = tmp_path / "classification/one"
    other = shutil.copytree(one, one.with_name("other"))
    for fold in (1, 2):
        run = Run(other / f"members/fold-{fold}")
        kept = OutOfFold.read(run)
        kept._replace(decided=kept.targets).write(run)
    out = ask(one, other)
    assert "Better than one by accuracy out of fold: other +0." in out
    edit(other / "members/fold-2/data.json", fingerprint="another")
    assert "other is not judged with the others: its test items are others" in ask(one, other)


def test_causes_come_in_their_order(copy):
    def cause(**changes):
        return side_by_side.find_cause(run(**changes), run())

    def run(data=None, seed=3, rate=0.05, torch="2.9", threads=1):
        path = copy(f"run{len(made)}", seed=seed, learning_rate=rate, threads=threads)
        made.append(path)
        edit(path / "environment.json", torch=torch)
        edit(path / "data.json", fingerprint=data)
        return side_by_side.listing.read(side_by_side.open_run(path))

    made = []
    assert cause(data="other", rate=0.1, seed=1, torch="2.8").kind == "data"
    assert cause(rate=0.1, seed=1, torch="2.8") == (
        "config",
        "learning_rate 0.1 instead of 0.05",
    )
    assert cause(seed=1, torch="2.8") == ("environment", "torch 2.8 instead of 2.9")
    assert cause(threads=2) == ("environment", "threads 2 instead of 1")
    assert cause(seed=1).kind == "seed"
    assert cause().kind == ""


def test_the_first_epoch_that_differs_is_said(ask, copy):
    one, other = copy("one"), copy("other")
    rows = (other / "history.jsonl").read_text().splitlines()
    row = json.loads(rows[1])
    rows[1] = json.dumps({**row, "train/loss": row["train/loss"] + 1e-7})
    (other / "history.jsonl").write_text("\n".join(rows))
    assert "are the same, and epoch 2 is the first to differ." in ask(one, other)


@pytest.mark.parametrize(
    ("runs", "said"),
    [
        (["one"], "at least two runs"),
        (["one", "one"], "at least two"),
        (["one", "no"], "no run folder"),
    ],
)
def test_what_is_no_comparison_is_refused(command, copy, tmp_path, runs, said):
    copy("one")
    result = command(LAB, "compare", *(tmp_path / name for name in runs))
    assert result.code == 2
    assert said.replace("no run", "not a run") in result.err
