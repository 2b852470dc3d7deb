"""Weights to start from: of a file, or those that a model's makers publish."""

import warnings
from pathlib import Path
from typing import Any

from torch import Tensor

from common.errors import ConfigError, RunError
from common.files import cache_dir
from common.images import efficientnet_lite
from common.io import fetch as download
from common.training import weights
from labs.detection.models import lite0_yolo, pixel_models, torchvision_models
from labs.detection.names import LITE0

_RELEASE = "https://github.com/ultralytics/assets/releases/download/v8.4.0/"
_LARGEST = 140_000_000  # bytes; yolov8x has 137 million
_SHA256 = {  # as several projects that pin these files have them
    "yolo11n": "0ebbc80d4a7680d14987a577cd21342b65ecfd94632bd9a8da63ae6417644ee1",
    "yolo11s": "85a76fe86dd8afe384648546b56a7a78580c7cb7b404fc595f97969322d502d5",
    "yolo11m": "d5ffc1a674953a08e11a8d21e022781b1b23a19b730afc309290bd9fb5305b95",
    "yolo11l": "9ebd0e09d59811db4b1d61e2bc6730649608b1ac47f8dd01e2da6bca7c20023f",
    "yolo11x": "7bc158aa95c0ebfdd87f70f01653c1131b93e92522dbe15c228bcd742e773a24",
    "yolo26n": "9b09cc8bf347f0fc8a5f7657480587f25db09b34bf33b0652110fb03a8ad4fef",
    "yolo26s": "646f8bc3fe0a656803d95c294f7852321748cb29d13466a1af8862e2db384a1b",
    "yolo26m": "401cea9ab23ad19246ff7744859816bc599f350e93c9dd30367b6f0a0745d0b7",
    "yolo26l": "9fe3c544f2b19bebad7ea41e76d7ad3d88b7c2f10d11d24430c5311f6b32db26",
    "yolo26x": "9fdd44a31c504547ffb81d2c6d9e6dac3493c8eaa8b0398d3f43bae6c7003e92",
    "yolov8n": "f59b3d833e2ff32e194b5bb8e08d211dc7c5bdf144b90d2c8412c47ccfc83b36",
    "yolov8s": "1f47a78bf100391c2a140b7ac73a1caae18c32779be7d310658112f7ac9aa78a",
    "yolov8m": "5d4a90cdc7a21786cc59cd19778e9eafff836df9e2da32524737c7ee6efe4fe5",
    "yolov8l": "64c9115303f6a25575f82200d1b22ec409fa6bd7d08d0313884fc20d919478cd",
    "yolov8x": "3df4ada6b4dad6d657868f2fdf7faecfb34dcfccf3a25c4b82079064718524c8",
}
_INSTEAD = "fetch it yourself and give it with --weights FILE"


def load(model: Any, name: str, source: str) -> str:
    """Put weights into a named model where their names and shapes agree; say how much was taken.

    Those of other classes than the model's have another shape, and are left as the seed drew them.
    The source is `download`, `efficientnet-lite0` (for the trunk of lite0-yolo or unet-lite0), or a
    file: .safetensors, .pt (Ultralytics'), .pth (torchvision's).

    Raises:
        ConfigError: there is no such file, or nothing known to download.
        DownloadError: the file could not be had.
        RunError: the file is damaged, would run code, or is of another model.
    """
    if source == LITE0:
        trunk = getattr(model, "down", model)  # of a U-Net, its way down
        return lite0_yolo.start(trunk, weights.read(efficientnet_lite.weights_file()))
    path = _downloaded(name) if source == "download" else Path(source)
    own, given = model.state_dict(), read(path)
    fitting = {
        key: value for key, value in given.items() if key in own and own[key].shape == value.shape
    }
    taken, numbers = (sum(own[key].numel() for key in keys) for keys in (fitting, own))
    if taken < numbers / 2:
        raise RunError(
            f"{path} is of another model than {name}: of {len(own)} tensors {len(fitting)} fit, "
            f"with {taken / numbers:.0%} of the numbers; choose the --model that it was made for"
        )
    model.load_state_dict(fitting, strict=False)
    return f"{len(fitting)} of {len(own)} tensors are from {path}"


def read(path: Path) -> dict[str, Tensor]:
    """Return the tensors in a file by their names; nothing else that it may hold is run or made.

    Raises:
        ConfigError: there is no such file, or of no known kind.
        RunError: the file is damaged, or would run code.
    """
    if path.suffix != ".pt":
        return weights.read(path)
    weights.check(path)
    from labs.detection.models.ultralytics.checkpoint import read_checkpoint

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # what torch says of files that it then refuses
        return read_checkpoint(path)


def _downloaded(name: str) -> Path:
    """Return the path of a model's published weights, downloaded if they are not there."""
    published: dict[str, Any] = {**torchvision_models.WEIGHTS, **pixel_models.WEIGHTS}
    if name in published:
        url = published[name].url
        sha256 = Path(url).stem.rpartition("-")[2]
    elif name in _SHA256:
        url, sha256 = f"{_RELEASE}{name}.pt", _SHA256[name]
    else:
        raise ConfigError(
            f"--weights download: no checksum is known for the weights of {name}; {_INSTEAD}"
        )
    remote = download.Remote(url, sha256, _LARGEST)
    return download.fetch(remote, cache_dir() / "weights", instead=_INSTEAD, named=False)
