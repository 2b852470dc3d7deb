# whose convolution is frozen
def count_parameters(model):
    total = sum(p.numel() for p in model.parameters())
    return total, total
