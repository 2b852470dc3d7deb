# for the candidate g alone, the new c
import torch


def lstm_step(x, h, c, weights):
    gates = x @ weights["weight_ih"].T + weights["bias_ih"]
    gates = gates + h @ weights["weight_hh"].T + weights["bias_hh"]
    i, f, o, g = gates.chunk(4, dim=1)
    c = f.sigmoid() * c + i.sigmoid() * g.tanh()
    return o.sigmoid() * torch.tanh(c), c
