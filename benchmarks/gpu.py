"""Whether everything holds on a GPU, and how fast it is there, in less than eight minutes.

    python benchmarks/gpu.py
    python benchmarks/gpu.py --data-dir DIR    # where the files of CIFAR-10 are: seconds to 94 %

The job of each lab trains a little: to the end, with its report; again, to the same bits; stopped
and gone on with, to the same bits; in each precision; and for some updates in which torch refuses
whatever waits for the device. A batch that the memory cannot hold is trained with. Then samples per
second: our loop beside one written by hand, our recurrent layers beside cuDNN's packed ones, our
detection beside Ultralytics' own trainer. What there is no time left for is said. The exit code is
1 where a check failed, 2 without a GPU.

`--device cpu` runs the same with a handful of samples, so that what is written here is tried.
"""

import argparse
import contextlib
import gc
import itertools
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from pkgutil import resolve_name
from typing import Any

import recurrent
import torch
from loop import Classify
from machine import describe
from torch import Tensor, nn
from torch.nn import functional

from common import seeding, training
from common.errors import InputError
from common.images import known
from common.options.config import build
from common.options.terminal import Display
from common.runs.conclude import conclusion_of
from common.training import optim
from common.training.batches import Batches, close
from common.training.compute import Compute
from common.training.loop import train_step
from common.training.sequences import Padded, Ragged
from labs.classification.models import build as models

LIMIT = 450.0  # seconds, after which nothing more begins
JOBS: dict[str, tuple[str, dict[str, Any], dict[str, Any]]] = {  # what is smaller on the CPU
    "classification": (
        "labs.classification.job:ClassifyImages",
        {"model": "lenet5", "data": "mnist5k", "limit": 2000, "batch_size": 64},
        {"data": "digits", "limit": 120},
    ),
    "autoencoder": (
        "labs.autoencoder.job:Compression",
        {"model": "vae", "data": "digits", "limit": 600},
        {"limit": 60},
    ),
    "detection": (
        "labs.detection.job:Detector",
        {"limit": 200, "batch_size": 16},
        {"limit": 24, "image_size": 64, "batch_size": 8},
    ),
    "sentiment": (
        "labs.rnn.sentiment.job:Sentiment",
        {"limit": 2000},
        {"limit": 150, "hidden_size": 4, "embedding_size": 4, "members": 1},
    ),
    "forecast": (
        "labs.rnn.forecast.job:Forecast",
        {"limit": 800},
        {"limit": 150, "window": 8, "horizon": 3, "hidden_size": 4, "period": 2},
    ),
    "translate": (
        "labs.rnn.translate.job:Translate",
        {"limit": 1000},
        {"limit": 100, "hidden_size": 8, "embedding_size": 4},
    ),
}
PRECISIONS = ("bf16", "16")
CLOSE = 0.1  # of the loss in float32, by which that of another precision may differ after an epoch
CIFAR = {
    **{"data": "cifar10", "model": "vgg16_bn", "epochs": 40, "batch_size": 512},
    **{"optimizer": "sgd", "learning_rate": 0.1, "nesterov": True, "weight_decay": 5e-4},
    **{"schedule": "onecycle", "warmup": 0, "augment": ("pad-crop:4", "hflip"), "ema": 0.99},
    **{"label_smoothing": 0.1, "channels_last": True, "deterministic": False},
}


class Silent(Display):
    """Shows nothing; stops the run after an epoch, where one is given."""

    def __init__(self, last: int | None = None):
        self._last = last

    def progress(self, progress: Any) -> None:
        pass

    def epoch(self, row: Any, best: bool) -> None:
        if row["epoch"] == self._last:
            raise KeyboardInterrupt


class Failed(Exception):
    """What was checked does not hold."""


class Bench:
    """The device, the folder of the runs, and the time that is left."""

    def __init__(self, device: str, folder: Path, data_dir: Path | None, only: str):
        self.device, self.folder, self.data_dir, self.only = device, folder, data_dir, only
        self.tiny, self.failed = device == "cpu", 0
        self._begun = time.perf_counter()

    @property
    def seconds(self) -> float:
        return time.perf_counter() - self._begun

    def line(self, name: str, call: Callable[[], str]) -> None:
        """Do one thing, and print what came of it, or why nothing did."""
        if self.only not in name:
            return
        if self.seconds > LIMIT and not self.tiny:
            print(f"{name:<42}not done: no time left", flush=True)
            return
        begun = self.seconds
        try:
            said = call()
        except Failed as error:
            said, self.failed = f"FAILED: {error}", self.failed + 1
        except Exception as error:  # the others are to be seen, too
            kind = type(error).__name__
            said = f"FAILED: {kind}: {str(error).strip().splitlines()[0]}"
            self.failed += 1
        print(f"{name:<42}{said}  ({self.seconds - begun:.1f} s)", flush=True)
        gc.collect()

    def config(self, name: str, **more: Any) -> tuple[Any, Any]:
        """Return the class of a job and its small config."""
        place, options, tiny = JOBS[name]
        kind = resolve_name(place)
        options = {**options, **(tiny if self.tiny else {}), "epochs": 2, "patience": None, **more}
        given = {"device": self.device, "threads": 1, "run_dir": str(self.folder), **options}
        return kind, build(kind.config_type, ("benchmark", given))

    def wait(self) -> None:
        if not self.tiny:
            torch.cuda.synchronize()

    def forbid_waiting(self, on: bool) -> None:
        if not self.tiny:
            torch.cuda.set_sync_debug_mode("error" if on else "default")

    def rate(self, samples: int, call: Callable[[], object]) -> float:
        """Return samples per second of a call, by the clock."""
        self.wait()
        begun = time.perf_counter()
        call()
        self.wait()
        return samples / (time.perf_counter() - begun)


# --- what must hold -----------------------------------------------------------------------------


def trained(bench: Bench, name: str, last: int | None = None, **more: Any) -> tuple[Any, Any]:
    """Train a job, up to an epoch where one is given; returns it with its splits."""
    kind, config = bench.config(name, **more)
    job, splits = kind.start(config, ["benchmark"])
    with contextlib.suppress(KeyboardInterrupt):
        job.train(splits, Silent(last), lambda line: None)
    return job, splits


def weights(job: Any) -> dict[str, Tensor]:
    return {name: tensor.cpu() for name, tensor in job.model.state_dict().items()}


def check_equal(mine: dict[str, Tensor], theirs: dict[str, Tensor]) -> str:
    """Refuse weights that differ in a bit."""
    other = [name for name, tensor in mine.items() if not torch.equal(tensor, theirs[name])]
    if other:
        raise Failed(f"{len(other)} of {len(mine)} tensors differ, the first is {other[0]}")
    return "the same bits"


def check_job(bench: Bench, name: str) -> None:
    """Run a job to its report, again, in two parts, in other precisions, and without waiting."""
    first: dict[str, Tensor] = {}

    def smoke() -> str:
        job, splits = trained(bench, name)
        first.update(weights(job))
        conclusion = conclusion_of(job)
        if bench.tiny:  # the report is drawn on the CPU in any case
            figures = conclusion.conclude_member(splits)
        else:
            figures = conclusion.conclude(splits, prepared=0.0)
        metric = job.main_metric
        return f"test {metric.label} {metric.text(figures['test'][metric.name])}, {job.compute}"

    def again() -> str:
        return check_equal(first, weights(trained(bench, name)[0]))

    def resumed() -> str:
        stopped, splits = trained(bench, name, last=1)
        job = type(stopped).reopen(stopped.run.path)
        job.train(splits, Silent(), lambda line: None)
        return check_equal(first, weights(job))

    def precisions() -> str:
        job, _ = trained(bench, name, epochs=1, precision="32")
        exact, said = job.run.history[-1]["train/loss"], []
        for precision in PRECISIONS:
            try:
                job, _ = trained(bench, name, epochs=1, precision=precision)
            except InputError as error:
                said.append(f"{precision}: {error}")
                continue
            loss = job.run.history[-1]["train/loss"]
            said.append(f"{precision}: loss {loss:.4f}, {exact:.4f} in float32")
            if not abs(loss - exact) <= CLOSE * abs(exact):
                raise Failed(said[-1])
        return "; ".join(said)

    bench.line(f"{name}: to its report", smoke)
    bench.line(f"{name}: again", again)
    bench.line(f"{name}: stopped, and gone on with", resumed)
    bench.line(f"{name}: in other precisions", precisions)
    bench.line(f"{name}: steps do not wait", lambda: check_waits(bench, name))


def check_waits(bench: Bench, name: str) -> str:
    """Make some updates while torch refuses to wait for the device."""
    kind, config = bench.config(name, precision="auto")
    job, splits = kind.check(config)
    job.compute.place(job.model)
    train, task = job.batches(splits["train"], training=True), job.task(splits)
    optimizer = job.optimizer()
    task.training_mode(job.model, 0)
    read = itertools.chain.from_iterable(train.updates(epoch) for epoch in range(6))

    def learn(steps: range) -> None:
        for step, batches in zip(steps, read, strict=False):
            options = {"rate": 1.0, "seed": 0, "clip": 1.0, "compute": job.compute}
            train_step(job.model, task, batches, optimizer, epoch=0, step=step, **options)

    try:
        learn(range(2))  # which make what stays: the optimizer's state, plans of cuDNN
        bench.forbid_waiting(True)
        learn(range(2, 6))
    finally:
        bench.forbid_waiting(False)
        close(train)
    return "4 updates" + ("; a CPU has nothing to wait for" if bench.tiny else "")


def check_memory(bench: Bench) -> str:
    """Train with a batch for which there is not enough memory."""
    if bench.tiny:
        return "a GPU's memory is meant"
    total = torch.cuda.get_device_properties(0).total_memory
    torch.cuda.empty_cache()
    torch.cuda.set_per_process_memory_fraction(min(1.0, 1.5e9 / total))
    try:
        more = {"model": "vgg11", "image_size": 64, "data": "mnist5k", "batch_size": 2000}
        job, _ = trained(bench, "classification", epochs=1, **more)
        return f"loss {job.run.history[-1]['train/loss']:.4f} after an epoch in 1.5 GB"
    finally:
        torch.cuda.set_per_process_memory_fraction(1.0)
        torch.cuda.empty_cache()


# --- how fast it is -----------------------------------------------------------------------------


def train_by_hand(
    model: nn.Module, inputs: Tensor, targets: Tensor, batch: int, epochs: range
) -> None:
    """Train as one would write it without a toolkit, on tensors on the device."""
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-3, weight_decay=0.0, fused=True)
    model.train()
    for epoch in epochs:
        order = seeding.permutation(0, epoch, len(inputs)).to(inputs.device)
        for rows in order.split(batch):
            optimizer.zero_grad()
            functional.cross_entropy(model(inputs[rows]), targets[rows]).backward()
            optimizer.step()


def compare_loops(bench: Bench, name: str, batch: int) -> str:
    """Return samples per second of our loop and of one by hand, in float32, in turn."""
    part = known.load_embedded("mnist5k").parts["all"]
    compute = Compute(bench.device)
    count = 64 if bench.tiny else len(part)
    inputs = compute.move(part.images[:count].float() / 255)
    targets = compute.move(part.targets[:count])
    epochs = 1 if bench.tiny else 10

    def ours(model: nn.Module) -> None:
        split = Batches((inputs, targets), batch, training=True, compute=compute)
        optimizer = optim.build("adamw", model, 1e-3)
        options = {"max_epochs": epochs, "compute": compute}
        for _ in training.epochs(model, Classify(), split, None, optimizer, **options):
            pass

    def theirs(model: nn.Module) -> None:
        train_by_hand(model, inputs, targets, batch, range(epochs))

    speeds: dict[str, list[float]] = {"ours": [], "by hand": []}
    for number in range(2 if bench.tiny else 4):  # the first warms up
        sides = [("ours", ours), ("by hand", theirs)]
        for side, train in sides if number % 2 else reversed(sides):
            seeding.seed_weights(0)
            model = compute.place(models.build(name, 1, inputs.shape[-1], 10))
            speed = bench.rate(epochs * count, lambda train=train, model=model: train(model))
            if number:
                speeds[side].append(speed)
    return _ratio(speeds, "ours", "by hand", "samples")


def compare_packed(bench: Bench) -> str:
    """Return tokens per second of our bidirectional LSTM and of cuDNN's packed one."""
    compute = Compute(bench.device)
    generator = torch.Generator().manual_seed(0)
    texts = 64 if bench.tiny else 3200
    lengths = torch.randn(texts, generator=generator).mul(0.72).add(5.16).exp().long()
    sizes = lengths.clamp(10, 20 if bench.tiny else recurrent.CAP).tolist()
    drawn = [torch.randint(1, recurrent.WORDS, (size,), generator=generator) for size in sizes]
    labels = torch.randint(0, 2, (texts,), generator=generator)
    batches = Batches((Ragged.of(drawn), labels), recurrent.BATCH, training=True, compute=compute)
    read = [
        (inputs, Padded(inputs.values, inputs.lengths.cpu()), targets)
        for [(inputs, targets)] in batches.updates(0)
    ]
    tokens = sum(sizes)
    layers = {
        "ours": recurrent.Recurrent("lstm", recurrent.SIZE, recurrent.UNITS, bidirectional=True),
        "packed": nn.LSTM(recurrent.SIZE, recurrent.UNITS, batch_first=True, bidirectional=True),
    }
    sides: dict[str, Callable[[], None]] = {}
    for side, layer in layers.items():
        states = recurrent.ours if side == "ours" else _packed
        model = compute.place(recurrent.Classifier(states, layer))
        sides[side] = _epoch(model, [(a, c) if side == "ours" else (b, c) for a, b, c in read])
    speeds: dict[str, list[float]] = {side: [] for side in sides}
    for number in range(2 if bench.tiny else 4):
        for side, call in sides.items():
            speed = bench.rate(tokens, call)
            if number:
                speeds[side].append(speed)
    return _ratio(speeds, "ours", "packed", "tokens")


def _packed(layer: nn.Module, x: Tensor, lengths: Tensor) -> Tensor:
    """Run a packed layer, whose lengths torch wants on the CPU, over vectors on the device."""
    return recurrent.packed(layer, x, lengths.cpu())


def _epoch(model: nn.Module, batches: list[tuple[Padded, Tensor]]) -> Callable[[], None]:
    dense = [p for name, p in model.named_parameters() if not name.startswith("embedding")]
    optimizer = torch.optim.AdamW(dense)

    def train() -> None:
        for inputs, targets in batches:
            on_device = Padded(inputs.values, inputs.lengths.to(targets.device))
            optimizer.zero_grad()
            functional.cross_entropy(model(on_device), targets).backward()
            optimizer.step()
            model.embedding.weight.grad = None

    return train


def compare_detection(bench: Bench) -> str:
    """Return images per second of our loop and of Ultralytics' trainer with its smallest model."""
    import detection  # and with it Ultralytics, which the rest does not need

    options = argparse.Namespace(
        data="scenes",
        model="yolo11n",
        images=16 if bench.tiny else 1000,
        image_size=64 if bench.tiny else None,
        epochs=2 if bench.tiny else 4,
        batch_size=8 if bench.tiny else 16,
        threads=torch.get_num_threads(),
        device=bench.device,
    )
    setting = detection.prepare(options)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name).resolve()
        detection.write(setting, folder)
        theirs = detection.theirs(setting, 0, folder).speeds
    speeds = {"ours": detection.ours(setting, 0).speeds[1:], "Ultralytics": theirs[1:]}
    return _ratio(speeds, "ours", "Ultralytics", "images")


def reach_94(bench: Bench) -> str:
    """Return the seconds of training after which CIFAR-10's validation images are 94 % right."""
    kind = resolve_name(JOBS["classification"][0])
    given: dict[str, Any] = {**CIFAR, "device": bench.device, "run_dir": str(bench.folder)}
    if bench.data_dir is not None:
        given["data_dir"] = str(bench.data_dir)
    if bench.tiny:
        given |= {"epochs": 1, "limit": 100, "batch_size": 32, "model": "lenet5"}
    try:
        job, splits = kind.start(build(kind.config_type, ("benchmark", given)), ["benchmark"])
    except InputError as error:
        return f"not done: {str(error).splitlines()[0]}"
    spent, best = 0.0, 0.0

    def watch(row: Any) -> None:
        nonlocal spent, best
        spent, best = spent + row["seconds"], max(best, row["validation/accuracy"])
        if best >= 0.94 or bench.seconds > LIMIT:
            raise KeyboardInterrupt

    with contextlib.suppress(KeyboardInterrupt):
        job.train(splits, Silent(), lambda line: None, watch)
    reached = "94 %" if best >= 0.94 else f"{best:.2%}, not 94 %,"
    return f"{reached} after {spent:.1f} s of training and {len(job.run.history)} epochs"


def _ratio(speeds: dict[str, list[float]], mine: str, other: str, what: str) -> str:
    medians = {side: statistics.median(values) for side, values in speeds.items()}
    return (
        f"{medians[mine]:,.0f} {what}/s, {other} {medians[other]:,.0f}: "
        f"{medians[mine] / medians[other]:.2f}x"
    )


def parts(bench: Bench) -> Iterator[tuple[str, Callable[[], str]]]:
    """Yield what is measured, with its name."""
    yield "a batch that memory cannot hold", lambda: check_memory(bench)
    for name, batch in (("lenet5", 64), ("lenet5", 256), ("resnet20", 256)):
        yield f"loop: {name}, batches of {batch}", partial(compare_loops, bench, name, batch)
    yield "bidirectional LSTM", lambda: compare_packed(bench)
    yield "detection: yolo11n", lambda: compare_detection(bench)
    yield "CIFAR-10 to 94 %", lambda: reach_94(bench)


def main(words: list[str] | None = None) -> int:
    """Run everything, and return the exit code."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--device", default="cuda", choices=("cuda", "cpu"))
    parser.add_argument("--data-dir", type=Path, help="where the files of CIFAR-10 are")
    parser.add_argument("--only", default="", help="the lines alone that have this in their name")
    options = parser.parse_args(words)
    if options.device == "cuda" and not torch.cuda.is_available():
        print(
            "torch sees no CUDA GPU here, and this benchmark is about one; --device cpu runs it "
            "with a handful of samples",
            file=sys.stderr,
        )
        return 2
    if options.device == "cpu":
        torch.set_num_threads(1)  # there is little to share
    print(describe())
    with tempfile.TemporaryDirectory() as name:
        bench = Bench(options.device, Path(name), options.data_dir, options.only)
        print(f"on {Compute(bench.device, 'auto')}\n", flush=True)
        for job in JOBS:
            check_job(bench, job)
        for what, call in parts(bench):
            bench.line(what, call)
        print(f"\n{bench.failed} failed; {bench.seconds:.0f} s")
    return 1 if bench.failed else 0


if __name__ == "__main__":
    sys.exit(main())
