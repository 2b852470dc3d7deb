"""Every job on a device that is as strict as a GPU; see `tests.elsewhere`."""

import contextlib
from dataclasses import replace
from pkgutil import resolve_name

import pytest
import torch

from common.options.config import build
from common.runs.conclude import conclusion_of
from common.training import optim
from common.training.batches import close
from common.training.loop import train_step
from tests.elsewhere import ELSEWHERE, There, Waited, a_device_elsewhere, nothing_waits
from tests.rows import write_rows
from tests.silent import Silent
from tests.test_jobs import INPUTS, JOBS

FORECAST, TRANSLATE = "labs.rnn.forecast.job:Forecast", "labs.rnn.translate.job:Translate"
IMAGES = {"data": "digits", "limit": 64}
QUICK = [
    ("labs.rnn.memory.member:Member", JOBS["labs.rnn.memory.member:Member"][0]),
    (FORECAST, {**JOBS[FORECAST][0], "quantiles": ("0.1", "0.5", "0.9")}),
    (
        "labs.classification.job:ClassifyImages",
        {
            **IMAGES,
            "model": "lenet5",
            "augment": ("affine", "color:0.2", "erase", "pad-crop:1"),
            "imbalance": "class-weights",
            "mixup": 1.0,
            "cutmix": 1.0,
        },
    ),
    ("labs.autoencoder.job:Compression", {**IMAGES, "model": "contractive"}),
    ("labs.autoencoder.job:Compression", {**IMAGES, "model": "vae"}),
]
SIMULATED = [  # the others' losses, or recurrent layers, know no device but real ones
    name for name in JOBS if not name.endswith((":ContrastScenes", ":PanopticSegmenter"))
]
OTHERS = [
    *((name, JOBS[name][0]) for name in SIMULATED),
    ("labs.autoencoder.job:Compression", {**IMAGES, "model": "denoising"}),
    ("labs.autoencoder.job:Compression", {**IMAGES, "model": "sparse"}),
    (TRANSLATE, {**JOBS[TRANSLATE][0], "cell": "lstm", "teacher_forcing_end": 0.5}),
]
CASES = [*QUICK, *(pytest.param(*each, marks=pytest.mark.slow) for each in OTHERS)]


@pytest.fixture
def elsewhere(monkeypatch):
    with a_device_elsewhere(monkeypatch):
        yield


def configured(kind, options, folder):
    if "with_" in options:  # columns are those of a table
        options = {**options, "data": str(write_rows(folder))}
    common = {"device": "cuda", "precision": "32", "threads": 1, "run_dir": str(folder)}
    return build(kind.config_type, ("test", {"epochs": 2, "ema": 0.9, **options, **common}))


def test_the_device_is_strict(elsewhere):
    there, here = torch.ones(3, device=ELSEWHERE), torch.ones(3)
    assert isinstance(there, There)
    assert torch.equal((2 * there + torch.ones(())).cpu(), torch.full((3,), 3.0))
    assert there[torch.tensor([True, False, True], device=ELSEWHERE)].shape == (2,)
    with pytest.raises(RuntimeError, match="several devices"):
        there + here
    with pytest.raises((RuntimeError, TypeError)):
        there.numpy()
    with nothing_waits():
        there.copy_(here, non_blocking=True)
        for wait in (
            lambda: bool(there.sum() > 1),
            lambda: there.cpu(),
            lambda: there.tolist(),
            lambda: there[there > 0],
            lambda: there.nonzero(),
            lambda: here.to(ELSEWHERE),
            lambda: there.new_tensor([1.0]),
        ):
            with pytest.raises(Waited):
                wait()


@pytest.mark.parametrize(("name", "options"), CASES)
def test_steps_do_not_wait_for_a_gpu(elsewhere, tmp_path, name, options):
    kind = resolve_name(name)
    job, splits = kind.check(configured(kind, options, tmp_path))
    job.compute.place(job.model)
    train, task = job.batches(splits["train"], training=True), job.task(splits)
    optimizer, average = job.optimizer(), optim.Average(job.model, 0.9)
    task.training_mode(job.model, 0)
    read = train.updates(0)
    with nothing_waits():
        for step, batches in zip(range(2), read, strict=False):
            losses, skipped = train_step(
                job.model,
                task,
                batches,
                optimizer,
                epoch=0,
                step=step,
                rate=0.5,
                seed=0,
                clip=1.0,
                compute=job.compute,
            )
            average.update(step)
    close(train)
    assert not skipped
    assert all(isinstance(part.mean, There) and part.mean.isfinite() for part in losses)


@pytest.mark.slow
@pytest.mark.parametrize("name", SIMULATED)
def test_a_run_elsewhere_is_the_run_on_the_cpu(monkeypatch, tmp_path, quick_pictures, name):
    """Trained, stopped, gone on with, measured, reported and asked, without a CPU tensor astray."""
    kind, (options, _) = resolve_name(name), JOBS[name]
    collected = []
    for device in ("cpu", "cuda"):
        with monkeypatch.context() as patch, a_device_elsewhere(patch):
            config = replace(configured(kind, options, tmp_path), device=device)
            job, splits = kind.start(config, ["run"])
            with contextlib.suppress(KeyboardInterrupt):
                job.train(splits, Silent(enough=1), lambda line: None)
            job = kind.reopen(job.run.path)
            job.train(splits, Silent(), lambda line: None)
            conclusion_of(job).conclude(splits, prepared=0.0)
            job.answers(INPUTS[kind.__name__][0](splits["test"]))
            collected.append([row["train/loss"] for row in job.run.history])
    assert collected[1] == pytest.approx(collected[0], rel=1e-3)
