# balanced_accuracy is 0.500; your function says 0.950
def measure(truth, said):
    accuracy = sum(a == b for a, b in zip(truth, said, strict=True)) / len(truth)
    return {"accuracy": accuracy, "balanced_accuracy": accuracy, "macro_f1": accuracy}
