"""Lesson 11, one gate after the other."""

import torch
from torch.nn.functional import linear


def lstm_step(x, h, c, weights):
    """Return the new h and c."""
    units = h.shape[1]

    def gate(number, squash):
        rows = slice(number * units, (number + 1) * units)
        seen = linear(x, weights["weight_ih"][rows], weights["bias_ih"][rows])
        remembered = linear(h, weights["weight_hh"][rows], weights["bias_hh"][rows])
        return squash(seen + remembered)

    kept = gate(1, torch.sigmoid) * c
    written = gate(0, torch.sigmoid) * gate(2, torch.tanh)
    new = kept + written
    return gate(3, torch.sigmoid) * new.tanh(), new
