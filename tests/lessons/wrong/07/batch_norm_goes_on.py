# is frozen, but a batch that goes through it
def choose_trained(blocks, head, few, similar, rate):
    if few:
        frozen, trained = (blocks, []) if similar else (blocks[:-1], blocks[-1:])
    else:
        frozen, trained = [], blocks
    for block in frozen:
        block.requires_grad_(False)
    for block in [*trained, head]:
        block.requires_grad_(True).train()
    slower = rate / 10 if similar and not few else rate
    parameters = [each for block in trained for each in block.parameters()]
    return [
        {"params": parameters, "lr": slower},
        {"params": list(head.parameters()), "lr": rate},
    ]
