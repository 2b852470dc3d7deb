"""Ensembles of classifiers: made of runs or folds, asked as runs are, refused where unfit."""

import json
import re

import numpy as np
import pytest
import torch
from sklearn.metrics import f1_score
from torch import nn

from common.ensembles.answers import read_together
from common.ensembles.trees import Trees
from common.runs.folder import Run
from common.training.task import probabilities
from labs.classification.experiments.ensemble import ImagesTogether
from labs.classification.job import ClassifyImages
from labs.classification.models.build import build
from labs.classification.transfer.frozen_features import find_head, headless

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
    assert [each["run"] for each in manifest["members"]] == [str(runs / "하나"), str(runs / "two")]
    assert not manifest["copies"]
    done = lab("submit", run, tmp_path / "test", sample, "--tta", "hflip")
    assert done.code == 0, done.err
    assert json.loads((tmp_path / "submission.json").read_text())["copies"] == ["hflip"]
    done = lab("evaluate", run, "--tta", "hflip")
    assert done.code == 2
    assert "--tta" in done.err


@pytest.fixture
def asked(paint, tmp_path, monkeypatch):
    """Return a folder of test images, and a sample that asks for a probability of them."""
    monkeypatch.chdir(tmp_path)
    for name, level in (("1", 0), ("2", 180)):
        paint(tmp_path / "test" / f"{name}.png", level)
    sample = tmp_path / "sample_submission.csv"
    sample.write_text("id,3\n2.png,0.5\n1.png,0.5\n")
    return tmp_path / "test", sample


def read_shares(path):
    return np.array([float(line.split(",")[1]) for line in path.read_text().split()[1:]])


def test_a_refit_trains_each_member_on_all_rows_and_combines_them_alike(lab, made, runs, asked):
    _, run = made
    done = lab("submit", run, *asked, "--refit")
    assert done.code == 0, done.err
    together, folder = read_shares(asked[1].with_name("submission.csv")), asked[0].parent
    manifest = json.loads((folder / "submission.json").read_text())
    refits = [runs / f"{name}-refit" for name in ("하나", "two")]
    assert [each["run"] for each in manifest["members"]] == [str(each) for each in refits]
    assert "gain" not in manifest["scores"]
    assert manifest["scores"]["test"]["accuracy"] > 0
    each = []
    for one in refits:
        assert ClassifyImages.reopen(one).config.all_rows
        assert lab("submit", one, *asked, "--out", folder / "one.csv").code == 0
        each.append(read_shares(folder / "one.csv"))
    weights = json.loads((run / "combination.json").read_text("utf-8"))["weights"]
    np.testing.assert_allclose(together, np.tensordot(weights, each, 1), atol=1e-6)
    before = (refits[0] / "best.safetensors").read_bytes()
    again = lab("submit", run, *asked, "--refit", "--bundle", folder / "bundle")
    assert again.err.count("is trained already") == 2
    assert (refits[0] / "best.safetensors").read_bytes() == before
    assert (folder / "bundle/run/members/1-1/best.safetensors").read_bytes() == before


def test_a_bundle_has_the_members_and_answers_without_the_runs(lab, made, asked, runs, tmp_path):
    _, run = made
    bundle, out = tmp_path / "bundle", tmp_path / "again.csv"
    done = lab("submit", run, *asked, "--bundle", bundle)
    assert done.code == 0, done.err
    config = (bundle / "run/config.toml").read_text("utf-8")
    assert str(runs) not in config
    assert '"members/2-1"' in config
    done = lab("submit", bundle / "run", *asked, "--out", out)
    assert done.code == 0, done.err
    assert out.read_bytes() == (tmp_path / "submission.csv").read_bytes()
    (bundle / "run/members/2-1/best.safetensors").write_bytes(
        (bundle / "run/members/1-1/best.safetensors").read_bytes()
    )
    assert "has other weights" in lab("submit", bundle / "run", *asked, "--out", out).err


def test_a_member_that_has_changed_is_refused(lab, made, runs):
    _, run = made
    weights = runs / "하나" / "best.safetensors"
    before = weights.read_bytes()
    weights.write_bytes((runs / "elsewhere" / "best.safetensors").read_bytes())
    done = lab("evaluate", run)
    weights.write_bytes(before)
    assert done.code == 2
    assert "하나 has other weights than when the ensemble was made of it" in done.err


def test_what_was_asked_is_not_asked_again(lab, made, conclude_again):
    conclude_again(lab, made[1])


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


def test_runs_of_other_training_rows_are_bagging(lab, tmp_path):
    for seed in ("0", "1"):
        words = ("--seed", seed, "--run-dir", tmp_path, "--name", f"bag-{seed}", "--bootstrap")
        done = lab("train", *SMALL, *words)
        assert done.code == 0, done.err
        assert re.search(r"\d+ different ones among 100 drawn to train", done.err), done.err
    runs = [tmp_path / "classification" / f"bag-{seed}" for seed in "01"]
    done = lab("ensemble", *runs, "--run-dir", tmp_path, "--name", "bag")
    assert done.code == 0, done.err
    assert "drawn to train" not in done.out
    refused = lab("train", *SMALL, "--bootstrap", "--patch", "patch.csv")
    assert "--bootstrap: goes without --patch" in refused.err


@pytest.mark.slow
def test_boosting_is_one_more_member_on_the_features_of_the_first(
    lab, runs, asked, tmp_path, monkeypatch
):
    words = ("--boosting", "--name", "boosted", "--run-dir", runs.parent)
    done = lab("ensemble", runs / "하나", runs / "two", *words)
    assert done.code == 0, done.err
    run = runs / "boosted"
    found = json.loads((run / "metrics.json").read_text("utf-8"))
    assert [each["name"] for each in found["members"]] == ["하나", "two", "boosting"]
    assert found["members"][2]["accuracy"] > 0.3
    first = ClassifyImages.open_trained(runs / "하나")
    splits = first.load_splits()
    pixels = [
        first.task(splits).outputs(nn.Flatten(), batch) for batch in batches_of(first, splits)
    ]
    features = {name: each["outputs"].numpy() for name, each in zip(splits, pixels, strict=True)}
    trees = Trees.fit(features["train"], first.targets(splits["train"]), 0, lambda share: None)
    said = trees.logits(features["test"], 10).argmax(1)
    accuracy = (said == first.targets(splits["test"])).mean()
    assert found["members"][2]["accuracy"] == pytest.approx(accuracy)
    done = lab("submit", run, *asked, "--bundle", tmp_path / "bundle")
    assert done.code == 0, done.err
    moved = lab("submit", tmp_path / "bundle/run", *asked, "--out", tmp_path / "again.csv")
    assert moved.code == 0, moved.err
    again, before = (tmp_path / f"{name}.csv" for name in ("again", "submission"))
    assert again.read_bytes() == before.read_bytes()
    for option, problem in (("--refit", "boosting of .* stays fitted"), ("--tta", "leave it out")):
        refused = lab("submit", run, *asked, option, *(["hflip"] if option == "--tta" else []))
        assert refused.code == 2
        assert re.search(problem, refused.err), refused.err
    for name in ("metrics.json", "answers/2.safetensors"):
        (run / name).unlink()
    monkeypatch.setattr(Trees, "fit", None)  # is not done again
    done = lab("ensemble", "--resume", run)
    assert done.code == 0, done.err
    now = json.loads((run / "metrics.json").read_text("utf-8"))
    assert now["test"] == found["test"]
    assert lab("evaluate", run).code == 0


def test_the_last_layer_is_found_taken_away_and_put_back():
    torch.manual_seed(0)
    model, images = build("lenet5", 1, 28, 10).eval(), torch.rand(3, 1, 28, 28)
    before, head = model(images), find_head(model, (1, 28, 28))
    with headless(model, head):
        features = model(images)
    assert torch.equal(model.get_submodule(head)(features), before)
    assert torch.equal(model(images), before)
    assert find_head(build("lenet5-1998", 1, 28, 10), (1, 28, 28)) is None


def batches_of(job, splits):
    """Return all of each split as one batch, as the network is given it."""
    for split in splits.values():
        parts = [batch for update in job.batches(split).updates(0) for batch in update]
        yield tuple(torch.cat(column) for column in zip(*parts, strict=True))


def join(lab, root, *words, loss, method):
    """Return the folders of two runs of a loss, and of both together."""
    for seed in ("0", "1"):
        named = ("--seed", seed, "--run-dir", root, "--name", f"{loss}-{seed}")
        done = lab("train", *SMALL, *words, "--loss", loss, *named)
        assert done.code == 0, done.err
    runs = [root / "classification" / f"{loss}-{seed}" for seed in "01"]
    words = ("--method", method, "--run-dir", root, "--name", f"{loss}-both")
    done = lab("ensemble", *runs, *words)
    assert done.code == 0, done.err
    return runs, root / "classification" / f"{loss}-both"


def test_numbers_have_a_median(lab, paint, tmp_path):
    runs, both = join(lab, tmp_path, loss="mse", method="median")
    found = json.loads((both / "metrics.json").read_text("utf-8"))
    assert found["test"]["mae"] == pytest.approx(found["members"][0]["mae"] - found["gain"])
    paint(tmp_path / "1.png", 90)
    first, second, together = (
        json.loads(lab("predict", run, tmp_path / "1.png", "--format", "json").out)[0]["guesses"]
        for run in (*runs, both)
    )
    mean = (first[0]["value"] + second[0]["value"]) / 2
    assert together[0]["value"] == pytest.approx(mean, rel=1e-5)
    done = lab("evaluate", both)
    assert f"{found['test']['mae']:.4f}" in done.out
    refused = lab("ensemble", *runs, "--method", "hard", "--run-dir", tmp_path)
    assert "--method hard: is not for numbers; choose soft, median or greedy" in refused.err


@pytest.mark.slow
def test_labels_have_the_mean_of_probabilities_and_thresholds(lab, paint, tmp_path):
    lines = ["file,light,dark"]
    for number in range(40):
        paint(tmp_path / f"{number}.png", level := 4 * number)
        lines.append(f"{number}.png,{int(level > 60)},{int(level < 100)}")
    (tmp_path / "table.csv").write_text("\n".join(lines))
    words = ("--data", tmp_path / "table.csv", "--image-size", "8")
    runs, both = join(lab, tmp_path, *words, loss="binary-cross-entropy", method="soft")
    jobs = [ClassifyImages.open_trained(run) for run in runs]
    together = ImagesTogether.open_trained(both)
    expected = np.mean([job.thresholds for job in jobs], 0)
    assert together.thresholds == pytest.approx(expected)
    splits = together.load_splits()
    outputs = together.predict_splits(splits, ["test"])["test"]
    shares = np.mean(
        [
            probabilities(job.predict_splits(splits, ["test"])["test"]["outputs"], several=True)
            for job in jobs
        ],
        0,
    )
    assert probabilities(outputs["outputs"], several=True) == pytest.approx(shares, abs=1e-6)
    found = json.loads((both / "metrics.json").read_text("utf-8"))
    said = f1_score(together.targets(splits["test"]), shares >= expected, average="micro")
    assert found["test"]["f1_micro"] == pytest.approx(said)


@pytest.fixture(scope="module")
def folds(lab, tmp_path_factory):
    """Return the folder of two cross-validations of the same folds, and of one of others."""
    root = tmp_path_factory.mktemp("folds")
    for name, *more in (
        ("a", "--model", "linear"),
        ("b", "--model", "mlp"),
        ("others", "--split-seed", "1"),
    ):
        words = (*SMALL, *more, "--folds", "3", "--run-dir", root, "--name", name)
        done = lab("crossval", *words)
        assert done.code == 0, done.err
    return root / "classification"


@pytest.mark.slow
@pytest.mark.parametrize("method", ["soft", "hard", "greedy", "stacking"])
def test_cross_validations_are_judged_on_answers_out_of_fold(lab, folds, method):
    words = ("--method", method, "--name", method, "--run-dir", folds.parent)
    done = lab("ensemble", folds / "a", folds / "b", *words)
    assert done.code == 0, done.err
    run = folds / method
    found = json.loads((run / "metrics.json").read_text("utf-8"))
    assert found["judged_on"] == "out_of_fold"
    assert found["out_of_fold"]["accuracy"] == pytest.approx(found["nested"]["accuracy"])
    alone = json.loads((folds / "a" / "metrics.json").read_text("utf-8"))
    assert found["members"][0]["accuracy"] == pytest.approx(alone["accuracy"])
    shares, targets = read_together(Run(run))
    assert len(targets) == alone["samples"]
    assert "2 members together have an out-of-fold accuracy of" in done.out
    assert "fold 1 of 3" not in done.out
    refused = lab("evaluate", run)
    assert refused.code == 2
    assert "are folds: each split has samples that some of them learned from" in refused.err


@pytest.mark.slow
def test_folds_of_one_answer_by_their_mean_and_are_not_judged(lab, folds, paint, tmp_path):
    done = lab("ensemble", folds / "a", "--name", "alone", "--run-dir", folds.parent)
    assert done.code == 0, done.err
    assert "What that gains cannot be measured on these data" in done.out
    paint(tmp_path / "1.png", 90)
    asked = [folds / "alone", *(folds / "a" / "members" / f"fold-{n}" for n in (1, 2, 3))]
    shares = []
    for run in asked:
        done = lab("predict", run, tmp_path / "1.png", "--top", "10", "--format", "json")
        assert done.code == 0, done.err
        [said] = json.loads(done.out)
        shares.append({each["class"]: each["probability"] for each in said["guesses"]})
    together, *each = shares
    assert together == pytest.approx({c: sum(one[c] for one in each) / 3 for c in together})
    sample = tmp_path / "sample.csv"
    sample.write_text("id,label\n1.png,0\n")
    done = lab("submit", folds / "alone", tmp_path, sample, "--refit")
    assert done.code == 2
    assert f"network learns from all rows: give {folds / 'a'}" in done.err


@pytest.mark.slow
@pytest.mark.parametrize(
    ("words", "problem"),
    [
        (["a", "others"], "another split"),
        (["a", "a/members/fold-1"], "is a cross-validation, and .* is none"),
        (["a", "--method", "greedy"], "folds answer each its own"),
    ],
)
def test_folds_that_do_not_fit_are_refused(lab, folds, words, problem):
    given = [folds / word if word[0] in "ao" else word for word in words]
    done = lab("ensemble", *given, "--run-dir", folds.parent)
    assert done.code == 2
    assert re.search(problem, done.err), done.err


@pytest.mark.slow
def test_ten_kills_change_no_bit_and_nobody_is_asked_again(process, kill_often, runs, tmp_path):
    named = [runs / name for name in ("하나", "two")]
    begin = ("ensemble", *named, "--method", "stacking", "--name", "e", "--run-dir")
    assert process("classification", (*begin, tmp_path / "whole"), "", tmp_path / "o").end() == 0
    whole, folder = (tmp_path / each / "classification" / "e" for each in ("whole", "killed"))
    answered = "answers/[12].safetensors"
    kill_often((*begin, tmp_path / "killed"), folder, (0.0, 0.4), finished=answered)
    last = process("classification", ("ensemble", "--resume", folder), "", tmp_path / "last.out")
    assert last.end() == 0
    for name in ("combination.json", "answers/together.safetensors", "config.toml"):
        assert (folder / name).read_bytes() == (whole / name).read_bytes()
    mine, theirs = (
        json.loads((each / "metrics.json").read_text("utf-8")) for each in (folder, whole)
    )
    for found in (mine, theirs):
        found.pop("seconds")
        for each in found["members"]:
            each.pop("seconds_answer")
    assert mine == theirs
