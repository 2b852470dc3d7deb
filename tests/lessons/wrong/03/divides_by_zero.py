# ZeroDivisionError
import math


def learning_rate(step, steps, peak, warmup):
    up = min(1, (step + 1) / warmup)
    share = max(0, step - warmup) / (steps - warmup)
    return up * peak * 0.5 * (1 + math.cos(math.pi * share))
