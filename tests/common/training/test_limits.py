"""Memory that is full, in real errors of torch's, and a time that is over.

After memory was full, a run is what it had been if it had been told before.
"""

import json
import resource
import subprocess
import sys
from types import SimpleNamespace

import pytest
import torch
from torch import nn

from common.errors import NoMemoryError
from common.training import optim
from common.training.batches import Batches
from common.training.checkpoint import Checkpoints, load
from common.training.loop import epochs, fit, infer

FULL = {
    "GPU": torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB."),
    "CPU": RuntimeError(
        "[enforce fail at alloc_cpu.cpp:127] err == 0. DefaultCPUAllocator: can't allocate memory: "
        "you tried to allocate 4000000000 bytes. Error code 12 (Cannot allocate memory)"
    ),
    "Apple": RuntimeError("MPS backend out of memory (MPS allocated: 5.00 GB)"),
    "cuBLAS": RuntimeError("CUDA error: CUBLAS_STATUS_ALLOC_FAILED when calling `cublasCreate`"),
    "Python": MemoryError(),
}


class Small(nn.Module):
    """A device that has memory for so many samples; from an update on, if one is named."""

    def __init__(self, model, most, first=0, error=FULL["GPU"]):
        super().__init__()
        self.model, self.most, self.first, self.error = model, most, first, error
        self.passes = 0

    def forward(self, inputs):
        self.passes += 1
        outputs = self.model(inputs)  # batch norm has counted its samples
        if len(inputs) > self.most and self.passes > self.first:
            raise self.error
        return outputs


@pytest.fixture
def data(digits):
    return digits.images[:100].float() / 120 - 1, digits.targets[:100]


@pytest.fixture
def learn(lenet, classify, data):
    """Train a small device, or with that --micro-batch."""

    def train(most=1000, micro_batch=None, *, checkpoint=None, stop=None, **more):
        model = Small(lenet(norm=True, dropout=0.2), most, **more)
        train = Batches(data, 32, training=True, seed=1, micro_batch=micro_batch)
        validation = Batches(data, 50)
        built = optim.build("adamw", model)
        stream = epochs(
            model, classify(), train, validation, built, max_epochs=2, checkpoint=checkpoint
        )
        rows = []
        for row in stream:
            rows.append(row)
            if row["epoch"] == stop:
                stream.close()
        return model, rows

    return train


def weights(model):
    return [tensor.clone() for tensor in model.state_dict().values()]


def newest(folder):
    return json.loads(load(max((folder / "checkpoints").iterdir())).text)["position"]


def untimed(rows):
    apart = ("seconds", "samples_per_second", "micro_batch")
    return [{name: x for name, x in row.items() if name not in apart} for row in rows]


@pytest.mark.parametrize("error", FULL.values(), ids=FULL)
def test_an_update_that_does_not_fit_is_made_in_smaller_parts(learn, error, same, capsys):
    """The weights, batch norm's statistics and the rows are those of --micro-batch 8."""
    small, rows = learn(15, error=error)
    told, expected = learn(micro_batch=8)
    assert same(weights(small.model), weights(told.model))
    assert [row["train/loss"] for row in rows] == [row["train/loss"] for row in expected]
    assert [row["micro_batch"] for row in rows] == [8, 8]
    assert "micro_batch" not in expected[0]
    said = capsys.readouterr().err
    assert said.count("the memory is full: going on with 16 samples at a time in place of 32") == 1
    assert said.count("going on with 8 samples at a time in place of 16") == 1


def test_a_resumed_run_goes_on_with_what_fitted(learn, tmp_path, same):
    """Also where the memory is free again: it is bitwise the run that was never stopped."""
    once, rows = learn(20, first=1, checkpoint=Checkpoints(tmp_path / "once"))
    learn(20, first=1, checkpoint=Checkpoints(tmp_path / "twice"), stop=1)
    twice, again = learn(checkpoint=Checkpoints(tmp_path / "twice"))
    assert same(weights(once.model), weights(twice.model))
    assert untimed(again) == untimed(rows)
    position = newest(tmp_path / "twice")
    assert position["micro_batches"] == {"train": 16, "validation": 12}


def test_what_was_never_cut_is_no_limit_to_a_run_that_goes_on_in_larger_parts(learn, tmp_path):
    """As one does that began in two processes, each with half an update, and goes on in one."""
    learn(micro_batch=8, checkpoint=Checkpoints(tmp_path), stop=1)
    assert newest(tmp_path)["micro_batches"] == {}
    _, rows = learn(micro_batch=16, checkpoint=Checkpoints(tmp_path))
    assert not any("micro_batch" in row for row in rows)


def test_a_run_that_goes_on_behind_an_epochs_last_update_says_no_speed(
    lenet, classify, data, tmp_path
):
    class Killed(classify):
        def outputs(self, model, batch):
            raise Crash

    train, validation = Batches(data, 32, training=True), Batches(data, 50)
    where = {"max_epochs": 2, "checkpoint": Checkpoints(tmp_path), "save_every": 0.0}
    with pytest.raises(Crash):
        fit(lenet(), Killed(), train, validation, **where)
    first, second = fit(lenet(), classify(), train, validation, **where)
    assert "samples_per_second" not in first
    assert second["samples_per_second"] > 0
    assert first["seconds"] > 0


def test_what_fits_is_saved_before_the_next_step(learn, tmp_path, monkeypatch):
    """Whoever is killed right after knows it when it goes on."""

    class Killed(BaseException):
        pass

    def kill(*given):
        raise Killed

    monkeypatch.setattr(optim, "step", kill)
    with pytest.raises(Killed):
        learn(20, checkpoint=Checkpoints(tmp_path))
    position = newest(tmp_path)
    assert (position["update"], position["micro_batches"]["train"]) == (0, 16)


def test_evaluation_takes_smaller_parts_too(lenet, classify, data, same, capsys):
    for lengths in (None, torch.arange(100) % 7):  # sorted by length, too
        whole = infer(lenet(), classify(), Batches(data, 50, lengths=lengths))
        parts = infer(Small(lenet(), 13), classify(), Batches(data, 50, lengths=lengths))
        torch.testing.assert_close(parts, whole)
        assert torch.equal(parts["targets"], data[1])
    assert "going on with 12 samples at a time in place of 25" in capsys.readouterr().err


def test_at_the_smallest_parts_it_is_an_error(learn, lenet, classify, data):
    with pytest.raises(NoMemoryError, match="full even with 2 samples at a time; try a smaller"):
        learn(0)  # batch norm learns from no single one
    with pytest.raises(NoMemoryError, match="full even with 1 sample at a time"):
        fit(Small(lenet(), 0), classify(), Batches(data, 4, training=True), max_epochs=1)
    with pytest.raises(NoMemoryError, match="these batches come as they are"):
        fit(Small(lenet(), 0), classify(), [data], max_epochs=1)


def test_other_errors_pass(learn):
    for error in (RuntimeError("mat1 and mat2 shapes cannot be multiplied"), ValueError("no")):
        with pytest.raises(type(error), match=str(error)):
            learn(0, error=error)


def test_the_optimizers_step_is_never_made_twice(learn, tmp_path, monkeypatch):
    """Some weights may have changed in it; what was saved before is intact."""

    def step(self, *given):
        raise FULL["GPU"]

    monkeypatch.setattr(torch.optim.AdamW, "step", step)
    with pytest.raises(NoMemoryError, match="full in the optimizer's step, where smaller"):
        learn(checkpoint=Checkpoints(tmp_path))
    assert not list(tmp_path.rglob("*.safetensors"))


def test_of_several_processes_none_cuts_smaller(learn, monkeypatch):
    monkeypatch.setattr(torch.distributed, "is_initialized", lambda: True)
    monkeypatch.setattr(torch.distributed, "get_world_size", lambda: 2)
    with pytest.raises(NoMemoryError, match="begin again with --micro-batch 16"):
        learn(20)


class Crash(Exception):
    pass


@pytest.fixture
def timed(lenet, classify, data, monkeypatch):
    """Train where an update takes 1 second and evaluation 1 more, and an epoch has 4 updates."""
    now = [0.0]
    clock = SimpleNamespace(perf_counter=lambda: now[0])
    monkeypatch.setattr("common.training.loop.time", clock)

    def train(seconds, *, checkpoint=None, crash=None):
        class Slow(classify):
            def loss(self, model, batch, when):
                if when.step == crash:
                    raise Crash
                now[0] += 1
                return super().loss(model, batch, when)

            def outputs(self, model, batch):
                now[0] += 0.5
                return super().outputs(model, batch)

        model = lenet(dropout=0.2)
        split = Batches(data, 32, training=True, seed=1)
        how = {"seconds": seconds, "checkpoint": checkpoint, "save_every": 0.5}
        rows = fit(model, Slow(), split, Batches(data, 50), max_epochs=20, **how)
        return model, rows

    return train


@pytest.mark.parametrize(
    ("seconds", "took", "cut"),
    [(12, [5, 5, 3], 2), (10, [5, 5], None), (9, [5, 5], None), (2, [3], 2), (0.5, [2], 1)],
)
def test_a_time_that_is_over_ends_the_run(timed, seconds, took, cut):
    """Inside an epoch, which is then evaluated; no epoch begins after it."""
    _, rows = timed(seconds)
    assert [row["seconds"] for row in rows] == took
    assert rows[-1].get("updates") == cut
    assert all("validation/loss" in row for row in rows)


def test_time_counts_from_the_beginning_also_after_a_crash(timed, tmp_path, same):
    once, rows = timed(12, checkpoint=Checkpoints(tmp_path / "once"))
    for how in ({"crash": 5}, {"crash": 9}):
        with pytest.raises(Crash):
            timed(12, checkpoint=Checkpoints(tmp_path / "twice"), **how)
    twice, again = timed(12, checkpoint=Checkpoints(tmp_path / "twice"))
    assert [row["seconds"] for row in again] == [row["seconds"] for row in rows]
    assert untimed(again) == untimed(rows)
    assert same(weights(once), weights(twice))
    _, ended = timed(12, checkpoint=Checkpoints(tmp_path / "twice"))
    assert untimed(ended) == untimed(rows)


REAL = """
import resource, torch
from torch import nn
from torch.nn import functional
from common.training import Batches, Task, fit

class Wide(nn.Module):  # 1 MB of activations a sample, some more in the backward pass
    def __init__(self):
        super().__init__()
        self.weight = nn.Parameter(torch.ones(250_000))

    def forward(self, inputs):
        return (inputs * self.weight).sin().mean(1)

class Line(Task):
    def loss(self, model, batch, when):
        return {"loss": functional.mse_loss(model(batch[0]), batch[1])}

    def outputs(self, model, batch):
        return {"outputs": model(batch[0])}

    def figures(self, outputs):
        return {"loss": float(outputs["outputs"].mean())}

torch.set_num_threads(1)
data = torch.rand(256, 1), torch.rand(256)
model, split = Wide(), Batches(data, 256, training=True)
fit(model, Line(), Batches(data, 2, training=True, micro_batch=2), max_epochs=1)  # warms up
[pages, *_] = open("/proc/self/statm").read().split()
most = int(pages) * resource.getpagesize() + 400 * 2**20
resource.setrlimit(resource.RLIMIT_AS, (most, most))
rows = fit(model, Line(), split, max_epochs=2)
print(split.micro_batch, [row["train/loss"] for row in rows])
"""


@pytest.mark.slow
@pytest.mark.skipif(not hasattr(resource, "RLIMIT_AS"), reason="no limit to set")
@pytest.mark.skipif(sys.platform != "linux", reason="others let a process have more than that")
def test_a_process_whose_memory_ends():
    """A real fault: the system gives it no more."""
    done = subprocess.run([sys.executable, "-c", REAL], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert 2 <= int(done.stdout.split()[0]) <= 128
    assert "the memory is full: going on with 128 samples at a time" in done.stderr
