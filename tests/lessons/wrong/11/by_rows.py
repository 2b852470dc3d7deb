# for the input gate i alone, the new c of the first sequence is (1.905, -0.500)
import torch


def lstm_step(x, h, c, weights):
    gates = x @ weights["weight_ih"].T + weights["bias_ih"]
    gates = gates + h @ weights["weight_hh"].T + weights["bias_hh"]
    i, f, g, o = gates.unflatten(1, (-1, 4)).unbind(2)
    c = f.sigmoid() * c + i.sigmoid() * g.tanh()
    return o.sigmoid() * torch.tanh(c), c
