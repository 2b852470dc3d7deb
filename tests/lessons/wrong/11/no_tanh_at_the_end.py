# the new h of the first sequence
def lstm_step(x, h, c, weights):
    gates = x @ weights["weight_ih"].T + weights["bias_ih"]
    gates = gates + h @ weights["weight_hh"].T + weights["bias_hh"]
    i, f, g, o = gates.chunk(4, dim=1)
    c = f.sigmoid() * c + i.sigmoid() * g.tanh()
    return o.sigmoid() * c, c
