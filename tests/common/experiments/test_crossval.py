"""Cross-validation: every sample is answered once, by a model that had not seen it."""

import csv
import json
import shutil
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors.torch import load_file
from sklearn import metrics as reference

from common.experiments.out_of_fold import OutOfFold, list_answers
from common.metrics.main_metric import ACCURACY
from common.options import commandline
from common.runs.folder import Run
from labs.__main__ import labs
from labs.autoencoder.__main__ import lab as autoencoder
from labs.classification.__main__ import lab as classification
from labs.classification.experiments.config import CrossvalConfig
from labs.classification.experiments.crossval import CrossvalImages
from labs.detection.__main__ import lab as detection
from labs.rnn.__main__ import lab as rnn

CROSSVAL = (
    *("crossval", "--data", "digits", "--limit", "120", "--model", "linear", "--folds", "3"),
    *("--epochs", "3", "--batch-size", "16", "--image-size", "none"),
)


def read(path):
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


LABS = SimpleNamespace(main=lambda: commandline.main(labs, "python -m labs"))


def assert_same_weights(run, other):
    ours, theirs = (load_file(each / "best.safetensors") for each in (run, other))
    assert ours.keys() == theirs.keys()
    assert all(torch.equal(ours[name], theirs[name]) for name in ours)


@pytest.fixture(scope="module")
def crossval(command, tmp_path_factory):
    folder = tmp_path_factory.mktemp("runs")
    done = command(classification, *CROSSVAL, "--run-dir", folder, "--name", "cv", drawn=True)
    assert done.code == 0, done.err
    return folder / "classification" / "cv", done


def test_the_figure_is_that_of_all_answers_together(crossval):
    run, done = crossval
    listed = read(run / "out_of_fold.csv")
    assert len({each["image"] for each in listed}) == len(listed) == 120
    right = [each["truth"] == each["answer"] for each in listed]
    metrics = json.loads((run / "metrics.json").read_text())
    assert metrics["accuracy"] == pytest.approx(np.mean(right))
    assert metrics["accuracy_interval"] == pytest.approx(list(ACCURACY.interval(np.array(right))))
    of_folds = [
        np.mean([row["truth"] == row["answer"] for row in listed if row["fold"] == f"fold-{fold}"])
        for fold in (1, 2, 3)
    ]
    assert metrics["of_folds"] == [pytest.approx(of_folds)]
    assert "Out of fold, on 120 images that the models had not seen" in done.out
    for each in listed:
        shares = {name: float(each[name]) for name in map(str, range(10))}
        assert sum(shares.values()) == pytest.approx(1, abs=1e-4)
        assert max(shares, key=shares.get) == each["answer"]


def test_other_metrics_are_those_of_scikit_learn(crossval):
    run, done = crossval
    listed = read(run / "out_of_fold.csv")
    truth, said = ([int(each[name]) for each in listed] for name in ("truth", "answer"))
    shares = np.array([[float(each[str(digit)]) for digit in range(10)] for each in listed])
    shares /= shares.sum(1, keepdims=True)
    found = {each["name"]: each for each in Run(run).read("metrics")["metrics"]}
    expected = {
        "balanced_accuracy": reference.balanced_accuracy_score(truth, said),
        "f1": reference.f1_score(truth, said, average="macro"),
        "kappa": reference.cohen_kappa_score(truth, said),
        "roc_auc": reference.roc_auc_score(truth, shares, multi_class="ovr"),
        "log_loss": reference.log_loss(truth, shares),
    }
    for name, value in expected.items():
        assert found[name]["value"] == pytest.approx(value, rel=1e-4)
        assert found[name]["interval"][0] < value < found[name]["interval"][1]
    assert "macro F1" in done.out


def test_a_metric_of_ones_own_that_fails_costs_no_fold(command, tmp_path):
    own = tmp_path / "own.py"
    own.write_text(
        "def share(truth, answers):\n    return (truth == answers).mean()\n"
        "def broken(truth, answers):\n    raise ValueError('no')\n"
    )
    words = (*CROSSVAL, "--metrics", f"{own}:share,{own}:broken,top3,top12", "--name", "cv")
    done = command(classification, *words, "--tune", f"{own}:broken", "--run-dir", tmp_path)
    assert done.code == 0, done.err
    assert "raised ValueError" in done.err
    metrics = Run(tmp_path / "classification" / "cv").read("metrics")
    share, broken, top, many = metrics["metrics"]
    assert "needs at least 13 classes, given 10" in many["error"]
    assert metrics["tuned"] is None
    assert share["value"] == pytest.approx(metrics["accuracy"])
    assert "raised ValueError" in broken["error"]
    assert top["value"] >= share["value"]
    done = command(classification, *CROSSVAL, "--metrics", "rmse", "--run-dir", tmp_path / "new")
    assert done.code == 2
    assert "--metrics rmse: it is of numbers, which are not here" in done.err


def test_a_fold_is_what_train_makes_of_it(crossval, command, tmp_path):
    run, _ = crossval
    words = [word for word in CROSSVAL[1:]]
    done = command(
        classification, "train", *words, "--fold", "2", "--run-dir", tmp_path, "--name", "one"
    )
    assert done.code == 0, done.err
    alone = tmp_path / "classification" / "one"
    assert_same_weights(alone, run / "members" / "fold-2")


def test_groups_stay_in_one_fold_and_the_interval_draws_them(command, tmp_path):
    rows = []
    for person in range(12):
        noise = np.random.default_rng(person)
        for number in range(4):
            name = f"{person}-{number}.png"
            pixels = noise.integers(0, 255, (8, 8), np.uint8)
            pixels[:, :4] = 250 * (number % 2)
            Image.fromarray(pixels).save(tmp_path / name)
            rows.append(f"{name},{'odd' if number % 2 else 'even'},p{person}")
    table = tmp_path / "table.csv"
    table.write_text("\n".join(["path,label,person", *rows]))
    done = command(
        *(classification, "crossval", "--data", table, "--group-column", "person", "--folds", "4"),
        *("--model", "linear", "--epochs", "1", "--run-dir", tmp_path, "--name", "cv"),
    )
    assert done.code == 0, done.err
    folds = {}
    for each in read(tmp_path / "classification" / "cv" / "out_of_fold.csv"):
        folds.setdefault(each["image"].partition("-")[0], set()).add(each["fold"])
    assert len(folds) == 12
    assert all(len(each) == 1 for each in folds.values())
    assert "the interval draws whole groups, of 12" in done.out


@pytest.mark.parametrize(
    ("lab", "words", "samples"),
    [
        (
            autoencoder,
            ["crossval", "--data", "digits", "--limit", "90", "--model", "linear"],
            "90 images",
        ),
        pytest.param(
            rnn,
            [
                *("crossval-sentiment", "--limit", "150", "--hidden-size", "4", "--members", "1"),
                *("--embedding-size", "4"),
            ],
            "150 texts",
            marks=pytest.mark.slow,
        ),
        (
            rnn,
            [
                *("crossval-forecast", "--limit", "200", "--window", "8", "--horizon", "3"),
                *("--hidden-size", "4", "--period", "2", "--no-linear"),
            ],
            "origins",
        ),
    ],
)
def test_every_lab_has_it(command, tmp_path, lab, words, samples):
    done = command(
        *(lab, *words, "--epochs", "1", "--folds", "3", "--repeats", "2"),
        *("--run-dir", tmp_path, "--name", "cv"),
    )
    assert done.code == 0, done.err
    assert samples in done.out
    assert "It is the mean of 2 repetitions" in done.out


def test_folds_of_a_forecast_lie_behind_what_it_learned(command, tmp_path):
    done = command(
        *(rnn, "crossval-forecast", "--limit", "200", "--window", "8", "--horizon", "3"),
        *("--hidden-size", "4", "--period", "2", "--no-linear", "--epochs", "1", "--folds", "3"),
        *("--run-dir", tmp_path, "--name", "cv"),
    )
    assert done.code == 0, done.err
    members = tmp_path / "rnn/cv/members"
    spans = [Run(members / f"fold-{fold}").read("data")["spans"] for fold in (1, 2, 3)]
    ends = [end for span in spans for name in ("train", "validation", "test") for end in span[name]]
    assert all(ends[place : place + 6] == sorted(ends[place : place + 6]) for place in (0, 6, 12))
    assert spans[0]["test"][1] < spans[1]["test"][0] < spans[1]["test"][1] < spans[2]["test"][0]


@pytest.mark.parametrize(
    ("lab", "words", "said"),
    [
        (
            classification,
            ["crossval", "--data", "digits", "--limit", "30"],
            "a class has 3 samples",
        ),
        (
            classification,
            ["crossval", "--folds", "1"],
            "--folds 1: expected a whole number at least 2",
        ),
        (classification, ["train", "--fold", "1"], "--fold: needs --folds"),
        (classification, ["train", "--folds", "3", "--fold", "4"], "there are 3 folds"),
        (detection, ["crossval"], "scenes are composed for each split"),
        (rnn, ["crossval-forecast", "--folds", "500"], "too short to test"),
    ],
)
def test_what_cannot_be_cut_is_one_sentence(command, tmp_path, lab, words, said):
    done = command(lab, *words, "--run-dir", tmp_path)
    assert done.code == 2
    assert said in done.err
    assert not list(tmp_path.iterdir())


@pytest.mark.slow
def test_ten_kills_change_no_bit_and_no_fold_is_done_again(process, kill_often, crossval, tmp_path):
    whole, _ = crossval
    words, folder = (*CROSSVAL, "--save-every", "0.01"), tmp_path / "classification" / "cv"
    kill_often(
        (*words, "--run-dir", tmp_path, "--name", "cv"),
        folder,
        (0.05, 0.6),
        finished="members/*/metrics.json",
        kept="best.safetensors",
        began="members",
    )
    last = process("classification", ("crossval", "--resume", folder), "", tmp_path / "last.out")
    assert last.end() == 0
    for fold in (1, 2, 3):
        member = f"members/fold-{fold}"
        assert_same_weights(folder / member, whole / member)
        answers = f"{member}/out_of_fold.safetensors"
        assert (folder / answers).read_bytes() == (whole / answers).read_bytes()
    assert (folder / "out_of_fold.csv").read_text() == (whole / "out_of_fold.csv").read_text()


def test_a_class_that_is_called_as_a_column_takes_no_place():
    said = list_answers("text", ["a", "b"], ["truth", "no"], ["no", "no"], {"truth": [0.4, 0.1]})
    assert said[0] == {"text": "a", "truth": "truth", "answer": "no", "truth (probability)": 0.4}


@pytest.mark.parametrize("length", [{}, {"total_updates": 40}])
def test_folds_of_the_users_data_train_for_the_updates_that_suit(photos, length, tmp_path):
    config = CrossvalConfig(
        **{"data": str(photos), "folds": 2, "model": "linear", "run_dir": str(tmp_path), **length},
        given=frozenset({"data", "folds", "model", *length}),
    )
    whole = CrossvalImages.start(config)
    assert whole.config.total_updates is None  # in the run they are epochs
    assert len({fold.epochs for fold in whole.plan(whole.config).values()}) == 1
    assert not whole.config.problems()


def test_shake_up_foretells_a_board_of_runs(crossval, command, tmp_path):
    run, _ = crossval
    worse = tmp_path / "worse"
    shutil.copytree(run, worse)
    for fold in sorted(worse.glob("members/*")):
        kept = OutOfFold.read(Run(fold))
        kept._replace(decided=(kept.targets + 1) % 10).write(Run(fold))
    page = tmp_path / "page.html"
    done = command(LABS, "shake-up", worse, run, "--size", "200", "--html", page)
    assert done.code == 0, done.err
    assert "On a board of 60 public and 140 private images" in done.out
    assert " ".join(["cv", ":", "worse", "|", "1.00", "|", "0.00"]) in " ".join(done.out.split())
    assert "is the private one with probability" in page.read_text("utf-8")
    by_loss = command(LABS, "shake-up", run, worse, "--metric", "log_loss")
    assert "log loss out of fold" in by_loss.out  # of the same probabilities
    assert "Of what sets public ranks apart" in by_loss.out


def test_shake_up_refuses_what_it_cannot_judge(crossval, command, tmp_path):
    run, _ = crossval
    fold = run / "members" / "fold-1"
    for words, problem in [
        ([run], "expected at least two"),
        ([run, run], "expected at least two"),
        ([run, fold], "has no answers out of fold"),
        ([run, tmp_path], str(tmp_path)),
    ]:
        done = command(LABS, "shake-up", *words)
        assert (done.code, problem in done.err) == (2, True), done.err
