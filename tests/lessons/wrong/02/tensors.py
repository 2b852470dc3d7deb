# a linear layer of 5 inputs and 3 outputs
def count_parameters(model):
    parameters = list(model.parameters())
    return len([p for p in parameters if p.requires_grad]), len(parameters)
