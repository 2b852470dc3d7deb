"""Lesson 4, by counting."""


def measure(truth, said):
    """Return accuracy, balanced accuracy and macro F1."""
    pairs = list(zip(truth, said, strict=True))
    recalls, scores = [], []
    for each in sorted(set(truth)):
        hits = sum(true == each == answer for true, answer in pairs)
        missed = sum(true == each != answer for true, answer in pairs)
        false = sum(true != each == answer for true, answer in pairs)
        recalls.append(hits / (hits + missed))
        scores.append(2 * hits / (2 * hits + missed + false))
    return {
        "accuracy": sum(true == answer for true, answer in pairs) / len(pairs),
        "balanced_accuracy": sum(recalls) / len(recalls),
        "macro_f1": sum(scores) / len(scores),
    }
