"""Lesson 3: how the learning rate changes."""

import math
from itertools import pairwise

from labs.lessons.student import Student, expect


def check(student: Student) -> None:
    """Look at the rates of a whole training, one after the other."""
    rate = student.function("learning_rate")
    steps, peak, warmup = 100, 0.4, 10
    rates = [float(rate(step, steps, peak, warmup)) for step in range(steps)]
    expect(rates[0] > 0, "the rate of the first step is 0: that step teaches nothing")
    expect(
        math.isclose(rates[0], peak / warmup, rel_tol=1e-6),
        f"the rate of the first step is {rates[0]:.4g}; of {warmup} steps that grow evenly to "
        f"{peak} the first has {peak / warmup:.4g}",
    )
    expect(
        all(math.isclose(rates[n], peak * (n + 1) / warmup, rel_tol=1e-6) for n in range(warmup)),
        "in the warm-up the rate does not grow by the same amount with each step",
    )
    highest = max(rates)
    expect(
        highest <= peak * (1 + 1e-9),
        f"the highest rate is {highest:.4g}, above the peak of {peak}",
    )
    expect(
        all(one >= other - 1e-12 for one, other in pairwise(rates[warmup:])),
        "after the warm-up the rate grows again",
    )
    expect(
        rates[-1] < peak / 50,
        f"the rate of the last step is {rates[-1]:.4g}: it has not come down to nearly 0",
    )
    middle = warmup + (steps - warmup) // 2
    expect(
        math.isclose(rates[middle], peak / 2, rel_tol=1e-6),
        f"half-way down, at step {middle}, the rate is {rates[middle]:.4g}; a cosine is at half of "
        f"its height there, {peak / 2}",
    )
    quarter = warmup + (steps - warmup) // 3
    known = peak * 0.5 * (1 + math.cos(math.pi / 3))
    expect(
        math.isclose(rates[quarter], known, rel_tol=1e-6),
        f"a third of the way down, at step {quarter}, the rate is {rates[quarter]:.4g}; a cosine "
        f"is at {known:.4g}",
    )
    alone = [float(rate(step, 50, 1.0, 0)) for step in range(50)]
    expect(
        math.isclose(alone[0], 1.0, rel_tol=1e-6),
        f"without a warm-up the first rate is {alone[0]:.4g}, not the peak",
    )
