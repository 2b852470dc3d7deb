"""Any number of labels an image: from the table to what a run says, and what makes no sense."""

import csv
import io
import json

import numpy as np
import pytest
import torch
from PIL import Image
from sklearn import metrics as reference

from common.errors import ConfigError, DataError
from common.images.load import load
from common.images.sets import find_strata
from common.images.tables.listing import find_several_labels
from common.metrics import metrics
from common.metrics.main_metric import F1_MICRO
from common.options.config import ImageConfig, build
from common.training import losses
from labs.classification.compare.config import CompareTransferConfig
from labs.classification.config import SEVERAL, ClassificationConfig
from labs.classification.several_labels import records
from labs.classification.thresholds import choose_thresholds

NAMES = ("고양이", "강아지", "새")


@pytest.fixture(scope="module")
def sets(tmp_path_factory):
    """Return a folder of images and tables: each label lights a stripe of its own."""
    root = tmp_path_factory.mktemp("여러 라벨")
    rng = np.random.default_rng(0)
    truth = rng.random((60, 3)) < (0.6, 0.4, 0.3)
    for row, labels in enumerate(truth):
        pixels = rng.integers(0, 60, (9, 9)).astype(np.uint8)
        pixels[:, np.repeat(labels, 3)] += 150
        Image.fromarray(pixels).save(root / f"{row:02}.png")
    said = [[name for name, label in zip(NAMES, row, strict=True) if label] for row in truth]

    def write(name, lines):
        (root / name).write_text("\n".join(lines), encoding="utf-8")

    for name, separator in (("bars", "|"), ("commas", ", "), ("spaces", " "), ("semicolons", ";")):
        cells = (f'{row:02},"{separator.join(each)}"' for row, each in enumerate(said))
        write(f"{name}.csv", ["id,labels", *cells])
    ones = (
        f"{row:02}.png," + ",".join(f"{int(x)}" for x in each) for row, each in enumerate(truth)
    )
    write("ones.csv", [f"file,{','.join(NAMES)}", *ones])
    rows = [f"{row:02}.png,{label}" for row, each in enumerate(said) for label in each]
    write("rows.csv", ["path,label", *rows])
    return root, truth


@pytest.mark.parametrize("name", ["bars", "commas", "spaces", "semicolons", "ones"])
def test_forms_of_tables_say_the_same(name, sets):
    root, truth = sets
    table = root / f"{name}.csv"
    assert find_several_labels(table, ImageConfig())
    splits, card = load(ImageConfig(data=str(table), image_size=9), kind="labels")
    order = [NAMES.index(label) for label in card.classes]
    assert sum(card.counts.values()) == 60
    for part in splits.values():
        rows = [int(each.removesuffix(".png")) for each in part.names]
        assert torch.equal(part.targets, torch.tensor(truth[rows][:, order]).float())
        assert (part.targets.sum(0) > 0).all()
    assert f"{int((~truth.any(1)).sum())} without any label" in card.source


def test_a_row_for_each_label_is_one_image(sets):
    root, truth = sets
    splits, card = load(ImageConfig(data=str(root / "rows.csv"), image_size=9), kind="labels")
    assert sum(card.counts.values()) == truth.any(1).sum()
    total = sum(int(part.targets.sum()) for part in splits.values())
    assert total == truth.sum()
    with pytest.raises(DataError, match="takes a row for each label of an image"):
        load(ImageConfig(data=str(root / "rows.csv"), image_size=9))


def test_combinations_taken_for_classes_are_said(sets):
    root, _ = sets
    table = str(root / "bars.csv")
    _, card = load(ImageConfig(data=table, image_size=9, label_column=("labels",)))
    assert "several labels in a cell taken for one class" in card.source


def test_rare_labels_are_left_out_by_name_and_their_images_stay(tmp_path, sets):
    root, _ = sets
    rows = [f"{row:02}.png,{'a|b' if row % 2 else 'a'}" for row in range(20)]
    rows[3] += "|zebra"
    table = root / "rare.csv"
    table.write_text("\n".join(["path,label", *rows]))
    _, card = load(ImageConfig(data=str(table), image_size=9), kind="labels")
    assert card.classes == ("a", "b")
    assert sum(card.counts.values()) == 20
    assert "without 1 labels of fewer than 3 images: zebra" in card.source


def test_other_marks_than_zeros_and_ones_are_named(sets):
    root, _ = sets
    table = root / "marks.csv"
    rows = [f"{row:02}.png,{row % 2},{row % 3 % 2}" for row in range(20)]
    rows[4] = "04.png,1,maybe"
    table.write_text("\n".join(["path,a,b", *rows]))
    config = ImageConfig(data=str(table), image_size=9, label_column=("a", "b"))
    _, card = load(config, kind="labels")
    assert card.skipped == (("marks.csv:6", "neither 0 nor 1 in 'b': maybe"),)


def test_images_are_split_by_their_rarest_label():
    targets = torch.tensor([[1.0, 0, 0], [1, 1, 0], [1, 0, 1], [0, 0, 0], [1, 1, 0]])
    assert find_strata(targets).tolist() == [0, 1, 2, 3, 1]


# What is measured


def test_metrics_are_those_of_scikit_learn():
    rng = np.random.default_rng(1)
    targets, shares = rng.random((40, 4)) < 0.3, rng.random((40, 4))
    said = shares > 0.6
    found = metrics.several_labels(shares, said, targets)
    options = {"zero_division": 0}
    assert found["f1_micro"] == pytest.approx(
        reference.f1_score(targets, said, average="micro", **options)
    )
    for name in ("f1", "precision", "recall"):
        score = getattr(reference, f"{name}_score")(targets, said, average="macro", **options)
        assert found[name] == pytest.approx(score)
    assert found["map"] == pytest.approx(reference.average_precision_score(targets, shares))
    assert found["exact_match"] == pytest.approx(reference.accuracy_score(targets, said))
    measured = F1_MICRO.measure(said, targets)
    assert measured["f1_micro"] == pytest.approx(found["f1_micro"])
    low, high = measured["f1_micro_interval"]
    assert low < found["f1_micro"] < high
    rare = np.array([[True, False], [False, False]])
    assert metrics.several_labels(rare * 0.9, rare, rare)["map"] == 1


def test_the_loss_is_that_of_torch_and_label_smoothing_pulls_to_the_middle():
    logits = torch.tensor([[2.0, -1.0], [0.5, 0.0]])
    targets = torch.tensor([[1.0, 0.0], [0.0, 1.0]])
    binary = torch.nn.functional.binary_cross_entropy_with_logits
    assert losses.build(SEVERAL)(logits, targets).equal(binary(logits, targets))
    smooth = losses.build(SEVERAL, label_smoothing=0.2)(logits, targets)
    assert smooth.equal(binary(logits, targets * 0.8 + 0.1))


def test_thresholds_are_those_of_the_largest_f1():
    rng = np.random.default_rng(2)
    targets = rng.random((200, 3)) < (0.5, 0.2, 0.01)
    scale = np.array([1.0, 0.2, 1.0])  # of one label all probabilities are low
    shares = scale * (0.4 * targets + 0.6 * rng.random((200, 3)))
    found = choose_thresholds(shares, targets)

    def f1(thresholds):
        return reference.f1_score(targets, shares >= thresholds, average="micro")

    assert f1(found) > max(f1(np.full(3, each)) for each in np.linspace(0.05, 0.95, 50))
    assert found[1] < 0.2
    assert choose_thresholds(np.zeros((4, 2)), np.ones((4, 2))).tolist() == [0, 0]
    rows = records(("a", "b", "c"), shares, shares >= found, targets, found)
    assert [row["label"] for row in rows] == ["a", "b", "c"]
    assert sum(row["images"] for row in rows) == targets.sum()


# From the command line


def test_a_run_says_all_labels_from_their_thresholds_on(lab, sets, tmp_path):
    root, truth = sets
    words = ("--model", "mlp", "--image-size", "9", "--augment", "none", "--epochs", "12")
    told = ("--warmup", "0", "--batch-size", "8", "--learning-rate", "0.01", "--threads", "1")
    place = ("--run-dir", tmp_path, "--name", "run")
    trained = lab("train", "--data", root / "bars.csv", *words, *told, *place, full=True)
    assert trained.code == 0, trained
    assert "binary-cross-entropy: '|' stand between several labels" in trained.out + trained.err
    run = tmp_path / "classification/run"
    found = json.loads((run / "metrics.json").read_text())
    assert found["test"]["f1_micro"] > 0.9
    assert list(found["baselines"])[0] == "class frequencies"
    assert set(found["thresholds"]) == set(NAMES)
    report = (run / "report.html").read_text()
    assert "Each label" in report
    assert "there is no confusion matrix" in report

    bare = tmp_path / "empty"
    bare.mkdir()
    Image.fromarray(np.full((9, 9), 20, np.uint8)).save(bare / "none.png")
    result = lab("predict", run, root, bare, "--format", "csv")
    rows = list(csv.DictReader(io.StringIO(result.out)))
    said = np.zeros_like(truth)
    for row in rows:
        if row["class"] and row["path"].startswith(str(root)):
            said[int(row["path"][-6:-4]), NAMES.index(row["class"])] = True
    assert (said == truth).mean() > 0.95
    assert {**rows[-1], "path": ""} == {
        **dict.fromkeys(("path", "class", "number", "probability"), ""),
        "rank": "0",
    }
    assert "none" in lab("predict", run, bare).out
    measured = lab("evaluate", run, "--data", root / "ones.csv")
    assert "Each label" in measured.out, measured
    assert "shows what speaks for one class" in lab("explain", run, "1").err


@pytest.mark.parametrize(
    ("option", "value"),
    [
        *(("mixup", "0.2"), ("cutmix", "1"), ("imbalance", "focal"), ("per_class", "5")),
        *(("imbalanced", "3"), ("teacher", "run"), ("heads", "joint")),
    ],
)
def test_what_makes_no_sense_with_several_labels_is_refused_by_name(option, value):
    with pytest.raises(ConfigError, match=f"--{option.replace('_', '-')}"):
        build(ClassificationConfig, ("options", {"loss": SEVERAL, option: value}))


def test_comparisons_and_other_data_are_refused(lab, sets, tmp_path):
    root, _ = sets
    with pytest.raises(ConfigError, match="comparisons take images of one class each"):
        build(CompareTransferConfig, ("options", {"loss": SEVERAL, "weights": "download"}))
    table = root / "bars.csv"
    words = ("compare-architectures", "--data", table, "--models", "linear", "--seeds", "1")
    assert "comparisons take images of one class each" in lab(*words, "--run-dir", tmp_path).err
    assert list(tmp_path.iterdir()) == []
    photos = tmp_path / "photos"
    (photos / "cat").mkdir(parents=True)
    for data in ("digits", photos):
        refused = lab("train", "--data", data, "--loss", SEVERAL, "--run-dir", tmp_path)
        assert "predicts several labels; give a table with a column of them" in refused.err
