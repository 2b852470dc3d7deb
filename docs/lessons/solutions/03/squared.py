"""Lesson 3: half of 1 + cos(x) is the square of cos(x / 2)."""

from math import cos, pi


def learning_rate(step, steps, peak, warmup):
    """Return the rate of a step."""
    down = cos(pi / 2 * max(0, step - warmup) / (steps - warmup)) ** 2
    up = min(1, (step + 1) / warmup) if warmup else 1
    return peak * up * down
