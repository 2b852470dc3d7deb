"""Lesson 11: input and state side by side, and one matrix for both."""

import torch


def lstm_step(x, h, c, weights):
    """Return the new h and c."""
    matrix = torch.cat([weights["weight_ih"], weights["weight_hh"]], dim=1)
    bias = weights["bias_ih"] + weights["bias_hh"]
    gates = torch.einsum("nd,gd->ng", torch.cat([x, h], dim=1), matrix) + bias
    i, f, g, o = gates.unflatten(1, (4, -1)).unbind(1)

    def sigmoid(values):
        return 1 / (1 + torch.exp(-values))

    new_c = c * sigmoid(f) + sigmoid(i) * (2 * sigmoid(2 * g) - 1)  # which is tanh(g)
    return sigmoid(o) * new_c.tanh(), new_c
