"""Training from the command line to the end: what a run folder holds, and what options do."""

import csv
import dataclasses
import hashlib
import json

import pytest
import torch

from common.history import best_row, better_direction
from common.options.config import (
    OPTIMIZERS,
    SCHEDULES,
    build,
    field_types,
    flag,
    options_of,
    read_toml,
    to_toml,
)
from common.runs.folder import Run
from common.training import checkpoint, compute
from common.training.task import Classification
from labs.classification.config import LOSSES, SEVERAL, ClassificationConfig

TIMES = ("seconds", "samples_per_second")


def history(run):
    """Return the rows of a run without what the clock says."""
    rows = [json.loads(line) for line in (run / "history.jsonl").read_text().splitlines()]
    return [{name: value for name, value in row.items() if name not in TIMES} for row in rows]


def weights(run):
    return checkpoint.load(run / "best.safetensors").tensors


def metrics(run):
    return json.loads((run / "metrics.json").read_text())


def best_epoch(run):
    """Return the epoch whose weights are kept, on which three files must agree."""
    kept = json.loads(checkpoint.load(run / "best.safetensors").text)["row"]
    assert kept["epoch"] == metrics(run)["best_epoch"]
    assert kept["validation/accuracy"] == metrics(run)["validation"]["accuracy"]
    return kept["epoch"]


def same(one, other):
    """Say whether two dicts of tensors are equal to the bit."""
    return one.keys() == other.keys() and all(torch.equal(one[name], other[name]) for name in one)


def close(one, other, tolerance=1e-5):
    return all(torch.allclose(one[name], other[name], rtol=0, atol=tolerance) for name in one)


@pytest.fixture
def trained(train):
    """Return a function that trains with options and gives the run folder."""

    def call(*words, **options):
        result, run = train(*words, **options)
        assert result.code == 0, result
        return run

    return call


# The whole of it


@pytest.fixture(scope="module")
def whole(lab, tmp_path_factory):
    """Return the result and the folder of a run of which nothing is left out."""
    folder = tmp_path_factory.mktemp("whole")
    result = lab(
        *("train", "--data", "digits", "--limit", "200", "--image-size", "16", "--epochs", "4"),
        *("--model", "lenet5", "--run-dir", folder, "--name", "처음"),
        full=True,
        drawn=True,
    )
    return result, folder / "classification/처음"


def test_a_run_folder_holds_everything(whole):
    result, run = whole
    assert result.code == 0, result
    assert {path.name for path in run.iterdir()} >= {
        *("config.toml", "environment.json", "data.json", "history.jsonl", "best.safetensors"),
        *("checkpoints", "metrics.json", "report.html"),
    }
    assert len(list((run / "checkpoints").iterdir())) == 2


def test_metrics_have_the_documented_keys(whole):
    _, run = whole
    found = metrics(run)
    assert list(found) == ["best_epoch", "validation", "test", "baselines", "seconds"]
    assert found["seconds"].keys() == {"train", "total"}
    assert 0 < found["seconds"]["train"] < found["seconds"]["total"]
    figures = {"accuracy", "accuracy_interval", "balanced_accuracy", "f1", "log_loss"}
    assert figures <= found["validation"].keys() == found["test"].keys()
    names = ["majority class", "k-nearest neighbors", "logistic regression"]
    assert list(found["baselines"]) == names
    for values in found["baselines"].values():
        assert values.keys() == {
            *("accuracy", "accuracy_interval", "validation_accuracy", "lead", "lead_interval"),
            *("mcnemar_p", "right_alone"),
        }
        assert found["test"]["accuracy"] - values["accuracy"] == pytest.approx(values["lead"])


def test_the_best_epoch_is_the_one_that_is_kept(whole):
    _, run = whole
    rows = history(run)
    assert [row["epoch"] for row in rows] == [1, 2, 3, 4]
    best = best_row(rows, Classification.monitor, better_direction(Classification.monitor))
    assert best_epoch(run) == best["epoch"]
    assert metrics(run)["validation"]["log_loss"] == best["validation/loss"]


def test_the_history_has_a_row_of_plain_figures_for_each_epoch(whole):
    _, run = whole
    for row in map(json.loads, (run / "history.jsonl").read_text().splitlines()):
        assert row.keys() >= {"epoch", "learning_rate", "train/loss", "validation/loss", *TIMES}
        assert all(isinstance(value, int | float) for value in row.values())


def test_the_environment_and_the_card_say_what_was_trained_with_what(whole):
    _, run = whole
    environment = json.loads((run / "environment.json").read_text())
    assert environment["lab"] == "classification"
    assert environment["command"][1] == "train"
    assert environment["torch"]
    card = json.loads((run / "data.json").read_text())
    assert card["classes"] == list("0123456789")
    assert card["image_size"] == 16
    assert sum(card["counts"].values()) == pytest.approx(200, abs=5)


def test_the_screen_shows_the_network_beside_the_baselines(whole):
    result, run = whole
    found = metrics(run)
    for name in found["baselines"]:
        assert f"| {name} " in result.out
    assert f"| lenet5 (epoch {found['best_epoch']}) " in result.out
    assert f"{found['test']['accuracy']:.4f}" in result.out
    assert f"Report: {run}/report.html\n" in result.out
    assert result.err.count("epoch   ") == 4
    assert str(run) in result.err


def test_evaluate_finds_the_same_figures_again(whole, lab):
    _, run = whole
    before = (run / "metrics.json").read_bytes()
    for split in ("test", "validation"):
        result = lab("evaluate", run, "--split", split)
        assert result.code == 0
        rows = [line.split("|")[1:3] for line in result.out.splitlines() if line.startswith("| ")]
        shown = {name.strip(): value.strip() for name, value in rows[1:]}
        low, high = metrics(run)[split].pop("accuracy_interval")
        expected = {
            name: f"{value:.4f}"
            for name, value in metrics(run)[split].items()
            if name != "accuracy_interval"
        }
        assert shown == {**expected, "accuracy_interval": f"{low:.4f} to {high:.4f}"}
    assert "160" not in lab("evaluate", run).out
    assert lab("evaluate", run, "--split", "train", "--device", "cpu").code == 0
    assert (run / "metrics.json").read_bytes() == before


def test_the_report_can_be_drawn_again(whole, lab):
    _, run = whole
    (run / "report.html").unlink()
    result = lab("report", run, full=True)
    assert result.code == 0
    assert result.out == f"Report: {run}/report.html\n"
    assert (run / "report.html").stat().st_size > 1000


def test_a_config_repeats_its_run_to_the_bit(whole, lab, tmp_path):
    _, run = whole
    result = lab("train", "--config", run / "config.toml", "--run-dir", tmp_path)
    assert result.code == 0
    [again] = (tmp_path / "classification").iterdir()
    assert again.name == "lenet5-digits-1"
    assert history(again) == history(run)
    assert same(weights(again), weights(run))
    assert metrics(again)["test"] == metrics(run)["test"]
    assert (again / "config.toml").read_text() == (run / "config.toml").read_text()


def test_options_override_the_config(whole, lab, tmp_path):
    _, run = whole
    words = ("--config", run / "config.toml", "--epochs", "2", "--model", "linear")
    assert lab("train", *words, "--run-dir", tmp_path).code == 0
    [again] = (tmp_path / "classification").iterdir()
    config = read_toml(again / "config.toml")
    assert (config["epochs"], config["model"], config["limit"]) == (2, "linear", 200)


# Configs


def test_every_field_of_the_config_survives_its_file(tmp_path):
    other = {int: 12, float: 0.25, str: "/사진/a 'b' \"c\" \\d"}
    special = {"augment": ("crop:6", "erase"), "optimizer": "sgd", "nesterov": True}
    special |= {"loss": "cross-entropy", "imbalanced": 2.0, "per_class": 3}
    special |= {"label_column": ("성별", "나이, 'x'"), "heads": "joint"}
    special |= {"label_pattern": "성별=(남|여)", "label_bands": ("나이, 'x'=30", "60")}
    special |= {"label_order": ("성별=여|남",), "crop_column": ("x", "y", "w", "h")}
    special |= {"with_": ("나이, 'x':text",), "without": ("image",)}
    special["track"] = ("tensorboard",)
    special["transfer"] = "freeze:\"특징\" 'x'"
    values = {}
    for field in options_of(ClassificationConfig):
        kind, _ = field_types(ClassificationConfig)[field.name]
        choices = [each for each in field.metadata["choices"] if each != field.default]
        values[field.name] = special.get(field.name) or (
            choices[0] if choices else not field.default if kind is bool else other[kind]
        )
        assert values[field.name] != field.default or field.name == "loss"
    values["all_rows"] = False  # which goes with no fold, and no patience
    values["bootstrap"] = False  # which goes with no patch
    for name in ("with_", "without", "sense_dropout"):  # which go with no teacher
        values[name] = getattr(ClassificationConfig, name)
    config = ClassificationConfig(**values)
    path = tmp_path / "설정.toml"
    path.write_text(to_toml(config), encoding="utf-8")
    where = {name: values[name] for name in ("run_dir", "name")}
    again = build(ClassificationConfig, (str(path), read_toml(path)), ("options", where))
    assert again == dataclasses.replace(config, total_updates=None, time=None)


def test_help_names_every_option_with_its_default(lab):
    text = " ".join(lab("train", "--help").out.split())
    for field in options_of(ClassificationConfig):
        assert f"{flag(field.name)} " in text
        assert field.metadata["help"] in text or "-" in field.metadata["help"]
    assert "--learning-rate NUMBER size of a step [default: " in text
    assert "[default: mnist5k]" in text
    assert "seconds between saves inside an epoch" in text


# What options do


@pytest.mark.parametrize("optimizer", OPTIMIZERS)
def test_every_optimizer_trains(optimizer, trained):
    model = "mlp" if optimizer == "muon" else "linear"  # muon is for hidden layers
    run = trained(
        "--optimizer",
        optimizer,
        "--model",
        model,
        "--weight-decay",
        "0.01",
        "--epochs",
        "4",
        "--learning-rate",
        "0.01",
    )
    rows = history(run)
    assert rows[-1]["train/loss"] < rows[0]["train/loss"]


def test_every_schedule_trains_and_none_is_another(trained):
    rates = {}
    for schedule in SCHEDULES:
        run = trained(
            "--schedule",
            schedule,
            "--schedule-period",
            "1",
            "--epochs",
            "3",
            "--learning-rate",
            "0.1",
        )
        rates[schedule] = tuple(row["learning_rate"] for row in history(run))
    assert rates["none"] == (0.1, 0.1, 0.1)
    assert rates["step"] == pytest.approx((0.1, 0.01, 0.001))
    assert rates["cosine"][-1] < rates["cosine"][0] < 0.1
    assert len(set(rates.values())) >= len(SCHEDULES) - 1  # plateau may see no plateau
    by_epoch = trained("--schedule", "cosine", "--schedule-every", "epoch", "--learning-rate", "1")
    assert [row["learning_rate"] for row in history(by_epoch)] == pytest.approx([1, 0.5])
    warm = trained("--schedule", "none", "--warmup", "1", "--learning-rate", "1")
    assert history(warm)[0]["learning_rate"] < history(warm)[1]["learning_rate"] == 1


@pytest.mark.parametrize("loss", [loss for loss in LOSSES if loss != SEVERAL])
def test_every_loss_trains(loss, trained):
    run = trained("--loss", loss, "--epochs", "4")
    rows = history(run)
    assert rows[-1]["train/loss"] < rows[0]["train/loss"]
    figure = "mae" if loss in ("mse", "mae") else "accuracy"
    assert figure in metrics(run)["test"]


def test_focal_loss_smoothing_and_class_weights_each_change_the_training(trained):
    plain = history(trained())
    zero = history(trained("--imbalance", "focal", "--focal-gamma", "0"))
    assert zero[-1]["train/loss"] == pytest.approx(plain[-1]["train/loss"], abs=1e-5)
    for words in (
        ("--imbalance", "focal"),
        ("--label-smoothing", "0.2"),
        ("--augment", "affine"),
        ("--clip", "0.001"),
        ("--seed", "1"),
        ("--split-seed", "1"),
        ("--batch-size", "8"),
    ):
        assert history(trained(*words))[-1]["train/loss"] != plain[-1]["train/loss"], words


def test_class_weights_lift_the_rare_class(trained, paint, tmp_path):
    """Without weights the rare class of two that look alike is never predicted."""
    for name, number in (("common", 40), ("rare", 5)):
        for item in range(number):
            paint(tmp_path / "data" / name / f"{name}{item}.png", 90)
    words = (
        "--data",
        tmp_path / "data",
        "--image-size",
        "4",
        "--limit",
        "1000",
        "--epochs",
        "3",
        "--learning-rate",
        "0.0001",
    )
    loss = [
        history(trained(*words, "--imbalance", kind))[-1]["train/loss"]
        for kind in ("none", "class-weights")
    ]
    assert loss[0] != loss[1]


@pytest.mark.parametrize("weighted", ["none", "class-weights"])
def test_micro_batches_give_what_the_whole_batch_gives(weighted, trained):
    words = (
        "--model",
        "mlp",
        "--imbalance",
        weighted,
        "--optimizer",
        "sgd",
        "--learning-rate",
        "0.1",
    )
    one = trained(*words)
    for size in ("5", "1", "16", "99"):
        other = trained(*words, "--micro-batch", size)
        assert close(weights(one), weights(other))
        for row, again in zip(history(one), history(other), strict=True):
            assert row["train/loss"] == pytest.approx(again["train/loss"], abs=1e-5)
        assert same(weights(one), weights(other)) == (size in ("16", "99"))


def test_the_average_of_the_weights_is_what_is_measured(trained):
    words = ("--monitor", "train/loss")  # which falls, so the last epoch is the best
    plain, average = trained(*words), trained(*words, "--ema", "0.9")
    assert [r["train/loss"] for r in history(plain)] == [r["train/loss"] for r in history(average)]
    assert not close(weights(plain), weights(average))
    newest = sorted((average / "checkpoints").iterdir())[-1]
    tensors = checkpoint.load(newest).tensors
    assert torch.equal(tensors["average/classifier.weight"], weights(average)["classifier.weight"])


def test_patience_stops_early_and_the_run_is_finished(trained, lab):
    words = ("--epochs", "50", "--patience", "2", "--learning-rate", "1", "--schedule", "none")
    run = trained(*words)
    rows = history(run)
    best = metrics(run)["best_epoch"]
    assert len(rows) == best + 2 < 50
    assert "nothing to do" in lab("train", "--resume", run).err


def test_the_monitored_figure_picks_the_best_epoch(trained):
    words = ("--epochs", "6", "--learning-rate", "0.3", "--schedule", "none")
    run = trained(*words, "--monitor", "validation/f1", "--mode", "max")
    rows = history(run)
    values = [row["validation/f1"] for row in rows]
    assert best_epoch(run) == 1 + values.index(max(values))
    assert history(trained(*words, "--monitor", "validation/f1")) == rows
    run = trained(*words, "--monitor", "validation/f1", "--mode", "min")
    assert best_epoch(run) == 1 + values.index(min(values))
    run = trained(*words, "--monitor", "train/loss")
    losses = [row["train/loss"] for row in rows]
    assert best_epoch(run) == 1 + losses.index(min(losses))


def test_half_precision_trains(trained, monkeypatch):
    """Also where the processor lacks it: torch then computes the same slowly."""
    monkeypatch.setattr(compute, "has_bf16", lambda device: True)
    plain = history(trained("--model", "mlp", "--epochs", "3"))[-1]["train/loss"]
    half = history(trained("--model", "mlp", "--epochs", "3", "--precision", "bf16"))[-1]
    assert half["train/loss"] != plain
    assert half["train/loss"] == pytest.approx(plain, rel=0.05)


def test_a_torchvision_model_trains_on_color(trained, lab, photos):
    run = trained(
        "--data",
        photos,
        "--model",
        "shufflenet_v2_x0_5",
        "--image-size",
        "32",
        "--augment",
        "hflip",
        "--epochs",
        "1",
        "--channels-last",
    )
    assert json.loads((run / "data.json").read_text())["channels"] == 3
    assert lab("evaluate", run).code == 0
    assert lab("predict", run, photos).code == 0


@pytest.mark.slow
def test_auxiliary_classifiers_have_a_part_of_the_training_loss(trained, lab, photos):
    words = ("--data", photos, "--model", "googlenet", "--image-size", "32", "--epochs", "1")
    run = trained(*words)
    [row] = history(run)
    # Three classifiers that know nothing of two classes: (1 + 0.3 + 0.3) ln 2.
    assert row["train/loss"] == pytest.approx(1.6 * 0.693, rel=0.5)
    assert row["train/auxiliary"] == pytest.approx(0.6 * 0.693, rel=0.5)
    assert "validation/auxiliary" not in row
    assert lab("evaluate", run).code == 0


@pytest.mark.slow
@pytest.mark.parametrize("model", ["locally-connected", "lenet5-1998", "resnet20"])
def test_the_ladder_trains_to_its_report(trained, model):
    run = trained("--model", model, "--image-size", "12", "--epochs", "1", full=True, drawn=True)
    assert (run / "figures" / "filters.png").exists()
    assert "NaN" not in (run / "history.jsonl").read_text()


# The user's own pictures


PICTURES = ("--image-size", "8", "--epochs", "3", "--batch-size", "4", "--augment", "hflip,erase")


@pytest.mark.slow
def test_streamed_pictures_train_as_those_in_memory(trained, photos):
    memory = trained("--data", photos, *PICTURES, "--decoding", "memory")
    for words in (
        ("--decoding", "stream", "--workers", "0"),
        ("--decoding", "stream", "--workers", "2"),
        ("--decoding", "cache", "--workers", "1"),
    ):
        run = trained("--data", photos, *PICTURES, *words)
        assert history(run) == history(memory)
        assert same(weights(run), weights(memory))
        assert metrics(run)["test"] == metrics(memory)["test"]


def test_parts_that_are_there_are_used(trained, lab, paint, tmp_path):
    data = tmp_path / "사진"
    for part, number in (("train", 6), ("val", 2), ("test", 3)):
        for name, level in (("가을", 0), ("겨울", 180)):
            for item in range(number):
                paint(data / part / name / f"{part} {item}.png", level)
    run = trained("--data", data, *PICTURES, "--name", "계절")
    card = json.loads((run / "data.json").read_text())
    assert card["counts"] == {"train": 12, "validation": 4, "test": 6}
    assert card["classes"] == ["가을", "겨울"]
    assert lab("evaluate", run).code == 0


def test_a_relative_path_is_kept_as_the_whole_one(trained, lab, photos, tmp_path, monkeypatch):
    monkeypatch.chdir(photos.parent)
    run = trained("--data", photos.name, *PICTURES)
    assert read_toml(run / "config.toml")["data"] == str(photos)
    monkeypatch.chdir(tmp_path)
    assert lab("evaluate", run).code == 0


def test_a_table_of_classes_trains_as_its_folder(trained, photos, tmp_path):
    table = tmp_path / "표.csv"
    with table.open("w", encoding="cp949", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["label", "path"])
        writer.writerows([path.parent.name, path] for path in sorted(photos.rglob("*.png")))
    folder, run = (trained("--data", data, *PICTURES) for data in (photos, table))
    assert history(run) == history(folder)
    assert same(weights(run), weights(folder))


def test_the_users_files_are_left_alone(trained, photos):
    def digest():
        return {
            p: (hashlib.sha256(p.read_bytes()).digest(), p.stat().st_mtime_ns)
            for p in photos.rglob("*.png")
        }

    before = digest()
    trained("--data", photos, *PICTURES)
    assert digest() == before


def test_a_finished_run_is_made_longer(trained, lab, tmp_path):
    run = trained("--schedule", "cosine", "--name", "short", full=True)
    before, rows = Run(run).read("metrics"), Run(run).history
    assert lab("train", "--resume", run, "--epochs", "5", full=True).code == 0
    longer = Run(run).history
    assert longer[:2] == rows
    assert len(longer) == 5
    rates = [row["learning_rate"] for row in longer]
    assert rates[0] > rates[1] < rates[2] > rates[3] > rates[4]  # the schedule began again
    report = Run(run).report.read_text("utf-8")
    assert "looked at 2 times" in report
    assert f"{before['test']['accuracy']:.4f} after 2 epochs" in report

    (run / "metrics.json").unlink()  # as if it had been stopped after the fourth epoch
    newest = max((run / "checkpoints").glob("*"))
    newest.unlink()
    assert lab("train", "--resume", run, full=True).code == 0
    losses = [[row["train/loss"] for row in rows] for rows in (longer, Run(run).history)]
    assert losses[0] == losses[1]


def test_a_run_whose_patience_ran_out_waits_again_when_it_is_made_longer(trained, lab):
    still = ("--learning-rate", "1e-12", "--ema", "none", "--epochs", "9", "--patience", "1")
    run = trained(*still, full=True)
    assert len(Run(run).history) == 2  # nothing became better
    assert lab("train", "--resume", run, "--epochs", "10", full=True).code == 0
    assert len(Run(run).history) == 3
