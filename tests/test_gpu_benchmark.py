"""The benchmark that is for GPUs: what of it a CPU can run."""

from importlib import import_module
from pathlib import Path

import pytest
import torch


@pytest.fixture
def gpu(monkeypatch):
    monkeypatch.syspath_prepend(Path(__file__).parents[1] / "benchmarks")
    return import_module("gpu")


def test_without_a_gpu_it_says_so(gpu, monkeypatch, capsys):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    assert gpu.main([]) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert err.startswith("torch sees no CUDA GPU here")
    assert len(err.splitlines()) == 1


def test_what_fails_is_counted_and_the_others_go_on(gpu, tmp_path, capsys):
    bench = gpu.Bench("cpu", tmp_path, None, "")

    def fail():
        gpu.check_equal({"a": torch.zeros(2)}, {"a": torch.ones(2)})

    bench.line("one", fail)
    bench.line("another", lambda: [][0])
    bench.line("a third", lambda: "fine")
    lines = capsys.readouterr().out.splitlines()
    assert [line.split(maxsplit=2)[1] for line in lines] == ["FAILED:", "FAILED:", "third"]
    assert "1 of 1 tensors differ, the first is a" in lines[0]
    assert bench.failed == 2


@pytest.mark.slow
@pytest.mark.parametrize(
    "only",
    [*("classification", "forecast", "translate"), "memory", "loop: lenet5", "LSTM", "CIFAR"],
)
def test_its_lines_run_on_a_cpu(gpu, capsys, only):
    assert gpu.main(["--device", "cpu", "--only", only]) == 0
    lines = [line for line in capsys.readouterr().out.splitlines() if only in line]
    assert lines
    assert not [line for line in lines if "FAILED" in line]


@pytest.mark.slow
def test_the_race_to_94_percent_runs_on_other_images(gpu, monkeypatch, capsys):
    monkeypatch.setitem(gpu.CIFAR, "data", "mnist5k")
    assert gpu.main(["--device", "cpu", "--only", "CIFAR"]) == 0
    assert "s of training and 1 epochs" in capsys.readouterr().out


@pytest.mark.slow
@pytest.mark.parametrize("only", ["autoencoder", "detection", "sentiment"])
def test_its_longer_lines_run_on_a_cpu(gpu, capsys, only):
    if only == "detection":
        pytest.importorskip("ultralytics")
    test_its_lines_run_on_a_cpu(gpu, capsys, only)
