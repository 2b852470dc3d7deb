"""A run's network as a file that runs without this project: ONNX or TorchScript.

Both come from tracing the network once on an image. torch's newer exporter (`dynamo=True`) needs
one package more, takes ten times as long, and cannot follow what torchvision's detectors do.
"""

import copy
import io
import json
import math
import statistics
import time
import warnings
from abc import ABC, abstractmethod
from collections.abc import Callable, Collection, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn
from torch.nn.functional import interpolate
from torchvision.models.detection.image_list import ImageList
from torchvision.models.detection.ssd import SSD

from common.errors import DataError, RunFailed
from common.files import write_bytes, write_json
from labs.detection.job import Detector
from labs.detection.letterbox import GREY
from labs.detection.models.tiny_yolo import SAME_OBJECT, boxes_and_scores
from labs.detection.names import GRIDS

TOLERANCE = 1e-4  # of scores, and of boxes as shares of the image's side

_OPSET = 17
_IMAGES = 8  # of the test split that a copy is compared on
_ROUNDS = 20  # in which each network sees one image
_WARM_UP = 3  # rounds that do not count

Runner = Callable[[Tensor], Sequence[Tensor]]


class Difference(NamedTuple):
    """How far the outputs of a copy are from the original's at most."""

    pixels: float  # of the corners of boxes
    scores: float


class Network(nn.Module, ABC):
    """A detector up to its boxes, in a form that can be traced."""

    outputs: Mapping[str, str]  # what each output is, by its name
    batched: bool  # whether it takes several images at a time

    @abstractmethod
    def difference(self, expected: Sequence[Tensor], given: Sequence[Tensor]) -> Difference:
        """Return how far the outputs of a copy are from these of the original."""


class Candidates(Network):
    """A detector that judges all places at once, up to the boxes before any is suppressed.

    `find` returns boxes (B, A, 4) and scores (B, A, C) of the model and images; `then` says what is
    left to be done.
    """

    batched = True

    def __init__(
        self, model: nn.Module, find: Callable[[Any, Tensor], tuple[Tensor, Tensor]], then: str
    ):
        super().__init__()
        self.model, self._find = model, find
        self.outputs = {
            "boxes": "float32 (batch, A, 4): x1, y1, x2, y2 in pixels of the square, inside it",
            "scores": f"float32 (batch, A, classes): from 0 to 1; {then}",
        }

    def forward(self, images: Tensor) -> tuple[Tensor, Tensor]:
        """Return boxes and scores of images (B, 3, S, S)."""
        boxes, scores = self._find(self.model, images)
        return boxes.clamp(0, images.shape[-1]), scores

    def difference(self, expected: Sequence[Tensor], given: Sequence[Tensor]) -> Difference:
        """Compare number by number."""
        pairs = zip(expected, given, strict=True)
        return Difference(*(_apart(one, other).max().item() for one, other in pairs))


class Detections(Network):
    """Faster R-CNN: two stages, with its suppression inside, for one image at a time."""

    batched = False
    outputs = {
        "boxes": "float32 (n, 4): x1, y1, x2, y2 in pixels of the square, highest score first",
        "scores": "float32 (n,): from 0 to 1",
        "classes": "int64 (n,): from 0",
    }

    def __init__(self, model: nn.Module):
        super().__init__()
        self.model = model

    def forward(self, images: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Return boxes, scores and classes of an image (1, 3, S, S)."""
        [found] = self.model([images[0]])
        return found["boxes"], found["scores"], found["labels"] - 1

    def difference(self, expected: Sequence[Tensor], given: Sequence[Tensor]) -> Difference:
        """Compare each detection with the nearest one of its class, in both directions.

        Their order tells nothing: of two that are equally sure either may come first.
        """
        boxes, scores, classes = zip(expected, given, strict=True)
        if not len(scores[0]) or not len(scores[1]):
            return Difference(*[math.inf if len(scores[0]) != len(scores[1]) else 0.0] * 2)
        other_class = torch.where(classes[0][:, None] == classes[1], 0, math.inf)
        apart = _apart(boxes[0][:, None], boxes[1]).amax(-1) + other_class
        unsure = _apart(scores[0][:, None], scores[1]) + other_class
        nearest = [(apart + unsure).min(dim).indices for dim in (0, 1)]
        columns, rows = (torch.arange(len(each)) for each in nearest)
        pairs = torch.cat([nearest[0], rows]), torch.cat([columns, nearest[1]])
        return Difference(apart[pairs].max().item(), unsure[pairs].max().item())


def _apart(one: Tensor, other: Tensor) -> Tensor:
    """Return how far numbers are apart, infinitely where one is none."""
    return (one - other).abs().nan_to_num(math.inf)


def export(job: Detector, folder: Path, formats: Collection[str]) -> dict[str, Any]:
    """Write a run's network to files, after comparing them with it on images of the test split.

    Args:
        job: a run with its weights, on the CPU.
        folder: where the files go, named after the model, with the report beside them as JSON.
        formats: `onnx`, `torchscript` or both.

    Raises:
        DataError: the run finds masks.
        RunFailed: a copy does not say what the network says; nothing is written.
        RunError: the data has changed since the run was trained.
        SaveError: a file cannot be written.
    """
    if job.config.task == "segment":
        raise DataError(
            f"{job.run.path} finds masks, and only boxes are exported; choose a run of --task "
            "detect, or use `predict` on this one"
        )
    original, images = network(job), real_images(job)
    about = describe(job, original)
    files = {form: _MAKERS[form][0](original, images[:1], about) for form in formats}
    copies = {form: _MAKERS[form][1](data) for form, data in files.items()}
    differences = {form: compare(original, run, images) for form, run in copies.items()}
    for form, difference in differences.items():
        _check(form, difference, job.card.image_size)
    seconds = medians({"torch": original, **copies}, images)
    rows = [
        {
            "file": f"{job.config.title}.{form}",
            "bytes": len(data),
            "largest_difference": differences[form]._asdict(),
            "seconds_per_image": seconds[form],
            "times_as_fast": seconds["torch"] / seconds[form],
        }
        for form, data in files.items()
    ]
    report = {
        **about,
        "files": rows,
        "torch_seconds_per_image": seconds["torch"],
        "threads": torch.get_num_threads(),
        "compared_images": len(images),
    }
    for row, data in zip(rows, files.values(), strict=True):
        write_bytes(folder / str(row["file"]), data)
    write_json(folder / f"{job.config.title}.json", report)
    return report


def table(report: Mapping[str, Any]) -> tuple[str, list[str], list[list[str]]]:
    """Return the title, columns and rows of a table of what was written."""
    columns = ["file", "MB", "largest difference", "ms per image", "times as fast as torch"]
    rows = [
        [
            row["file"],
            f"{row['bytes'] / 1e6:.1f}",
            "{pixels:.2g} pixels, {scores:.2g} of a score".format(**row["largest_difference"]),
            f"{1000 * row['seconds_per_image']:.2f}",
            f"{row['times_as_fast']:.2f}",
        ]
        for row in report["files"]
    ]
    of_torch = f"{1000 * report['torch_seconds_per_image']:.2f}"
    title = (
        f"{report['model']} on {report['compared_images']} images of the test split, "
        f"{report['threads']} thread(s)"
    )
    return title, columns, [["(torch)", "", "", of_torch, "1.00"], *rows]


def network(job: Detector) -> Network:
    """Return a run's model as it is exported: a copy, since tracing may leave something behind."""
    name = job.config.model
    model: Any = copy.deepcopy(job.model)
    if name == "faster-rcnn":
        return Detections(model).eval()
    suppress = "of boxes of a class with an IoU above {}, only that of highest score is an object"
    if name in GRIDS:
        return Candidates(model, boxes_and_scores, suppress.format(SAME_OBJECT)).eval()
    if name == "ssdlite":
        return Candidates(model, _of_default_boxes, suppress.format(model.nms_thresh)).eval()
    from labs.detection.models.ultralytics import decode

    then = suppress.format(decode.SAME_OBJECT)
    if decode.get_head(model).end2end:
        then = "those with the highest scores are objects, none of which is there twice"
    return Candidates(model, decode.decode, then).eval()


def _of_default_boxes(model: SSD, images: Tensor) -> tuple[Tensor, Tensor]:
    """Do what SSDlite does before it suppresses, with all images at once."""
    [side, _] = model.transform.fixed_size
    scaled = interpolate(model.transform.normalize(images), (side, side), mode="bilinear")
    features = list(model.backbone(scaled).values())
    found = model.head(features)
    [anchors] = model.anchor_generator(ImageList(scaled, [(side, side)]), features)
    offsets = found["bbox_regression"]
    boxes = model.box_coder.decode_single(
        offsets.flatten(0, 1), anchors.repeat(offsets.shape[0], 1)
    ).view_as(offsets)
    return boxes * (images.shape[-1] / side), found["cls_logits"].softmax(-1)[..., 1:]


def describe(job: Detector, exported: Network) -> dict[str, Any]:
    """Return what the user of a file must know; it is also inside the file."""
    card = job.card
    batch, size = "batch" if exported.batched else "1", card.image_size
    return {
        "model": job.config.title,
        "trained_on": card.source,
        "classes": list(card.classes),
        "image_size": size,
        "score_threshold": job.score,
        "inputs": {
            "images": f"float32 ({batch}, 3, {size}, {size}): RGB from 0 to 1; an image is scaled "
            f"by one factor (bilinear, antialiased) into the middle of a square of {GREY}/255"
        },
        "outputs": dict(exported.outputs),
    }


def real_images(job: Detector) -> Tensor:
    """Return the first images of the test split, (n, 3, S, S), as the network sees them."""
    batches = job.batches(job.load_splits()["test"])
    [images, _] = next(batches.updates(0))[0]
    found: Tensor = images[:_IMAGES]
    return found


# --- the same? ----------------------------------------------------------------------------------


def compare(original: Network, run: Runner, images: Tensor) -> Difference:
    """Return how far a copy's outputs are from the original's at most.

    Networks that take batches are compared on one image, and on all of them at once.
    """
    parts = [images[:1], images] if original.batched else [*images[:, None]]
    with torch.inference_mode():
        each = [original.difference(original(part), run(part)) for part in parts]
    return Difference(*map(max, zip(*each, strict=True)))


def _check(form: str, difference: Difference, size: int) -> None:
    if max(difference.pixels / size, difference.scores) <= TOLERANCE:
        return
    raise RunFailed(
        f"the {form} file does not say what the network says: on images of the test split boxes "
        f"differ by up to {difference.pixels:.3g} pixels of {size} and scores by up to "
        f"{difference.scores:.3g}, expected at most {TOLERANCE:g} of the side and "
        f"{TOLERANCE:g}; nothing was written. What a network that has hardly learned finds depends "
        "on the last digit of its scores: train it longer"
    )


# --- how fast? ----------------------------------------------------------------------------------


def medians(runners: Mapping[str, Runner], images: Tensor) -> dict[str, float]:
    """Return the median seconds that each takes for one image.

    They take turns, so that whatever else the machine does strikes all of them.
    """
    seconds: dict[str, list[float]] = {name: [] for name in runners}
    with torch.inference_mode():
        for turn in range(_WARM_UP + _ROUNDS):
            image = images[turn % len(images)][None]
            for name, run in runners.items():
                begun = time.perf_counter()
                run(image)
                seconds[name].append(time.perf_counter() - begun)
    return {name: statistics.median(taken[_WARM_UP:]) for name, taken in seconds.items()}


# --- the formats --------------------------------------------------------------------------------


def to_onnx(original: Network, image: Tensor, about: Mapping[str, Any]) -> bytes:
    """Return an ONNX file, with what is known about it as metadata (texts, or JSON)."""
    import onnx

    stream = io.BytesIO()
    names = ["images", *original.outputs]
    with warnings.catch_warnings(), torch.inference_mode():
        warnings.simplefilter("ignore")
        torch.onnx.export(
            original,
            (image,),
            stream,  # type: ignore[arg-type]
            input_names=names[:1],
            output_names=names[1:],
            dynamic_axes={
                name: {0: "batch" if original.batched or name == "images" else "n"}
                for name in names[0 if original.batched else 1 :]
            },
            opset_version=_OPSET,
            dynamo=False,
        )
    model = onnx.load_model_from_string(stream.getvalue())
    texts = {
        name: value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
        for name, value in about.items()
    }
    onnx.helper.set_model_props(model, texts)
    onnx.checker.check_model(model, full_check=True)
    data: bytes = model.SerializeToString()
    return data


def load_onnx(data: bytes) -> Runner:
    """Return a function that runs an ONNX file by onnxruntime on the CPU, with torch's threads."""
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = torch.get_num_threads()
    options.log_severity_level = 3  # errors alone
    session = onnxruntime.InferenceSession(data, options, providers=["CPUExecutionProvider"])
    return lambda images: [
        torch.from_numpy(output) for output in session.run(None, {"images": images.numpy()})
    ]


def to_torchscript(original: Network, image: Tensor, about: Mapping[str, Any]) -> bytes:
    """Return a TorchScript file, with what is known about it in its `about.json`."""
    stream = io.BytesIO()
    with warnings.catch_warnings(), torch.no_grad():
        warnings.simplefilter("ignore")
        traced = torch.jit.trace(original, image, check_trace=False)  # type: ignore[no-untyped-call]
        extra = {"about.json": json.dumps(about, ensure_ascii=False)}
        torch.jit.save(traced, stream, _extra_files=extra)
    return stream.getvalue()


def load_torchscript(data: bytes) -> Runner:
    """Return a function that runs a TorchScript file."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        loaded: Runner = torch.jit.load(io.BytesIO(data))  # type: ignore[no-untyped-call]
    return loaded


_MAKERS = {"onnx": (to_onnx, load_onnx), "torchscript": (to_torchscript, load_torchscript)}
