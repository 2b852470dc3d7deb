"""Ultralytics' detectors on our loop: their networks, losses, weights and random changes of images.

This is the one module that imports ultralytics (AGPL-3.0). Left to itself the library looks for the
internet, installs packages and reports what it does; it is imported with all of that switched off,
and what it changes in the whole process is undone. Its weights are pickled models, and its model
files may hold code: both are read so that nothing of them is ever run.
"""

import contextlib
import os
import pickle
import re
import reprlib
import shutil
import tempfile
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import PIL.Image
import torch
import torchvision
import yaml
from torch import Tensor, nn
from torch.nn import functional

from common.errors import ConfigError, DataError, RunError
from common.files import cache_dir
from common.metrics.main_metric import Array
from common.training import When
from common.training.sequences import Padded
from common.training.weights import reason
from labs.detection import masks, metrics
from labs.detection.metrics import BOX
from labs.detection.task import MOST, Detection, detections, filled

_SWITCHES = {
    "ULTRALYTICS_SAFE_LOAD": "1",
    "YOLO_AUTOINSTALL": "false",
    "YOLO_CONFIG_DIR": str(cache_dir()),  # else it would write to the user's own folder
    "YOLO_OFFLINE": "true",
    "YOLO_VERBOSE": "false",
}
_SET_BY_THE_LIBRARY = (
    "KINETO_LOG_LEVEL",
    "NUMEXPR_MAX_THREADS",
    "OMP_NUM_THREADS",
    "TF_CPP_MIN_LOG_LEVEL",
    "TORCH_CPP_LOG_LEVEL",
)


@contextlib.contextmanager
def _contained() -> Iterator[None]:
    """Switch the library's own doings off, and undo what its import does to the whole process."""
    os.environ.update(_SWITCHES)  # for the processes that we start, too
    before = {name: os.environ.get(name) for name in _SET_BY_THE_LIBRARY}
    save, open_image = torch.save, PIL.Image.open
    try:
        with warnings.catch_warnings(), np.printoptions():
            yield
    finally:
        torch.set_printoptions(profile="default")  # type: ignore[no-untyped-call]
        torch.save, PIL.Image.open = save, open_image
        for name, value in before.items():
            os.environ.pop(name, None)
            if value is not None:
                os.environ[name] = value


try:
    with _contained():
        from ultralytics.data.augment import Albumentations, v8_transforms
        from ultralytics.nn import tasks
        from ultralytics.utils import DEFAULT_CFG_DICT, ROOT, SETTINGS, IterableSimpleNamespace
        from ultralytics.utils.instance import Instances
        from ultralytics.utils.tal import dist2bbox, make_anchors
except ImportError as error:
    raise ConfigError(
        "Ultralytics' models, weights and --augment need ultralytics, which cannot be imported "
        f"({error}); install it with pip install -e '.[ultralytics]' (its license is AGPL-3.0), or "
        "choose tiny-yolo, faster-rcnn or ssdlite, which do without it"
    ) from error

# Whatever reports to somebody, in memory only: no settings file is changed.
dict.update(SETTINGS, {name: False for name, value in SETTINGS.items() if value is True})
tasks.SAFE_LOAD = True  # also where somebody imported the library before us

_HEADS = {"detect": ("Detect", "v10Detect"), "segment": ("Segment", "Segment26")}
_ACTIVATION = re.compile(r"(torch\.)?nn\.\w+\([\w\s.,=-]*\)")  # no call inside the call
_REPEATS = 100  # the most of a layer
_MISTAKES = (
    ArithmeticError,
    AssertionError,
    AttributeError,
    LookupError,
    RuntimeError,
    TypeError,
    ValueError,
)

# As the library's own validation filters detections.
_LOWEST_SCORE = 0.001
SAME_OBJECT = 0.7  # IoU
_CANDIDATES = 30_000

# Pixels of a side on which masks are learned, as the library does of images of 640; all of fewer.
_MASK_SIDE = 160


def descriptions(task: str = "detect") -> dict[str, tuple[Path, str]]:
    """Return the file and the size (or "") of every model of a task that the library describes."""
    found = {}
    for path in sorted((ROOT / "cfg" / "models").glob("*/*.yaml")):
        content = yaml.safe_load(path.read_text("utf-8"))
        if content["head"][-1][2] not in _HEADS[task]:
            continue
        sizes = list(content.get("scales", ()))
        if len(sizes) < 2:  # the size, if any, is in the file's name
            found[path.stem] = (path, "".join(sizes))
        else:
            for size in sizes:
                found[re.sub(r"(\d+)", rf"\g<1>{size}", path.stem, count=1)] = (path, size)
    return found


def build(name: str, classes: Sequence[str], image_size: int, task: str = "detect") -> nn.Module:
    """Return a detector with random weights, which torch's generator draws.

    Args:
        name: of a model that the library describes, such as `yolo11n`, or a YAML file like those.
        classes: their names.
        image_size: height and width of the images.
        task: `detect` or `segment`.

    Raises:
        ConfigError: there is no such model of the task, its file cannot be used, or the images do
            not fit it.
    """
    content = _description(name, task)
    kind = tasks.SegmentationModel if task == "segment" else tasks.DetectionModel
    try:
        model = kind(content, nc=len(classes), verbose=False)
    except _MISTAKES as error:
        raise ConfigError(f"--model {name}: no network can be built from it: {error}") from error
    stride = int(model.stride.max())
    if image_size % stride:
        nearest = stride * max(1, round(image_size / stride))
        raise ConfigError(
            f"--image-size {image_size}: {name} needs a multiple of {stride}, such as {nearest}"
        )
    model.names = dict(enumerate(classes))
    detector: nn.Module = model
    head = _head(detector)
    head.dynamic = True  # else it would keep its grid from one batch to the next
    head.end2end = hasattr(head, "one2one_cv2")  # not the head that needs suppression
    return detector


def _head(model: nn.Module) -> Any:
    layers: Any = model.model
    return layers[-1]


def _description(name: str, task: str) -> dict[str, Any]:
    """Return what the library builds a model from."""
    if Path(name).suffix in (".yaml", ".yml"):
        return _from_file(Path(name), task)
    known = descriptions(task)
    if name not in known:
        raise ConfigError(f"--model {name}: the installed ultralytics does not describe it")
    path, size = known[name]
    content: dict[str, Any] = yaml.safe_load(path.read_text("utf-8"))
    return content | {"scale": size, "yaml_file": path.name}


def _from_file(path: Path, task: str) -> dict[str, Any]:
    """Read a user's model file, of which nothing is run.

    Raises:
        ConfigError: it is missing, no YAML, or does not describe a model of the task.
    """
    try:
        content = yaml.safe_load(path.read_text("utf-8"))
    except OSError as error:
        raise ConfigError(f"--model {path}: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise ConfigError(f"--model {path}: not a text in UTF-8") from error
    except yaml.YAMLError as error:
        reason = " ".join(str(error).split())
        raise ConfigError(f"--model {path}: not plain YAML: {reason}") from error
    if problems := _problems(content, _HEADS[task]):
        raise ConfigError([f"--model {path}: {problem}" for problem in problems])
    sizes = content.get("scales") or {"": None}
    named = tasks.guess_model_scale(path)
    size = named if named in sizes else next(iter(sizes))
    return {**content, "scale": size, "nc": 1}


def _problems(content: Any, heads: Sequence[str]) -> list[str]:
    """Say what is wrong with a model file, before the library sees it."""
    if not isinstance(content, dict):
        return ["expected keys such as backbone and head"]
    problems = [
        f"{key}: expected a list of rows [from, repeats, module, arguments]"
        for key in ("backbone", "head")
        if not (isinstance(content.get(key), list) and content[key])
    ]
    activation = content.get("activation", "nn.SiLU()")
    if not (isinstance(activation, str) and _ACTIVATION.fullmatch(activation)):
        given = reprlib.repr(activation)
        problems.append(f"activation: expected one of torch such as nn.SiLU(), not {given}")
    if not isinstance(content.get("scales", {}), dict):
        problems.append("scales: expected sizes such as n: [0.5, 0.25, 1024]")
    if problems:
        return problems
    for key in ("backbone", "head"):
        for number, row in enumerate(content[key], 1):
            problems += [f"{key}, row {number}: {problem}" for problem in _row_problems(row)]
    if not problems and content["head"][-1][2] not in heads:
        problems.append(f"head: the last row must be a {' or '.join(heads)}")
    return problems


def _row_problems(row: Any) -> list[str]:
    match row:
        case [int() | list(), int(repeats), str(module), list()]:
            problems = [] if 1 <= repeats <= _REPEATS else [f"repeats {repeats}: 1 to {_REPEATS}"]
            return problems if _is_layer(module) else [*problems, f"{module} is no layer of it"]
        case _:
            # repr() could be endless: a few lines of YAML can stand for a billion.
            return [f"expected [from, repeats, module, arguments], not {reprlib.repr(row)}"]


def _is_layer(name: str) -> bool:
    """Say whether a name is that of a layer which builds without reading or fetching anything."""
    if name.startswith("nn."):
        layer = getattr(nn, name[3:], None)
    elif name.startswith("torchvision.ops."):
        layer = getattr(torchvision.ops, name[16:], None)
    else:
        layer = getattr(tasks, name, None)
        if not getattr(layer, "__module__", "").startswith("ultralytics.nn.modules."):
            return False  # such as whole models, which take files and addresses
    of_torch = isinstance(layer, type) and issubclass(layer, nn.Module)
    return of_torch and layer is not tasks.TorchVision  # which downloads weights


def read_checkpoint(path: Path) -> dict[str, Tensor]:
    """Return the weights in a file of Ultralytics' (.pt): the averaged ones if there are any.

    The file is a pickled model. It is put together from known classes by torch's restricted
    unpickler, and no constructor runs: some fetch files from addresses that the file may give.

    Raises:
        RunError: it is no such file, it is damaged, or it asks for anything else.
    """
    with tempfile.TemporaryDirectory() as folder, _no_constructors():
        # Under a name of our own: names such as yolov5n.pt make the library look elsewhere.
        copy = Path(folder, "weights.pt")
        shutil.copyfile(path, copy)
        try:
            content, _ = tasks.torch_safe_load(str(copy), safe_only=True)
            model = content.get("ema") or content["model"]
            if not isinstance(model, nn.Module):
                raise TypeError(f"it holds a {type(model).__name__} where the model should be")
            tensors = nn.Module.state_dict(model.float())
        except (*_MISTAKES, EOFError, ImportError, OSError, pickle.UnpicklingError) as error:
            raise RunError(
                f"{path} is not read: {reason(error)}; expected a model as Ultralytics "
                "saves it, whole and unchanged, or a .safetensors file"
            ) from error
    return {name: value for name, value in tensors.items() if isinstance(value, Tensor)}


@contextlib.contextmanager
def _no_constructors() -> Iterator[None]:
    """Let no module be constructed; unpickling does without it, unless a file is hostile."""

    def refuse(self: nn.Module, *args: Any, **options: Any) -> None:
        raise pickle.UnpicklingError(f"it would construct a {type(self).__name__}")

    construct = nn.Module.__init__
    nn.Module.__init__ = refuse  # type: ignore[method-assign]
    try:
        yield
    finally:
        nn.Module.__init__ = construct  # type: ignore[method-assign]


class Point(NamedTuple):
    """A point of a grid that answers for a box in the loss."""

    box: int  # its row
    x: float  # pixels
    y: float
    stride: float  # pixels from one point to the next
    score: float  # what its class is asked for: the better its box fits now, the nearer to 1


class UltralyticsTask(Detection):
    """The library's own loss and assignment, and its detections, on our loop.

    The parts of the loss are divided by the sum of the assigned scores, which depend on the
    predictions; so micro-batches, each weighed by its images, only come near to one large batch.
    All but the network is computed in float32.

    Args:
        classes: how many there are.
        most: the most boxes of an image in any split.
        epochs: length of the run, over which a model with two heads moves from one to the other.
    """

    parts: tuple[str, ...] = ("box", "class", "distance")  # as the library orders them

    def __init__(self, classes: int, most: int, epochs: int):
        super().__init__(classes, most)
        self._settings = IterableSimpleNamespace(**{**DEFAULT_CFG_DICT, "epochs": epochs})

    def weights(self, batch: Any) -> dict[str, Tensor | float]:
        """Weigh a batch by its images."""
        return dict.fromkeys(self.parts, float(len(batch[0])))

    def loss(self, model: nn.Module, batch: Any, when: When) -> dict[str, Tensor]:
        """Return the parts of the loss, with the library's factors.

        They are `box` (1 - CIoU), `class` (binary cross-entropy) and `distance` (of the four sides
        from the anchor point: distribution focal loss, or L1 where sides are plain numbers).
        """
        images, boxes, *instances = batch
        raw = model(images)
        criterion = self._criterion(model)
        if "one2many" in raw:
            raw = {name: _float32(part) for name, part in raw.items()}
            criterion.o2m = criterion.decay(when.epoch)
            criterion.o2o = max(criterion.total - criterion.o2m, 0)
        else:
            raw = _float32(raw)
        with torch.autocast(images.device.type, enabled=False):
            total, _ = criterion(raw, _targets(boxes, images.shape[-1], *instances))
        # The library multiplies by the number of images.
        return dict(zip(self.parts, total / len(images), strict=True))

    def _criterion(self, model: Any) -> Any:
        """Return the library's loss for a model, made anew: there is no state of it to save."""
        model.args = self._settings  # where it looks for its factors
        return model.init_criterion()

    @torch.no_grad()
    def assigned(self, model: Any, images: Tensor, boxes: Padded) -> list[Point]:
        """Return which points answer for the boxes of one image, the best of each box first.

        That depends on what the model, in eval mode, predicts; of two heads, the one that predicts.
        """
        _, raw = model(images)
        criterion = self._criterion(model)
        if "one2many" in raw:
            name = "one2one" if _head(model).end2end else "one2many"
            raw, criterion = raw[name], getattr(criterion, name)
        caught: list[Any] = []  # the loss keeps the scores for itself
        criterion.assigner.register_forward_hook(lambda _, given, found: caught.append(found[2]))
        targets = _targets(boxes, images.shape[-1])
        (answers, rows, _, points, strides), *_ = criterion.get_assigned_targets_and_loss(
            _float32(raw), targets
        )
        here = answers[0]
        columns = [rows[0, here, None], (points * strides)[here], strides[here]]
        scores = caught[0][0, here].amax(1, keepdim=True)
        found = [
            Point(int(row), *values) for row, *values in torch.cat([*columns, scores], 1).tolist()
        ]
        return sorted(found, key=lambda point: (point.box, -point.score))

    def detect(self, model: nn.Module, images: Tensor) -> Tensor:
        """Return detections, (B, MOST, 6): by suppression, or as an end-to-end head gives them."""
        return _surest(_head(model), images.shape[-1], *decode(model, images))


class SegmentationTask(UltralyticsTask):
    """Boxes and masks; a batch is (images, boxes, instances), see `labs.detection.masks`.

    Where nothing is known of the images, there are no instances, and what is collected are the
    masks as the network gives them: coefficients and prototypes.

    Args:
        classes: how many there are.
        most: the most boxes of an image in any split.
        epochs: length of the run.
    """

    monitor = "validation/mask_map50_95"
    parts = ("box", "mask", "class", "distance", "semantic")

    def loss(self, model: nn.Module, batch: Any, when: When) -> dict[str, Tensor]:
        """Return the parts of the loss, with the library's factors.

        Beside those of boxes: `mask` (binary cross-entropy of the pixels in the box, over its
        area), and of YOLO26 `semantic` (cross-entropy and Dice of the classes of all pixels).
        """
        parts = super().loss(model, batch, when)
        if not isinstance(_head(model), tasks.Segment26):
            del parts["semantic"]  # always 0
        return parts

    def assigned(self, model: Any, images: Tensor, boxes: Padded) -> list[Point]:
        """Return which points answer for the boxes of one image, the best of each box first.

        Raises:
            DataError: that depends on masks as well.
        """
        if isinstance(_head(model), tasks.Segment26):
            raise DataError(
                "which points answer depends on masks in YOLO26, not on boxes alone; choose a run "
                "of another model, such as yolo11n-seg"
            )
        return super().assigned(model, images, boxes)

    def segment(self, model: nn.Module, images: Tensor) -> tuple[Tensor, Tensor]:
        """Return detections with K coefficients, (B, MOST, 6 + K), and prototypes (B, K, H, W)."""
        head, raw = _head(model), _predicted(model, images)
        coefficients = raw["mask_coefficient"].transpose(1, 2)
        found = _surest(head, images.shape[-1], *_decoded(head, raw), coefficients)
        return found, raw["proto"]

    def detect(self, model: nn.Module, images: Tensor) -> Tensor:
        """Return the detections without their masks, (B, MOST, 6)."""
        return self.segment(model, images)[0][..., :BOX]

    def outputs(self, model: nn.Module, batch: Any) -> dict[str, Tensor]:
        """Collect detections of masks, as `labs.detection.metrics` has them, and what is true."""
        images, boxes, *instances = batch
        found, prototypes = self.segment(model, images)
        targets = filled(boxes, self.most)
        if not instances:
            return {"detections": found, "prototypes": prototypes}
        with torch.autocast(images.device.type, enabled=False):
            ious = [
                masks.ious(
                    masks.assemble(rows[:, :4], rows[:, BOX:], prototype, images.shape[-1]),
                    truth,
                    true[:, 5] > 0,
                )
                for rows, prototype, truth, true in zip(
                    found, prototypes, *instances, targets, strict=True
                )
            ]
        with_ious = torch.cat([found[..., :BOX].cpu(), torch.stack(ious)], 2)
        return {"detections": with_ious, "targets": targets}

    def figures(self, outputs: dict[str, Tensor]) -> dict[str, float]:
        """Return COCO's figures of the boxes, and mAP of the masks."""
        rows = metrics.statistics(outputs["detections"].numpy(), outputs["targets"].numpy())
        of_masks = {kind.name: kind.figure(rows) for kind in (metrics.MASKS, metrics.MASKS50)}
        return super().figures(outputs) | of_masks


def decode(model: nn.Module, images: Tensor) -> tuple[Tensor, Tensor]:
    """Return what a model in eval mode says of each of its A anchor points.

    Returns:
        Boxes (B, A, 4) in pixels and scores (B, A, classes) in [0, 1], both float32.
    """
    return _decoded(_head(model), _predicted(model, images))


def _predicted(model: nn.Module, images: Tensor) -> dict[str, Any]:
    """Return the raw predictions of the head that detects."""
    _, raw = model(images)
    name = "one2one" if _head(model).end2end else "one2many"
    return _float32(raw[name] if "one2many" in raw else raw)


def _decoded(head: Any, raw: dict[str, Any]) -> tuple[Tensor, Tensor]:
    with torch.autocast(raw["boxes"].device.type, enabled=False):
        points, strides = make_anchors(raw["feats"], head.stride, 0.5)
        sides = head.dfl(raw["boxes"]).transpose(1, 2)
        boxes = dist2bbox(sides, points, xywh=False) * strides
        return boxes, raw["scores"].transpose(1, 2).sigmoid()


def _float32(raw: dict[str, Any]) -> dict[str, Any]:
    """Return the raw predictions of a head in float32: half a float cannot tell pixels apart."""
    return {
        name: value.float() if isinstance(value, Tensor) else type(value)(map(Tensor.float, value))
        for name, value in raw.items()
    }


def _targets(boxes: Any, size: int, instances: Tensor | None = None) -> dict[str, Tensor]:
    """Return padded boxes as the library's losses take them; a crowd is no example of its class."""
    step = torch.arange(boxes.values.shape[1], device=boxes.values.device)
    real = (step < boxes.lengths[:, None]) & (boxes.values[..., 5] == 0)
    rows = boxes.values[real]
    low, high = rows[:, :2], rows[:, 2:4]
    targets = {
        "batch_idx": real.nonzero()[:, 0].float(),
        "cls": rows[:, 4:5],
        "bboxes": torch.cat([(low + high) / 2, high - low], 1) / size,
    }
    if instances is None:
        return targets
    numbers = functional.pad(real.cumsum(1) * real, (1, 0))  # without crowds
    labels = functional.pad(boxes.values[..., 4] * real, (1, 0))
    every = max(1, size // _MASK_SIDE)
    seen = instances[:, every // 2 :: every, every // 2 :: every].long()
    both = {"masks": numbers.float(), "sem_masks": labels}
    return targets | {
        name: table.gather(1, seen.flatten(1)).view(seen.shape) for name, table in both.items()
    }


def _surest(head: Any, size: int, *columns: Tensor) -> Tensor:
    """Return the detections of images, (B, MOST, 6 or more): by suppression, or by the head itself.

    Args:
        head: of the model.
        size: height and width of the images, at whose border boxes are cut off.
        columns: boxes (B, A, 4), scores (B, A, classes), and what goes along, (B, A, any).
    """
    if head.end2end:
        found = detections(list(head.postprocess(torch.cat(columns, -1))))
    else:
        found = detections([_suppressed(*each) for each in zip(*columns, strict=True)])
    found[..., :4].clamp_(0, size)
    return found


def _suppressed(boxes: Tensor, scores: Tensor, *others: Tensor) -> Tensor:
    """Return the detections (n, 6 or more) of an image; a box may count for several classes."""
    row, label = (scores > _LOWEST_SCORE).nonzero(as_tuple=True)
    scores = scores[row, label]
    surest = scores.argsort(descending=True, stable=True)[:_CANDIDATES]
    row, scores, label = row[surest], scores[surest], label[surest]
    # batched_nms sets classes apart by the largest coordinate, and expects none below zero.
    lowest = torch.cat([boxes[row], boxes.new_zeros(1, 4)]).min()
    kept = torchvision.ops.batched_nms(boxes[row] - lowest, scores, label, SAME_OBJECT)[:MOST]
    others = tuple(other[row[kept]] for other in others)
    return torch.cat([boxes[row[kept]], scores[kept, None], label[kept, None], *others], 1)


_OFF = (
    *("hsv_h", "hsv_s", "hsv_v", "degrees", "translate", "scale", "shear", "perspective"),
    *("flipud", "fliplr", "mosaic", "mixup", "cutmix", "copy_paste"),
)


class Changes:
    """Changes images as the library's trainer would; draws from `random` and `numpy.random`.

    Boxes are cut off at the border, and those of which little is left are dropped.

    Args:
        read: gives an image (H, W, 3) uint8 at its own proportions, its longer side of `size`
            pixels, and its boxes (n, 6) float32.
        count: how many images there are, of which some are mixed into others.
        size: side in pixels of what comes out, with grey bars where there is no image.
        strengths: the library's hyperparameters; changes that are not named are off.
    """

    cache = "ram"  # for the library: others are drawn from all, not from those that it read last
    data: Mapping[str, Any] = {}  # no keypoints to flip

    def __init__(
        self,
        read: Callable[[int], tuple[Array, Array]],
        count: int,
        size: int,
        strengths: Mapping[str, float],
    ):
        off = dict.fromkeys(_OFF, 0.0)
        chosen = {**DEFAULT_CFG_DICT, **off, **strengths, "augmentations": []}
        self._read, self._count, self._size = read, count, size
        self._apply = v8_transforms(self, size, IterableSimpleNamespace(**chosen))
        # Where Albumentations is installed, this would draw a number though it changes nothing.
        steps = self._apply.transforms
        self._apply.transforms = [step for step in steps if not isinstance(step, Albumentations)]

    def __call__(self, row: int) -> tuple[Array, Array]:
        """Return an image, changed, (3, size, size) uint8, and its boxes (n, 6) float32."""
        labels = self._apply(self.get_image_and_label(row))
        instances = labels["instances"]
        instances.convert_bbox("xyxy")
        instances.denormalize(self._size, self._size)
        inside = instances.bboxes.clip(0, self._size)  # a rounding error may be outside
        boxes = np.concatenate([inside, labels["cls"]], 1, dtype=np.float32)
        # By numpy: torch may wait for all its threads to copy so little.
        return np.ascontiguousarray(labels["img"][..., ::-1].transpose(2, 0, 1)), boxes

    def __len__(self) -> int:
        """Return how many images there are."""
        return self._count

    def get_image_and_label(self, row: int) -> dict[str, Any]:
        """Return an image as the library's transforms take it, which ask for others by this."""
        image, boxes = self._read(row)
        return {
            "im_file": "",
            "img": np.ascontiguousarray(image[..., ::-1]),
            "cls": boxes[:, 4:].copy(),  # the crowd goes along
            "instances": Instances(
                boxes[:, :4].copy(),
                np.zeros((0, 1000, 2), np.float32),
                bbox_format="xyxy",
                normalized=False,
            ),
            "ori_shape": image.shape[:2],
            "resized_shape": image.shape[:2],
        }
