"""Lesson 6: a VGG from a table."""

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from labs.lessons.student import Student, expect

_CASES: list[tuple[list[Any], int, int, int]] = [
    ([8, "M", 16, 16, "M"], 1, 10, 28),
    ([4, "M", 6, "M", "M"], 3, 2, 30),
    ([5, 7], 2, 3, 9),
]


def check(student: Student) -> None:
    """Build networks of three tables, look at their layers, and compute what they compute."""
    build = student.function("build_vgg")
    for plan, channels, classes, size in _CASES:
        given = list(plan)
        model = build(given, channels, classes, size)
        expect(given == plan, "the plan that was given has been changed")
        of = f"of {plan}, {channels} x {size} x {size} pixels and {classes} classes"
        expect(isinstance(model, nn.Module), f"what is built {of} is no nn.Module")
        _compare_convolutions(model, plan, channels, of)
        torch.manual_seed(1)
        images = torch.randn(4, channels, size, size)
        with student.watched(f"the network {of}"), torch.no_grad():
            found = model(images)
            again = model(images)
        _compare_head(model, plan, classes, size, of)
        _compare_outputs(model, plan, images, found, again, of)


def _compare_convolutions(model: nn.Module, plan: list[Any], channels: int, of: str) -> None:
    convolutions = _find(model, nn.Conv2d)
    maps = [each for each in plan if each != "M"]
    expect(
        len(convolutions) == len(maps),
        f"the network {of} has {len(convolutions)} convolutions; the plan has {len(maps)} numbers",
    )
    known = list(zip([channels, *maps], maps, strict=False))
    for number, (layer, (inside, outside)) in enumerate(zip(convolutions, known, strict=True), 1):
        what = f"convolution {number} of the network {of}"
        expect(
            (layer.in_channels, layer.out_channels) == (inside, outside),
            f"{what} turns {layer.in_channels} maps into {layer.out_channels}, not {inside} into "
            f"{outside}",
        )
        expect(
            layer.kernel_size == (3, 3),
            f"{what} has a kernel of {' x '.join(map(str, layer.kernel_size))}, not 3 x 3",
        )
        expect(layer.padding in ((1, 1), "same"), f"{what} has a padding of {layer.padding}, not 1")
        expect(layer.stride == (1, 1), f"{what} has a stride of {layer.stride}, not 1")
        expect(layer.bias is not None, f"{what} has no bias")


def _compare_head(model: nn.Module, plan: list[Any], classes: int, size: int, of: str) -> None:
    linear = _find(model, nn.Linear)
    expect(len(linear) == 1, f"the network {of} has {len(linear)} linear layers, not one")
    side = size // 2 ** plan.count("M")
    maps = [each for each in plan if each != "M"][-1]
    expect(
        linear[0].in_features == maps * side**2,
        f"the linear layer of the network {of} takes {linear[0].in_features} numbers; the last "
        f"pooling leaves {maps} maps of {side} x {side}",
    )
    expect(
        linear[0].out_features == classes,
        f"the linear layer of the network {of} gives {linear[0].out_features} numbers",
    )
    layers = [*_find(model, nn.Conv2d), linear[0]]
    known = sum(parameter.numel() for layer in layers for parameter in layer.parameters())
    count = sum(parameter.numel() for parameter in model.parameters())
    expect(
        count == known,
        f"the network {of} has {count:,} parameters, its convolutions and its linear layer only "
        f"{known:,}",
    )


def _compare_outputs(
    model: nn.Module, plan: list[Any], images: Tensor, found: Tensor, again: Tensor, of: str
) -> None:
    expect(isinstance(found, Tensor), f"the network {of} returns no tensor")
    expect(torch.equal(found, again), f"the network {of} answers the same images twice differently")
    known = _compute(model, plan, images, functional.relu, functional.relu, functional.max_pool2d)
    expect(
        found.shape == known.shape,
        f"the outputs {of} have the shape {tuple(found.shape)} for 4 images, not "
        f"{tuple(known.shape)}",
    )
    if _same(found, known):
        return
    for one in (found, found.exp()):
        expect(
            not _same(one.sum(1), torch.ones(4)),
            f"the outputs {of} are probabilities; the loss wants them before the softmax",
        )
    expect(
        not _same(found, known.relu()),
        f"the outputs {of} are never below 0: there is a ReLU behind the linear layer",
    )
    relu, pool = functional.relu, functional.max_pool2d
    seen: dict[str, tuple[Callable[[Tensor], Tensor], Callable[[Tensor], Tensor], Any]] = {
        "no ReLU at all": (_keep, _keep, pool),
        "no ReLU but before a pooling": (_keep, relu, pool),
        "no ReLU before a pooling": (relu, _keep, pool),
        "means where the pooling is to take the largest": (relu, relu, functional.avg_pool2d),
    }
    for what, how in seen.items():
        expect(
            not _same(found, _compute(model, plan, images, *how)),
            f"the outputs {of} are those of its layers with {what}",
        )
    expect(False, f"the outputs {of} are not those of its layers, a ReLU after each convolution")


def _compute(
    model: nn.Module,
    plan: list[Any],
    images: Tensor,
    between: Callable[[Tensor], Tensor],
    before_pool: Callable[[Tensor], Tensor],
    pool: Callable[[Tensor, int], Tensor],
) -> Tensor:
    """Return what the plan computes with the model's own weights.

    Args:
        model: whose convolutions and linear layer are taken in their order.
        plan: the table.
        images: a batch.
        between: what follows a convolution that no pooling follows.
        before_pool: what follows one that a pooling follows.
        pool: the pooling.
    """
    layers = iter(_find(model, nn.Conv2d))
    with torch.no_grad():
        for each, following in zip(plan, [*plan[1:], None], strict=True):
            if each == "M":
                images = pool(images, 2)
            else:
                images = next(layers)(images)
                images = before_pool(images) if following == "M" else between(images)
        outputs: Tensor = _find(model, nn.Linear)[0](images.flatten(1))
        return outputs


def _find(model: nn.Module, kind: type) -> list[Any]:
    return [each for each in model.modules() if isinstance(each, kind)]


def _keep(values: Tensor) -> Tensor:
    return values


def _same(one: Tensor, other: Tensor) -> bool:
    return torch.allclose(one, other, atol=1e-5)
