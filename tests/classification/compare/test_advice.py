"""Which mode of transfer to take: the tables, similarity, and trials of the advice."""

import json
import re

import numpy as np
import pytest
from safetensors.torch import save_file

from common.options.config import build
from common.training.compute import Compute
from labs.classification.compare import advice
from labs.classification.compare.config import AdviseConfig
from labs.classification.config import ClassificationConfig
from labs.classification.job import ClassifyImages
from labs.classification.models import build as models
from tests.classification.conftest import newest_run

DIGITS = ("--data", "digits", "--model", "lenet5", "--image-size", "12", "--augment", "none")


def told(size, likeness, estimate=None):
    """Return the advice for 100 images of 10 classes, as if by these answers."""
    found = {"images": 100, "classes": 10, "estimate": estimate}
    return found | {"size": size, "likeness": likeness}


def wrong(rows, total=200):
    return np.arange(total) < rows


def entry(accuracy, interval=None):
    found = {"accuracy": accuracy}
    if interval is not None:
        found |= {"difference": sum(interval) / 2, "difference_interval": list(interval)}
    return found


@pytest.fixture(scope="module")
def source(lab, tmp_path_factory):
    """Return a finished run of lenet5 that knows digits."""
    folder = tmp_path_factory.mktemp("source")
    words = ("--epochs", "8", "--learning-rate", "0.004", "--run-dir", folder)
    assert lab("train", *DIGITS, *words).code == 0
    return newest_run(folder)


# Size


@pytest.mark.parametrize(
    ("images", "classes", "few"),
    [(999, 2, True), (1000, 2, False), (1000, 10, False), (1099, 11, True), (10**6, 10**5, True)],
)
def test_few_images_are_a_rule_of_thumb(images, classes, few):
    assert advice.few(images, classes) is few


# The tables


@pytest.mark.parametrize(
    ("case", "expected"),
    [
        (("few", "similar"), [("feature-extraction",)] * 2),
        (("many", "different"), [("fine-tune", "scratch")] * 2),
        (("few", "different"), [("scratch",), ("freeze:50%",)]),
        (("many", "similar"), [("feature-extraction",), ("freeze:50%",)]),
    ],
)
def test_two_tables_agree_on_two_cases_and_disagree_on_two(case, expected):
    found = told(*case)
    assert list(advice.recommended(found).values()) == expected
    columns, rows = advice.cells(found)
    assert columns == ["images", "one table", "another", ""]
    [mine] = [row for row in rows if "YOUR DATA" in row[-1]]
    assert mine[0] == ", ".join(case)
    assert [row[0] for row in rows if "disagree" in row[-1]] == ["few, different", "many, similar"]
    said = " ".join(advice.reasons(found))
    assert ("The tables disagree." in said) == (expected[0] != expected[1])
    assert advice.REASONS[case] in said
    assert "100 training images, 10 of a class" in said


# Similarity


def test_similar_is_half_of_the_errors_of_the_better_rival():
    trust = {"pixels": -0.1, "random weights": -0.2}
    others = {"pixels": wrong(60), "random weights": wrong(100)}
    clear = advice.judged(wrong(10), others, trust)
    assert (clear["similar"], clear["sure"], clear["rival"]) == (True, True, "pixels")
    assert clear["spare"][0] == pytest.approx((30 - 10) / 200)
    assert clear["others"]["random weights"]["lead"][0] == pytest.approx((100 - 10) / 200)
    clear = advice.judged(wrong(50), others, trust)
    assert (clear["similar"], clear["sure"]) == (False, True)
    for errors, similar in ((29, True), (31, False)):
        close = advice.judged(wrong(errors), others, trust)
        assert (close["similar"], close["sure"]) == (similar, False)
    # The rival is the better one on training images, whatever it does on validation.
    other = advice.judged(wrong(40), others, {"pixels": -0.3, "random weights": -0.2})
    assert (other["rival"], other["similar"]) == ("random weights", True)


def test_where_nothing_is_left_to_gain_similarity_cannot_be_seen():
    none = advice.judged(wrong(0), {"pixels": wrong(0)}, {"pixels": 0.0})
    assert (none["similar"], none["sure"]) == (False, False)
    assert "that is not sure" in " ".join(
        advice.reasons(told("few", "different", none | {"accuracy": 1.0}))
    )


@pytest.mark.slow
@pytest.mark.parametrize("known", [True, False])
def test_weights_of_the_same_images_are_similar_and_random_ones_are_not(known, source, tmp_path):
    weights = f"run:{source}"
    if not known:
        save_file(models.build("lenet5", 1, 12, 10).state_dict(), tmp_path / "x.safetensors")
        weights = str(tmp_path / "x.safetensors")
    given = {"data": "digits", "model": "lenet5", "image_size": 12, "per_class": 3}
    config = build(AdviseConfig, ("options", {**given, "weights": weights}))
    found = advice.advise(config)
    assert found["size"] == "few"
    assert (found["likeness"] == "similar") is known
    assert found["estimate"]["sure"]
    assert set(found["estimate"]["others"]) == {"pixels", "random weights"}
    assert advice.advise(config) == found


def test_the_test_split_is_not_looked_at(source):
    given = {"data": "digits", "model": "lenet5", "image_size": 12, "weights": f"run:{source}"}
    config = build(ClassificationConfig, ("options", {**given, "transfer": "feature-extraction"}))
    splits, card = ClassifyImages.load(config)
    del splits["test"]
    assert advice.estimate(ClassifyImages(config, Compute("cpu"), card), splits)["accuracy"] > 0.9


# The trials


def test_the_trials_say_whether_a_table_was_right():
    found = told("few", "different")  # one table: scratch; another: freeze:50%
    bad, close = entry(0.5, (-0.5, -0.3)), entry(0.88, (-0.05, 0.01))

    def said(**compared):
        compared = {name.replace("freeze", "freeze:50%"): value for name, value in compared.items()}
        return list(advice.judgments(found, compared))

    one, another = said(scratch=bad, freeze=entry(0.9), gradual=bad)
    assert one == "One table (scratch): wrong by these trials, freeze:50% is better."
    assert another == "Another (freeze:50%): right by these trials."
    one, another = said(scratch=bad, freeze=entry(0.9), gradual=close)
    assert (
        another == "Another (freeze:50%): not wrong by these trials, though gradual may be as good."
    )
    assert all("the trials cannot tell" in each for each in said(scratch=close, freeze=entry(0.9)))
    one, _ = said(freeze=entry(0.9), gradual=bad)
    assert one == "One table (scratch): not tried."
    [both] = advice.judgments(told("many", "different"), {"scratch": bad, "gradual": entry(0.9)})
    assert both.startswith("Both tables (fine-tune or scratch): wrong by these trials, gradual")


# The command


def test_the_command_marks_the_case_in_the_tables(lab, source):
    words = ("--weights", f"run:{source}", "--per-class", "3")
    result = lab("advise", *DIGITS, *words)
    assert result.code == 0, result.err
    assert "validation accuracy" in result.out
    [mine] = [line for line in result.out.splitlines() if "YOUR DATA" in line]
    assert "few, similar" in mine
    result = lab("advise", *DIGITS, *words, "--similar", "no")
    assert "few, different" in next(x for x in result.out.splitlines() if "YOUR DATA" in x)
    assert "Different, as was said." in result.out
    assert "validation accuracy" not in result.out


@pytest.mark.slow
def test_a_probe_end_to_end(lab, source, tmp_path):
    words = ("--weights", f"run:{source}", "--per-class", "5", "--limit", "200", "--probe")
    short = ("--epochs", "2", "--warmup", "0", "--batch-size", "16", "--seeds", "2")
    where = ("--run-dir", tmp_path, "--name", "조언", "--modes", "scratch,freeze:50%")
    result = lab("advise", *DIGITS, *words, *short, *where, full=True, drawn=True)
    assert result.code == 0, result.err
    run = tmp_path / "classification" / "조언"
    metrics = json.loads((run / "metrics.json").read_text("utf-8"))
    assert list(metrics["compared"]) == ["scratch", "freeze:50%"]
    assert metrics["advice"]["size"] == "few"
    assert "YOUR DATA" in result.out
    assert re.search(r"(One table|Both tables) \(", result.out)
    html = (run / "report.html").read_text("utf-8")
    assert "What the tables say" in html
    assert "Similarity" in html
    assert lab("report", run, full=True, drawn=True).code == 0
    assert (run / "report.html").read_text("utf-8") == html
    assert "is finished" in lab("advise", "--resume", run).err


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ((), "--weights: there is nothing to transfer without them"),
        (("--weights", "x.pth"), "x.pth"),
        (("--weights", "x.pth", "--similar", "maybe"), "--similar maybe: expected one of yes, no"),
        (("--weights", "x.pth", "--modes", "scratch,thaw"), "--modes thaw: expected scratch"),
        (("--weights", "x.pth", "--loss", "mse"), "--loss mse"),
        (("--weights", "x.pth", "--label-column", "a,b"), "advise takes one column"),
        (("--weights", "x.pth", "--model", "linear", "--probe"), "x.pth: no such file"),
        (("--weights", "RUN", "--per-class", "1"), "say --similar yes or --similar no"),
        (("--weights", "RUN", "--per-class", "1", "--probe"), "say --similar yes or --similar no"),
    ],
)
def test_bad_input_is_one_clear_error(lab, source, words, message, tmp_path):
    words = [f"run:{source}" if word == "RUN" else word for word in words]
    result = lab("advise", *DIGITS, *words, "--run-dir", tmp_path)
    assert result.code == 2
    assert message in result.err
    assert "Traceback" not in result.err
    assert not list(tmp_path.glob("*/*"))
