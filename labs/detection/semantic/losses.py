"""What classes of pixels are learned by: cross-entropy, Dice, Lovász; void pixels count nowhere.

All take logits (B, C, H, W) and true classes (B, H, W), in which `VOID` is no class, and return a
mean, a scalar. The mean of cross-entropy is over labelled pixels, whose number is known before the
forward pass: micro-batches add up to the loss of the whole batch exactly. Dice and Lovász are
quotients of sums over a batch, in which the prediction is part of the denominator: those of
micro-batches, weighed by their labelled pixels, only come near to that of the whole batch.
"""

from collections.abc import Callable

import torch
from torch import Tensor
from torch.nn import functional

VOID = 255  # of a true class: nobody says what the pixel is
_BALANCED = 0.7  # of training, in which rare classes weigh more
_SMOOTH = 1.0  # pixels, so that a class of few is no quotient of nearly nothing


def cross_entropy(logits: Tensor, true: Tensor, weights: Tensor | None = None) -> Tensor:
    """Return the mean over labelled pixels of -log p(true class), times the weight of the class."""
    sums = functional.cross_entropy(logits, true, weights, ignore_index=VOID, reduction="sum")
    return sums / (true != VOID).sum().clamp(min=1)


def balance(shares: Tensor, progress: float) -> Tensor:
    """Return a weight for each class, whose mean over all pixels is 1: rare ones have larger ones.

    At first it is one over the square root of the class's share of the pixels: classes of few
    pixels, of which there would be next to nothing to learn from, are told apart early. Until
    `progress`, the share of training that is done, is 0.7 all come down to 1: then each pixel
    counts alike, as it does in what is measured (Cao et al. 2019, "Learning imbalanced datasets
    with label-distribution-aware margin loss", section 3.3, defers it the other way round).

    Args:
        shares: of the training pixels, (C,); 0 for a class that is not there.
        progress: from 0 to 1.
    """
    power = 0.5 * max(0.0, 1 - progress / _BALANCED)
    weights = torch.where(shares > 0, shares, 1).pow(-power)
    return weights / (shares * weights).sum().clamp(min=1e-9)


def dice(logits: Tensor, true: Tensor) -> Tensor:
    """Return 1 - the mean soft Dice of the classes that are in the batch.

    Of a class it is 2 sum(p t) / (sum(p) + sum(t)), of the probability p and the truth t of each
    labelled pixel (Milletari et al. 2016, "V-Net", section 3, without its squares).
    """
    labelled = true != VOID
    classes = (true * labelled).flatten()  # of void any: it counts 0
    shares = logits.float().softmax(1) * labelled[:, None]
    right = shares.gather(1, classes.view(true.shape)[:, None])
    nothing = shares.new_zeros(logits.shape[1])
    both = nothing.index_add(0, classes, right.flatten())
    pixels = nothing.index_add(0, classes, labelled.flatten().float())
    found = (2 * both + _SMOOTH) / (shares.sum((0, 2, 3)) + pixels + _SMOOTH)
    return 1 - _mean_of_present(found, pixels > 0)


def lovasz(logits: Tensor, true: Tensor) -> Tensor:
    """Return the Lovász-Softmax loss, a surrogate of 1 - mean IoU of the classes in the batch.

    The errors |t - p| of a class are sorted, largest first, and weighed by how much the Jaccard
    loss grows as each of them becomes a mistake (Berman et al. 2018, "The Lovász-Softmax loss",
    section 3; equations 8 and 9, algorithm 1).
    """
    shares, truth = _flat(logits, true)
    errors, order = (truth - shares).abs().sort(0, descending=True)
    mistaken = truth.gather(0, order)
    present = mistaken.sum(0)
    both = present - mistaken.cumsum(0)
    either = present + (1 - mistaken).cumsum(0)
    jaccard = 1 - both / either.clamp(min=1)
    steps = torch.cat([jaccard[:1], jaccard.diff(dim=0)])
    return _mean_of_present((errors * steps).sum(0), present > 0)


LOSSES: dict[str, Callable[[Tensor, Tensor], Tensor]] = {
    "cross-entropy": cross_entropy,
    "dice": dice,
    "lovasz": lovasz,
}


def _flat(logits: Tensor, true: Tensor) -> tuple[Tensor, Tensor]:
    """Return probabilities and truth, 0 or 1, of the labelled pixels, (P, C) float32."""
    classes = logits.shape[1]
    labelled = true != VOID
    shares = logits.float().softmax(1).movedim(1, -1)[labelled]
    return shares, functional.one_hot(true[labelled], classes).float()


def _mean_of_present(values: Tensor, present: Tensor) -> Tensor:
    """Return the mean of a value of each class, (C,), over those that are there; 0 of none."""
    return (values * present).sum() / present.sum().clamp(min=1)
