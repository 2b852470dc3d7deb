# batch norm, whose running mean
def count_parameters(model):
    total = sum(value.numel() for value in model.state_dict().values())
    return total, total
