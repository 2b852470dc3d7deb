# balanced_accuracy is 0.500; your function says 0.475


def counts(truth, said, each):
    pairs = list(zip(truth, said, strict=True))
    hits = sum(true == each == answer for true, answer in pairs)
    missed = sum(true == each != answer for true, answer in pairs)
    false = sum(true != each == answer for true, answer in pairs)
    return hits, missed, false


def measure(truth, said):
    found = [counts(truth, said, each) for each in sorted(set(truth))]
    precisions = [h / (h + f) if h + f else 0 for h, _, f in found]
    return {
        "accuracy": sum(h for h, _, _ in found) / len(truth),
        "balanced_accuracy": sum(precisions) / len(precisions),
        "macro_f1": sum(2 * h / (2 * h + m + f) for h, m, f in found) / len(found),
    }
