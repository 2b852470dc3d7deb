"""Distillation: the loss, the teacher and what it sees, runs that have one, and wrong ones."""

import copy
import dataclasses
import hashlib
import json
import math
import re
import shutil
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from safetensors.torch import load_file
from torch import nn
from torch.nn import functional

from common import seeding, training
from common.errors import ConfigError, RunError
from common.images.augment import luminance
from common.options.config import build
from common.training import When, losses
from common.training.checkpoint import load_weights
from common.training.compute import Compute
from common.training.mixing import Mixing
from common.training.task import Classification
from labs.classification import agreement, distillation, task
from labs.classification.config import ClassificationConfig
from labs.classification.distillation import Distillation, Teacher, distillation_loss
from labs.classification.job import ClassifyImages
from labs.classification.results import ClassificationResults
from labs.classification.transfer import source_runs

TINY = {
    **{"data": "digits", "limit": 100, "model": "mlp", "augment": "none"},
    **{"epochs": 2, "warmup": 0, "batch_size": 16, "learning_rate": 4e-3, "threads": 1},
}
SILENT = SimpleNamespace(epoch=lambda *_, **__: None, progress=lambda *_: None)
NOW = When(0, 0, seeding.generator(0))


def configured(**given):
    return build(ClassificationConfig, ("options", {**TINY, **given}))


def trained(**given):
    """Return a finished run, but for its report, and the data that it saw."""
    job, splits = ClassifyImages.start(configured(**given), [])
    job.train(splits, SILENT, lambda text: None)
    test = ClassificationResults(job).figures(
        job.predict_splits(splits, ["test"])["test"], splits["test"]
    )
    job.run.write("metrics", {"test": test})
    return job, splits


@pytest.fixture
def start(tmp_path):
    """Return a function that makes a run, which is not trained yet."""

    def call(**given):
        return ClassifyImages.start(configured(run_dir=str(tmp_path / "runs"), **given), [])

    return call


@pytest.fixture(scope="module")
def teacher(tmp_path_factory):
    """Return a finished run of a network with batch norm; tests leave it as it is."""
    given = {"model": "resnet20", "image_size": 12, "epochs": 1, "name": "스승"}
    return trained(run_dir=str(tmp_path_factory.mktemp("teacher")), **given)[0].run


@pytest.fixture
def moved(teacher, tmp_path):
    """Return a copy of the teacher, to be spoiled or taken away."""
    return Path(shutil.copytree(teacher.path, tmp_path / "teacher"))


def rewrite(run, name, **values):
    path = run / f"{name}.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), **values}, ensure_ascii=False))


def digests(folder):
    return {path: hashlib.sha256(path.read_bytes()).digest() for path in folder.rglob("*.*")}


# The loss


def test_the_loss_is_what_one_computes_by_hand():
    """The teacher says 1/2 and 1/2, the student 1/4 and 3/4."""
    even, odd = torch.zeros(1, 2), torch.tensor([[0.0, math.log(3)]])
    assert distillation_loss(odd, even, 1).item() == pytest.approx(math.log(4 / 3) / 2)
    assert distillation_loss(2 * odd, even, 2).item() == pytest.approx(4 * math.log(4 / 3) / 2)
    assert distillation_loss(odd, odd, 3).item() == pytest.approx(0, abs=1e-7)


@pytest.mark.parametrize("temperature", [0.5, 1, 4, 20])
def test_the_loss_is_torch_s_kl_divergence_and_trains_as_soft_targets_do(temperature):
    generator = torch.Generator().manual_seed(0)
    student = (3 * torch.randn(8, 5, generator=generator)).requires_grad_()
    teacher = 3 * torch.randn(8, 5, generator=generator)
    soft = (teacher.double() / temperature).softmax(1)
    given = student.double() / temperature
    expected = functional.kl_div(given.log_softmax(1), soft, reduction="batchmean")
    found = distillation_loss(student, teacher, temperature)
    assert found.item() == pytest.approx(temperature**2 * expected.item(), rel=1e-5)
    [gradient] = torch.autograd.grad(found, student)
    [by_targets] = torch.autograd.grad(functional.cross_entropy(given, soft), student)
    torch.testing.assert_close(gradient, temperature**2 * by_targets, rtol=1e-4, atol=1e-6)


def test_gradients_do_not_shrink_with_a_high_temperature_which_matches_logits():
    """Section 2.1: the gradient tends to (z - v) / (B C), where logits have a mean of 0."""
    generator = torch.Generator().manual_seed(0)
    student, teacher = torch.randn(2, 6, 10, generator=generator)
    student = (student - student.mean(1, keepdim=True)).requires_grad_()
    teacher = teacher - teacher.mean(1, keepdim=True)
    found = {}
    for temperature in (50, 100):
        loss = distillation_loss(student, teacher, temperature)
        [found[temperature]] = torch.autograd.grad(loss, student)
    scale = found[100].abs().max().item()
    torch.testing.assert_close(found[50], found[100], rtol=0, atol=0.05 * scale)
    limit = (student - teacher).detach() / student.numel()
    torch.testing.assert_close(found[100], limit, rtol=0, atol=0.05 * scale)


def test_the_loss_of_less_precise_logits_is_computed_in_float32():
    student, teacher = torch.randn(2, 6, 10, generator=torch.Generator().manual_seed(0)).bfloat16()
    found = distillation_loss(student, teacher, 20)
    assert found.dtype is torch.float32
    assert found.equal(distillation_loss(student.float(), teacher.float(), 20))


# The task


class Watched(nn.Linear):
    """A linear model that keeps what it was given, and has answers of auxiliary classifiers."""

    def __init__(self, auxiliary=False):
        super().__init__(4, 3)
        self.auxiliary = auxiliary

    def forward(self, inputs):
        self.given = inputs
        logits = super().forward(inputs.flatten(1))
        return (logits, 2 * logits) if self.auxiliary else logits


def taught(weight=0.9, temperature=4.0, weights=None, **options):
    """Return a task with a teacher, and the teacher."""
    teacher = Watched().eval().requires_grad_(False)
    student = Classification(losses.build("cross-entropy", weights), weights, **options)
    return Distillation(student, teacher, temperature, weight), teacher


BATCH = (torch.rand(6, 1, 2, 2), torch.tensor([0, 1, 2, 0, 1, 1]))


@pytest.mark.parametrize("auxiliary", [False, True])
def test_the_parts_are_those_of_the_task_and_the_teacher_s(auxiliary):
    the_task, teacher = taught(0.7, 3.0, auxiliary=0.3 if auxiliary else 0.0)
    model = Watched(auxiliary)
    images, targets = BATCH
    logits = model(images)[0] if auxiliary else model(images)
    expected = {"loss": 0.3 * functional.cross_entropy(logits, targets)}
    if auxiliary:
        expected["auxiliary"] = 0.3 * 0.3 * functional.cross_entropy(2 * logits, targets)
    expected["distillation"] = 0.7 * distillation_loss(logits, teacher(images), 3.0)
    found = the_task.loss(model, BATCH, NOW)
    assert found.keys() == expected.keys() == the_task.weights(BATCH).keys()
    for name, part in expected.items():
        torch.testing.assert_close(found[name], part)


@pytest.mark.parametrize(("weight", "same"), [(1.0, True), (0.9, False)])
def test_with_a_weight_of_1_only_the_teacher_teaches(weight, same):
    the_task, _ = taught(weight)
    model, gradients = Watched(), []
    for targets in (BATCH[1], BATCH[1].flip(0)):
        loss = sum(the_task.loss(model, (BATCH[0], targets), NOW).values())
        gradients.append(torch.autograd.grad(loss, model.weight)[0])
    assert gradients[0].equal(gradients[1]) == same
    assert gradients[0].abs().max() > 0


@pytest.mark.parametrize("mixing", [Mixing(mixup=1.0), Mixing(cutmix=1.0)])
def test_the_teacher_sees_the_blended_images(mixing):
    the_task, teacher = taught(mixing=mixing)
    model = Watched()
    the_task.loss(model, (torch.rand(6, 1, 2, 2), BATCH[1]), When(0, 0, seeding.generator(1)))
    assert teacher.given.equal(model.given)
    assert not model.given.equal(BATCH[0])


def test_no_gradient_reaches_the_teacher_or_goes_through_it():
    the_task, teacher = taught()
    teacher.requires_grad_(True)
    images = BATCH[0].clone().requires_grad_()
    model = Watched()
    part = the_task.loss(model, (images, BATCH[1]), NOW)["distillation"]
    part.backward()
    assert teacher.weight.grad is None
    z, v = model(images), teacher(images).detach()
    [expected] = torch.autograd.grad(0.9 * distillation_loss(z, v, 4.0), images)
    torch.testing.assert_close(images.grad, expected)


@pytest.mark.parametrize("weights", [None, torch.tensor([1.0, 2.0, 5.0])])
def test_micro_batches_add_up_to_the_whole_batch(weights):
    the_task, _ = taught(0.6, weights=weights)
    model = Watched()
    first, rest = (tuple(column[part] for column in BATCH) for part in (slice(2), slice(2, None)))
    gradients = []
    for batches in ([BATCH], [first, rest]):
        twin = copy.deepcopy(model)
        options = {"epoch": 0, "step": 0, "rate": 0.0, "seed": 0, "clip": None}
        optimizer = torch.optim.SGD(twin.parameters(), 0.1)
        training.train_step(twin, the_task, batches, optimizer, compute=Compute(), **options)
        gradients.append(twin.weight.grad)
    torch.testing.assert_close(*gradients, rtol=1e-5, atol=1e-7)


# The teacher


def card_of(teacher, **changes):
    job = ClassifyImages.reopen(teacher.path)
    return dataclasses.replace(job.card, **changes)


class Mirror(nn.Module):
    """Keeps the images that it is given, and says their index among three classes."""

    def forward(self, images):
        self.given = images
        return torch.arange(3.0).expand(len(images), 3)


GREY, COLOR = {"mean": (0.3,), "std": (0.2,)}, {"mean": (0.1, 0.2, 0.3), "std": (0.4, 0.5, 0.6)}
STUDENTS = {1: GREY, 3: COLOR}
TEACHERS = {1: {"mean": (0.5,), "std": (0.25,)}, 3: {"mean": (0.6, 0.5, 0.4), "std": (1, 0.5, 0.2)}}


@pytest.mark.parametrize("size", [8, 12, 5])
@pytest.mark.parametrize("theirs", [1, 3])
@pytest.mark.parametrize("ours", [1, 3])
def test_the_teacher_gets_images_as_it_knows_them(teacher, ours, theirs, size):
    names = ("나", "가", "다")
    ours_card = card_of(teacher, channels=ours, classes=names, **STUDENTS[ours])
    card = card_of(teacher, channels=theirs, classes=tuple(sorted(names)), **TEACHERS[theirs])
    model = Mirror()
    built = Teacher(model, size, card, ours_card)
    raw = torch.rand(4, ours, 8, 8, generator=torch.Generator().manual_seed(0))
    mean, std = (torch.tensor(STUDENTS[ours][kind])[:, None, None] for kind in ("mean", "std"))
    said = built((raw - mean) / std)

    pixels = luminance(raw) if theirs == 1 else raw.expand(-1, 3, -1, -1)
    pixels = functional.interpolate(pixels, (size, size), mode="bilinear", antialias=True)
    mean, std = (torch.tensor(TEACHERS[theirs][kind])[:, None, None] for kind in ("mean", "std"))
    torch.testing.assert_close(model.given, (pixels - mean) / std, rtol=1e-4, atol=1e-5)
    assert said.tolist() == [[1.0, 0.0, 2.0]] * 4  # by the student's order of the classes


def test_the_teacher_says_of_its_own_images_what_the_run_says(teacher, start):
    student, splits = start(teacher=str(teacher.path), image_size=12)
    source = distillation.find(student.config, student.card)
    built = distillation.build_teacher(source, student.card, student.compute)
    run = ClassifyImages.reopen(teacher.path)
    run.load_best()
    outputs = run.predict_splits(splits, ["test"])["test"]["outputs"]
    [images, _] = next(student.batches(splits["test"]).updates(0))[0]
    torch.testing.assert_close(built(images), outputs, rtol=1e-4, atol=1e-4)
    assert not built.training
    assert not any(parameter.requires_grad for parameter in built.parameters())


def test_a_teacher_that_crops_gets_images_of_the_size_of_its_crop(tmp_path, start):
    run = trained(run_dir=str(tmp_path), augment="crop:6", model="linear")[0].run
    student, splits = start(teacher=str(run.path))
    built = distillation.build_teacher(
        distillation.find(student.config, student.card), student.card, student.compute
    )
    [images, _] = next(student.batches(splits["test"]).updates(0))[0]
    assert built(images).shape == (len(images), 10)


# Runs with a teacher


def test_the_teacher_is_bitwise_the_same_after_training_and_not_saved(teacher, start, monkeypatch):
    """Its image size is another than the student's."""
    built = []

    def keep(*words, build_teacher=distillation.build_teacher):
        built.append(build_teacher(*words))
        return built[-1]

    monkeypatch.setattr(distillation, "build_teacher", keep)
    before = digests(teacher.path)
    job, splits = start(teacher=str(teacher.path))
    job.train(splits, SILENT, lambda text: None)
    fresh = task.build_model(*distillation.find(job.config, job.card)[1:])
    load_weights(teacher.best, fresh)
    after = built[-1].model.state_dict()
    assert any("running_mean" in name for name in after)
    assert all(value.equal(after[name]) for name, value in fresh.state_dict().items())
    assert digests(teacher.path) == before
    assert load_file(job.run.best).keys() == job.model.state_dict().keys()
    row = job.run.history[-1]
    assert 0 < row["train/distillation"] < row["train/loss"]


def test_a_student_comes_to_agree_with_its_teacher(tmp_path, start):
    """From its answers alone, also where they are wrong."""
    run = trained(run_dir=str(tmp_path), limit=300, epochs=3)[0].run
    given = {"limit": 300, "epochs": 20, "seed": 1, "monitor": "train/loss"}
    job, splits = start(teacher=str(run.path), teacher_weight=1.0, **given)
    built = distillation.build_teacher(
        distillation.find(job.config, job.card), job.card, job.compute
    )
    said = agreement.ask(built, job, splits, "train")
    assert (said != splits["train"].targets.numpy()).any()
    job.train(splits, SILENT, lambda text: None)
    mine = job.decide(job.predict_splits(splits, ["train"])["train"])
    assert (mine == said).mean() > 0.97


@pytest.mark.parametrize("more", [{}, {"mixup": 0.4, "augment": "affine,erase", "micro_batch": 7}])
def test_a_run_that_was_stopped_goes_on_bitwise(teacher, start, more):
    def stop(row, best):
        if row["epoch"] == 2:
            raise KeyboardInterrupt

    given = {"teacher": str(teacher.path), "epochs": 3, **more}
    whole, splits = start(**given)
    whole.train(splits, SILENT, lambda text: None)
    broken, splits = start(**given)
    with pytest.raises(KeyboardInterrupt):
        broken.train(splits, SimpleNamespace(epoch=stop, progress=SILENT.progress), lambda _: None)
    resumed = ClassifyImages.reopen(broken.run.path)
    resumed.train(resumed.load_splits(), SILENT, lambda text: None)
    one, other = load_file(whole.run.best), load_file(resumed.run.best)
    assert all(value.equal(other[name]) for name, value in one.items())
    assert [row["train/distillation"] for row in whole.run.history] == [
        row["train/distillation"] for row in resumed.run.history
    ]


def test_training_in_micro_batches_gives_what_the_whole_batch_gives(teacher, start):
    found = []
    for micro in ("none", 5):
        given = {"optimizer": "sgd", "imbalance": "class-weights", "micro_batch": micro}
        job, splits = start(teacher=str(teacher.path), **given)
        job.train(splits, SILENT, lambda text: None)
        found.append((job.run.history[-1], load_file(job.run.best)))
    (row, whole), (micro_row, parts) = found
    assert row["train/distillation"] == pytest.approx(micro_row["train/distillation"], rel=1e-4)
    assert row["train/loss"] == pytest.approx(micro_row["train/loss"], rel=1e-4)
    for name, value in whole.items():
        torch.testing.assert_close(value, parts[name], rtol=1e-4, atol=1e-5)


def test_a_frozen_backbone_runs_on_images_when_there_is_a_teacher(teacher, start, tmp_path):
    source = trained(run_dir=str(tmp_path / "source"), model="lenet5", epochs=1, image_size=12)[0]
    frozen = {"model": "lenet5", "weights": f"run:{source.run.path}"}
    for mode in ("feature-extraction", "gradual"):
        job, splits = start(teacher=str(teacher.path), transfer=mode, ema="none", **frozen)
        assert job.keepable(60) is None
        job.train(splits, SILENT, lambda text: None)
        assert job.run.history[-1]["train/distillation"] > 0
        before = load_file(source.run.best)
        assert job.model.c1.weight.equal(before["c1.weight"])  # two epochs do not thaw it


WORDS = ("--data", "digits", "--limit", "100", "--augment", "none", "--warmup", "0")
SMALL = (*WORDS, "--model", "linear", "--epochs", "2")


def test_a_student_stands_without_its_teacher(lab, moved, tmp_path):
    """Its teacher is needed to train and to measure it once, and never again."""
    given = ("--teacher", moved, "--run-dir", tmp_path, "--name", "student")
    result = lab("train", *SMALL, *given, full=True)
    assert result.code == 0, result
    run = tmp_path / "classification/student"
    config = (run / "config.toml").read_text(encoding="utf-8")
    assert f'teacher = "{moved}"' in config
    assert f"resnet20 teaches: {moved}" in " ".join(result.err.split())
    figures = json.loads((run / "metrics.json").read_text())
    assert "The student" in figures_said(result.out)
    report = (run / "report.html").read_text(encoding="utf-8")
    for said in ("Teacher and student", "teacher (resnet20)", "student (linear)", "Agreement"):
        assert said in report
    assert f"{figures['teacher']['agreement']:.4f}" in report

    shutil.rmtree(moved)
    (run / "report.html").unlink()
    assert lab("evaluate", run).code == 0
    assert lab("report", run, full=True).code == 0
    assert "Teacher and student" in (run / "report.html").read_text(encoding="utf-8")
    assert lab("train", "--resume", run).code == 0
    predicted = lab("predict", run, photo(tmp_path))
    assert predicted.code == 0, predicted
    assert lab("explain", run, "0").code == 0


def figures_said(text):
    return " ".join(text.split())


def photo(folder):
    from PIL import Image

    path = folder / "사진.png"
    Image.fromarray(np.arange(64, dtype=np.uint8).reshape(8, 8)).save(path)
    return path


def test_the_figures_of_the_teacher_are_those_of_its_answers(teacher, start):
    job, splits = start(teacher=str(teacher.path), image_size=12)
    job.train(splits, SILENT, lambda text: None)
    outputs = job.predict_splits(splits)
    found = agreement.measure(job, outputs, splits)
    run = ClassifyImages.reopen(teacher.path)
    run.load_best()
    said = run.decide(run.predict_splits(splits, ["test"])["test"])
    true, mine = job.targets(splits["test"]), job.decide(outputs["test"])
    assert found["accuracy"] == pytest.approx((said == true).mean())
    assert found["accuracy"] == pytest.approx(found["own_accuracy"])
    assert found["agreement"] == pytest.approx((said == mine).mean())
    assert found["lead"] == pytest.approx((mine == true).mean() - (said == true).mean())
    assert found["parameters"] == sum(p.numel() for p in run.model.parameters())
    assert found["student_parameters"] == sum(p.numel() for p in job.model.parameters())
    assert found["doubt"] == ""


@pytest.mark.parametrize(
    ("interval", "said"),
    [
        ((-0.05, -0.01), "The student is worse than the teacher: -0.0300 (-0.0500 to -0.0100)."),
        ((-0.05, 0.01), "cannot be told apart"),
        ((0.01, 0.05), "The student is better than the teacher"),
    ],
)
def test_the_verdict_goes_by_the_interval(interval, said):
    assert said in agreement.verdict({"lead": sum(interval) / 2, "lead_interval": interval})


# What the teacher may have seen


@pytest.mark.slow
@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"image_size": 12}, None),
        ({}, None),  # the same images at another size
        ({"image_size": 12, "per_class": 3}, None),
        ({"image_size": 12, "split_seed": 1}, "--split-seed was 0, and is 1 here"),
        ({"split_column": "set"}, "--split-column was None, and is set here"),
        ({"limit": 90}, "--limit was 100, and is 90 here"),
        ({"data": "mnist5k"}, "--data was digits, and is mnist5k here"),
    ],
)
def test_a_teacher_that_may_have_seen_the_test_images_is_doubted(teacher, start, given, said):
    job, _ = start(teacher=str(teacher.path), **given)
    source = distillation.find(job.config, job.card)
    found = source_runs.doubt("The teacher", source, job.config, job.card)
    assert (said in found) if said else found == ""


def test_data_that_has_changed_is_doubted(moved, start):
    rewrite(moved, "data", fingerprint="other")
    job, splits = start(teacher=str(moved), image_size=12)
    lines = []
    job.train(splits, SILENT, lines.append)
    [line] = [line for line in lines if "may have learned from validation and test" in line]
    assert "the data has changed since" in line
    figures = {
        **ClassificationResults(job).measure(job.predict_splits(splits), splits, {}),
        "best_epoch": 1,
    }
    [section] = agreement.sections(job, figures)
    assert line in section.text


# Bad input


def refused(start, tmp_path, error, **given):
    """Return what is said of a wrong teacher; no run folder may be left."""
    before = sorted((tmp_path / "runs").rglob("*"))
    with pytest.raises(error) as caught:
        start(**given)
    assert sorted((tmp_path / "runs").rglob("*")) == before
    assert str(caught.value).count("\n") == 0
    return str(caught.value)


def test_a_teacher_that_is_no_run_is_refused(start, tmp_path):
    said = refused(start, tmp_path, RunError, teacher=str(tmp_path / "없음"))
    assert re.match(r"--teacher .*없음: .*is not a run folder.*give the folder of a finished", said)


def test_a_teacher_that_is_not_finished_is_refused(start, moved, tmp_path):
    (moved / "metrics.json").unlink()
    said = refused(start, tmp_path, RunError, teacher=str(moved))
    assert f"the run is not finished; go on with train --resume {moved}" in said


def test_a_teacher_without_its_weights_is_refused(start, moved, tmp_path):
    (moved / "best.safetensors").write_bytes(b"damaged")
    said = refused(start, tmp_path, RunError, teacher=str(moved))
    assert "best.safetensors" in said


def test_a_run_made_of_runs_does_not_teach(start, moved, tmp_path):
    rewrite(moved, "environment", job="compare-imbalance")
    said = refused(start, tmp_path, RunError, teacher=str(moved))
    assert "was trained by `compare-imbalance`, not by `train`" in said


def test_a_teacher_of_another_lab_is_refused(start, moved, tmp_path):
    rewrite(moved, "environment", lab="detection")
    said = refused(start, tmp_path, RunError, teacher=str(moved))
    assert "labs.detection, not of labs.classification" in said


def test_a_teacher_of_other_classes_is_refused(start, moved, tmp_path):
    rewrite(moved, "data", classes=["영", *map(str, range(1, 9))])
    said = refused(start, tmp_path, ConfigError, teacher=str(moved))
    assert said.endswith("the teacher alone has '영'; the data alone has '0', '9'")


def test_a_teacher_of_numbers_is_refused(start, tmp_path):
    numbers, _ = start(loss="mse", label_smoothing=0)
    numbers.run.write("metrics", {})
    said = refused(start, tmp_path, ConfigError, teacher=str(numbers.run.path))
    assert "predicts numbers (--loss mse)" in said


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"loss": "mse"}, "--teacher: distillation is of classes; drop it or --loss mse"),
        ({"temperature": 0}, "above 0"),
        ({"teacher_weight": 1.5}, "at most 1"),
        ({"teacher_weight": 0}, "above 0"),
    ],
)
def test_contradictions_are_refused(given, message):
    with pytest.raises(ConfigError, match=re.escape(message)):
        configured(teacher="runs/classification/x", **given)


@pytest.mark.parametrize("given", [{"temperature": 1}, {"teacher_weight": 1}])
def test_how_to_listen_to_no_teacher_is_refused(given):
    with pytest.raises(ConfigError, match="there is no teacher; give --teacher RUN, or drop it"):
        configured(**given)


def test_an_unfinished_student_needs_its_teacher(start, moved):
    job, _ = start(teacher=str(moved))
    shutil.rmtree(moved)
    again = ClassifyImages.reopen(job.run.path)
    with pytest.raises(RunError, match=f"--teacher {moved}: .*not a run folder"):
        again.train(again.load_splits(), SILENT, lambda text: None)
