# has not come down
import math


def learning_rate(step, steps, peak, warmup):
    if step < warmup:
        return peak * (step + 1) / warmup
    share = (step - warmup) / (steps - warmup)
    return peak * 0.5 * (1 + math.cos(math.radians(share)))
