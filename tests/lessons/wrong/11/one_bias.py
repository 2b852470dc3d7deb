# with bias_hh 0.7, all other weights 0, the new c
import torch


def lstm_step(x, h, c, weights):
    gates = x @ weights["weight_ih"].T + weights["bias_ih"]
    gates = gates + h @ weights["weight_hh"].T
    i, f, g, o = gates.chunk(4, dim=1)
    c = f.sigmoid() * c + i.sigmoid() * g.tanh()
    return o.sigmoid() * torch.tanh(c), c
