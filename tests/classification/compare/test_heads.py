"""Several label columns: joint logits against torch, columns against scikit-learn, and the runs."""

import csv
import io
import json
import unicodedata
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from PIL import Image
from sklearn import metrics as reference
from torch import nn
from torch.nn import functional

from common.errors import ConfigError, DataError
from common.images.listed import combinations
from common.images.load import ImageCard
from common.options.config import build
from common.training import checkpoint, weights
from common.training.splits import sample_rows
from common.training.task import probabilities
from labs.classification import data, label_columns, task
from labs.classification.compare import heads as compare_heads
from labs.classification.compare.config import CompareHeadsConfig
from labs.classification.config import HEADS, ClassificationConfig
from labs.classification.job import ClassifyImages
from labs.classification.models import build as models
from labs.classification.models import heads
from labs.classification.transfer import frozen_features
from labs.classification.transfer import weights as transfer
from tests.common.images.loading import load_csv

LABELS = {"마스크": ("없음", "있음", "턱"), "성별": ("남", "여"), "나이": ("노년", "중년", "청년")}
SIZES = [3, 2, 3]
COLUMNS = ",".join(LABELS)
SMALL = (
    *("--image-size", "12", "--model", "lenet5", "--augment", "none", "--epochs", "3"),
    *("--warmup", "0", "--batch-size", "16", "--learning-rate", "0.004", "--ema", "none"),
)
SILENT = SimpleNamespace(epoch=lambda row, best: None, progress=lambda progress: None)


@pytest.fixture(scope="session")
def people(tmp_path_factory):
    """Return a table of 120 pictures, with a place for each column; one combination is alone."""
    folder = tmp_path_factory.mktemp("사람들")
    rng, rows = np.random.default_rng(0), []
    for number in range(120):
        known = [number % 3, number // 3 % 2, number // 6 % 3]
        if known == [2, 1, 2] and number > 20:
            known = [2, 1, 1]
        pixels = rng.integers(0, 40, (12, 12), np.uint8)
        for column, (label, size) in enumerate(zip(known, SIZES, strict=True)):
            pixels[:, 4 * column : 4 * column + 4] += np.uint8(label * 200 // (size - 1))
        Image.fromarray(pixels).save(folder / f"{number}.png")
        names = [LABELS[column][label] for column, label in zip(LABELS, known, strict=True)]
        rows.append([f"{number}.png", *names])
    table = folder / "사람.csv"
    with table.open("w", encoding="utf-8", newline="") as file:
        csv.writer(file).writerows([["path", *LABELS], *rows])
    return table


def config(table, **values):
    return build(ClassificationConfig, ("test", {"data": str(table), "image_size": 12, **values}))


def train_words(people, *words):
    return ("train", "--data", people, "--label-column", COLUMNS, *SMALL, *words)


def columns_logits(rows=7):
    torch.manual_seed(0)
    return [torch.randn(rows, size, dtype=torch.float64).float() * 3 for size in SIZES]


def columns_targets(rows=7):
    generator = torch.Generator().manual_seed(1)
    return [torch.randint(size, (rows,), generator=generator) for size in SIZES]


def joint(targets):
    return torch.from_numpy(np.ravel_multi_index([each.numpy() for each in targets], SIZES))


# The arithmetic


@pytest.mark.parametrize("smoothing", [0.0, 0.1])
def test_cross_entropy_of_joint_logits_is_the_sum_over_the_columns(smoothing):
    parts, targets = columns_logits(), columns_targets()
    for each in parts:
        each.requires_grad_()
    mine = functional.cross_entropy(
        heads.outer_sum(parts), joint(targets), label_smoothing=smoothing
    )
    theirs = sum(
        functional.cross_entropy(part, target, label_smoothing=smoothing)
        for part, target in zip(parts, targets, strict=True)
    )
    assert mine.item() == pytest.approx(theirs.item(), rel=1e-6)
    for one, other in zip(
        torch.autograd.grad(mine, parts), torch.autograd.grad(theirs, parts), strict=True
    ):
        assert torch.allclose(one, other, atol=1e-6)


def test_the_softmax_is_the_product_and_its_marginals_are_the_columns():
    parts = columns_logits()
    chances = probabilities(heads.outer_sum(parts))
    by_hand = np.einsum("na,nb,nc->nabc", *(probabilities(part) for part in parts))
    assert np.allclose(chances, by_hand.reshape(7, -1), atol=1e-6)
    for part, found in zip(parts, label_columns.marginals(chances, LABELS).values(), strict=True):
        assert np.allclose(found, probabilities(part), atol=1e-6)
    taken = label_columns.split_columns(chances.argmax(1), LABELS)
    assert all(
        (part.argmax(1).numpy() == guess).all()
        for part, guess in zip(parts, taken.values(), strict=True)
    )


def test_mixed_radix_there_and_back():
    names = combinations(LABELS)
    assert len(names) == 18
    assert names[0] == "없음/남/노년"
    taken = label_columns.split_columns(np.arange(18), LABELS)
    for number, name in enumerate(names):
        assert name == "/".join(LABELS[column][taken[column][number]] for column in LABELS)
    again = np.ravel_multi_index(list(taken.values()), SIZES)
    assert again.tolist() == list(range(18))


def test_figures_of_columns_are_those_of_scikit_learn():
    rng = np.random.default_rng(0)
    chances, targets = rng.dirichlet(np.full(18, 0.3), 200), rng.integers(0, 18, 200)
    found, truth = (
        label_columns.figures(chances, targets, LABELS),
        label_columns.split_columns(targets, LABELS),
    )
    shares = chances.reshape(-1, *SIZES)
    for place, column in enumerate(LABELS):
        other = tuple(axis for axis in (1, 2, 3) if axis != place + 1)
        guesses = shares.sum(other).argmax(1)
        pair = truth[column], guesses
        assert found[column]["accuracy"] == pytest.approx(reference.accuracy_score(*pair))
        expected = reference.balanced_accuracy_score(*pair)
        assert found[column]["balanced_accuracy"] == pytest.approx(expected)
        expected = reference.f1_score(*pair, average="macro")
        assert found[column]["f1"] == pytest.approx(expected)
        low, high = found[column]["accuracy_interval"]
        assert low < found[column]["accuracy"] < high
    train = np.array([0, 0, 17])
    expected = {column: np.mean(truth[column] == 0) for column in LABELS}
    assert label_columns.majority(train, targets, LABELS) == pytest.approx(expected)


def test_long_names_of_combinations_lose_their_longest_parts():
    assert label_columns.brief(["mask", "female", "old"], 18) == "mask/female/old"
    assert label_columns.brief(["incorrect_mask", "female", "old"], 18) == "incorr…/female/old"
    assert len(label_columns.brief(["a" * 50] * 6, 18)) <= 18


# The networks


def card(**values):
    fixed = {"mean": (0.5,), "std": (0.5,), "copies": None, "labels": LABELS, **values}
    size = {"channels": 1, "image_size": 12, **fixed}
    return ImageCard("", {}, (), "", combinations(LABELS), **size)


def built(kind, model="lenet5", **values):
    words = {"label_column": COLUMNS, "heads": kind, "model": model, **values}
    return config("x", **words), card()


@pytest.mark.parametrize("kind", HEADS)
def test_every_kind_gives_joint_logits(kind):
    model = task.build_model(*built(kind))
    images = torch.rand(4, 1, 12, 12, generator=torch.Generator().manual_seed(0))
    logits = model(images)
    assert logits.shape == (4, 18)
    assert logits.dtype == torch.float32
    outputs = {"shared": 8, "joint": 18}
    if kind == "separate":
        assert [each.output.out_features for each in model.networks] == SIZES
        expected = heads.outer_sum([network(images) for network in model.networks])
    else:
        assert model.output.out_features == outputs[kind]
        plain = models.build("lenet5", 1, 12, outputs[kind])
        plain.load_state_dict(model.state_dict())
        expected = plain(images)
        if kind == "shared":
            expected = heads.outer_sum(expected.split(SIZES, 1))
    assert torch.equal(logits, expected)
    functional.cross_entropy(logits, torch.arange(4)).backward()
    assert all(p.grad is not None and p.grad.isfinite().all() for p in model.parameters())


def test_auxiliary_classifiers_are_joined_too():
    class Two(nn.Module):
        def forward(self, images):
            return images, 2 * images

    outputs = torch.randn(3, 8)
    shared = heads.share(Two(), SIZES)(outputs)
    assert len(shared) == 2
    assert torch.equal(shared[1], heads.outer_sum((2 * outputs).split(SIZES, 1)))
    separate = heads.Separate([Two(), Two()])(outputs)
    assert torch.equal(separate[0], heads.outer_sum([outputs, outputs]))


def test_a_shared_network_is_any_network_of_its_kind():
    model = task.build_model(*built("shared"))
    plain = models.build("lenet5", 1, 12, 8)
    assert model.state_dict().keys() == plain.state_dict().keys()
    assert transfer.heads(model) == transfer.heads(plain)
    weights.put(model, plain.state_dict())
    assert torch.equal(model.c1.weight, plain.c1.weight)


@pytest.mark.parametrize("kind", ["shared", "separate"])
@pytest.mark.parametrize("mode", ["feature-extraction", "freeze:3"])
def test_every_network_is_frozen_alike(kind, mode):
    model = task.build_model(*built(kind))
    transfer.freeze(model, mode)
    for network in heads.networks(model):
        trains = {name for name, p in network.named_parameters() if p.requires_grad}
        assert "output.weight" in trains
        assert "c1.weight" not in trains
    transfer.thaw(model, 1)
    for network in heads.networks(model):
        trains = {name.split(".")[0] for name, p in network.named_parameters() if p.requires_grad}
        assert trains == {"f6", "output"}


def test_kept_features_give_the_same_joint_logits():
    model = task.build_model(*built("shared")).eval()
    transfer.freeze(model, "feature-extraction")
    images = torch.rand(5, 1, 12, 12)
    expected = model(images)
    name, size = frozen_features.cut(model, (1, 12, 12))
    assert (name, size) == ("output", 84)
    taken = frozen_features._features(model, name, images)
    with frozen_features.only(model, name, heads.side_by_side(SIZES)):
        assert torch.equal(model(taken), expected)
    assert torch.equal(model(images), expected)
    separate = task.build_model(*built("separate"))
    transfer.freeze(separate, "feature-extraction")
    assert frozen_features.cut(separate, (1, 12, 12)) is None


# The table


def write(folder, header, rows):
    for number in range(len(rows)):
        pixels = np.full((8, 8), number, np.uint8)
        Image.fromarray(pixels).save(folder / f"{number}.png")
    table = folder / "t.csv"
    lines = [header, *(f"{number}.png,{row}" for number, row in enumerate(rows))]
    table.write_text("\n".join(lines), encoding="utf-8")
    return table


def test_a_table_gives_joint_classes(people):
    found = load_csv(people, 12, label_columns=[*LABELS])
    assert found.labels == LABELS
    assert found.classes == combinations(LABELS)
    assert found.source == "table 사람.csv: 120 images in 3 x 2 x 3 classes"
    rows = list(csv.reader(people.read_text(encoding="utf-8").splitlines()))[1:]
    named = ["/".join(row[1:]) for row in rows]
    assert [found.classes[target] for target in found.parts["all"].targets] == named


def test_columns_are_found_in_any_normal_form(people):
    decomposed = [unicodedata.normalize("NFD", name) for name in LABELS]
    splits, known = data.load(config(people, label_column=",".join(decomposed)))
    assert known.labels == LABELS
    assert ImageCard.from_dict(json.loads(json.dumps(known.as_dict()))) == known
    assert known.counts == {name: len(part) for name, part in splits.items()}


def test_cards_without_label_columns_are_read(people):
    values = data.load(config("digits", limit=30))[1].as_dict()
    del values["labels"]
    assert ImageCard.from_dict(values).labels == {}


@pytest.mark.parametrize("limit", [None, 40])
def test_combinations_that_are_rare_are_split(people, limit):
    splits, known = data.load(config(people, label_column=COLUMNS, limit=limit))
    targets = torch.cat([splits[name].targets for name in ("train", "validation", "test")])
    assert targets.bincount(minlength=18).min() == 1
    assert len({name for part in splits.values() for name in part.names}) == len(targets)
    again = data.load(config(people, label_column=COLUMNS, limit=limit))[0]
    assert all(torch.equal(splits[name].targets, again[name].targets) for name in splits)


def test_combinations_none_of_which_is_frequent_are_split(tmp_path):
    rows = [f"{a},{b}" for a in "abcd" for b in "wxyz"]
    table = write(tmp_path, "path,하나,둘", rows)
    splits, known = data.load(config(table, label_column="하나,둘", image_size=8))
    assert len(known.classes) == 16
    assert [len(part) for part in splits.values()] == [11, 2, 3]
    assert len(sample_rows(splits["train"].targets, 10, 0)) == 11


@pytest.mark.parametrize(
    ("header", "rows", "message"),
    [
        ("path,a,c", ["x,y"] * 3, r"has these columns: path, a, c\n.*no column 'b'"),
        ("path,a,b", ["x,y", "x,", ",z"], "1 x no label in 'b': line 3\n.*1 x no label in 'a'"),
        ("path,a,b", ["x,y", "x,z"] * 3, "column 'a' has only one class, 'x': leave it out"),
        ("path,a,b", ["x,y", "w,z", "w,z", "w,z"], r"a x: 1 readable images(.|\n)*b y: 1"),
        ("path,a,b", ["x,y/z", "x/y,z"] * 3, "two combinations would have one name"),
    ],
)
def test_columns_that_cannot_be_learned(tmp_path, header, rows, message):
    table = write(tmp_path, header, rows)
    with pytest.raises(DataError, match=message):
        load_csv(table, 8, label_columns=["a", "b"])


def test_too_many_combinations_are_refused(tmp_path):
    rows = [f"a{n // 3},b{n // 3}" for n in range(3 * 32)]
    with pytest.raises(DataError, match="32 x 32 classes make 1,024 combinations, at most 1,000"):
        load_csv(write(tmp_path, "path,a,b", rows), 8, label_columns=["a", "b"])


def test_an_image_with_two_answers_is_refused(tmp_path):
    table = write(tmp_path, "path,a,b", ["x,y", "w,z"] * 3)
    table.write_text(table.read_text() + "\n0.png,x,z\n")
    with pytest.raises(DataError, match=r"another label elsewhere: 0.png, see line 2"):
        load_csv(table, 8, label_columns=["a", "b"])


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"heads": "joint"}, "--heads joint: needs several"),
        ({"heads": "separate"}, "--heads separate: needs several"),
        ({"label_column": "a,b", "loss": "mse"}, "--loss mse predicts one number"),
        ({"label_column": "a,a"}, "--label-column: expected different columns"),
        ({"label_column": "none"}, "--label-column: expected different columns"),
        ({"label_column": "a,b", "heads": "separate", "layer_decay": "0.5"}, "one network"),
        ({"label_column": "a,b", "heads": "separate", "optimizer": "muon"}, "one network"),
    ],
)
def test_options_that_do_not_go_together(values, message):
    with pytest.raises(ConfigError, match=message):
        config("x", **values)


def test_only_a_table_has_several_columns():
    with pytest.raises(DataError, match="only a table has several columns"):
        data.load(config("digits", label_column="a,b"))


# Runs


@pytest.mark.slow
@pytest.mark.parametrize("kind", HEADS)
def test_a_run_tells_every_column(kind, people, lab, tmp_path):
    words = train_words(people, "--heads", kind, "--run-dir", tmp_path, "--name", "run")
    result = lab(*words, "--epochs", "14", full=kind == "shared", drawn=kind == "shared")
    assert result.code == 0, result
    assert "마스크" in result.out
    path = tmp_path / "classification/run"
    job = ClassifyImages.reopen(path)
    job.load_best()
    splits = job.load_splits()
    chances = probabilities(job.predict_splits(splits, ["test"])["test"]["outputs"])
    found, targets = job.run.read("metrics")["test"], splits["test"].targets.numpy()
    assert found["accuracy"] == pytest.approx(np.mean(chances.argmax(1) == targets))
    assert found["accuracy"] > 0.5
    truth = label_columns.split_columns(targets, LABELS)
    for column, shares in label_columns.marginals(chances, LABELS).items():
        pair = truth[column], shares.argmax(1)
        mine = found["labels"][column]
        assert mine["accuracy"] == pytest.approx(reference.accuracy_score(*pair))
        assert mine["f1"] == pytest.approx(reference.f1_score(*pair, average="macro"))
        assert mine["accuracy"] >= found["accuracy"] - 1e-9 or kind == "joint"
        most = np.bincount(
            label_columns.split_columns(splits["train"].targets.numpy(), LABELS)[column]
        ).argmax()
        assert mine["majority"] == pytest.approx(np.mean(truth[column] == most))
    if kind == "shared":
        html = (path / "report.html").read_text(encoding="utf-8")
        assert "Each label column" in html
        assert (path / "figures/confusion_column_3.png").is_file()
    shown = lab("evaluate", path)
    assert shown.code == 0
    assert "balanced accuracy" in shown.out


@pytest.fixture(scope="module")
def trained(people, lab, tmp_path_factory):
    """Return the folder of a short run with a shared network."""
    folder = tmp_path_factory.mktemp("runs")
    result = lab(*train_words(people, "--run-dir", folder, "--name", "run"))
    assert result.code == 0, result
    return folder / "classification/run"


@pytest.mark.slow
def test_a_linear_models_templates_are_those_of_the_columns(people, lab, tmp_path):
    words = train_words(people, "--run-dir", tmp_path, "--name", "run", "--model", "linear")
    assert lab(*words, full=True, drawn=True).code == 0
    assert (tmp_path / "classification/run/figures/filters.png").is_file()


def test_predictions_name_the_columns(trained, people, lab):
    files = [people.parent / "0.png", people.parent / "1.png"]
    [one, _] = json.loads(lab("predict", trained, *files, "--format", "json").out)
    assert [*one["labels"]] == [*LABELS]
    for column, guess in one["labels"].items():
        assert guess["class"] in LABELS[column]
    best = "/".join(guess["class"] for guess in one["labels"].values())
    assert one["guesses"][0]["class"] == best
    product = np.prod([guess["probability"] for guess in one["labels"].values()])
    assert one["guesses"][0]["probability"] == pytest.approx(product, rel=1e-5)
    rows = [*csv.DictReader(io.StringIO(lab("predict", trained, *files, "--format", "csv").out))]
    assert [row["rank"] for row in rows] == ["1", "2", "3"] * 2
    assert rows[0]["class"] == "/".join(rows[0][column] for column in LABELS)
    assert float(rows[0]["성별 probability"]) >= 0.5
    table = lab("predict", trained, *files).out
    assert all(column in table for column in LABELS)


@pytest.mark.parametrize("more", [{}, {"heads": "separate"}, {"transfer": "feature-extraction"}])
def test_a_resumed_run_is_the_run_that_was_never_stopped(more, trained, people, tmp_path):
    def stop(row, best):
        if row["epoch"] == 2:
            raise KeyboardInterrupt

    def start():
        return ClassifyImages.start(config(people, label_column=COLUMNS, **fixed, **more), [])

    fixed = {"run_dir": str(tmp_path), "epochs": 3, "ema": 0.9, "augment": "affine:10"}
    if "transfer" in more:  # features are kept
        fixed |= {"weights": f"run:{trained}", "augment": "none"}
    whole, splits = start()
    whole.train(splits, SILENT, lambda text: None)
    broken, splits = start()
    with pytest.raises(KeyboardInterrupt):
        broken.train(splits, SimpleNamespace(epoch=stop, progress=SILENT.progress), lambda _: None)
    resumed = ClassifyImages.reopen(broken.run.path)
    resumed.train(resumed.load_splits(), SILENT, lambda text: None)
    one, other = (checkpoint.load(job.run.best).tensors for job in (whole, resumed))
    assert one.keys() == other.keys()
    assert all(torch.equal(one[name], other[name]) for name in one)
    losses = [[row["train/loss"] for row in job.run.history] for job in (whole, resumed)]
    assert losses[0] == losses[1]


@pytest.mark.parametrize("kind", ["shared", "separate", "joint"])
def test_weights_of_a_run_are_taken(kind, trained, people, lab, tmp_path):
    words = ("--weights", f"run:{trained}", "--transfer", "feature-extraction", "--heads", kind)
    result = lab(*train_words(people, *words, "--run-dir", tmp_path, "--name", "run"))
    assert result.code == 0, result
    assert ("its features are kept" in result.err) == (kind != "separate")
    source = checkpoint.load(trained / "best.safetensors").tensors
    run = tmp_path / "classification/run"
    found = checkpoint.load(run / "best.safetensors").tensors
    backbones = [f"networks.{n}." for n in range(3)] if kind == "separate" else [""]
    for prefix in backbones:
        assert torch.equal(found[f"{prefix}c1.weight"], source["c1.weight"])
    if kind == "separate":
        words = ("--weights", f"run:{run}", "--heads", "shared", "--run-dir", tmp_path)
        refused = lab(*train_words(people, *words))
        assert refused.code == 2
        assert "a run of --heads separate" in refused.err


@pytest.mark.parametrize("kind", HEADS)
def test_rare_combinations_get_their_due(kind, people, lab, tmp_path):
    for strategy in ("class-weights", "sampler", "focal"):
        words = ("--imbalance", strategy, "--heads", kind, "--epochs", "1", "--run-dir", tmp_path)
        result = lab(*train_words(people, *words))
        assert result.code == 0, result


@pytest.mark.slow
def test_explanations_and_fields_of_several_columns(trained, people, lab, tmp_path):
    result = lab("explain", trained, "0", full=True, drawn=True)
    assert result.code == 0, result
    assert lab("receptive-field", "--run", trained, full=True, drawn=True).code == 0


# The comparison


@pytest.mark.slow
def test_heads_are_compared(people, lab, tmp_path):
    words = ("--data", people, "--label-column", COLUMNS, *SMALL, "--seeds", "2")
    words += ("--run-dir", tmp_path, "--name", "whole")
    result = lab("compare-heads", *words, full=True, drawn=True)
    assert result.code == 0, result
    run = tmp_path / "classification/whole"
    compared = json.loads((run / "metrics.json").read_text(encoding="utf-8"))["compared"]
    assert [*compared] == [*HEADS]
    for each in compared.values():
        assert [*each["labels"]] == [*LABELS]
        assert each["milliseconds"] > 0
    assert compared["separate"]["parameters"] > 2 * compared["shared"]["parameters"]
    html = (run / "report.html").read_text(encoding="utf-8")
    assert all(column in html for column in LABELS)
    assert lab("report", run).code == 0


def test_what_separate_networks_cannot_have_is_refused_before_any_trains(people, lab, tmp_path):
    words = ("--data", people, "--label-column", COLUMNS, *SMALL, "--run-dir", tmp_path)
    result = lab("compare-heads", *words, "--layer-decay", "0.9")
    assert result.code == 2
    assert "has rates for one network, not for --heads separate" in " ".join(result.err.split())
    assert not list(tmp_path.iterdir())


def test_a_comparison_needs_several_columns():
    with pytest.raises(ConfigError, match="expected several columns"):
        build(CompareHeadsConfig, ("test", {}))
    with pytest.raises(ConfigError, match="--heads joint: all of them are compared; drop it"):
        build(CompareHeadsConfig, ("test", {"label_column": "a,b", "heads": "joint"}))
    assert compare_heads.Comparison.variants(CompareHeadsConfig())["joint"] == {"heads": "joint"}
