# of 10 steps that grow evenly
import math


def learning_rate(step, steps, peak, warmup):
    return peak * 0.5 * (1 + math.cos(math.pi * step / steps))
