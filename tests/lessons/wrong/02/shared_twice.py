# two layers share one weight
def count_parameters(model):
    found = [p for _, p in model.named_parameters(remove_duplicate=False)]
    return sum(p.numel() for p in found if p.requires_grad), sum(p.numel() for p in found)
