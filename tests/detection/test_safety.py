"""Ultralytics' library does nothing on its own, and hostile files run nothing."""

import itertools
import os
import pickle
import re
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from torch import nn

from common.errors import ConfigError, RunError
from labs.detection.models import weights

networks = pytest.importorskip("labs.detection.models.ultralytics.build")
decode = pytest.importorskip("labs.detection.models.ultralytics.decode").decode

ROOT = Path(__file__).parents[2]
CLASSES = ("고양이", "dog")


class Calls:
    """Pickled, it calls a function when it is read."""

    def __init__(self, function, *arguments):
        self.what = function, arguments

    def __reduce__(self):
        return self.what


@pytest.fixture
def canary(tmp_path):
    path = tmp_path / "canary"
    yield path
    assert not path.exists(), "something was run"


@pytest.fixture(scope="module")
def network():
    torch.manual_seed(0)
    return networks.build("yolov8n", CLASSES, 64)


def save(path, network, key="ema"):
    """Save a model as the library's trainer does."""
    content = {"epoch": 3, "model": None, "ema": None, "train_args": {"imgsz": 64}}
    torch.save({**content, key: network.half()}, path)
    network.float()
    return path


ALONE = """
import os, socket, subprocess, warnings

import numpy, PIL.Image, torch, torchvision
from pathlib import Path
from common.training.batches import Padded, Place, Ragged
from common.training import When
from labs.detection.models import build as detectors, weights
from labs.detection.config import DetectionConfig
from labs.detection.data.load import BoxSet

def blocked(*arguments, **options):
    raise AssertionError("blocked")

warnings.simplefilter("error")
socket.socket.connect = socket.socket.connect_ex = socket.getaddrinfo = blocked
subprocess.Popen.__init__ = os.system = os.posix_spawn = os.fork = blocked
before = dict(os.environ)
opened, saved, shown = PIL.Image.open, torch.save, numpy.get_printoptions()
from labs.detection.models.ultralytics import build, library, task as learning
assert (opened, saved) == (PIL.Image.open, torch.save)
assert shown == numpy.get_printoptions()
assert os.environ.get("OMP_NUM_THREADS") == before.get("OMP_NUM_THREADS")

model = build.build("yolo26n", ["a"], 64)
task = learning.UltralyticsTask(1, 1, 2)
rows = torch.tensor([[8.0, 8, 40, 40, 0, 0]])
images = torch.rand(2, 3, 64, 64)
sum(task.loss(model, (images, Padded.of([rows, rows])), When(0, 0, torch.Generator())).values()
    ).backward()
torch.save({"model": model}, "m.pt")
print(weights.load(model, "yolo26n", "m.pt"))
with torch.inference_mode():
    task.detect(model.eval(), images)
split = BoxSet((images * 255).byte(), Ragged.of([rows, rows]), torch.full((2, 2), 64), "ab")
config = DetectionConfig(augment=("mosaic", "affine", "hsv", "mixup", "cutmix", "hflip", "vflip"))
detectors.training_set(split, config)[Place(0, 0, 1)]
assert not any(library.SETTINGS[name] for name in ("sync", "clearml", "comet", "mlflow", "wandb"))
assert not (Path.home() / ".config" / "Ultralytics").exists()
"""


@pytest.mark.slow
def test_it_runs_with_the_network_and_other_programs_blocked(tmp_path):
    environment = {
        **os.environ,
        "HOME": str(tmp_path),
        "LABS_CACHE": str(tmp_path / "cache"),
        "PYTHONPATH": str(ROOT),
    }
    environment.pop("OMP_NUM_THREADS", None)
    environment.pop("XDG_CONFIG_HOME", None)
    ran = subprocess.run(
        [sys.executable, "-c", ALONE],
        capture_output=True,
        text=True,
        cwd=tmp_path,
        env=environment,
        check=False,
    )
    assert ran.returncode == 0, ran.stderr
    assert "tensors are from m.pt" in ran.stdout
    assert len(ran.stdout.splitlines()) == 1, "the library printed something"
    assert not ran.stderr


def test_without_the_library_there_is_one_clear_error(no_ultralytics):
    with pytest.raises(ConfigError, match=r"pip install.*AGPL-3.0.*tiny-yolo"):
        import labs.detection.models.ultralytics.build  # noqa: F401


@pytest.mark.parametrize("key", ["ema", "model"])
def test_weights_come_back_from_the_library_s_own_files(tmp_path, network, key):
    path = save(tmp_path / "yolov5n.pt", network, key)  # a name that the library would look up
    found = weights.read(path)
    assert list(found) == list(network.state_dict())
    for name, value in network.state_dict().items():
        torch.testing.assert_close(
            found[name],
            value.half().float() if value.is_floating_point() else value,
            rtol=0,
            atol=0,
        )


HOSTILE = {
    "posix.system": lambda canary: {"model": Calls(os.system, f"touch {canary}")},
    "GLOBAL eval": lambda canary: {"model": Calls(eval, f"open({str(canary)!r}, 'w')")},
    "construct a TorchVision": lambda canary: {  # which downloads weights
        "model": Calls(networks.tasks.TorchVision, 768, "alexnet", "DEFAULT")
    },
    "construct a DetectionModel": lambda canary: {  # which reads a file from there
        "ema": Calls(networks.tasks.DetectionModel, "https://example.org/x.yaml")
    },
    "unsafe getattr": lambda canary: {"model": Calls(getattr, nn.Linear, "__init__")},
    "holds a Tensor": lambda canary: {"model": torch.ones(1)},
    "'list' object": lambda canary: [1, 2],
}


@pytest.mark.parametrize(("reason", "content"), HOSTILE.items(), ids=HOSTILE)
def test_a_hostile_file_is_refused_and_runs_nothing(tmp_path, canary, reason, content):
    path = tmp_path / "hostile.pt"
    torch.save(content(canary), path)
    with pytest.raises(RunError, match=f"hostile.pt is not read: .*{reason}"):
        weights.read(path)
    assert isinstance(nn.Linear(1, 1), nn.Module)  # constructors work again


def test_a_plain_pickle_is_refused_and_runs_nothing(tmp_path, canary):
    content = {"model": Calls(os.system, f"touch {canary}")}
    for suffix in (".pt", ".pth"):
        path = tmp_path / f"plain{suffix}"
        path.write_bytes(pickle.dumps(content))
        with pytest.raises(RunError, match="plain"):
            weights.read(path)


def damaged(folder, network):
    """Write files that are no weights."""
    whole = save(folder / "whole.pt", network).read_bytes()
    (folder / "truncated.pt").write_bytes(whole[: len(whole) // 2])
    (folder / "empty.pt").write_bytes(b"")
    (folder / "text.pt").write_text("yolo\n" * 100)
    (folder / "text.safetensors").write_text("yolo\n" * 100)
    (folder / "text.pth").write_text("yolo\n" * 100)
    (folder / "pickle.pth").write_bytes(b"\x80\x02(h\x05.")  # of what was never put there
    script = torch.jit.trace(nn.Conv2d(1, 1, 1), torch.rand(1, 1, 2, 2))
    script.save(str(folder / "script.pt"))


@pytest.mark.filterwarnings("ignore:.*torch.jit:FutureWarning")
def test_damaged_files_are_refused_with_the_reason(tmp_path, network):
    damaged(tmp_path, network)
    for name in (
        "truncated.pt",
        "empty.pt",
        "text.pt",
        "text.safetensors",
        "text.pth",
        "pickle.pth",
    ):
        with pytest.raises(RunError, match=name):
            weights.read(tmp_path / name)
    with pytest.raises(RunError, match="TorchScript"):
        weights.read(tmp_path / "script.pt")


MODEL = """
nc: 2
{extra}
backbone:
  - [-1, 1, Conv, [16, 3, 2]]
  - [-1, 1, Conv, [32, 3, 2]]
  - {row}
head:
  - [[-1], 1, Detect, [nc]]
"""
GOOD = "[-1, 2, C2f, [32, True]]"
BOMB = "a: &a [x, x, x, x, x, x, x, x, x, x]\n" + "\n".join(
    f"{key}: &{key} [{', '.join([f'*{before}'] * 10)}]"
    for before, key in itertools.pairwise("abcdefgh")
)
BAD = {
    "!!python/object/apply:os.system": (
        "x: !!python/object/apply:os.system ['touch CANARY']",
        GOOD,
    ),
    "code as an activation": ("activation: __import__('os').system('touch CANARY')", GOOD),
    "a call in a call": ("activation: nn.SiLU(print(1))", GOOD),
    "no module of torch": ("activation: nn.os()", GOOD),
    "a layer that downloads": ("", "[-1, 1, TorchVision, [768, alexnet, DEFAULT]]"),
    "a model that reads an address": (
        "",
        "[-1, 1, DetectionModel, ['https://example.org/x.yaml']]",
    ),
    "a function": ("", "[-1, 1, torch_load, [CANARY]]"),
    "a function of torch": ("", "[-1, 1, nn.init.zeros_, [1]]"),
    "an unknown layer": ("", "[-1, 1, Unknown, [1]]"),
    "too many repeats": ("", "[-1, 1000000, Conv, [16, 3, 2]]"),
    "a row that swells": (BOMB, "*h"),
    "an activation that swells": (f"{BOMB}\nactivation: *h", GOOD),
    "a short row": ("", "[-1, 1, Conv]"),
    "a reference to nowhere": ("", "[[-9, 77], 1, Concat, [1]]"),
    "wrong arguments": ("", "[-1, 1, Conv, [many]]"),
}


@pytest.mark.parametrize(("extra", "row"), BAD.values(), ids=BAD)
def test_a_hostile_model_file_is_refused_and_runs_nothing(tmp_path, canary, extra, row):
    path = tmp_path / "hostile.yaml"
    text = MODEL.format(extra=extra, row=row).replace("CANARY", str(canary))
    path.write_text(text)
    with pytest.raises(ConfigError, match=r"--model .*hostile.yaml"):
        networks.build(str(path), CLASSES, 64)


@pytest.mark.parametrize(
    "text",
    ["", "- 1", "backbone: 3", "backbone: [[-1, 1, Conv, [8, 3, 2]]]\nhead: [[-1, 1, Conv, [8]]]"],
)
def test_a_file_that_describes_no_detector_is_refused(tmp_path, text):
    path = tmp_path / "model.yaml"
    path.write_text(text)
    with pytest.raises(ConfigError, match=r"--model .*model.yaml"):
        networks.build(str(path), CLASSES, 64)


def test_a_model_file_that_is_missing_or_no_text_is_refused(tmp_path):
    with pytest.raises(ConfigError, match="No such file"):
        networks.build(str(tmp_path / "없음.yaml"), CLASSES, 64)
    path = tmp_path / "latin.yaml"
    path.write_bytes(b"\xff\xfe\xfa")
    with pytest.raises(ConfigError, match="UTF-8"):
        networks.build(str(path), CLASSES, 64)


def test_a_user_s_model_file_is_built(tmp_path):
    path = tmp_path / "나의모델.yaml"
    path.write_text(MODEL.format(extra="activation: nn.LeakyReLU(0.1)", row=GOOD), "utf-8")
    model = networks.build(str(path), CLASSES, 64).eval()
    boxes, scores = decode(model, torch.rand(1, 3, 64, 64))
    assert boxes.shape == (1, 256, 4)
    assert scores.shape == (1, 256, 2)
    assert any(isinstance(part, nn.LeakyReLU) for part in model.modules())


def test_one_file_alone_imports_the_library():
    imports = re.compile(r"^\s*(from|import) ultralytics|import_module\(.ultralytics", re.MULTILINE)
    found = [
        path.relative_to(ROOT).as_posix()
        for part in ("common", "labs")
        for path in (ROOT / part).rglob("*.py")
        if imports.search(path.read_text("utf-8"))
    ]
    assert found == ["labs/detection/models/ultralytics/library.py"]
