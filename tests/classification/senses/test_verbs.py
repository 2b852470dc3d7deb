"""A run of several senses, asked by every command."""

import csv
import json

import pytest

from labs.classification.compare.config import CompareSensesConfig
from labs.classification.compare.senses import Comparison
from tests.rows import COLUMNS, write_rows

SMALL = (
    *("--label-column", "digit", "--model", "linear", "--augment", "none", "--threads", "1"),
    *("--ema", "none", "--warmup", "0", "--learning-rate", "0.01", "--batch-size", "16"),
)


@pytest.fixture(scope="module")
def table(tmp_path_factory):
    return write_rows(tmp_path_factory.mktemp("rows"), 150)


@pytest.fixture(scope="module")
def run(table, lab, tmp_path_factory):
    """Return the folder of a run that saw a number, a category and a Korean text."""
    folder = tmp_path_factory.mktemp("runs")
    options = ("--with", COLUMNS, "--epochs", "6", "--run-dir", folder, "--name", "r")
    lab("train", "--data", table, *SMALL, *options, full=True)
    return folder / "classification" / "r"


@pytest.fixture(scope="module")
def metrics(run):
    return json.loads((run / "metrics.json").read_text())


def columns_of(table, names, path):
    """Write some columns of the first rows of a table into another beside it."""
    rows = list(csv.DictReader(table.read_text("utf-8").splitlines()))[:30]
    other = table.parent / path
    with other.open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, names, extrasaction="ignore")
        writer.writeheader()
        writer.writerows(rows)
    return other


def test_each_sense_is_measured_by_what_is_lost_without_it(metrics):
    senses, test = metrics["senses"], metrics["test"]
    assert list(senses) == ["image", *COLUMNS.split(",")]
    for each in senses.values():
        low, high = each["adds_interval"]
        assert low <= each["adds"] <= high
        assert each["adds"] == pytest.approx(test["accuracy"] - each["accuracy"])


def test_baselines_are_each_column_alone_and_all_of_them(metrics):
    assert {"weight alone", "city alone", "note alone", "the columns together"} < {
        *metrics["baselines"]
    }
    assert metrics["baselines"]["weight alone"]["accuracy"] > 0.6
    assert metrics["baselines"]["the columns together"]["accuracy"] > 0.7


def test_the_report_says_what_was_read_and_what_each_sense_adds(run):
    report = (run / "report.html").read_text("utf-8")
    for words in ("What each sense adds", "one of 3 categories", "Rows with their columns", "홀수"):
        assert words in report
    assert (run / "figures" / "senses.png").is_file()


def test_a_table_is_answered_by_its_columns_and_bare_photos_without(lab, run, table):
    answered = lab("predict", run, table, "--format", "csv")
    assert "missing in all rows" not in answered.err
    said = dict(row[:2] for row in csv.reader(answered.out.splitlines()) if row[1:2])
    bare = lab("predict", run, table.parent / "001.png", "--format", "csv")
    assert "weight is missing in all rows; the network answers without it" in bare.err
    assert len(said) > 100


def test_answers_of_a_table_are_those_of_the_columns_not_of_images_alone(lab, run, table):
    def probabilities(other):
        rows = csv.DictReader(lab("predict", run, other, "--format", "csv").out.splitlines())
        return [row["probability"] for row in rows]

    every = columns_of(table, ["image", "weight", "city", "note"], "every.csv")
    bare = columns_of(table, ["image"], "bare.csv")
    assert probabilities(every) != probabilities(bare)


def test_a_table_without_a_column_is_measured_without_it_and_that_is_said(lab, run, table):
    other = columns_of(table, ["image", "digit", "weight", "city"], "less.csv")
    measured = lab("evaluate", run, "--data", other)
    assert "note is missing in all rows" in measured.err
    assert "What each sense adds" in measured.out


def test_a_submission_reads_the_columns_beside_the_images(lab, run, table, tmp_path):
    test = columns_of(table, ["image", "weight", "city", "note"], "test.csv")
    sample = columns_of(table, ["image", "digit"], "sample.csv")
    lab("submit", run, test, sample, "--out", tmp_path / "s.csv")
    assert len((tmp_path / "s.csv").read_text().splitlines()) == 31
    few = columns_of(table, ["image", "weight"], "few.csv")
    assert "no column city, note" in lab("submit", run, few, sample).err
    assert "give a table with the images" in lab("submit", run, table.parent, sample).err


@pytest.mark.parametrize(
    "words",
    [
        ("explain",),
        ("receptive-field", "--run"),
        ("export",),
        ("open",),
        ("evaluate", "--tta", "hflip"),
    ],
)
def test_what_knows_images_alone_refuses_such_a_run_in_a_sentence(lab, run, words):
    name, *options = words
    last = [*options, run] if options == ["--run"] else [run, *options]
    refused = lab(name, *last)
    assert refused.code
    assert refused.err.strip().splitlines()[-1].startswith("Error: ")


def test_senses_are_compared_with_all_of_them_without_each_and_alone():
    config = CompareSensesConfig(with_=("weight", "city"))
    found = {name: each["without"] for name, each in Comparison.variants(config).items()}
    assert found == {
        "all": (),
        "without image": ("image",),
        "without weight": ("weight",),
        "without city": ("city",),
        "image alone": ("weight", "city"),
        "weight alone": ("image", "city"),
        "city alone": ("image", "weight"),
    }
    few = Comparison.variants(CompareSensesConfig(with_=("weight",)))
    assert list(few) == ["all", "image alone", "weight alone"]


@pytest.mark.slow
def test_a_comparison_of_senses_says_which_add_nothing(lab, table, tmp_path):
    options = ("--with", "weight,note", "--epochs", "2", "--seeds", "1", "--run-dir", tmp_path)
    lab("compare-senses", "--data", table, *SMALL, *options, "--name", "c")
    metrics = json.loads((tmp_path / "classification" / "c" / "metrics.json").read_text())
    assert metrics["compared"]["note alone"]["senses"] == ["note"]
    assert metrics["compared"]["without image"]["senses"] == ["weight", "note"]


def test_a_network_without_the_image_is_trained_and_reported(lab, table, tmp_path):
    options = ("--with", "weight,city", "--without", "image", "--epochs", "1", "--limit", "60")
    trained = lab(
        "train", "--data", table, *SMALL, *options, "--run-dir", tmp_path, "--name", "n", full=True
    )
    assert not trained.code
    run = tmp_path / "classification" / "n"
    assert list(json.loads((run / "metrics.json").read_text())["senses"]) == ["weight", "city"]
    assert "The network does not get: image" in (run / "report.html").read_text("utf-8")
