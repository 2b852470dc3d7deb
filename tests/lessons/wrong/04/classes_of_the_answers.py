# where a class is said that is never true


def counts(truth, said, each):
    pairs = list(zip(truth, said, strict=True))
    hits = sum(true == each == answer for true, answer in pairs)
    missed = sum(true == each != answer for true, answer in pairs)
    false = sum(true != each == answer for true, answer in pairs)
    return hits, missed, false


def measure(truth, said):
    found = [counts(truth, said, each) for each in sorted({*truth, *said})]
    return {
        "accuracy": sum(h for h, _, _ in found) / len(truth),
        "balanced_accuracy": sum(h / (h + m) if h + m else 0 for h, m, _ in found) / len(found),
        "macro_f1": sum(2 * h / (2 * h + m + f) for h, m, f in found) / len(found),
    }
