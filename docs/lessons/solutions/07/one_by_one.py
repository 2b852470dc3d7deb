"""Lesson 7: all is frozen first, then what trains is thawed; a group for each parameter."""

from torch import nn


def choose_trained(blocks, head, few, similar, rate):
    """Return the groups."""
    network = nn.ModuleList([*blocks, head])
    network.eval()
    network.requires_grad_(False)
    rates = {head: rate}
    if not few:
        rates |= dict.fromkeys(blocks, rate * 0.1 if similar else rate)
    elif not similar:
        rates[blocks[-1]] = rate
    groups = []
    for module, its_rate in rates.items():
        module.train()
        for parameter in module.parameters():
            parameter.requires_grad_()
            groups.append({"params": [parameter], "lr": its_rate})
    return groups
