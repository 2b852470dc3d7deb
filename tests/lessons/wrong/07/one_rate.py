# the first block trains at 0.02, not 0.002
def choose_trained(blocks, head, few, similar, rate):
    if few:
        frozen, trained = (blocks, []) if similar else (blocks[:-1], blocks[-1:])
    else:
        frozen, trained = [], blocks
    for block in frozen:
        block.requires_grad_(False).eval()
    for block in [*trained, head]:
        block.requires_grad_(True).train()
    slower = rate
    parameters = [each for block in trained for each in block.parameters()]
    return [
        {"params": parameters, "lr": slower},
        {"params": list(head.parameters()), "lr": rate},
    ]
