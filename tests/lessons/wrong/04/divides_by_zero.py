# ZeroDivisionError


def counts(truth, said, each):
    pairs = list(zip(truth, said, strict=True))
    hits = sum(true == each == answer for true, answer in pairs)
    missed = sum(true == each != answer for true, answer in pairs)
    false = sum(true != each == answer for true, answer in pairs)
    return hits, missed, false


def measure(truth, said):
    found = [counts(truth, said, each) for each in sorted(set(truth))]
    scores = []
    for hits, missed, false in found:
        precision, recall = hits / (hits + false), hits / (hits + missed)
        scores.append(2 * precision * recall / (precision + recall))
    return {
        "accuracy": sum(h for h, _, _ in found) / len(truth),
        "balanced_accuracy": sum(h / (h + m) for h, m, _ in found) / len(found),
        "macro_f1": sum(scores) / len(scores),
    }
