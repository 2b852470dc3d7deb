"""What torch lacks: the focal loss, balanced class weights, and losses by name.

Every loss that `build` returns is a mean, and `weight_of` is what the mean was divided by: the sum
of mean * weight over micro-batches, divided by the sum of the weights, is the mean over the one
large batch. Both are known before the forward pass.
"""

from collections.abc import Callable
from functools import partial
from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor

from common.errors import ConfigError

Loss = Callable[[Tensor, Tensor], Tensor]

LOSSES = ("cross-entropy", "focal", "binary-cross-entropy", "mse", "mae")


def build(
    name: str,
    class_weights: Tensor | None = None,
    label_smoothing: float = 0.0,
    gamma: float = 2.0,
) -> Loss:
    """Return loss(outputs, targets) -> mean, a tensor of shape ().

    - `cross-entropy`, `focal`: outputs are logits (N, C), targets class numbers (N,); the mean is
      weighed by the class weights of the targets.
    - `binary-cross-entropy`: outputs are logits (N, C), targets zeros and ones (N, C), for any
      number of labels; the mean is over all elements.
    - `mse`, `mae`: outputs and targets of one shape, or outputs (N, 1) for targets (N,); the mean
      is over all elements. Any other pair of shapes raises ValueError, and is never broadcast.

    Args:
        name: one of LOSSES.
        class_weights: (C,), above 0, on the device of the outputs; classification only. With a
            weight of 0 a batch could have the mean 0 / 0.
        label_smoothing: the share, in [0, 1), of the target spread evenly over the classes, or
            over 0 and 1; classification only.
        gamma: focusing exponent of the focal loss, at least 0; other losses do not read it.

    Raises:
        ConfigError: an unknown name, or a value that the loss cannot use.
    """
    if problems := _problems(name, class_weights, label_smoothing, gamma):
        raise ConfigError(problems)
    losses: dict[str, Loss] = {
        "cross-entropy": partial(
            F.cross_entropy, weight=class_weights, label_smoothing=label_smoothing
        ),
        "focal": partial(focal, gamma=gamma, weight=class_weights, label_smoothing=label_smoothing),
        "binary-cross-entropy": partial(_binary, label_smoothing=label_smoothing),
        "mse": partial(_elementwise, F.mse_loss),
        "mae": partial(_elementwise, F.l1_loss),
    }
    return losses[name]


def focal(
    logits: Tensor,
    targets: Tensor,
    gamma: float = 2.0,
    weight: Tensor | None = None,
    label_smoothing: float = 0.0,
    reduction: Literal["mean", "sum", "none"] = "mean",
) -> Tensor:
    """Return the focal loss: cross-entropy in which sure and right predictions count less.

    FL(p) = -w (1 - p)^gamma log p for the probability p of the true class (Lin et al. 2017, "Focal
    Loss for Dense Object Detection", equation 4; with w as alpha, equation 5). With gamma 0 it is
    torch's cross-entropy in every argument. Label smoothing, which the paper does not have, takes
    torch's form: (1 - s) FL(true class) + s times the mean of FL over all classes.

    Args:
        logits: (N, C).
        targets: (N,) class numbers.
        gamma: focusing exponent, at least 0.
        weight: (C,) class weights.
        label_smoothing: s, in [0, 1).
        reduction: "mean" divides the sum by the sum of the targets' class weights, by N without
            weights; "sum" is the sum; "none" gives (N,).

    Raises:
        ValueError: an unknown reduction.

    Example:
        >>> logits, targets = torch.tensor([[4.0, 0.0], [0.0, 1.0]]), torch.tensor([0, 0])
        >>> focal(logits, targets, reduction="none").round(decimals=3)  # the first one is right
        tensor([0.0000, 0.7020])
    """
    log_p = F.log_softmax(logits, dim=1)
    weight = log_p.new_ones(log_p.shape[1]) if weight is None else weight
    target_weight = weight[targets]
    losses = target_weight * _focused(log_p.gather(1, targets[:, None])[:, 0], gamma)
    if label_smoothing:
        even = (weight * _focused(log_p, gamma)).mean(dim=1)
        losses = (1 - label_smoothing) * losses + label_smoothing * even
    match reduction:
        case "mean":
            return losses.sum() / target_weight.sum()
        case "sum":
            return losses.sum()
        case "none":
            return losses
    raise ValueError(f"expected reduction mean, sum or none, given {reduction!r}")


def balanced_class_weights(targets: Tensor, classes: int) -> Tensor:
    """Return float32 weights (classes,) under which every class of targets (N,) counts the same.

    scikit-learn's "balanced": N / (present classes * samples of the class), so that the mean weight
    of the samples is 1. A class without samples gets 1, that mean: it does not change the weights
    of the others, and a validation batch that holds only this class still has a mean.

    Raises:
        ValueError: no targets, or targets out of range.

    Example:
        >>> balanced_class_weights(torch.tensor([0, 0, 0, 1]), classes=2)
        tensor([0.6667, 2.0000])
    """
    if len(targets) == 0 or targets.min() < 0 or targets.max() >= classes:
        given = f"{targets.min()} to {targets.max()}" if len(targets) else "none"
        raise ValueError(
            f"expected targets in [0, {classes}), at least one, given {given}:"
            " check the labels of the training split"
        )
    counts = torch.bincount(targets, minlength=classes)
    present = (counts > 0).sum()
    return torch.where(counts > 0, len(targets) / (present * counts), 1.0)


def weight_of(targets: Tensor, class_weights: Tensor | None = None) -> int | Tensor:
    """Return what a batch's mean loss is divided by: N, or the sum of the targets' class weights.

    It holds for every loss of `build`, with label smoothing too: torch divides the smoothed
    cross-entropy by the same sum.
    """
    return len(targets) if class_weights is None else class_weights[targets].sum()


def _problems(
    name: str, class_weights: Tensor | None, label_smoothing: float, gamma: float
) -> list[str]:
    """Say everything that is wrong with the arguments of `build`."""
    problems = []
    if name not in LOSSES:
        problems.append(f"loss: expected one of {', '.join(LOSSES)}, given {name!r}")
    if not 0 <= label_smoothing < 1:
        problems.append(f"label smoothing: expected a number in [0, 1), given {label_smoothing}")
    if not 0 <= gamma < float("inf"):
        problems.append(f"focal gamma: expected a finite number from 0, given {gamma}")
    if class_weights is not None and not ((class_weights > 0) & class_weights.isfinite()).all():
        given = class_weights.tolist()
        problems.append(f"class weights: expected finite numbers above 0, given {given}")
    if name in ("mse", "mae") and (class_weights is not None or label_smoothing):
        problems.append(
            f"loss {name}: class weights and label smoothing are for classification; leave them out"
        )
    return problems


def _focused(log_p: Tensor, gamma: float) -> Tensor:
    """Return -(1 - p)^gamma log p for log p."""
    # The gradient of x^gamma at 0 is infinite for gamma < 1; p can round to 1, so keep x above 0.
    distance = (-torch.expm1(log_p)).clamp(min=torch.finfo(log_p.dtype).tiny)
    return -(distance**gamma) * log_p


def _binary(logits: Tensor, targets: Tensor, label_smoothing: float) -> Tensor:
    return F.binary_cross_entropy_with_logits(
        logits, targets * (1 - label_smoothing) + label_smoothing / 2
    )


def _elementwise(loss: Loss, outputs: Tensor, targets: Tensor) -> Tensor:
    """Apply a loss that would broadcast, only to shapes that need no broadcasting."""
    if outputs.shape == (*targets.shape, 1):
        outputs = outputs.squeeze(-1)
    if outputs.shape != targets.shape:
        raise ValueError(
            f"expected outputs of the targets' shape {tuple(targets.shape)} or of that shape with"
            f" a last dimension of 1, given {tuple(outputs.shape)}: reshape one of the two"
        )
    return loss(outputs, targets)
