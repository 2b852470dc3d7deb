"""Lesson 2: `parameters` yields a shared tensor once."""


def count_parameters(model):
    """Return how many parameters train, and how many there are."""
    parameters = list(model.parameters())
    return sum(p.numel() for p in parameters if p.requires_grad), sum(p.numel() for p in parameters)
