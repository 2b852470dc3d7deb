"""Lesson 3: all rates at once, by numpy."""

import numpy as np


def learning_rate(step, steps, peak, warmup):
    """Return the rate of a step."""
    up = np.arange(1, warmup + 1) / max(1, warmup)
    down = (1 + np.cos(np.linspace(0, np.pi, steps - warmup, endpoint=False))) / 2
    return peak * np.concatenate([up, down])[step]
