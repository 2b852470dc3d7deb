"""Few images and rare classes: what is left to train on, and what each strategy makes of it."""

import json
from types import SimpleNamespace

import numpy as np
import pytest
import torch

from common.images.files import ImageFiles
from common.options.config import build
from common.runs.comparison import RULE
from common.training import checkpoint
from labs.classification import plots
from labs.classification.compare.config import CompareImbalanceConfig
from labs.classification.compare.imbalance import Comparison, frequent_first, rarest
from labs.classification.config import IMBALANCE, ClassificationConfig
from labs.classification.data import load
from labs.classification.job import ClassifyImages

SILENT = SimpleNamespace(epoch=lambda *_, **__: None, progress=lambda *_: None)
TINY = {
    **{"data": "digits", "limit": 300, "model": "mlp", "augment": "affine", "epochs": 3},
    **{"warmup": 0, "batch_size": 16, "learning_rate": 4e-3, "threads": 1, "imbalanced": 8},
}


def configured(**given):
    return build(ClassificationConfig, ("options", {**TINY, **given}))


def counts(part):
    return part.targets.bincount().tolist()


# What is left to train on


@pytest.fixture
def whole():
    return load(configured(limit=None, imbalanced=1))


@pytest.mark.parametrize("given", [{"per_class": 5}, {"imbalanced": 20}])
def test_only_the_training_split_is_thinned(given, whole):
    splits, card = load(configured(limit=None, **{"imbalanced": 1, **given}))
    for name in ("validation", "test"):
        assert splits[name].names == whole[0][name].names
        assert card.counts[name] == whole[1].counts[name]
    assert set(splits["train"].names) < set(whole[0]["train"].names)
    assert card.counts["train"] == len(splits["train"]) == sum(counts(splits["train"]))
    assert card.fingerprint != whole[1].fingerprint
    pixels = splits["train"].images.double() / 255
    assert card.mean == pytest.approx([pixels.mean().item()])


def test_as_many_of_each_class_as_asked():
    splits, card = load(configured(limit=None, imbalanced=1, per_class=7))
    assert counts(splits["train"]) == [7] * 10
    assert card.source.endswith(", at most 7 training images of each class")


def test_classes_grow_rare_by_the_same_factor(whole):
    before = counts(whole[0]["train"])
    splits, card = load(configured(limit=None, imbalanced=50))
    expected = [max(1, round(n * 50 ** (-i / 9))) for i, n in enumerate(before)]
    assert counts(splits["train"]) == expected
    assert expected[0] == before[0]
    assert expected[9] == round(before[9] / 50)
    assert card.source.endswith(", training images made rare, 50 to 1")
    splits, card = load(configured(limit=None, imbalanced=10, per_class=40))
    assert counts(splits["train"]) == [40, 31, 24, 19, 14, 11, 9, 7, 5, 4]
    assert "at most 40 training images of each class, training images made rare" in card.source


def test_the_split_seed_names_which_images_are_left():
    one, same, other = (
        load(configured(per_class=3, **given))[0]["train"].names
        for given in ({}, {"seed": 4}, {"split_seed": 1})
    )
    assert one == same != other


def test_images_in_files_are_thinned_too(photos):
    given = {"data": str(photos), "image_size": 8, "limit": None, "imbalanced": 7}
    splits, card = load(configured(**given, decoding="stream"))
    assert isinstance(splits["train"].images, ImageFiles)
    assert counts(splits["train"]) == [7, 1]
    assert card.counts == {"train": 8, "validation": 2, "test": 4}
    assert card.fingerprint == load(configured(**given, decoding="stream"))[1].fingerprint


# Training


@pytest.fixture
def start(tmp_path):
    """Return a function that makes a run, which is not trained yet."""

    def call(**given):
        return ClassifyImages.start(configured(run_dir=str(tmp_path / "runs"), **given), [])

    return call


def trained(job, splits, display=SILENT):
    job.train(splits, display, lambda text: None)
    return checkpoint.load(job.run.best).tensors, [
        {name: x for name, x in row.items() if not name.startswith(("seconds", "samples"))}
        for row in job.run.history
    ]


def test_every_strategy_trains_and_takes_the_rows_that_it_should(start):
    each = {}
    for name in IMBALANCE:
        job, splits = start(imbalance=name, epochs=2)
        train = job.batches(splits["train"], training=True)
        batches = [batch for update in train.updates(0) for batch in update]
        each[name] = torch.cat([targets for _, targets in batches]).bincount().tolist()
        assert len(job.batches(splits["validation"]).rows) == len(splits["validation"])
        before, after = trained(job, splits)[1][:: job.config.epochs - 1]
        assert after["train/loss"] < before["train/loss"]
    own = counts(splits["train"])
    assert each["none"] == each["class-weights"] == each["focal"] == own
    assert each["augment-rare"] == [max(own)] * 10
    assert sum(each["sampler"]) == sum(own)
    assert each["sampler"][9] > 3 * own[9]


class Crash(Exception):
    pass


@pytest.mark.slow
@pytest.mark.parametrize(
    "given",
    [
        {"imbalance": "sampler"},
        {"imbalance": "augment-rare", "micro_batch": 5},
        {"mixup": 0.4},
        {"cutmix": 1.0, "mixup": 1.0, "imbalance": "class-weights", "image_size": 12},
    ],
    ids=str,
)
def test_a_run_that_crashed_inside_an_epoch_comes_out_the_same(given, start, same):
    given = {**given, "model": "lenet5", "image_size": 12, "save_every": 1e-9}
    expected = trained(*start(**given))
    job, splits = start(**given)
    seen = []

    def crash(progress):
        seen.append(progress)
        if progress.epoch == 1 and progress.update == 3:
            raise Crash

    with pytest.raises(Crash):
        trained(job, splits, SimpleNamespace(epoch=SILENT.epoch, progress=crash))
    assert seen[-1].updates > 3
    again = ClassifyImages.reopen(job.run.path)
    assert same(trained(again, again.load_splits()), expected)


@pytest.mark.parametrize(
    "given", [{"imbalance": "sampler"}, {"imbalance": "augment-rare"}], ids=str
)
def test_micro_batches_add_up_to_the_batch(given, start):
    options = {**given, "optimizer": "sgd", "learning_rate": 0.1}
    one, other = (trained(*start(**options, **more))[1] for more in ({}, {"micro_batch": 3}))
    for whole, micro in zip(one, other, strict=True):
        assert micro["train/loss"] == pytest.approx(whole["train/loss"], abs=1e-5)


@pytest.mark.parametrize("imbalance", ["sampler", "augment-rare"])
def test_streamed_pictures_train_as_those_in_memory(imbalance, start, photos, same):
    given = {
        **{"data": str(photos), "image_size": 8, "limit": None, "imbalanced": 3},
        **{"imbalance": imbalance, "batch_size": 4, "augment": "hflip,erase"},
    }
    memory = trained(*start(**given, decoding="memory"))
    stream = trained(*start(**given, decoding="stream", workers=1))
    assert same(memory, stream)


def test_kept_features_are_drawn_as_images_are(start, monkeypatch):
    source, splits = start(model="lenet5", image_size=12, epochs=1)
    trained(source, splits)
    source.run.write("metrics", {})
    given = {
        **{"model": "lenet5", "image_size": 12, "imbalance": "sampler", "augment": "none"},
        **{"weights": f"run:{source.run.path}", "transfer": "feature-extraction"},
    }
    kept, plain = start(**given), start(**given)
    assert kept[0].keepable(300) == "output"
    found = trained(*kept)[1]
    monkeypatch.setattr(ClassifyImages, "keepable", lambda job, samples: None)
    for one, other in zip(found, trained(*plain)[1], strict=True):
        assert one == pytest.approx(other, rel=1e-5, abs=1e-5)


@pytest.mark.parametrize("given", [{"mixup": 0.2}, {"cutmix": 1.0}], ids=str)
def test_blended_images_have_no_features_to_keep(given, start):
    source, splits = start(model="lenet5", image_size=12, epochs=1)
    trained(source, splits)
    source.run.write("metrics", {})
    weights = {"weights": f"run:{source.run.path}", "transfer": "feature-extraction"}
    job, _ = start(model="lenet5", image_size=12, augment="none", **weights, **given)
    assert job.keepable(300) is None


def test_blending_makes_training_harder_and_each_way_in_its_own_manner(start):
    losses = [
        trained(*start(model="lenet5", image_size=12, augment="none", **given))[1][-1]["train/loss"]
        for given in ({}, {"mixup": 1.0}, {"cutmix": 1.0}, {"mixup": 1.0, "cutmix": 1.0})
    ]
    assert losses[0] < min(losses[1:])
    assert len(set(losses)) == 4


# Side by side


SMALL = (
    *("--data", "digits", "--limit", "900", "--model", "mlp", "--epochs", "3", "--warmup", "0"),
    *("--imbalanced", "20", "--name", "희귀", "--augment", "affine", "--threads", "1"),
)


@pytest.fixture(scope="module")
def compared(lab, tmp_path_factory):
    folder = tmp_path_factory.mktemp("runs")
    result = lab("compare-imbalance", *SMALL, "--seeds", "2", "--run-dir", folder, drawn=True)
    assert result.code == 0, result
    return result, folder / "classification/희귀"


def measured(run):
    return json.loads((run / "metrics.json").read_text())["compared"]


def test_all_strategies_see_the_same_images(compared):
    _, run = compared
    assert list(measured(run)) == list(IMBALANCE)
    cards = [json.loads(path.read_text()) for path in run.glob("members/*/data.json")]
    assert len(cards) == 10
    assert len({card["fingerprint"] for card in cards}) == 1


def test_recall_of_the_rare_half_is_that_of_its_test_images(compared):
    _, run = compared
    found = measured(run)
    for name, entry in found.items():
        sizes = entry["training_images"]
        assert len(sizes) == 10
        assert sizes[0] > 15 * sizes[9]
        correct = []
        for seed in (0, 1):
            job = ClassifyImages.reopen(run / "members" / f"{name}-{seed}")
            job.load_best()
            splits = job.load_splits()
            guesses = job.decide(job.predict_splits(splits, ["test"])["test"])
            correct.append(guesses == splits["test"].targets.numpy())
        rare = splits["test"].targets.numpy() >= 5
        assert entry["rare_recall"] == pytest.approx(np.mean(np.array(correct)[:, rare]))
        low, high = entry["rare_recall_interval"]
        assert low <= entry["rare_recall"] <= high
        per_class = [np.array(correct)[:, splits["test"].targets.numpy() == c] for c in range(10)]
        assert entry["recalls"] == pytest.approx([each.mean() for each in per_class])
        gain = entry["rare_recall"] - found["none"]["rare_recall"]
        assert entry.get("rare_recall_difference", 0) == pytest.approx(gain)
    assert found["augment-rare"]["updates_per_epoch"] > 2 * found["none"]["updates_per_epoch"]


def test_rare_classes_are_found_more_often_with_weights(compared):
    result, run = compared
    found = measured(run)
    said = result.out.partition("More of the rare half than none is found by: ")[2].splitlines()[0]
    for name in ("class-weights", "sampler", "augment-rare"):
        assert found[name]["rare_recall_difference_interval"][0] > 0
        assert f"{name} +" in said


def test_the_report_shows_each_class(compared, lab):
    result, run = compared
    html = (run / "report.html").read_text(encoding="utf-8")
    for part in ("Recall of each class", "training images", "The rare half is: 5, 6, 7, 8, 9."):
        assert part in html
    for name in ("compared", "curves", "recalls", "rare_recall"):
        assert (run / f"figures/{name}.png").is_file()
    (run / "report.html").unlink()
    assert lab("report", run, drawn=True).code == 0
    assert (run / "report.html").read_text(encoding="utf-8") == html
    assert "nothing to do" in lab("compare-imbalance", "--resume", run).err


def test_classes_of_which_none_is_rare_are_refused(lab, tmp_path):
    words = ("--imbalanced", "1", "--per-class", "5", "--run-dir", tmp_path)
    result = lab("compare-imbalance", *SMALL, *words)
    assert result.code == 2
    assert "no class is rare, all have 5 training images; make some rare by --imb" in result.err
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("--augment", "none"), "--imbalance augment-rare: needs --augment"),
        (("--augment", "policy:augmix"), "not with --imbalance augment-rare"),
        (("--imbalance", "focal"), "--imbalance focal: all of them are compared; drop it"),
    ],
)
def test_what_one_of_the_strategies_cannot_have_is_refused_before_any_trains(
    words, said, lab, tmp_path
):
    result = lab("compare-imbalance", *SMALL, *words, "--run-dir", tmp_path)
    assert result.code == 2
    assert said in " ".join(result.err.split())
    assert not list(tmp_path.iterdir())


def test_rare_combinations_without_test_images_are_refused(lab, paint, tmp_path):
    rows = ["path,a,b"]
    for number in range(42):  # the two of x/q are too rare for the test split
        paint(tmp_path / f"{number}.png", number)
        label = "x,q" if number < 2 else "x,p" if number < 22 else "y,q"
        rows.append(f"{number}.png,{label}")
    (tmp_path / "t.csv").write_text("\n".join(rows))
    words = ("--data", tmp_path / "t.csv", "--label-column", "a,b", "--image-size", "8")
    words += ("--imbalanced", "1", "--split-seed", "1", "--run-dir", tmp_path / "runs")
    result = lab("compare-imbalance", *words, "--model", "linear", "--epochs", "1")
    assert result.code == 2, result
    assert "no test image is of the rare classes (x/q)" in " ".join(result.err.split())


def test_numbers_are_refused(lab, tmp_path):
    result = lab("compare-imbalance", *SMALL, "--loss", "mse", "--run-dir", tmp_path)
    assert result.code == 2
    assert "comparisons take classes, not numbers" in result.err
    assert "--imbalanced" not in result.err, "nobody gave it"


def test_classes_in_the_order_of_their_training_images():
    assert frequent_first([5, 9, 9, 1]) == [1, 2, 0, 3]
    assert rarest([5, 9, 9, 1]) == [0, 3]
    assert rarest([5, 9, 2]) == [2]  # of an odd number, the less
    assert rarest([5, 0, 9, 0]) == [0]  # of those that there are


def test_the_verdict_says_where_nothing_is_shown():
    def entry(low, high, **values):
        shown = {"difference": 0.1, "difference_interval": [low, high]}
        return {
            **shown,
            **{f"rare_recall_{name}": value for name, value in shown.items()},
            **values,
        }

    found = {"none": {}, "a": entry(-0.1, 0.3), "b": entry(0.05, 0.3), "c": entry(-0.3, -0.1)}
    whole = Comparison(None, build(CompareImbalanceConfig))
    said = whole.verdict({"compared": found, "rule": RULE})
    assert "not to be told apart from none: a +0.1000 (-0.1000 to +0.3000)." in said
    assert "More of the rare half than none is found by: b +0.1000 (+0.0500 to" in said
    assert "Less of it than none is found by: c" in said
    assert "Not to be told apart from none by test accuracy: a" in said
    assert "Better than none by test accuracy: b" in said
    assert "Worse than none by test accuracy: c" in said


def test_a_class_without_test_images_is_a_dash_in_a_report_that_is_drawn_again():
    entry = {"training_images": [5, 0, 2], "recalls": [0.5, None, 1.0]}
    entry |= {"rare_recall": 1.0, "rare_recall_interval": [0.9, 1.0]}
    job = SimpleNamespace(card=SimpleNamespace(classes=("a", "b", "c")))
    whole = Comparison(None, build(CompareImbalanceConfig))
    [section] = whole.sections({"none-0": job}, {"compared": {"none": entry}}, lambda *given: given)
    assert section.table.rows == [["a", "5", "0.5000"], ["c", "2", "1.0000"], ["b", "0", "-"]]
    assert section.text.startswith("The rare half is: c.")


def test_a_class_without_test_images_is_drawn_as_a_gap():
    values = np.array([[0.5, np.nan], [1.0, 0.0]])
    figure = plots.recalls(values, ["고양이 (3)", "b (1)"], ["none", "focal"])
    texts = [text.get_text() for text in figure.axes[0].texts]
    assert texts == ["0.50", "-", "1.00", "0.00"]
    labels = [text.get_text() for text in figure.axes[0].get_yticklabels()]
    assert labels == ["고양이 (3)", "b (1)"]
