"""Lesson 2: layer by layer."""


def count_parameters(model):
    """Return how many parameters train, and how many there are."""
    tensors = {}
    for module in model.modules():
        for tensor in module.parameters(recurse=False):
            tensors[id(tensor)] = tensor
    sizes = [(tensor.requires_grad, tensor.numel()) for tensor in tensors.values()]
    return [sum(size for trains, size in sizes if trains), sum(size for _, size in sizes)]
