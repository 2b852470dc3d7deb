"""The same student alone and with a teacher, from the command line."""

import json
import shutil

import numpy as np
import pytest

from labs.classification.job import ClassifyImages

SMALL = (
    *("--data", "digits", "--limit", "100", "--augment", "none", "--warmup", "0", "--epochs", "2"),
    *("--batch-size", "16", "--ema", "none", "--model", "linear"),
)


@pytest.fixture(scope="module")
def teacher(lab, tmp_path_factory):
    """Return the folder of a finished run; tests leave it as it is."""
    runs = tmp_path_factory.mktemp("teacher")
    words = ("--model", "mlp", "--run-dir", runs, "--name", "teacher")
    assert lab("train", *SMALL, *words).code == 0
    return runs / "classification/teacher"


@pytest.fixture(scope="module")
def compared(lab, teacher, tmp_path_factory):
    """Return what a comparison says, its folder, and the copy of the teacher that it used."""
    folder = tmp_path_factory.mktemp("compared")
    copy = shutil.copytree(teacher, folder / "스승")
    words = ("--seeds", "2", "--run-dir", folder, "--name", "비교", "--teacher-weight", "0.8")
    result = lab("compare-teacher", *SMALL, "--teacher", copy, *words, drawn=True)
    assert result.code == 0, result
    return result, folder / "classification/비교", copy


def test_the_variants_differ_in_the_teacher_alone(compared):
    _, run, copy = compared
    configs = {
        each.name: (each / "config.toml").read_text(encoding="utf-8")
        for each in (run / "members").iterdir()
    }
    assert sorted(configs) == ["alone-0", "alone-1", "taught-0", "taught-1"]
    for seed in "01":
        alone, taught = (configs[f"{name}-{seed}"].splitlines() for name in ("alone", "taught"))
        differ = [pair for pair in zip(alone, taught, strict=True) if len(set(pair)) == 2]
        [(one, other), (unread, weight)] = differ
        assert one.startswith('teacher = "none"')
        assert other.startswith(f'teacher = "{copy}"')
        assert unread.startswith("teacher_weight = 0.9")  # nobody reads it
        assert weight.startswith("teacher_weight = 0.8")


def test_the_figures_are_those_of_the_members(compared):
    _, run, copy = compared
    found = json.loads((run / "metrics.json").read_text())["compared"]
    reopened = ClassifyImages.reopen(copy)
    assert list(found) == ["alone", "taught"]
    said = answers(copy)
    for name, entry in found.items():
        jobs = [ClassifyImages.reopen(run / "members" / f"{name}-{seed}") for seed in (0, 1)]
        splits = jobs[0].load_splits()
        true = jobs[0].targets(splits["test"])
        guesses = np.array([answers(job.run.path) for job in jobs])
        mine = entry["teacher"]
        assert entry["accuracy"] == pytest.approx((guesses == true).mean())
        assert mine["accuracy"] == pytest.approx((said == true).mean())
        assert mine["accuracy"] == pytest.approx(mine["own_accuracy"])
        assert mine["lead"] == pytest.approx(entry["accuracy"] - mine["accuracy"])
        assert mine["agreement"] == pytest.approx((guesses == said).mean())
        assert mine["student_parameters"] == sum(p.numel() for p in jobs[0].model.parameters())
        assert mine["parameters"] == sum(p.numel() for p in reopened.model.parameters())
        low, high = mine["agreement_interval"]
        assert low <= mine["agreement"] <= high
    difference = found["taught"]["accuracy"] - found["alone"]["accuracy"]
    assert found["taught"]["difference"] == pytest.approx(difference)


def answers(path):
    job = ClassifyImages.reopen(path)
    job.load_best()
    return job.decide(job.predict_splits(job.load_splits(), ["test"])["test"])


def test_the_result_and_the_report_say_what_came_out(lab, compared):
    result, run, copy = compared
    said = " ".join(result.out.split())
    assert "agreement" in said
    assert "the teacher" in said.partition("taught")[2]
    report = (run / "report.html").read_text(encoding="utf-8")
    for text in (
        "Learning from a teacher",
        "Teacher and students",
        "teacher (mlp)",
        str(copy),
        "at temperature 4 with a weight of 0.8",
    ):
        assert text in report


def test_the_report_is_drawn_again_without_the_teacher(lab, compared, tmp_path):
    _, run, copy = compared
    taken = copy.rename(tmp_path / "taken")
    before = (run / "report.html").read_text(encoding="utf-8")
    (run / "report.html").unlink()
    result = lab("report", run, drawn=True)
    taken.rename(copy)
    assert result.code == 0, result
    assert (run / "report.html").read_text(encoding="utf-8") == before


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ((), "--teacher: expected the folder of a finished run"),
        (("--teacher", "nowhere"), "nowhere: nowhere is not a run folder"),
        (("--teacher", "nowhere", "--loss", "mse"), "comparisons take classes, not numbers"),
    ],
)
def test_bad_input_is_refused_and_leaves_nothing(lab, tmp_path, monkeypatch, words, message):
    monkeypatch.chdir(tmp_path)
    result = lab("compare-teacher", *SMALL, *words)
    assert result.code == 2, result
    assert message in " ".join(result.err.split()).replace(f"{tmp_path}/", "")
    assert not list(tmp_path.iterdir())


def test_a_comparison_does_not_teach(lab, compared, tmp_path):
    result = lab("train", *SMALL, "--teacher", compared[1], "--run-dir", tmp_path)
    assert result.code == 2
    assert "was trained by `compare-teacher`, not by `train`" in " ".join(result.err.split())


def test_a_member_of_a_comparison_does(lab, compared, tmp_path):
    teacher = compared[1] / "members/taught-0"
    result = lab("train", *SMALL, "--teacher", teacher, "--run-dir", tmp_path)
    assert result.code == 0, result
