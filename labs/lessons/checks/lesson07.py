"""Lesson 7: what of a trained network trains on."""

from collections.abc import Iterable
from typing import Any

import torch
from torch import Tensor, nn

from labs.lessons.student import Student, expect

_RATE = 0.02
_CASES = {
    "few images that are similar": (True, True),
    "few images that are different": (True, False),
    "many images that are similar": (False, True),
    "many images that are different": (False, False),
}


def check(student: Student) -> None:
    """Go through the four cases with one network, so that each finds what the last one left."""
    choose = student.function("choose_trained")
    torch.manual_seed(0)
    blocks = [_block(3, 4), _block(4, 4), _block(4, 5)]
    head = nn.Linear(5, 2)
    for what, (few, similar) in [*_CASES.items(), next(iter(_CASES.items()))]:
        before = [each.clone() for each in _parameters([*blocks, head])]
        groups = choose(blocks, head, few, similar, _RATE)
        rates = _rates(groups)
        _compare_groups(rates, blocks, head, few, similar, what)
        _compare_frozen(blocks, head, few, similar, what)
        after = _parameters([*blocks, head])
        expect(all(map(torch.equal, before, after)), "the weights have been changed")
        _compare_batch_norm(blocks, head, few, similar, what)


def _block(inside: int, outside: int) -> nn.Module:
    convolution = nn.Conv2d(inside, outside, 3, padding=1)
    return nn.Sequential(convolution, nn.Sequential(nn.BatchNorm2d(outside), nn.ReLU()))


def _parameters(modules: Iterable[nn.Module]) -> list[nn.Parameter]:
    return [parameter for module in modules for parameter in module.parameters()]


def _known(few: bool, similar: bool) -> list[float]:
    """Return the rate of each of three blocks and the head; 0 is frozen."""
    if few:
        return [0, 0, 0 if similar else _RATE, _RATE]
    return [_RATE / 10 if similar else _RATE] * 3 + [_RATE]


def _rates(groups: Any) -> dict[int, float]:
    """Return the rate of each parameter, by its identity."""
    expect(isinstance(groups, list | tuple), "`choose_trained` is to return a list of groups")
    rates: dict[int, float] = {}
    for group in groups:
        right = isinstance(group, dict) and {"params", "lr"} <= group.keys()
        expect(right, "a group is to be a dictionary of `params` and `lr`")
        params = group["params"]
        for parameter in [params] if isinstance(params, Tensor) else params:
            expect(
                isinstance(parameter, nn.Parameter),
                f"the `params` of a group hold something that is no parameter: "
                f"{type(parameter).__name__}",
            )
            expect(id(parameter) not in rates, "a parameter is in two groups, or twice in one")
            rates[id(parameter)] = float(group["lr"])
    return rates


def _compare_groups(
    rates: dict[int, float],
    blocks: list[nn.Module],
    head: nn.Module,
    few: bool,
    similar: bool,
    what: str,
) -> None:
    for name, module, rate in _named(blocks, head, few, similar):
        found = [rates.get(id(parameter)) for parameter in module.parameters()]
        inside = [each for each in found if each is not None]
        if not rate:
            expect(
                not inside, f"with {what}, parameters of {name} are in a group: they would train"
            )
            continue
        expect(inside, f"with {what}, {name} is in no group: it does not train")
        expect(len(inside) == len(found), f"with {what}, only a part of {name} is in a group")
        expect(
            all(abs(each - rate) < 1e-9 for each in inside),
            f"with {what} and a rate of {_RATE}, {name} trains at {inside[0]:.4g}, not {rate:.4g}",
        )


def _compare_frozen(
    blocks: list[nn.Module], head: nn.Module, few: bool, similar: bool, what: str
) -> None:
    for name, module, rate in _named(blocks, head, few, similar):
        needs = [parameter.requires_grad for parameter in module.parameters()]
        if rate:
            expect(
                all(needs),
                f"with {what}, {name} is in a group, but parameters of it ask for no gradient "
                "(requires_grad)",
            )
        else:
            expect(
                not any(needs),
                f"with {what}, {name} is in no group, but its gradients are still computed "
                "(requires_grad)",
            )


def _compare_batch_norm(
    blocks: list[nn.Module], head: nn.Module, few: bool, similar: bool, what: str
) -> None:
    before = [[each.clone() for each in block.buffers()] for block in blocks]
    images = torch.randn(8, 3, 6, 6)
    with torch.no_grad():
        for block in blocks:
            images = block(images)
    for (name, module, rate), old in zip(
        _named(blocks, head, few, similar)[:-1], before, strict=True
    ):
        moved = not all(map(torch.equal, old, module.buffers()))
        expect(
            rate or not moved,
            f"with {what}, {name} is frozen, but a batch that goes through it changes the running "
            "mean and variance of its batch norm",
        )
        expect(
            moved or not rate,
            f"with {what}, {name} trains, but its batch norm takes no notice of a batch: it is in "
            "eval mode",
        )


def _named(
    blocks: list[nn.Module], head: nn.Module, few: bool, similar: bool
) -> list[tuple[str, nn.Module, float]]:
    names = ["the first block", "the second block", "the last block", "the head"]
    return list(zip(names, [*blocks, head], _known(few, similar), strict=True))
