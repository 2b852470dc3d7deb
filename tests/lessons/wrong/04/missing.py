# the dictionary has no balanced_accuracy
def measure(truth, said):
    return {"accuracy": sum(a == b for a, b in zip(truth, said, strict=True)) / len(truth)}
