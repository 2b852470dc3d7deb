"""Lesson 3, as the page says it."""

import math


def learning_rate(step, steps, peak, warmup):
    """Return the rate of a step."""
    if step < warmup:
        return peak * (step + 1) / warmup
    share = (step - warmup) / (steps - warmup)
    return peak * 0.5 * (1 + math.cos(math.pi * share))
