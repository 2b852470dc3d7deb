"""What a trained network looks at, in single images.

Three ways to ask, each for a class: Grad-CAM (Selvaraju et al. 2017: where are the last
convolution's maps that raise its logit?), integrated gradients (Sundararajan, Taly and Yan 2017:
what does each pixel add to it, on the way from a black image?), and occlusion (Zeiler and Fergus
2014: how far does it fall when a patch is hidden?). Then what the layers make of the image; and,
of networks with attention, which patches they mix into the answer (`rollout`).
"""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from common.errors import ConfigError, DataError
from common.images.decode import decode, printable
from common.images.sets import ImageSet
from common.metrics.metrics import Array
from common.report.html import PictureSaver, Section, Table
from common.runs.job import Splits
from common.suggest import suggest
from common.training.task import probabilities
from labs.classification import task
from labs.classification.job import ClassifyImages
from labs.classification.kernels.table import KERNELS
from labs.classification.look import explain_plots as plots
from labs.classification.look import layer_calls, rollout
from labs.classification.look.explanation import Explanation, Filters, Maps, Reading, adds_up

_MISTAKES = 3  # explained when nothing is named
_STEPS = (64, 256)  # of the path of integrated gradients, until they add up
_WINDOWS = 7  # hidden patches along a side
_AT_A_TIME = 32  # images that go through the network together
_MAPS = 8  # of a stage, and filters, that are drawn

CLASSIC: dict[str, Array] = {
    "blur": KERNELS["gaussian"],
    "sharpen": KERNELS["sharpen"],
    "Sobel x": KERNELS["sobel-x"],
    "Sobel y": KERNELS["sobel-y"],
}
"""Those that are drawn beside a run's filters."""


_ABOUT_ROLLOUT = (
    "Attention rollout says which patches the answer is mixed of, whatever the class: in each "
    "layer half of a token is taken to be its own and half to be what attention brings it, a mean "
    "over the heads, and the layers are multiplied. Beside it is where each head of the last layer "
    "looks by itself. Red has more than its even share of the image, blue less. It is about the "
    "ways that values can take, not about what they are worth: what is mixed in may not count."
)


@dataclass(frozen=True, eq=False)
class Sample:
    """An image to explain."""

    name: str  # of the file, or of the image in its set
    image: Tensor  # uint8 (C, S, S)
    target: float | None  # its class or number; None when it is not known


# --- which images -------------------------------------------------------------------------------


def choose(job: ClassifyImages, splits: Splits, named: Sequence[str]) -> list[Sample]:
    """Return the images that are named, or those with the most confident mistakes.

    Names are rows of the test split, such as 12, and files.

    Raises:
        DataError: there is no such row, a file cannot be read, or there are no mistakes.
    """
    if job.config.several:
        raise ConfigError("explain: shows what speaks for one class, and this run gives several")
    test: ImageSet = splits["test"]
    if named:
        return [_sample(job, test, each) for each in named]
    rows = _worst(job, splits)
    if not rows:
        raise DataError(
            f"there are no mistakes in the {len(test):,} images of the test split; name images: "
            f"rows from 0 to {len(test) - 1}, or files"
        )
    return [_row(test, row) for row in rows]


def _sample(job: ClassifyImages, test: ImageSet, named: str) -> Sample:
    if named.isdecimal():
        row = int(named)
        if row >= len(test):
            raise DataError(
                f"no image {named}: expected a row of the test split, 0 to {len(test) - 1}, "
                f"or a file; a file of that name is ./{named}"
            )
        return _row(test, row)
    image = decode(
        Path(named), job.card.image_size, job.card.channels, job.config.fit, job.card.scale
    )
    return Sample(printable(named), image, None)


def _row(test: ImageSet, row: int) -> Sample:
    image, target = test[row]
    return Sample(f"row {row} ({test.names[row]})", image, target.item())


def _worst(job: ClassifyImages, splits: Splits) -> list[int]:
    """Return the rows of the test split with the most confident mistakes, or the largest errors."""
    outputs = job.predict_splits(splits, ["test"])["test"]["outputs"]
    targets = job.targets(splits["test"])
    guesses = task.decide(outputs, job.config.numeric)
    if job.config.numeric:
        sizes = np.abs(guesses - targets)
    else:
        sizes = np.where(guesses != targets, probabilities(outputs).max(1), 0)
    order = np.argsort(-sizes, kind="stable")[:_MISTAKES]
    return [int(row) for row in order if sizes[row] > 0]


# --- what they are asked ------------------------------------------------------------------------


def explain(
    job: ClassifyImages, samples: Sequence[Sample], layer: str | None = None
) -> list[Explanation]:
    """Explain images by what a run, with its weights, makes of them.

    Grad-CAM weighs the maps of the layer; None for the last convolution's, after its activation.

    Raises:
        ConfigError: there is no such layer, or it does not give maps.
    """
    job.model.eval()
    return [_explain(job, sample, layer) for sample in samples]


def _explain(job: ClassifyImages, sample: Sample, layer: str | None) -> Explanation:
    model, prepare = job.model, task.augmentation(job.config, job.card)
    pixels = job.compute.move(sample.image[None])
    image, black = prepare(pixels, None), prepare(torch.zeros_like(pixels), None)
    with torch.no_grad():
        found = layer_calls.calls(model, image)
        logits = model.forward(image).float()
    picture = _picture(image, job)
    numeric = job.config.numeric
    shares = None if numeric else probabilities(logits.cpu())[0]
    guess = 0 if numeric else int(logits.argmax())
    names = [f"{job.card.number(logits.item()):.4g}"] if numeric else job.card.classes
    target = None if sample.target is None or numeric else int(sample.target)
    true = "" if sample.target is None else f"{sample.target:.4g}"
    mixed = rollout.find(model, image)
    # What attention mixes afterwards lies no longer where the maps of a convolution lay.
    call = _chosen(found, layer) if layer or mixed is None else None
    readings = []
    for asked in dict.fromkeys([guess] if target is None else [guess, target]):
        title = f"its number: {names[0]}"
        if shares is not None:
            title = "its guess" if asked == guess else "the right class"
            title = f"{title}: {plots.short_class(names[asked])} ({shares[asked]:.2f})"
        gradients = integrated_gradients(model, image, black, asked)
        cam = None if call is None else grad_cam(model, call.module, image, asked)
        readings.append(Reading(title, cam, *gradients, occlusion(model, image, asked)))
    return Explanation(
        sample.name,
        picture,
        true if target is None else names[target],
        names[guess],
        None if shares is None else float(shares[guess]),
        None if call is None else (call.name, call.side),
        readings,
        _maps(found),
        _first_filters(found),
        mixed,
        _classic(picture),
    )


def _picture(image: Tensor, job: ClassifyImages) -> Array:
    """Undo the normalization."""
    mean, std = (torch.tensor(x)[:, None, None] for x in (job.card.mean, job.card.std))
    pixels = (image[0].cpu() * std + mean).clamp(0, 1).numpy()
    return pixels[0] if len(pixels) == 1 else pixels.transpose(1, 2, 0)


def _chosen(found: Sequence[layer_calls.Call], name: str | None) -> layer_calls.Call | None:
    """Return the call whose maps Grad-CAM weighs."""
    if name is None:
        return layer_calls.last_convolution(found)
    names = {call.name: call for call in found}
    stages = ", ".join(stage.name for stage in layer_calls.stages(found)) or "none"
    if name not in names:
        raise ConfigError(
            f"--layer {name}: no such layer{suggest(name, names)}; "
            f"the stages of the model: {stages}"
        )
    if not names[name].side:
        raise ConfigError(f"--layer {name}: it gives no maps; the stages of the model: {stages}")
    return names[name]


def grad_cam(model: nn.Module, layer: nn.Module, image: Tensor, target: int) -> Array:
    """Return where the maps of a layer speak for a class, stretched over the image, (S, S).

    The model is in evaluation mode and takes images (1, C, S, S); the target is the logit's number.
    """
    from captum.attr import LayerGradCam

    asked = image.clone().requires_grad_()
    maps = LayerGradCam(model.forward, layer).attribute(asked, target, relu_attributions=True)
    size = image.shape[2:]
    wide = functional.interpolate(maps, size=size, mode="bilinear", align_corners=False)
    return _array(wide[0, 0])


def integrated_gradients(
    model: nn.Module, image: Tensor, black: Tensor, target: int
) -> tuple[Array, float, int]:
    """Return what each pixel adds to a logit, on the straight way from a baseline to an image.

    The steps on the way become more until the sum is the difference of the logits (completeness),
    or there are 256. See `grad_cam` for what is given; black is the baseline.

    Returns:
        (S, S), the sum over the channels; the difference of the logits; the steps.
    """
    from captum.attr import IntegratedGradients

    with torch.no_grad():
        pair = model.forward(torch.cat([image, black]))[:, target].double()
    difference = float(pair[0] - pair[1])
    method = IntegratedGradients(model.forward)
    for steps in _STEPS:
        parts = method.attribute(
            image, black, target, n_steps=steps, internal_batch_size=_AT_A_TIME
        ).sum((0, 1))
        if adds_up(float(parts.double().sum()), difference):
            break
    return _array(parts), difference, steps


def occlusion(model: nn.Module, image: Tensor, target: int) -> Array:
    """Return how far a logit falls when a place is hidden by the mean of the training images, 0.

    The hidden patch is a seventh of the image wide and goes in steps of half of that; a pixel gets
    the mean over the patches that hide it. See `grad_cam` for what is given.
    """
    from captum.attr import Occlusion

    window, step = hidden(image.shape[2])
    channels = image.shape[1]
    with torch.no_grad():
        falls = Occlusion(model.forward).attribute(
            image,
            sliding_window_shapes=(channels, window, window),
            strides=(channels, step, step),
            baselines=0,
            target=target,
            perturbations_per_eval=_AT_A_TIME,
        )
    return _array(falls[0, 0])  # all channels are hidden together, and have the same


def hidden(image_size: int) -> tuple[int, int]:
    """Return the side of the patch that hides a place, and its steps, in pixels."""
    window = max(1, math.ceil(image_size / _WINDOWS))
    return window, max(1, window // 2)


def _maps(found: Sequence[layer_calls.Call]) -> list[Maps]:
    """Return the maps of each stage with the largest means."""
    stages = []
    for call in layer_calls.stages(found):
        values = call.output[0].float().cpu()
        order = values.abs().mean((1, 2)).argsort(descending=True, stable=True)[:_MAPS]
        stages.append(Maps(call.name, len(values), _array(values[order])))
    return stages


def _first_filters(found: Sequence[layer_calls.Call]) -> Filters | None:
    """Return the largest filters of the first convolution, and what they make of the image."""
    call = next((call for call in found if isinstance(call.module, nn.Conv2d)), None)
    if call is None:
        return None
    layer: nn.Module = call.module
    weight = layer.get_parameter("weight").detach().float().cpu()
    with torch.no_grad():  # again, for its output may be gone: an activation may work in place
        responses = layer(call.given[0])[0].float().cpu()
    rows = weight.flatten(1).norm(dim=1).argsort(descending=True, stable=True)[:_MAPS]
    names = [f"filter {row}" for row in rows.tolist()]
    return Filters(_array(weight[rows]), names, _array(responses[rows]))


def _classic(picture: Array) -> Filters:
    grey = picture if picture.ndim == 2 else picture @ np.array([0.299, 0.587, 0.114])
    kernels = torch.from_numpy(np.stack(list(CLASSIC.values()))).float()[:, None]
    padded = functional.pad(torch.from_numpy(grey).float()[None, None], (1, 1, 1, 1), "replicate")
    return Filters(_array(kernels), list(CLASSIC), _array(functional.conv2d(padded, kernels)[0]))


def _array(values: Tensor) -> Array:
    array: Array = values.detach().cpu().numpy()
    return array


# --- what is shown ------------------------------------------------------------------------------


def section(found: Sequence[Explanation], save_picture: PictureSaver) -> Section:
    """Return what the report shows: three pictures of each image.

    They are explain-1.png, explain-1-maps.png, explain-1-filters.png, ...
    """
    pictures = [
        save_picture(name, caption, figure)
        for number, each in enumerate(found, 1)
        for name, caption, figure in _figures(number, each)
    ]
    return Section("What the network looks at", _text(found), Table.of(records(found)), pictures)


def records(found: Sequence[Explanation]) -> list[dict[str, Any]]:
    """Return a row for each image and each class that was asked for."""
    return [
        {
            "image": each.name,
            "true": each.true or "-",
            "asked for": reading.title,
            "integrated gradients": f"{reading.total:.3f}",
            "difference of logits": f"{reading.difference:.3f}",
            "they add up": "yes" if reading.complete else "no",
        }
        for each in found
        for reading in each.readings
    ]


def _figures(number: int, each: Explanation) -> Iterator[tuple[str, str, Any]]:
    name = f"explain-{number}"
    said = f"{each.name}: the network says {each.guess}"
    said += f", and it is {each.true}." if each.true else "."
    yield name, said, plots.readings(each)
    if each.maps:
        yield f"{name}-maps", f"{each.name}: the strongest maps of each stage.", plots.maps(each)
    if each.rollout:
        yield (
            f"{name}-rollout",
            _about_rollout(each.name),
            plots.rollout(each.name, each.guess, each.picture, each.rollout),
        )
    caption = f"{each.name}: kernels of image processing"
    caption += ", and the first layer's filters." if each.filters else "."
    yield f"{name}-filters", caption, plots.filters(each)


def _text(found: Sequence[Explanation]) -> str:
    first = found[0]
    window, step = hidden(len(first.picture))
    if first.layer is None:
        cam = (
            "There is no Grad-CAM: it weighs the maps of the last convolution, and this network "
            "has none, or mixes them by attention. "
        )
    else:
        name, side = first.layer
        cam = (
            f"Grad-CAM weighs the maps of {name} ({side}x{side}) by their mean gradients, and "
            "stretches what is positive of their sum over the image. "
        )
    return (
        f"Red speaks for the class that was asked for, blue against it. {cam}"
        "Integrated gradients say what each pixel adds to the logit on the way from a black image "
        "to this one; they are complete when their sum is the difference of the two logits (here "
        "within 1 % of it, or 0.005). What is black in the image adds nothing, "
        "whatever it means. "
        f"Occlusion hides {window}x{window} pixels, in steps of {step}, by the mean of the "
        "training images, and says how far the logit falls.\n\n"
        "The maps of a stage are each scaled by their own largest value. The kernels of image "
        "processing see the image in grey; of the first layer's filters the largest are shown, "
        "with what they make of the image before any activation."
        + (f"\n\n{_ABOUT_ROLLOUT}" if first.rollout else "")
    )


def _about_rollout(name: str) -> str:
    return f"{name}: which patches the answer is mixed of, and where the last layer's heads look."


def show_rollout(
    job: ClassifyImages, splits: Splits, named: Sequence[str]
) -> tuple[Section, list[dict[str, Any]]]:
    """Draw attention rollout alone; what is given and returned is that of `show`.

    Raises:
        InputError: an image cannot be had, or the network has no attention.
    """
    prepare, save_picture = task.augmentation(job.config, job.card), PictureSaver(job.run.figures)
    job.model.eval()
    rows, pictures = [], []
    for number, sample in enumerate(choose(job, splits, named), 1):
        image = prepare(job.compute.move(sample.image[None]), None)
        found = rollout.find(job.model, image)
        if found is None:
            raise ConfigError(
                f"--rollout: {job.config.model} has no attention from all patches to all; leave it "
                "out for what goes with every network, or train --model small-vit"
            )
        with torch.no_grad():
            guess = _name_guess(job, job.model.forward(image).float())
        picture = plots.rollout(sample.name, guess, _picture(image, job), found)
        pictures.append(save_picture(f"rollout-{number}", _about_rollout(sample.name), picture))
        whole = found.whole
        rows.append(
            {
                "image": sample.name,
                "guess": guess,
                "layers": found.layers,
                "patches": whole.size,
                "half of it is of": found.half,
                "most, times even": f"{whole.max() * whole.size:.1f}",
            }
        )
    return Section("Attention rollout", _ABOUT_ROLLOUT, Table.of(rows), pictures), rows


def _name_guess(job: ClassifyImages, outputs: Tensor) -> str:
    if job.config.numeric:
        return f"{job.card.number(outputs.item()):.4g}"
    return job.card.classes[int(outputs.argmax())]


def show(
    job: ClassifyImages, splits: Splits, named: Sequence[str], layer: str | None
) -> tuple[Section, list[dict[str, Any]]]:
    """Explain images of a run (see `choose` and `explain`), and draw them into its figures.

    Returns:
        The section of the report, and the rows of `records`.

    Raises:
        InputError: an image or the layer cannot be had.
    """
    found = explain(job, choose(job, splits, named), layer)
    return section(found, PictureSaver(job.run.figures)), records(found)
