"""The last features of a classifier of images, as a map shows them."""

from collections.abc import Sequence

import numpy as np
import torch
from torch import nn

from common.errors import RunError
from common.images.load import pixel_rows
from common.images.sets import ImageSet, find_strata
from common.maps import features, points
from common.maps.page import Fact, Groups, Mark, Pictures
from common.maps.points import Points, Shown, Way
from common.maps.words import Words
from common.metrics.metrics import Array
from common.runs.job import Outputs
from common.training.task import probabilities
from labs.classification import label_columns
from labs.classification.job import ClassifyImages
from labs.classification.models import heads

_PIXELS = 32  # of the side of an image as a vector
_MOST_LABELS = 20  # labels that a map can be colored by, those of the most images

_ONE_LAYER = Words(
    "The network has one layer: what it gets are the pixels themselves.",
    "이 신경망에는 층이 하나뿐이므로, 마지막 층이 받는 것은 픽셀 그대로입니다.",
)


def read(job: ClassifyImages, split: ImageSet, most: int) -> Points:
    """Return the last features of at most about so many images of a split, a share of each class.

    Args:
        job: with its best weights.
        split: the images.
        most: points of the map.

    Raises:
        RunError: the network does not end with a linear layer, or the run is an ensemble.
    """
    strata = None if job.config.numeric else find_strata(split.targets)
    some = split.select(points.choose_rows(len(split), most, strata))
    layers = _last_layers(job, some.select(torch.arange(min(2, len(some)))))
    outputs = features.collect(job, some, layers)
    vectors = outputs["features"].numpy()
    describe = {"class": _classes, "labels": _labels, "number": _numbers}[job.config.kind]
    shown = describe(job, some, outputs)
    shown.facts.insert(0, Fact(Words("name", "이름"), some.names))
    return Points(
        vectors,
        f"the {vectors.shape[1]:,} numbers that the last layer of {job.config.title} gets",
        shown,
        some.targets.numpy() if job.config.kind == "class" else None,
        Pictures(Words("image", "이미지"), some.images),
        None if _is_one_layer(job.model) else pixel_rows(some, _PIXELS),
        remark=_ONE_LAYER if _is_one_layer(job.model) else None,
    )


def _last_layers(job: ClassifyImages, few: ImageSet) -> list[nn.Linear]:
    """Return the last layer of the network, or of each of those that answer for a column."""
    model = job.model
    networks = heads.networks(model) if isinstance(model, heads.Separate) else [model]
    found = [features.last_layer(each, lambda: features.collect(job, few)) for each in networks]
    layers = [layer for layer in found if layer is not None]
    if len(layers) < len(found):
        raise RunError(
            f"{job.run.path}: {job.config.model} does not end with a linear layer, so there are no "
            "vectors of last features to map; lenet5, vgg, resnet and vit do, among others"
        )
    return layers


def _is_one_layer(model: nn.Module) -> bool:
    """Say whether the last layer is the first, too."""
    return sum(any(True for _ in each.parameters(recurse=False)) for each in model.modules()) == 1


def _classes(job: ClassifyImages, split: ImageSet, outputs: Outputs) -> Shown:
    names, true = job.card.classes, job.targets(split)
    shares = probabilities(outputs["outputs"])
    shown = points.describe_classes(names, true, job.decide(outputs), shares)
    columns = label_columns.split_columns(true, job.card.labels) if job.card.labels else {}
    by_column = [  # before their combinations, which are many
        Groups(Words(f"true {column}", f"실제 {column}"), numbers, job.card.labels[column])
        for column, numbers in columns.items()
    ]
    return shown._replace(ways=[*by_column, *shown.ways])


def _named(names: Sequence[str], numbers: Array) -> list[str]:
    return [names[number] for number in numbers]


def _labels(job: ClassifyImages, split: ImageSet, outputs: Outputs) -> Shown:
    names, true, said = job.card.classes, job.targets(split), job.decide(outputs)
    rarest = Words("rarest true label", "가장 드문 실제 레이블")
    strata = find_strata(split.targets).numpy()
    ways: list[Way] = [Groups(rarest, strata, [*names, "(none)"])]
    for label in np.argsort(-true.sum(0), kind="stable")[:_MOST_LABELS]:
        name = names[label]
        ways.append(
            Groups(Words(name, name), true[:, label].astype(int), [f"without {name}", name])
        )
    facts = [
        Fact(label, [", ".join(_named(names, np.flatnonzero(row))) or "-" for row in each])
        for label, each in (
            (Words("true labels", "실제 레이블"), true),
            (Words("said labels", "답한 레이블"), said),
        )
    ]
    wrong = (said != true).any(1)
    mark = Mark(
        Words("a label wrong", "레이블 하나 이상 틀림"), Words("all right", "모두 맞음"), wrong
    )
    return Shown(ways, facts, mark)


def _numbers(job: ClassifyImages, split: ImageSet, outputs: Outputs) -> Shown:
    return points.describe_numbers(job.targets(split), job.decide(outputs))
