# has changed which parameters train
def count_parameters(model):
    parameters = list(model.parameters())
    trained = sum(p.numel() for p in parameters if p.requires_grad)
    for parameter in parameters:
        parameter.requires_grad_(True)
    return trained, sum(p.numel() for p in parameters)
