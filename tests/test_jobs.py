"""What every kind of job must do: start, train, go on, open again, answer, report, refuse."""

import re
from dataclasses import replace
from importlib import import_module
from pkgutil import resolve_name

import pytest
import torch
from safetensors.torch import load_file

from common.errors import InputError
from common.options.config import FoldConfig, TrainingConfig, build
from common.runs.commands import show_results
from common.runs.conclude import conclusion_of
from common.runs.job import Job, Suited
from common.training.batches import close
from labs.__main__ import LABS
from labs.classification.senses.job import Seen
from tests.rows import COLUMNS, write_rows
from tests.silent import Silent

IMAGES = {"data": "digits", "limit": 120, "batch_size": 32, "ema": "none", "warmup": 0}
JOBS = {  # a small config of each job, and an option that no run can have
    "labs.classification.job:ClassifyImages": (
        {**IMAGES, "model": "linear"},
        {"model": "lenet5", "image_size": 2},
    ),
    "labs.classification.senses.job:ClassifySenses": (
        {**IMAGES, "model": "linear", "label_column": "digit", "with_": COLUMNS},
        {"with_": "weight,nothing"},
    ),
    "labs.classification.contrastive.job:ContrastScenes": (
        {"scenes": 100, "batch_size": 32, "width": 4, "text_size": 8, "image_size": 32}
        | {"warmup": 0},
        {"monitor": "validation/nothing"},
    ),
    "labs.autoencoder.job:Compression": (
        {**IMAGES, "model": "linear", "latent_size": 3},
        {"data": "nowhere"},
    ),
    "labs.detection.job:Detector": (
        {"image_size": 64, "limit": 24, "batch_size": 8, "ema": "none", "warmup": 0},
        {"data": "nowhere"},
    ),
    "labs.detection.localizer.job:Localizer": (
        {"model": "localizer", "image_size": 64, "limit": 40, "batch_size": 8, "warmup": 0}
        | {"learning_rate": 1e-4},
        {"data": "nowhere"},
    ),
    "labs.detection.semantic.job:PixelClassifier": (
        {"task": "semantic", "model": "unet", "image_size": 32, "limit": 24, "batch_size": 8},
        {"data": "nowhere"},
    ),
    "labs.detection.panoptic.job:PanopticSegmenter": (
        {"task": "panoptic", "model": "yolo11n-seg", "image_size": 64, "limit": 24}
        | {"batch_size": 8, "ema": "none", "warmup": 0},
        {"data": "nowhere"},
    ),
    "labs.rnn.sentiment.job:Sentiment": (
        {"limit": 200, "hidden_size": 4, "embedding_size": 4, "members": 1},
        {"data": "nowhere.csv"},
    ),
    "labs.rnn.sentiment.ratings.job:Ratings": (
        {"target": "number", "limit": 200, "hidden_size": 4, "embedding_size": 4, "members": 1},
        {"data": "nowhere.csv"},
    ),
    "labs.rnn.forecast.job:Forecast": (
        {"limit": 200, "window": 8, "horizon": 3, "hidden_size": 4, "period": 2},
        {"data": "nowhere.csv"},
    ),
    "labs.rnn.translate.job:Translate": (
        {"limit": 150, "hidden_size": 8, "embedding_size": 4},
        {"data": "nowhere.tsv"},
    ),
    "labs.rnn.memory.member:Member": (
        {"cells": ("gru",), "lengths": ("4",), "updates": 2, "hidden_size": 4},
        {"monitor": "validation/nothing"},
    ),
}
INPUTS = {  # what users give, of a split, and the part of the outputs that the answers have too
    "ClassifyImages": (lambda split: split.images, "outputs"),
    "ClassifySenses": (lambda split: Seen(split.images, split.cells), "outputs"),
    "ContrastScenes": (lambda split: split.images, "images"),
    "Compression": (lambda split: split.images, "squared_error"),
    "Detector": (lambda split: split.images, "detections"),
    "Localizer": (lambda split: split.images, "detections"),
    "PanopticSegmenter": (lambda split: split.images, "segments"),
    "PixelClassifier": (lambda split: split.images, "said"),
    "Sentiment": (lambda split: split.texts, "outputs"),
    "Ratings": (lambda split: split.texts, "outputs"),
    "Forecast": (lambda split: torch.from_numpy(split.inputs), None),  # answers are scaled
    "Translate": (lambda split: split.sources, "tokens"),
    "Member": (lambda split: split[0], None),  # outputs are errors, answers are not
}


def test_every_job_of_every_lab_is_tested_here():
    labs = [import_module(f"labs.{name}.__main__").lab for name in LABS]
    assert {row.kind for lab in labs for row in lab.jobs.values()} <= JOBS.keys()


@pytest.fixture(scope="module", params=JOBS)
def kind(request, tmp_path_factory):
    """The class of a job, and its small config."""
    found = resolve_name(request.param)
    options, wrong = JOBS[request.param]
    if "with_" in options:  # columns are those of a table
        options = {**options, "data": str(write_rows(tmp_path_factory.mktemp("table")))}
    small = {"epochs": 3, "device": "cpu", "precision": "32", "threads": 1, **options}
    return found, small, wrong


@pytest.fixture(scope="module")
def trained(kind, tmp_path_factory, quick_pictures):
    """A finished run: the job with its best weights, its splits, and what metrics.json holds."""
    found, small, _ = kind
    job, splits = found.start(configured(found, small, tmp_path_factory.mktemp("runs")), ["run"])
    job.train(splits, Silent(), lambda line: None)
    return job, splits, conclusion_of(job).conclude(splits, prepared=0.0)


def configured(found, options, folder):
    return build(found.config_type, ("test", {**options, "run_dir": str(folder)}))


def flat(figures, before=""):
    """Return nested figures as one dict of numbers; None stands for NaN in JSON."""
    found = {}
    for name, value in figures.items():
        if isinstance(value, list | tuple):
            value = dict(enumerate(value))
        if isinstance(value, dict):
            found |= flat(value, f"{before}{name}/")
        elif value is None or isinstance(value, int | float):
            found[f"{before}{name}"] = float("nan") if value is None else value
    return found


def weights(run):
    return load_file(run.best)


def names_of(split):
    """Return what tells the samples of any split apart."""
    attributes = ("names", "texts", "sources", "origins")
    return list(next(getattr(split, each) for each in attributes if hasattr(split, each)))


def test_a_bootstrap_draws_training_rows_alone_and_says_how_many_differ(kind, tmp_path):
    found, small, _ = kind
    if not issubclass(found.config_type, FoldConfig):
        pytest.skip("makes its data as it trains")

    def load(**more):
        return found.load(configured(found, {**small, **more}, tmp_path))

    plain, _ = load()
    (drawn, card), (again, _), (other, _) = (
        load(bootstrap=True, **more) for more in ({}, {}, {"seed": 1})
    )
    every, mine = names_of(plain["train"]), names_of(drawn["train"])
    assert {*mine} < {*every}
    assert len(mine) == pytest.approx(len(every), rel=0.1)
    assert mine == names_of(again["train"]) != names_of(other["train"])
    for name in ("validation", "test"):
        assert names_of(drawn[name]) == names_of(plain[name]) == names_of(other[name])
    different, among = re.search(r", (\d+) different ones among (\d+) drawn", card.source).groups()
    assert int(among) == len(mine) == card.counts["train"]
    assert int(different) / int(among) == pytest.approx(0.632, abs=0.1)


def test_every_job_of_every_lab_is_here():
    found = {
        f"{job.__module__}:{job.__name__}"
        for job in Job.__subclasses__()
        if job.__module__[:4] == "labs"
    }
    assert found <= set(JOBS)


def test_a_job_says_what_only_it_can_know(kind):
    """Each of the 15 is there for a reason that its docstring gives; no lab needs another."""
    found, *_ = kind
    hooks = Job.__abstractmethods__ | {
        "for_config",
        "suited",
        "labelled",
        "refuse",
        "warm_start",
        "prepare",
    }
    own = {name for name in vars(found) if name in vars(Job) and not name.startswith("_")}
    constants = {"lab", "verb", "config_type", "card_type", "conclusion", "remark"}
    constants |= {"submission", "exporter", "page", "features", "optimizer_options"}
    assert own - constants <= hooks
    assert len(hooks) <= 15
    assert all(getattr(Job, name).__doc__ for name in hooks)


def test_a_run_is_a_folder_that_says_all(trained):
    job, splits, metrics = trained
    name = job.main_metric.name
    assert {"validation", "test", "baselines", "best_epoch", "seconds"} <= metrics.keys()
    assert metrics["test"][f"{name}_interval"][0] <= metrics["test"][f"{name}_interval"][1]
    assert flat(job.run.read("metrics")) == pytest.approx(flat(metrics), nan_ok=True)
    assert [row["epoch"] for row in job.run.history] == [1, 2, 3]
    assert job.card.counts.keys() >= {"train", "validation", "test"}
    assert job.run.report.is_file()
    assert job.config.title in job.run.report.read_text("utf-8")


def test_a_run_that_is_interrupted_goes_on_bit_for_bit(kind, trained, tmp_path):
    found, small, _ = kind
    job, splits = found.start(configured(found, small, tmp_path), ["run"])
    with pytest.raises(KeyboardInterrupt):
        job.train(splits, Silent(enough=1), lambda line: None)
    again = found.reopen(job.run.path)
    again.train(again.load_splits(), Silent(), lambda line: None)
    mine, theirs = weights(again.run), weights(trained[0].run)
    assert all(torch.equal(mine[name], theirs[name]) for name in theirs)


def test_a_run_opened_again_measures_the_same(trained):
    job, _, metrics = trained
    again = type(job).reopen(job.run.path, "cpu")
    again.load_best()
    splits = again.load_splits()
    outputs = again.predict_splits(splits, ["test"])["test"]
    figures = flat(conclusion_of(again).figures(outputs, splits["test"]))
    known = flat(metrics["test"])
    assert figures == pytest.approx({name: known[name] for name in figures}, nan_ok=True)


def test_answers_are_what_evaluation_collects(trained):
    job, splits, _ = trained
    inputs_of, name = INPUTS[type(job).__name__]
    inputs = inputs_of(splits["test"])
    answers = job.answers(inputs)
    assert answers
    assert all(len(rows) == len(inputs) for rows in answers.values())
    if name is not None:
        expected = job.predict_splits(splits, ["test"])["test"][name]
        torch.testing.assert_close(answers[name], expected, rtol=1e-4, atol=1e-5)


def test_what_suits_the_data_is_chosen_said_and_kept(kind, tmp_path):
    found, small, _ = kind

    class Longer(found):
        @classmethod
        def suited(cls, config):
            return Suited(replace(config, total_updates=7), ["7 updates: because"])

    job, splits = Longer.start(configured(found, small, tmp_path), ["run"])
    train = job.batches(splits["train"], training=True)
    assert job.config.epochs == -(-7 // len(train))
    close(train)
    kept = replace(job.config, run_dir=TrainingConfig.run_dir)  # which a run does not keep
    assert Longer.reopen(job.run.path).config == kept
    assert job.run.read("chosen") == {"reasons": ["7 updates: because"]}


def test_baselines_that_saw_a_part_say_of_how_many(trained, capsys):
    job, _, metrics = trained
    noted = job.run.read("baselines")
    assert noted == {"samples": job.card.counts.get("train", 0)}
    show_results(job, metrics)
    assert "The baselines learned from" not in capsys.readouterr().out
    job.run.write("baselines", {"samples": 7})
    show_results(job, metrics)
    said = capsys.readouterr().out
    assert f"learned from 7 of the {job.card.counts['train']:,} training samples" in said
    job.run.write("baselines", noted)


def test_a_report_is_written_again(trained):
    job, splits, _ = trained
    before = job.run.report.read_text("utf-8")
    job.run.report.unlink()
    conclusion_of(job).report_again(splits)
    assert job.run.report.read_text("utf-8") == before


def test_what_cannot_be_is_refused_and_leaves_nothing(kind, tmp_path):
    found, small, wrong = kind
    with pytest.raises(InputError) as refused:
        found.start(configured(found, {**small, **wrong}, tmp_path), ["run"])
    assert str(refused.value).strip()
    assert not list(tmp_path.rglob("config.toml"))
