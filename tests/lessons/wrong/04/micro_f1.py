# macro_f1 is 0.487; your function says 0.950


def counts(truth, said, each):
    pairs = list(zip(truth, said, strict=True))
    hits = sum(true == each == answer for true, answer in pairs)
    missed = sum(true == each != answer for true, answer in pairs)
    false = sum(true != each == answer for true, answer in pairs)
    return hits, missed, false


def measure(truth, said):
    found = [counts(truth, said, each) for each in sorted(set(truth))]
    hits, missed, false = (sum(column) for column in zip(*found, strict=True))
    return {
        "accuracy": hits / len(truth),
        "balanced_accuracy": sum(h / (h + m) for h, m, _ in found) / len(found),
        "macro_f1": 2 * hits / (2 * hits + missed + false),
    }
