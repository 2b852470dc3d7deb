"""Weights of a file: read whole and in every usual form, refused with a reason, never run."""

import builtins
import json
import os
import pickle
import struct
import subprocess
import sys
import zipfile

import pytest
import torch
from safetensors.torch import save_file
from torch import nn

from common.errors import ConfigError, RunError
from common.training import weights


@pytest.fixture
def model():
    torch.manual_seed(0)
    return nn.Sequential(nn.Conv2d(1, 2, 3), nn.BatchNorm2d(2), nn.Flatten(), nn.Linear(8, 3))


@pytest.fixture
def canary(tmp_path):
    path = tmp_path / "canary"
    yield path
    assert not path.exists(), "something was run"


class Calls:
    """Pickled, it calls a function when it is read."""

    def __init__(self, function, *arguments):
        self.what = function, arguments

    def __reduce__(self):
        return self.what


def equal(one, other):
    return one.keys() == other.keys() and all(torch.equal(one[name], other[name]) for name in one)


# Files as people have them


def test_weights_come_back_from_every_form(tmp_path, model):
    own = model.state_dict()
    save_file(own, tmp_path / "plain.safetensors")
    torch.save(own, tmp_path / "plain.pth")
    torch.save(own, tmp_path / "old.pth", _use_new_zipfile_serialization=False)
    torch.save({"epoch": 3, "state_dict": own, "args": {"lr": 0.1}}, tmp_path / "nested.pt")
    torch.save({"model": own, "optimizer": {"state": {}}}, tmp_path / "모델.pt")
    torch.save({f"module.{name}": value for name, value in own.items()}, tmp_path / "wrapped.pth")
    torch.save(dict(model.named_parameters()) | dict(model.named_buffers()), tmp_path / "loose.pth")
    for path in tmp_path.iterdir():
        assert equal(weights.read(path), own), path


def test_put_copies_in_the_model_s_own_precision(model):
    twin = nn.Sequential(nn.Conv2d(1, 2, 3), nn.BatchNorm2d(2), nn.Flatten(), nn.Linear(8, 3))
    halves = {name: value.half() for name, value in model.state_dict().items()}
    weights.put(twin, weights.match(twin, halves, "x"))
    assert twin[0].weight.dtype == torch.float32
    torch.testing.assert_close(twin[3].weight, model[3].weight, rtol=1e-3, atol=1e-3)


# Weights of another model


def test_all_that_does_not_fit_is_named_at_once(model):
    given = {name: value for name, value in model.state_dict().items() if name != "0.bias"}
    given |= {"head.weight": torch.ones(1), "3.weight": torch.ones(5, 8)}
    with pytest.raises(RunError) as caught:
        weights.match(model, given, "file.pth")
    message = str(caught.value)
    for text in (
        "file.pth is of another model",
        "1 missing: 0.bias",
        "1 unexpected: head.weight",
        "1 of another shape: 3.weight (5x8 for 3x8)",
        "--model",
    ):
        assert text in message


def test_a_long_list_is_cut(model):
    with pytest.raises(RunError, match=r"8 missing: 0.weight, 0.bias, 1.weight and 5 more"):
        weights.match(model, {"x": torch.ones(1)}, "file.pth")


def test_the_classifier_can_be_left_out(model):
    given = dict(model.state_dict()) | {"3.weight": torch.ones(1000, 8), "3.bias": torch.ones(1000)}
    found = weights.match(model, given, "file.pth", leave_out=["3"])
    assert not any(name.startswith("3.") for name in found)
    assert len(found) == len(given) - 2


def test_old_files_lack_the_counts_of_batch_norm(model):
    given = {k: v for k, v in model.state_dict().items() if "num_batches" not in k}
    assert len(weights.match(model, given, "file.pth")) == len(given)


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_numbers_that_are_none_are_refused(tmp_path, model, value):
    given = model.state_dict()
    given["3.bias"] = torch.tensor([1.0, value, 1.0])
    torch.save(given, tmp_path / "file.pth")
    with pytest.raises(RunError, match=r"3.bias holds NaN or infinite"):
        weights.match(model, weights.read(tmp_path / "file.pth"), "file.pth")


def test_a_hostile_name_cannot_write_to_the_terminal(tmp_path, model):
    torch.save({"\x1b[31mred\n" * 100: torch.ones(1)}, tmp_path / "file.pth")
    with pytest.raises(RunError) as caught:
        weights.match(model, weights.read(tmp_path / "file.pth"), "file.pth")
    assert "\x1b" not in str(caught.value)
    assert "\n" not in str(caught.value)
    assert len(str(caught.value)) < 1000


# Hostile and damaged files: pickles that call, archives that swell, headers that lie


def header(tensors, tail=b"\0" * 16, length=None):
    """Return a safetensors file."""
    text = tensors if isinstance(tensors, bytes) else json.dumps(tensors).encode()
    return struct.pack("<Q", len(text) if length is None else length) + text + tail


def floats(shape, end=16, start=0, kind="F32"):
    return {"w": {"dtype": kind, "shape": shape, "data_offsets": [start, end]}}


def archive(path, entries, compression=zipfile.ZIP_STORED):
    with zipfile.ZipFile(path, "w", compression) as file:
        for name, data in entries.items():
            file.writestr(f"archive/{name}", data)


def saved(content):
    def write(path, canary):
        torch.save(content(canary), path)

    return write


def raw(data):
    def write(path, canary):
        path.write_bytes(data(canary) if callable(data) else data)

    return write


def truncated(path, canary):
    torch.save({"w": torch.ones(1000)}, path)
    path.write_bytes(path.read_bytes()[:-600])


def truncated_old(path, canary):
    torch.save({"w": torch.ones(1000)}, path, _use_new_zipfile_serialization=False)
    path.write_bytes(path.read_bytes()[:-600])


def zip_bomb(path, canary):
    entries = {"data.pkl": pickle.dumps({}), "data/0": b"\0" * 10**7, "version": "3"}
    archive(path, entries, zipfile.ZIP_DEFLATED)


def pickle_bomb(path, canary):
    archive(path, {"data.pkl": b"\x80\x02" + b"(" * 10**7}, zipfile.ZIP_DEFLATED)


def lying_archive(path, canary):
    """An entry that says it is larger than the whole file."""
    archive(path, {"data.pkl": pickle.dumps({}, 2), "data/0": b"\0" * 64, "version": "3"})
    data = bytearray(path.read_bytes())
    central = data.index(b"PK\x01\x02", data.index(b"PK\x01\x02") + 1)
    data[central + 20 : central + 28] = struct.pack("<II", 2**31, 2**31)
    path.write_bytes(bytes(data))


def script(path, canary):
    torch.jit.trace(nn.Conv2d(1, 1, 1), torch.rand(1, 1, 2, 2)).save(str(path))


def huge_view(path, canary):
    """One number that claims to be 10^12 of them."""
    torch.save({"w": torch.zeros(1).expand(10**6, 10**6)}, path)


def sparse(path, canary):
    torch.save({"w": torch.eye(3).to_sparse()}, path)


HOSTILE = {
    "system.pth": saved(lambda canary: {"w": Calls(os.system, f"touch {canary}")}),
    "eval.pth": saved(lambda canary: {"w": Calls(eval, f"open({str(canary)!r}, 'w')")}),
    "exec.pt": saved(lambda canary: {"w": Calls(exec, f"open({str(canary)!r}, 'w')")}),
    "open.pt": saved(lambda canary: {"w": Calls(builtins.open, str(canary), "w")}),
    "getattr.pth": saved(lambda canary: {"w": Calls(getattr, nn.Linear, "__init__")}),
    "import.pth": saved(lambda canary: {"w": Calls(__import__, "antigravity")}),
    "popen.pth": saved(lambda canary: Calls(subprocess.Popen, ["touch", str(canary)])),
    "key.pth": saved(lambda canary: {Calls(os.mkdir, str(canary)): torch.ones(1)}),
    "beside.pth": saved(
        lambda canary: {"state_dict": {"w": torch.ones(1)}, "epoch": Calls(os.mkdir, str(canary))}
    ),
    "plain.pth": raw(lambda canary: pickle.dumps(Calls(os.system, f"touch {canary}"))),
    "protocol0.pt": raw(lambda canary: f"cos\nsystem\n(S'touch {canary}'\ntR.".encode()),
    "module.pt": saved(lambda canary: {"model": nn.Linear(1, 1)}),
    "bomb.pth": zip_bomb,
    "pickle-bomb.pth": pickle_bomb,
    "lying.pth": lying_archive,
    "truncated.pth": truncated,
    "truncated-old.pth": truncated_old,
    "script.pt": script,
    "memo.pth": raw(b"\x80\x02(h\x05."),
    "allocate.pth": raw(b"\x80\x02ctorch\nTensor\n\x8a\x05\x00\xe4\x0bT\x02\x85R."),
    "empty.pth": raw(b""),
    "text.pt": raw(b"weights\n" * 100),
    "html.pth": raw(b"<!DOCTYPE html><title>404</title>"),
    "list.pth": saved(lambda canary: [torch.ones(1)]),
    "numbers.pth": saved(lambda canary: {"state_dict": {"w": 1.0}, 3: torch.ones(1)}),
    "deep.pth": saved(lambda canary: {"model": {"model": {"w": torch.ones(1)}}}),
    "huge-view.pth": huge_view,
    "sparse.pth": sparse,
    "complex.pth": saved(lambda canary: {"w": torch.ones(1, dtype=torch.complex64)}),
    "meta.pth": saved(lambda canary: {"w": torch.ones(2, device="meta")}),
    "text.safetensors": raw(b"weights\n" * 100),
    "empty.safetensors": raw(b""),
    "nothing.safetensors": raw(header({}, b"")),
    "long-header.safetensors": raw(header(floats([4]), length=2**62)),
    "no-json.safetensors": raw(header(b"{" * 50)),
    "nested.safetensors": raw(header(b'{"a":' * 5000)),
    "outside.safetensors": raw(header(floats([1000], 4000))),
    "backwards.safetensors": raw(header(floats([4], 0, 16))),
    "shape.safetensors": raw(header(floats([2**40, 2**40]))),
    "negative.safetensors": raw(header(floats([-4]))),
    "kind.safetensors": raw(header(floats([4], kind="PYOBJECT"))),
    "overlap.safetensors": raw(header(floats([4]) | {"v": floats([4])["w"]})),
    "pickle.safetensors": raw(lambda canary: pickle.dumps(Calls(os.mkdir, str(canary)))),
}


@pytest.mark.filterwarnings("ignore:.*torch.jit:FutureWarning")
@pytest.mark.parametrize("name", HOSTILE)
def test_a_hostile_or_damaged_file_is_refused_and_runs_nothing(tmp_path, canary, name):
    path = tmp_path / name
    HOSTILE[name](path, canary)
    known = set(sys.modules)
    with pytest.raises(RunError, match=name) as caught:
        weights.read(path)
    assert "antigravity" not in set(sys.modules) - known
    assert len(str(caught.value)) < 600
    assert "\n" not in str(caught.value)


def test_what_is_no_file_is_refused(tmp_path):
    (tmp_path / "folder.pth").mkdir()
    (tmp_path / "nowhere.pth").symlink_to(tmp_path / "없음")
    (tmp_path / "loop.pth").symlink_to(tmp_path / "loop.pth")
    os.mkfifo(tmp_path / "pipe.pth")
    (tmp_path / "weights.txt").write_text("x")
    with open(tmp_path / "huge.safetensors", "wb") as file:
        file.truncate(2**40)  # takes no room
    for name, problem in {
        "folder.pth": "is a folder",
        "nowhere.pth": "no such file",
        "loop.pth": "no such file",
        "pipe.pth": "no such file",
        "missing.pth": "no such file",
        "weights.txt": "ends in .safetensors, .pt or .pth",
        "huge.safetensors": "larger than",
    }.items():
        with pytest.raises(ConfigError, match=f"--weights .*{name}: .*{problem}"):
            weights.read(tmp_path / name)
