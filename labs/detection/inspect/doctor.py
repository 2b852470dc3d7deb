"""Why is mAP 0? What a run, its data and its detections say, and whether one batch can be learned.

The checks go from what comes first to what comes last: labels, their scale and place, the loss, the
detections, their classes and scores. An early problem brings later ones with it, so the first one
is the likely cause.
"""

import contextlib
import dataclasses
from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

import numpy as np
import torch
from scipy.optimize import linear_sum_assignment
from torch import Tensor
from torchvision.ops import roi_align

from common import training
from common.errors import NonFiniteError
from common.history import Row, best_row
from common.metrics.metrics import Array
from common.options import terminal
from common.options.config import TrainingConfig
from common.report.plots import short
from common.runs.doubts import list_doubts
from common.runs.job import Splits
from common.training import optim
from common.training.sequences import Padded, Ragged
from labs.detection import boxes as geometry
from labs.detection import metrics
from labs.detection.config import DetectionConfig
from labs.detection.data.load import BoxSet
from labs.detection.inspect.explain import join_some
from labs.detection.job import Detector
from labs.detection.names import GRIDS, LOCALIZER

OK, WARNING, PROBLEM = "ok", "warning", "problem"

_LOOKED_AT = 100  # images of a split whose pixels are looked at
_ENOUGH = 10  # boxes whose place can be judged
_TINY = 4.0  # pixels
_USUAL_STRIDE = 8.0  # pixels from a cell to the next in the finest grid of most detectors
_SCORES = (0.001, 0.05, 0.25, 0.5)
_BATCH = 8  # images of the trial
_ROUND = 20  # steps of the trial between two looks at mAP
_LEARNED, _HALF_LEARNED = 0.9, 0.45  # mAP50 from which on the trial's batch is learned


class Check(NamedTuple):
    """What was looked at, and what to make of it."""

    name: str
    verdict: str  # ok, warning or problem
    found: str
    advice: str = ""  # what to try next


def report(job: Detector, splits: Splits, steps: int, score: float | None) -> None:
    """Print the checks of a run, and the conclusion; takes what `examine` does.

    They are about many boxes of an image: of a localizer and of the classes of pixels there are
    none but those of every lab.
    """
    if not isinstance(job, Detector) or job.config.model == LOCALIZER:
        return
    checks = []
    for check in examine(job, splits, score, steps):
        terminal.say(f"{check.name}: {check.verdict}. {check.found}. {check.advice}".strip())
        checks.append(check)
    terminal.say(conclusion(checks))


def examine(job: Detector, splits: Splits, score: float | None, steps: int) -> Iterator[Check]:
    """Yield the checks of a run, finished or not, from the first cause to the last effect.

    Args:
        job: the run.
        splits: its data.
        score: from which on detections are shown; None for the run's own.
        steps: updates of the overfit-one-batch trial; 0 to leave it out.
    """
    train, validation = splits["train"], splits["validation"]
    yield labels(train.boxes, validation.boxes, job.card.classes)
    yield scale(train.boxes, job.card.image_size, stride(job.model))
    for name in ("train", "validation"):
        yield place(name, splits[name])
    if job.config.model in GRIDS:
        yield anchors(train.boxes, job.card.anchors)
    monitor, mode = job.monitored(job.detection)
    yield learning(job.run.history, job.config, monitor, mode)
    if job.run.finished:
        yield result(list_doubts(job, job.run.read("metrics")))
    if job.run.best.is_file():
        job.load_best()
        found = job.decide(job.predict_splits(splits, ["validation"])["validation"])
        truth = job.targets(validation)
        yield classes(found, truth, job.card.classes)
        shown = shown_from(job) if score is None else score
        yield scores(found, truth, len(job.card.classes), shown)
    if steps:
        yield trial(job, splits, steps)


def conclusion(checks: Sequence[Check]) -> str:
    """Return a paragraph: the likely cause, and what to do about it."""
    problems = [check for check in checks if check.verdict == PROBLEM]
    warnings = [check for check in checks if check.verdict == WARNING]
    if not problems and not warnings:
        return (
            "No check found a problem. Where mAP is still too low, train longer (--epochs), on "
            "more images, or with --augment."
        )
    first, *others = problems or warnings
    begin = "The likely cause" if problems else "No check found a problem. The first warning"
    names = ", ".join(check.name for check in others)
    also = f" See to it first, then to: {names}." if others else ""
    return f"{begin} ({first.name}): {first.found}. {first.advice}.{also}"


# --- the data -----------------------------------------------------------------------------------


def labels(train: Ragged, validation: Ragged, names: Sequence[str]) -> Check:
    """Look whether there are boxes, and whether their classes are those that have names."""
    count, images = len(train.values), len(train)
    if not count:
        found = f"none of the {images:,} training images has a box"
        advice = "Look with `data-check` whether the label files lie where the images' names lead"
        return Check("labels", PROBLEM, found, advice)
    bare = (train.lengths == 0).double().mean().item()
    found = f"{count:,} boxes in {images:,} training images, {bare:.0%} of which have none"
    seen, judged = (set(part.values[:, 4].long().tolist()) for part in (train, validation))
    unnamed = sorted((seen | judged) - set(range(len(names))))
    if unnamed:
        return Check(
            "labels",
            PROBLEM,
            f"{found}; class numbers without a name: {join_some(list(map(str, unnamed)), 6)}",
            f"There are {len(names)} names, for the numbers 0 to {len(names) - 1}: complete the "
            "names, or renumber the labels",
        )
    missing = [names[number] for number in sorted(judged - seen)]
    if missing:
        verdict = PROBLEM if len(missing) > len(judged) / 2 else WARNING
        found = f"{found}; no training box shows {join_some(missing, 6)}, which validation asks for"
        advice = "Split the images again with another --split-seed, or add training images of these"
        return Check("labels", verdict, found, advice)
    unused = [name for number, name in enumerate(names) if number not in seen | judged]
    if unused:
        advice = "Take the names out, or look whether the numbers of the labels begin at 1"
        return Check("labels", WARNING, f"{found}; no box shows {join_some(unused, 6)}", advice)
    if bare > 0.5:
        advice = "Look with `data-check` for images whose label files are missing"
        return Check("labels", WARNING, found, advice)
    return Check("labels", OK, f"{found}; every class has training boxes")


def scale(train: Ragged, image_size: int, stride: float) -> Check:
    """Look whether boxes have a size that the network can see, after letterboxing.

    All is in pixels: the side of what the network sees, and from cell to cell of its finest grid.
    """
    sides = geometry.area(train.values[:, :4]).clamp(min=0).sqrt()
    if not len(sides):
        return Check("scale", OK, "no boxes to measure")
    middle = sides.median().item()
    tiny, small = ((sides < limit).double().mean().item() for limit in (_TINY, stride / 2))
    found = (
        f"the median box has a side of {middle:.1f} of {image_size} pixels; {tiny:.0%} are below "
        f"{_TINY:.0f} pixels, {small:.0%} below half a cell of {stride:.0f}"
    )
    if train.values[:, :4].max() <= 1:
        advice = "The coordinates look like shares of the image that were taken for pixels"
        return Check("scale", PROBLEM, found, advice)
    enough = min(1280, 32 * round(image_size * 2 * stride / max(middle, 1) / 32 + 0.5))
    advice = f"Try --image-size {enough}, or cut the images into tiles"
    if tiny > 0.5:
        return Check("scale", PROBLEM, found, advice)
    if small > 0.25:
        return Check("scale", WARNING, found, advice)
    if middle > 0.95 * image_size:
        advice = "Look with `data-check` whether boxes frame objects, or whole images"
        return Check("scale", WARNING, found, advice)
    return Check("scale", OK, found)


def place(split: str, images: BoxSet) -> Check:
    """Look whether boxes lie on something: an object has more edges than a place without one.

    The strength of edges in the boxes, relative to the whole image, is compared with that in the
    same boxes put where a common mistake would have taken them from.
    """
    name = f"place of the {split} boxes"
    rows = [row for row in range(len(images)) if len(images.boxes[row])][:_LOOKED_AT]
    if sum(len(images.boxes[row]) for row in rows) < _ENOUGH:
        return Check(name, OK, f"fewer than {_ENOUGH} boxes, too few to judge")
    edges = _edges(torch.stack([images.image(row) for row in rows]))
    corners = [images.boxes[row][:, :4] for row in rows]
    size = edges.shape[-1]
    here = _strength(edges, corners)
    moved = {
        text: _strength(edges, [move(each, size) for each in corners])
        for text, move in _MISTAKES.items()
    }
    chance = _strength(edges, [*corners[1:], corners[0]]).mean().item()
    best = max(moved, key=lambda text: moved[text].mean().item())
    found = (
        f"edges in the boxes are {here.mean():.2f} times as strong as in the whole image; in the "
        f"boxes of the next image {chance:.2f} times"
    )
    if moved[best].mean() > 1.1 * here.mean() and _surely_more(moved[best], here):
        found = f"{found}; in the boxes {best} {moved[best].mean():.2f} times"
        advice = "Draw some labels on their images, and look how their coordinates are converted"
        return Check(name, PROBLEM, found, advice)
    if here.mean() < 1.02 * chance:
        advice = "Draw some labels on their images: they may belong to other images"
        return Check(name, WARNING, found, advice)
    return Check(name, OK, found)


def anchors(train: Ragged, sizes: Sequence[Sequence[float]]) -> Check:
    """Look whether the anchors have about the sizes of the training boxes."""
    corners = train.values[:, :4]
    if not len(corners):
        return Check("anchors", OK, "no boxes to compare them with")
    best = geometry.size_iou(corners[:, 2:] - corners[:, :2], torch.tensor(sizes)).amax(1)
    listed = ", ".join(f"{width:.0f}x{height:.0f}" for width, height in sizes)
    found = f"training boxes have a mean IoU of {best.mean():.2f} with the best of {listed}"
    verdict = OK if best.mean() >= 0.6 else WARNING if best.mean() >= 0.4 else PROBLEM
    advice = "" if verdict == OK else "Try more of them: --anchors 9"
    return Check("anchors", verdict, found, advice)


def _edges(images: Tensor) -> Tensor:
    """Return how strong edges are, (N, 1, S, S), in units of each image's mean."""
    grey = images.float().mean(1, keepdim=True)
    down, right = torch.gradient(grey, dim=(2, 3))
    strength = down.abs() + right.abs()
    return strength / strength.mean((2, 3), keepdim=True).clamp(min=1e-6)


def _strength(edges: Tensor, boxes: Sequence[Tensor]) -> Tensor:
    """Return the mean of the edges in each box; what lies outside of the image has none."""
    strength: Tensor = roi_align(edges, list(boxes), 1, sampling_ratio=16, aligned=True)
    return strength.flatten()


def _surely_more(one: Tensor, other: Tensor) -> bool:
    """Say whether the mean of paired differences is four standard errors above 0."""
    lead = (one - other).double()
    return bool(lead.mean() > 4 * lead.std() / len(lead) ** 0.5)


def _shifted(right: float, down: float) -> Any:
    """Move boxes by shares of the image; what leaves it on one side comes back on the other."""

    def move(boxes: Tensor, size: int) -> Tensor:
        centers = (boxes[:, :2] + boxes[:, 2:]) / 2
        there = (centers + size * boxes.new_tensor([right, down])) % size
        return boxes + (there - centers).repeat(1, 2)

    return move


def _by_halves(sign: int) -> Any:
    return lambda boxes, size: boxes + sign * (boxes[:, 2:] - boxes[:, :2]).repeat(1, 2) / 2


_MISTAKES = {
    "with x and y swapped": lambda boxes, size: boxes[:, [1, 0, 3, 2]],
    "mirrored left to right": lambda boxes, size: (
        boxes[:, [2, 1, 0, 3]] * boxes.new_tensor([-1, 1, -1, 1])
        + boxes.new_tensor([size, 0, size, 0])
    ),
    "mirrored top to bottom": lambda boxes, size: (
        boxes[:, [0, 3, 2, 1]] * boxes.new_tensor([1, -1, 1, -1])
        + boxes.new_tensor([0, size, 0, size])
    ),
    "moved right and down by half their size (as if a corner was taken for the center)": _by_halves(
        1
    ),
    "moved left and up by half their size (as if the center was taken for a corner)": _by_halves(
        -1
    ),
    "moved by half the image's width": _shifted(0.5, 0),
    "moved by half the image's height": _shifted(0, 0.5),
    "moved by half the image in both directions": _shifted(0.5, 0.5),
}


# --- the training -------------------------------------------------------------------------------


def learning(rows: Sequence[Row], config: TrainingConfig, monitor: str, mode: str) -> Check:
    """Look whether the loss fell, and when the best epoch was (`mode` is `min` or `max`)."""
    rate = f"with {config.optimizer} at a learning rate of {config.learning_rate:g}"
    if not rows:
        advice = "Go on with it (train --resume), or look below whether one batch can be learned"
        return Check("learning", WARNING, f"no epoch is finished, {rate}", advice)
    losses = [row["train/loss"] for row in rows]
    first, last = losses[0], losses[-1]
    found = f"the training loss went from {first:.4g} to {last:.4g} in {len(rows)} epoch(s), {rate}"
    if not np.isfinite(losses).all() or last > 1.02 * first:
        advice = f"Try a smaller one, such as --learning-rate {config.learning_rate / 10:g}"
        return Check("learning", PROBLEM, found, advice)
    best = best_row(rows, monitor, mode)
    longer = f"Train longer: --epochs {max(2 * config.epochs, DetectionConfig.epochs)}"
    if len(rows) == 1 or best is None:
        return Check("learning", WARNING, found, longer)
    if last > 0.98 * first:
        advice = f"Try a larger one, such as --learning-rate {config.learning_rate * 10:g}"
        return Check("learning", PROBLEM, f"{found}: it hardly fell", advice)
    found = f"{found}; the best epoch was {best['epoch']}"
    if best is rows[-1]:
        return Check("learning", WARNING, found, longer)
    if best is rows[0]:
        advice = "It gets worse from there: try a smaller --learning-rate, or more images"
        return Check("learning", WARNING, found, advice)
    return Check("learning", OK, found)


def result(doubts: Sequence[str]) -> Check:
    """Say whether the run is what its model can do."""
    if doubts:
        return Check("result", WARNING, "the model may do better than this run", " ".join(doubts))
    return Check("result", OK, "nothing speaks against it")


def trial(job: Detector, splits: Splits, steps: int) -> Check:
    """Try to overfit a fresh model to one batch: if it cannot, data is not what is missing."""
    name = "one batch"
    batch = _one_batch(job, splits)
    if batch is None:
        return Check(name, WARNING, "there is no training image with a box to learn", "See labels")
    images = f"{len(batch[0])} training images"
    reached, needed = overfit(job, job.config, splits, batch, steps)
    if reached > _LEARNED:
        found = f"a fresh model learns {images} to an mAP50 of {reached:.2f} in {needed} steps"
        return Check(name, OK, f"{found}, so labels, loss and model go together")
    found = f"a fresh model learns {images} only to {_map_text(reached)} in {needed} steps"
    config = dataclasses.replace(
        job.config,
        optimizer=DetectionConfig.optimizer,
        learning_rate=DetectionConfig.learning_rate,
    )
    if reached > _HALF_LEARNED:
        return Check(name, WARNING, found, "Give it more --steps, which a large model may need")
    if config != job.config:
        again, needed = overfit(job, config, splits, batch, steps)
        rate = f"{config.optimizer} at {config.learning_rate:g}"
        found = f"{found}, with {rate} to {_map_text(again)} in {needed}"
        if again > _HALF_LEARNED:
            advice = f"Try --optimizer {config.optimizer} --learning-rate {config.learning_rate:g}"
            return Check(name, PROBLEM, f"{found}: the learning rate is wrong", advice)
    if job.config.model not in GRIDS:
        advice = "A network of this size may need 1,000 --steps, which is a matter for a GPU"
        return Check(name, WARNING, found, advice)
    advice = (
        "Draw the labels of the first training images: labels, loss or model do not go together, "
        "and more data would not help"
    )
    return Check(name, PROBLEM, found, advice)


def overfit(
    job: Detector, config: Any, splits: Splits, batch: Any, steps: int
) -> tuple[float, int]:
    """Train a fresh model on one batch (on the device), for so many updates or until it is learned.

    The splits are for the weights that the config may begin with.

    Returns:
        The best mAP50 on that batch, NaN where the loss became NaN or infinite, and the steps.
    """
    fresh = type(job)(config, job.compute, job.card)
    fresh.warm_start(splits, lambda line: None)
    rounds = max(1, round(steps / _ROUND))
    schedule = optim.schedule("cosine", steps_per_epoch=_ROUND, epochs=rounds, warmup=1)
    job.compute.place(fresh.model)
    stream = training.epochs(
        fresh.model,
        fresh.detection,
        [batch] * _ROUND,
        [batch],
        fresh.optimizer(),
        max_epochs=rounds,
        schedule=schedule,
        clip=config.clip,
        seed=config.seed,
        compute=job.compute,
    )
    best, done = 0.0, 0
    try:
        with contextlib.closing(stream):
            for row in stream:
                best = max(best, row[f"validation/{fresh.lenient.name}"])
                done = row["epoch"] * _ROUND
                if best > _LEARNED:
                    break
    except NonFiniteError:  # which is an answer too
        return float("nan"), done
    return best, done


def _one_batch(job: Detector, splits: Splits) -> Any:
    """Return the first training images that have boxes, without augmentation, on the device."""
    images, boxes, *maps = next(job.batches(splits["train"]).updates(0))[0]
    rows = (boxes.lengths > 0).nonzero().flatten()[:_BATCH]
    if not len(rows):
        return None
    most = int(boxes.lengths[rows].max())
    few = Padded(boxes.values[rows, :most], boxes.lengths[rows])
    return images[rows], few, *(instances[rows] for instances in maps)


def _map_text(value: float) -> str:
    return "a loss that is no number" if np.isnan(value) else f"an mAP50 of {value:.2f}"


# --- the detections -----------------------------------------------------------------------------


def classes(found: Array, truth: Array, names: Sequence[str]) -> Check:
    """Look whether validation's boxes (N, T, 6) are found (N, M, 6), but called by another name."""
    with_class = metrics.coco(found, truth, len(names))["map50"]
    one_class = _of_one_class(found, 5), _of_one_class(truth, 4)
    alone = metrics.coco(*one_class, 1)["map50"]
    text = f"mAP50 on validation is {with_class:.2f}, and {alone:.2f} where classes do not count"
    score = metrics.score_threshold(*one_class, 1)
    renamed = _renamed(metrics.confusion(found, truth, len(names), score)[:-1, :-1], names)
    if renamed:
        text = f"{text}; boxes labelled {join_some(renamed, 6)}"
        advice = "Compare the names and numbers of the validation labels with those of training"
        return Check("classes", PROBLEM, text, advice)
    if alone > 0.3 and with_class < alone / 2:
        advice = "Boxes are found, only their classes are not: train longer, or with more images"
        return Check("classes", PROBLEM, text, advice)
    if alone < 0.1:
        advice = "Boxes are not found, whatever they are called: the checks before this one say why"
        return Check("classes", WARNING, text, advice)
    return Check("classes", OK, text)


def scores(found: Array, truth: Array, count: int, shown: float) -> Check:
    """Look whether a threshold hides what was found of validation's boxes; see `classes`."""
    used = found[..., 5] >= 0
    sure = found[..., 4][used]
    if not len(sure):
        advice = "Train longer: the network says of no place that something is there"
        return Check("scores", PROBLEM, "there is no detection, of any score", advice)
    each = ", ".join(f"{(sure >= low).sum() / len(found):.1f} above {low:g}" for low in _SCORES)
    left = int((sure >= shown).sum())
    text = (
        f"the highest score of a detection is {sure.max():.3f}; of an image {each}; "
        f"{left / len(found):.1f} above {shown:.3f}, from which on they are shown"
    )
    wanted = int((truth[..., 4] >= 0).sum())
    if left >= 0.2 * wanted:
        return Check("scores", OK, text)
    if metrics.coco(found, truth, count)["map50"] < 0.1:
        advice = "The network is sure of nothing yet: see to the checks before this one"
        return Check("scores", WARNING, text, advice)
    lower = float(np.sort(sure)[-min(wanted, len(sure))])
    advice = f"Try a lower one: --score {lower:.2g}"
    return Check("scores", PROBLEM, f"{text}: it hides them", advice)


def shown_from(job: Detector) -> float:
    """Return the score from which on a run shows detections; 0.25 as long as it has none."""
    return job.score if job.run.finished else 0.25


def stride(model: torch.nn.Module) -> float:
    """Return the pixels between two cells of a network's finest grid."""
    known = getattr(model, "stride", None)
    return _USUAL_STRIDE if known is None else float(torch.as_tensor(known).min())


def _of_one_class(rows: Array, column: int) -> Array:
    rows = rows.copy()
    rows[..., column] = np.minimum(rows[..., column], 0)
    return rows


def _renamed(pairs: Array, names: Sequence[str]) -> list[str]:
    """Say which classes (rows of counts, (C, C)) are mostly called by another's name (columns)."""
    rows, columns = linear_sum_assignment(pairs, maximize=True)
    return [
        f"{short(names[row], 20)} are found as {short(names[column], 20)}"
        for row, column in zip(rows.tolist(), columns.tolist(), strict=True)
        if row != column and pairs[row, column] >= max(3, 0.6 * pairs[row].sum())
    ]
