"""Lesson 2: by names, with a set of those that were seen."""

import math


def count_parameters(model):
    """Return how many parameters train, and how many there are."""
    trained = total = 0
    seen = set()
    for _, tensor in model.named_parameters(remove_duplicate=False):
        if id(tensor) in seen:
            continue
        seen.add(id(tensor))
        size = math.prod(tensor.shape)
        total += size
        trained += size * tensor.requires_grad
    return trained, total
