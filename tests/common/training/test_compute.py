import os
from typing import NamedTuple

import pytest
import torch
from torch import nn

from common.errors import ConfigError
from common.training import compute as compute_module
from common.training.compute import (
    Compute,
    carry_precision,
    choose_device,
    choose_precision,
    has_bf16,
    set_threads,
)

CPU, CUDA, MPS = (torch.device(name) for name in ("cpu", "cuda", "mps"))


@pytest.fixture
def machine(monkeypatch):
    """Pretend to be a machine with other devices."""

    def pretend(cuda=0, mps=False, capability=(8, 0), cpu=()):
        monkeypatch.setattr(torch.cuda, "is_available", lambda: cuda > 0)
        monkeypatch.setattr(torch.cuda, "device_count", lambda: cuda)
        monkeypatch.setattr(torch.cuda, "get_device_capability", lambda device=None: capability)
        monkeypatch.setattr(torch.cuda, "is_bf16_supported", lambda *_: capability >= (8, 0))
        monkeypatch.setattr(torch.backends.mps, "is_available", lambda: mps)
        monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: dict.fromkeys(cpu, True))

    return pretend


# Devices


@pytest.mark.parametrize(
    ("there", "name", "device"),
    [
        ({}, "auto", "cpu"),
        ({"mps": True}, "auto", "mps"),
        ({"cuda": 1}, "auto", "cuda"),
        ({"cuda": 1, "mps": True}, "auto", "cuda"),
        ({"cuda": 2}, "cpu", "cpu"),
        ({"cuda": 2}, "cuda", "cuda"),
        ({"cuda": 2}, "cuda:1", "cuda:1"),
        ({"mps": True}, "mps", "mps"),
    ],
)
def test_the_device_of_a_name(machine, there, name, device):
    machine(**there)
    assert choose_device(name) == torch.device(device)


@pytest.mark.parametrize(
    ("there", "name", "problem"),
    [
        ({}, "cuda", "torch sees no CUDA GPU; use --device cpu, or install a CUDA torch"),
        ({}, "cuda:0", "torch sees no CUDA GPU"),
        ({}, "mps", "torch sees no Apple GPU here; use --device cpu"),
        ({"cuda": 2}, "cuda:2", r"there are 2 CUDA GPU\(s\), from cuda:0 on"),
        ({"cuda": 2}, "cuda:-1", "expected auto, cpu, cuda, cuda:N or mps"),
        ({"cuda": 2}, "cuda:x", "expected auto, cpu, cuda, cuda:N or mps"),
        ({"mps": True}, "mps:0", "expected auto, cpu, cuda, cuda:N or mps"),
        ({}, "cpu:0", "expected auto, cpu, cuda, cuda:N or mps"),
        ({}, "gpu", "expected auto, cpu, cuda, cuda:N or mps"),
        ({}, "", "expected auto, cpu, cuda, cuda:N or mps"),
    ],
)
def test_a_device_that_is_not_there(machine, there, name, problem):
    machine(**there)
    with pytest.raises(ConfigError, match=rf"^--device {name}: {problem}"):
        choose_device(name)


@pytest.mark.parametrize(
    ("there", "device", "precision"),
    [
        ({}, CPU, "32"),
        ({"cpu": ["avx512_bf16"]}, CPU, "32"),
        ({"mps": True}, MPS, "32"),
        ({"cuda": 1, "capability": (9, 0)}, CUDA, "bf16"),
        ({"cuda": 1, "capability": (8, 0)}, CUDA, "bf16"),
        ({"cuda": 1, "capability": (7, 5)}, CUDA, "16"),
        ({"cuda": 1, "capability": (7, 0)}, CUDA, "16"),
        ({"cuda": 1, "capability": (6, 1)}, CUDA, "32"),
    ],
)
def test_the_automatic_precision(machine, there, device, precision):
    machine(**there)
    assert choose_precision("auto", device) == precision


@pytest.mark.parametrize(
    ("there", "device", "has"),
    [
        ({}, CPU, False),
        ({"cpu": ["avx2", "avx512_f"]}, CPU, False),
        ({"cpu": ["avx512_bf16"]}, CPU, True),
        ({"cpu": ["amx_bf16"]}, CPU, True),
        ({"cpu": ["bf16"]}, CPU, True),
        ({"mps": True}, MPS, False),
        ({"cuda": 1, "capability": (7, 5)}, CUDA, False),
        ({"cuda": 1, "capability": (8, 6)}, CUDA, True),
    ],
)
def test_bfloat16_in_hardware(machine, there, device, has):
    machine(**there)
    assert has_bf16(device) == has
    if has:
        assert choose_precision("bf16", device) == "bf16"
        return
    with pytest.raises(
        ConfigError, match=f"^--precision bf16: this {device.type} does not compute in bfloat16"
    ):
        choose_precision("bf16", device)


def test_the_capabilities_have_the_names_that_torch_gives_them():
    if torch.cpu.get_capabilities()["architecture"] != "x86_64":
        pytest.skip("names of another processor")
    assert {"avx512_bf16", "amx_bf16"} <= torch.cpu.get_capabilities().keys()


def test_a_run_keeps_its_precision_on_another_device_that_has_it(machine):
    """Else what is computed again there is computed otherwise."""
    machine(cuda=2, capability=(9, 0))
    asked = ("32", "16", "bf16", "auto")
    assert [carry_precision(name, CUDA) for name in asked] == [*asked]
    assert [carry_precision(name, CPU) for name in asked] == ["32", "auto", "auto", "auto"]
    machine(cuda=1, capability=(7, 5))
    assert [carry_precision(name, CUDA) for name in asked] == ["32", "16", "auto", "auto"]


def test_other_precisions():
    assert [choose_precision(name, CPU) for name in ("32", "16")] == ["32", "16"]
    with pytest.raises(ConfigError, match="^--precision 8: expected auto, 32, bf16, 16$"):
        choose_precision("8", CPU)


@pytest.mark.parametrize(
    ("capability", "dtype"), [((8, 0), torch.bfloat16), ((7, 5), torch.float16), ((6, 1), None)]
)
def test_autocast_on_a_gpu(machine, monkeypatch, capability, dtype):
    machine(cuda=1, capability=capability)
    monkeypatch.setattr(compute_module, "_default_generators", lambda device: [])
    monkeypatch.setattr(compute_module, "_set_up_cuda", lambda deterministic: None)
    monkeypatch.setattr(Compute, "reset", lambda compute: None)
    context = Compute("auto", "auto").autocast()
    if dtype is None:
        assert not isinstance(context, torch.autocast)
    else:
        assert (context.device, context.fast_dtype) == ("cuda", dtype)


@pytest.mark.parametrize(
    ("precision", "dtype"),
    [("32", torch.float32), ("bf16", torch.bfloat16), ("16", torch.float16)],
)
def test_autocast_on_a_cpu(machine, precision, dtype):
    machine(cpu=["avx512_bf16"])
    with Compute(precision=precision).autocast():
        assert nn.Linear(2, 2)(torch.zeros(1, 2)).dtype == dtype


@pytest.mark.parametrize("deterministic", [True, False])
def test_a_gpu_is_set_up(monkeypatch, deterministic):
    calls = []
    monkeypatch.setattr(torch, "set_float32_matmul_precision", calls.append)
    monkeypatch.setattr(
        torch, "use_deterministic_algorithms", lambda on, warn_only: calls.append((on, warn_only))
    )
    monkeypatch.setattr(torch.backends.cudnn, "benchmark", deterministic)
    monkeypatch.setattr(torch.utils.deterministic, "fill_uninitialized_memory", True)
    monkeypatch.setattr(os, "environ", {})
    compute_module._set_up_cuda(deterministic)
    assert torch.backends.cudnn.benchmark is not deterministic
    assert calls == ["high", (deterministic, True)]
    assert not torch.utils.deterministic.fill_uninitialized_memory
    assert os.environ == {"CUBLAS_WORKSPACE_CONFIG": ":4096:8"}


def test_autocast_ends_where_it_began_also_within_itself(machine):
    machine(cpu=["avx512_bf16"])
    half = Compute(precision="bf16")
    with half.autocast(), half.autocast():
        pass
    assert not torch.is_autocast_enabled("cpu")


def test_a_person_reads_device_and_precision(machine, monkeypatch):
    machine(cuda=1, cpu=["avx512_bf16"])
    assert str(Compute()) == "cpu (32-bit)"
    assert str(Compute(precision="bf16")) == "cpu (bf16)"
    monkeypatch.setattr(torch.cuda, "get_device_name", lambda device: "H100")
    compute = Compute()
    compute.device = CUDA
    assert str(compute) == "cuda H100 (32-bit)"


# Models and batches


class Words(NamedTuple):
    ids: torch.Tensor
    lengths: torch.Tensor


def test_batches_are_moved_with_their_structure():
    compute = Compute()
    compute.device = torch.device("meta")
    one = torch.zeros(2, 3)
    moved = compute.move({"a": [one, (one, "text")], "b": Words(one, one), "c": 5})
    assert moved["a"][0].device == moved["a"][1][0].device == compute.device
    assert isinstance(moved["a"], list)
    assert isinstance(moved["a"][1], tuple)
    assert moved["a"][1][1] == "text"
    assert isinstance(moved["b"], Words)
    assert moved["b"].lengths.is_meta
    assert moved["c"] == 5


def test_channels_last():
    compute = Compute(channels_last=True)
    model = compute.place(nn.Sequential(nn.Conv2d(3, 4, 3), nn.Linear(2, 2)))
    images, words = compute.move((torch.rand(2, 3, 5, 5), torch.rand(2, 3, 5)))
    for tensor in (images, model[0].weight):
        assert tensor.is_contiguous(memory_format=torch.channels_last)
        assert not tensor.is_contiguous()
    assert words.is_contiguous()
    assert Compute().move(torch.rand(2, 3, 5, 5)).is_contiguous()


def test_the_model_itself_is_placed(monkeypatch):
    compiled = []
    monkeypatch.setattr(nn.Module, "compile", lambda model: compiled.append(model))
    model = nn.Linear(2, 2)
    weight = model.weight
    assert Compute().place(model) is model
    assert compiled == []
    assert Compute(compile=True).place(model) is model
    assert compiled == [model]
    assert model.weight is weight


def test_what_is_drawn_is_keyed():
    compute = Compute()

    def draws(*keys):
        generator = compute.seed(*keys)
        return torch.rand(3, generator=generator).tolist() + torch.rand(3).tolist()

    first = draws(1, 2)
    torch.rand(5)
    assert draws(1, 2) == first
    assert draws(2, 1) != first


# The loss scale


def gradients(*values):
    parameters = [nn.Parameter(torch.zeros(2)) for _ in values]
    for parameter, value in zip(parameters, values, strict=True):
        parameter.grad = torch.tensor([1.0, value])
    return parameters


@pytest.mark.parametrize("bad", [float("nan"), float("inf"), float("-inf")])
@pytest.mark.parametrize("precision", ["32", "16"])
def test_whatever_is_not_finite_is_found(bad, precision):
    fine = torch.tensor(1.0)
    for parameters, losses, expected in (
        (gradients(1.0, 2.0), [fine, fine], 0.0),
        (gradients(1.0, bad), [fine, fine], 1.0),
        (gradients(1.0, 2.0), [fine, torch.tensor(bad)], 1.0),
    ):
        found = Compute(precision=precision).unscale(parameters, losses)
        assert found.item() == expected
        assert losses[0].item() == 1.0


def test_without_a_loss_scale_gradients_stay_as_they_are():
    parameters = gradients(0.1, -0.0, 1e-40)
    before = [p.grad.clone() for p in parameters]
    compute = Compute()
    compute.adjust(compute.unscale(parameters, []))
    for p, old in zip(parameters, before, strict=True):
        assert torch.equal(p.grad.view(torch.int32), old.view(torch.int32))
    assert compute.scale == 1


def test_gradients_are_divided_by_the_loss_scale():
    compute = Compute(precision="16")
    parameters = gradients(65536.0, 3 * 65536.0)
    compute.unscale(parameters, [])
    assert [p.grad[1].item() for p in parameters] == [1.0, 3.0]


def test_after_a_bad_step_no_other_is_good_until_a_new_run_begins():
    """Nobody has looked yet; the weights are to be those before the first bad step."""
    compute = Compute()
    good = compute.unscale(gradients(1.0), [])
    bad = compute.unscale(gradients(float("nan")), [])
    after = compute.unscale(gradients(1.0), [])
    assert [good.item(), bad.item(), after.item()] == [0.0, 1.0, 1.0]
    compute.reset()
    assert compute.unscale(gradients(1.0), []).item() == 0.0


def test_the_loss_scale_is_torchs(monkeypatch):
    """One after the other: good steps to grow twice, overflows, and again good steps."""
    monkeypatch.setattr(compute_module, "_INTERVAL", 3)
    compute = Compute(precision="16")
    scaler = torch.amp.GradScaler("cpu", growth_interval=3)
    weight = nn.Parameter(torch.ones(1))
    optimizer = torch.optim.SGD([weight], 0.0)
    scales = []
    for overflow in [0, 0, 0, 0, 0, 1, 0, 0, 1, 1, 0, 0, 0, 0]:
        value = float("inf") if overflow else 1.0
        optimizer.zero_grad()
        scaler.scale((weight * value).sum()).backward()
        scaler.step(optimizer)
        scaler.update()
        found = compute.unscale(gradients(value), [])
        compute.adjust(found)
        assert found.item() == overflow
        assert compute.scale.item() == scaler.get_scale()
        scales.append(compute.scale.item())
    assert scales[0] == 65536.0
    assert scales[4:6] == [131072.0, 65536.0]
    assert torch.amp.GradScaler("cpu").get_growth_interval() == 2000


def test_the_loss_scale_goes_on_and_begins_anew(same):
    compute, other = Compute(precision="16"), Compute(precision="16")
    for value in (1.0, 1.0, float("nan"), 1.0):
        compute.adjust(compute.unscale(gradients(value), []))
    other.load_state_dict({name: t.clone() for name, t in compute.state_dict().items()})
    assert same(other.state_dict(), compute.state_dict())
    assert (other.scale.item(), other._good_steps.item()) == (32768.0, 1)
    other.reset()
    assert (other.scale.item(), other._good_steps.item()) == (65536.0, 0)


@pytest.mark.parametrize(
    ("threads", "work", "expected"), [(None, 10**6, 1), (None, 10**10, 2), (2, 10**6, 2)]
)
def test_small_models_get_one_thread_unless_the_user_says_otherwise(threads, work, expected):
    before = torch.get_num_threads()
    torch.set_num_threads(2)
    set_threads(threads, work)
    found = torch.get_num_threads()
    torch.set_num_threads(before)
    assert found == expected


def test_what_is_drawn_in_a_seeded_block_leaves_the_callers_stream_alone():
    compute = Compute()
    torch.manual_seed(5)
    expected = torch.rand(4)
    torch.manual_seed(5)
    first = torch.rand(2)
    with compute.seeded(1, 2):
        inside = torch.rand(3)
    assert torch.equal(torch.cat([first, torch.rand(2)]), expected)
    with compute.seeded(1, 2):
        assert torch.equal(torch.rand(3), inside)
