"""Pseudo-labels of images: who gives them, who learns from them, and who judges."""

import csv
import json
import shutil
from dataclasses import replace

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors.torch import load_file
from sklearn.datasets import load_digits

from common.experiments.out_of_fold import OutOfFold
from common.files import sha256_of
from common.runs.folder import Run
from labs.classification.data import load
from labs.classification.experiments.crossval import CrossvalImages
from labs.classification.experiments.pseudo import PseudoImages
from labs.classification.job import ClassifyImages

SMALL = (
    *("--model", "linear", "--augment", "none", "--folds", "2", "--epochs", "6", "--threads", "1"),
    *("--warmup", "0", "--batch-size", "16", "--learning-rate", "0.02", "--ema", "none"),
    *("--label-smoothing", "0", "--image-size", "16"),
)
COPIES = 6


@pytest.fixture(scope="module")
def digits(tmp_path_factory):
    """Return a folder with 90 labelled digits, and unlabelled ones, of which six are copies."""
    root, found = tmp_path_factory.mktemp("digits"), load_digits(n_class=3)
    pictures = (found.images * 15.9).astype(np.uint8)

    def save(row, path):
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(pictures[row]).resize((32, 32)).save(path)

    for row in range(90):
        save(row, root / "labelled" / f"숫자 {found.target[row]}" / f"{row}.png")
    for row in range(90, 150):
        save(row, root / "more" / f"{row}.png")
    for row in range(COPIES):
        save(row, root / "more" / f"copy-{row}.jpg")  # saved again, so that its bytes are others
    return root


@pytest.fixture(scope="module")
def runs(lab, digits, tmp_path_factory):
    """Return the folder of a cross-validation, of one with pseudo-labels, and what that said."""
    root = tmp_path_factory.mktemp("runs")
    done = lab("crossval", "--data", digits / "labelled", *SMALL, "--run-dir", root, "--name", "cv")
    assert done.code == 0, done.err
    cv = root / "classification" / "cv"
    words = ("--threshold", "0.9", "--run-dir", root, "--name", "more")
    done = lab("pseudo-label", cv, digits / "more", *words)
    assert done.code == 0, done.err
    return cv, cv.parent / "more", done


def read(path):
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


@pytest.mark.slow
def test_a_fold_learns_from_what_its_own_network_is_sure_of(runs, digits):
    cv, more, _ = runs
    for fold in (1, 2):
        before = ClassifyImages.open_trained(cv / "members" / f"fold-{fold}")
        after = ClassifyImages.open_trained(more / "members" / f"fold-{fold}")
        old, new = before.load_splits(), after.load_splits()
        given = read(more / "pseudo" / f"fold-{fold}.csv")
        number = len(old["train"])
        assert new["train"].names == (*old["train"].names, *(each["sample"] for each in given))
        assert torch.equal(new["train"].images[:number], old["train"].images)
        assert new["validation"].names == old["validation"].names
        assert new["test"].names == old["test"].names
        assert after.card.counts["train"] == number + len(given) == len(new["train"])
        shares = torch.softmax(before.answers(new["train"].images[number:])["outputs"], 1)
        assert shares.max(1).values.tolist() == pytest.approx(
            [float(each["probability"]) for each in given], abs=1e-5
        )
        assert min(float(each["probability"]) for each in given) >= 0.9
        assert shares.argmax(1).tolist() == new["train"].targets[number:].tolist()
        assert [after.card.classes[at] for at in new["train"].targets[number:]] == [
            each["label"] for each in given
        ]


def test_copies_of_what_a_fold_holds_out_are_not_among_them(runs):
    _, more, done = runs
    kept = json.loads((more / "pseudo.json").read_text("utf-8"))["folds"]
    of_test = 0
    for name, each in kept.items():
        job = ClassifyImages.reopen(more / "members" / name)
        splits = job.load_splits()
        held = {path for split in ("validation", "test") for path in splits[split].names}
        copies = {
            f"copy-{path.rpartition('/')[2].removesuffix('.png')}.jpg"
            for path in held
            if int(path.rpartition("/")[2].removesuffix(".png")) < COPIES
        }
        assert each["copies"] == len(copies)
        assert not copies & {row["sample"] for row in read(more / "pseudo" / f"{name}.csv")}
        of_test += len(copies)
    assert of_test >= COPIES  # each is held out for test by one fold, perhaps by one to validate
    assert "Copies of held-out images, or nearly, are used in no fold" in done.out


def test_the_gain_is_paired_and_the_updates_are_as_many(runs):
    cv, more, done = runs
    found = json.loads((more / "metrics.json").read_text("utf-8"))
    old, new = (
        OutOfFold.join([OutOfFold.read(Run(run / "members" / f"fold-{n}")) for n in (1, 2)])
        for run in (cv, more)
    )
    assert np.array_equal(old.targets, new.targets)
    right = [(each.decided == each.targets).astype(float) for each in (new, old)]
    pseudo = found["pseudo"]
    assert pseudo["gain"] == pytest.approx(np.mean(right[0] - right[1]))
    assert pseudo["before"]["accuracy"] == pytest.approx(right[1].mean())
    low, high = pseudo["gain_interval"]
    assert low <= pseudo["gain"] <= high
    assert done.out.count("Pseudo-labels cannot be told apart from none: out of fold, on 90") == 1
    for name, kept in pseudo["folds"].items():
        rows = [
            json.loads((run / "members" / name / "data.json").read_text()) for run in (cv, more)
        ]
        epochs = [Run(run / "members" / name).history[-1]["epoch"] for run in (cv, more)]
        each = [-(-row["counts"]["train"] // 16) for row in rows]
        assert kept["updates"] == 6 * each[0]
        assert abs(epochs[1] * each[1] - kept["updates"]) <= each[1] / 2
        assert sum(kept["learned"]) == rows[0]["counts"]["train"]


def test_what_is_missing_is_made_again_bitwise_and_no_more(runs, lab, tmp_path):
    _, more, _ = runs
    again = tmp_path / "classification" / "again"
    shutil.copytree(more, again)
    for part in ("metrics.json", "pseudo.json", "out_of_fold.csv"):
        (again / part).unlink()
    shutil.rmtree(again / "pseudo")
    shutil.rmtree(again / "members" / "fold-2")
    kept = (again / "members/fold-1/best.safetensors").stat().st_mtime_ns
    done = lab("pseudo-label", "--resume", again)
    assert done.code == 0, done.err
    assert (again / "members/fold-1/best.safetensors").stat().st_mtime_ns == kept
    for part in ("pseudo/fold-2.csv", "members/fold-2/out_of_fold.safetensors", "out_of_fold.csv"):
        assert sha256_of(again / part) == sha256_of(more / part)
    ours, theirs = (load_file(run / "members/fold-2/best.safetensors") for run in (again, more))
    assert all(torch.equal(ours[name], theirs[name]) for name in theirs)


def test_it_submits_and_joins_ensembles_as_a_cross_validation_does(runs, lab, digits, tmp_path):
    cv, more, _ = runs
    sample, out = tmp_path / "sample.csv", tmp_path / "out.csv"
    sample.write_text("id,label\n91.png,x\n90.png,x\n", "utf-8")
    few = tmp_path / "few"
    few.mkdir()
    for name in ("90.png", "91.png"):
        shutil.copy(digits / "more" / name, few)
    done = lab("submit", more, few, sample, "--answers", "names", "--out", out)
    assert done.code == 0, done.err
    assert [row["id"] for row in read(out)] == ["91.png", "90.png"]
    assert all(row["label"].startswith("숫자 ") for row in read(out))
    done = lab("submit", more, few, sample, "--answers", "names", "--out", out, "--refit")
    assert done.code == 2
    assert "--refit: --all-rows: goes without --pseudo" in done.err
    done = lab("ensemble", cv, more, "--run-dir", tmp_path, "--name", "both")
    assert done.code == 0, done.err
    assert "2 members together have" in done.out


@pytest.mark.slow
def test_a_second_round_labels_with_the_networks_of_the_first(runs, lab, digits, tmp_path):
    _, more, _ = runs
    words = ("--epochs", "1", "--run-dir", tmp_path, "--name", "round")
    done = lab("pseudo-label", more, digits / "more", *words)
    assert done.code == 0, done.err
    config = ClassifyImages.reopen(tmp_path / "classification/round/members/fold-1").config
    assert (config.epochs, config.pseudo.endswith("round/pseudo/fold-1.csv")) == (1, True)


def test_labels_that_are_there_are_not_used(runs, digits, tmp_path):
    job, said = ClassifyImages.reopen(runs[0] / "members" / "fold-1"), []
    table = tmp_path / "others.csv"
    lines = ["file,label", *(f"{row}.png,nothing known" for row in range(90, 95))]
    table.write_text("\n".join(lines), "utf-8")
    for row in range(90, 95):
        shutil.copy(digits / "more" / f"{row}.png", tmp_path)
    found = PseudoImages.find(job, str(table), said.append)
    assert found.names == tuple(f"{row}.png" for row in range(90, 95))
    assert found.take(range(1, 3)).shape == (2, 1, 16, 16)
    assert f"{table}: its labels (column 'label') are not used" in said
    folder = str(digits / "labelled")
    assert len(PseudoImages.find(job, folder, said.append).names) == 90
    assert f"{folder}: its labels (folders such as '숫자 0') are not used" in said


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ((), "name CROSSVAL, a finished cross-validation, and UNLABELLED samples"),
        (("{cv}",), "name CROSSVAL, a finished cross-validation, and UNLABELLED samples"),
        (
            ("{cv}/members/fold-1", "{more}"),
            "was trained by `train`; pseudo-label takes a finished",
        ),
        (("{cv}", "nowhere"), "nowhere: no such folder or file"),
        (("{cv}", "{more}", "--threshold", "1"), "a lower --threshold may do"),
        (("{cv}", "{more}", "--model", "mlp"), "no option --model"),
        (("{cv}", "{more}", "--recipe", "mlp"), "--recipe: the options are those of CROSSVAL"),
        (("{cv}", "{more}", "--epochs", "1", "--same-updates"), "goes in place of --epochs"),
        (("{cv}", "{more}", "--resume", "{cv}"), "give no other"),
    ],
)
def test_what_cannot_be_labelled_is_one_sentence(runs, lab, digits, tmp_path, words, said):
    names = {"cv": runs[0], "more": digits / "more"}
    given = [word.format(**names) for word in words]
    done = lab("pseudo-label", *given, "--run-dir", tmp_path)
    assert done.code == 2
    [*_, last] = done.err.splitlines()
    assert said in last
    assert not list(tmp_path.iterdir())


def test_numbers_have_no_pseudo_labels(runs, monkeypatch, lab, digits):
    monkeypatch.setattr(CrossvalImages, "kinds", classmethod(lambda cls, config: ("numbers",)))
    done = lab("pseudo-label", runs[0], digits / "more")
    assert (done.code, "no single class each" in done.err) == (2, True)


def test_a_table_for_other_images_is_refused(runs, lab, digits, tmp_path):
    table = tmp_path / "labels.csv"
    table.write_text("sample,label\nelsewhere.png,숫자 1\n", "utf-8")
    more = ("--pseudo", table, "--unlabelled", digits / "more", "--run-dir", tmp_path / "runs")
    done = lab("train", "--data", digits / "labelled", "--model", "linear", *more)
    assert done.code == 2
    assert "1 of its images are not in --unlabelled" in done.err
    assert not (tmp_path / "runs").exists()


@pytest.mark.slow
def test_kills_change_no_bit(runs, process, kill_often, digits, tmp_path):
    cv, more, _ = runs
    folder = tmp_path / "classification" / "more"
    words = ("--threshold", "0.9", "--run-dir", tmp_path, "--name", "more", "--save-every", "0.01")
    kill_often(("pseudo-label", cv, digits / "more", *words), folder, (0.0, 0.5), kills=6)
    last = process(
        "classification", ("pseudo-label", "--resume", folder), "", tmp_path / "last.out"
    )
    assert last.end() == 0
    for fold in (1, 2):
        for part in (f"pseudo/fold-{fold}.csv", f"members/fold-{fold}/out_of_fold.safetensors"):
            assert sha256_of(folder / part) == sha256_of(more / part)


@pytest.mark.parametrize("decoding", ["stream", "cache"])
def test_images_join_those_that_stay_in_files(runs, decoding):
    job = ClassifyImages.reopen(runs[1] / "members" / "fold-1")
    memory, _ = load(job.config)
    files, _ = load(replace(job.config, decoding=decoding))
    ours, theirs = files["train"], memory["train"]
    assert ours.names == theirs.names
    assert torch.equal(ours.targets, theirs.targets)
    assert torch.equal(torch.stack([ours[row][0] for row in range(len(ours))]), theirs.images)
