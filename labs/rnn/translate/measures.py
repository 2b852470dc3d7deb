"""How good translations are: exact match, characters, chrF and BLEU."""

import re
from collections.abc import Sequence

import numpy as np

from common.metrics import metrics
from common.metrics.main_metric import MainMetric
from common.metrics.metrics import Array

Texts = Sequence[str] | Array  # (N,)

# Chinese characters, kana, and Hangul as syllables and jamo: scripts that BLEU sees by characters.
_EAST_ASIAN = re.compile("[\u1100-\u11ff\u3040-\u30ff\u3130-\u318f\u3400-\u9fff\uac00-\ud7ff]")


def figures(translations: Texts, targets: Texts) -> dict[str, float]:
    """Return the figures of translations, at least one, each compared with one target.

    - `exact_match`: share of translations that are the target, letter for letter.
    - `character_accuracy`: share of places, counted from the left, at which both have the same
      character; what one has beyond the other's end is wrong. A letter too many or too few makes
      all after it wrong, so it suits digits better than sentences.
    - `chrf`: 0 to 100, of the whole corpus (Popović 2015, "chrF: character n-gram F-score for
      automatic MT evaluation"): sacrebleu's chrF2, of characters 1 to 6, without spaces.
    - `bleu`: 0 to 100, of the whole corpus (Papineni et al. 2002, "BLEU: a method for automatic
      evaluation of machine translation"): sacrebleu's, with its tokenization `13a`, or `char` where
      the targets have Korean, Japanese or Chinese letters.
    """
    from sacrebleu.metrics.bleu import BLEU

    # force: a young model may well write " ." at every end; that is no reason to print advice.
    bleu = BLEU(tokenize=bleu_tokenization(targets), force=True)
    right = [_equal_characters(*pair) for pair in zip(translations, targets, strict=True)]
    return {
        "exact_match": float(np.mean(_exact(translations, targets))),
        "character_accuracy": sum(same for same, _ in right) / max(1, sum(n for _, n in right)),
        "chrf": _chrf(_chrf_statistics(translations, targets)),
        "bleu": float(bleu.corpus_score(list(translations), [list(targets)]).score),
    }


def bleu_tokenization(targets: Texts) -> str:
    """Return which of sacrebleu's tokenizations suits the targets; none needs a download."""
    return "char" if any(map(_EAST_ASIAN.search, targets)) else "13a"


def _equal_characters(translation: str, target: str) -> tuple[int, int]:
    same = sum(a == b for a, b in zip(translation, target, strict=False))
    return same, max(len(translation), len(target))


def _exact(translations: Texts, targets: Texts) -> Array:
    pairs = zip(translations, targets, strict=True)
    return np.array([translation == target for translation, target in pairs], np.float64)


def _chrf_statistics(translations: Texts, targets: Texts) -> Array:
    """Return the counts of n-grams that each pair adds to chrF, (N, 18).

    sacrebleu has no public name for these; its own paired bootstrap is made of them likewise.
    """
    from sacrebleu.metrics.chrf import CHRF

    counts = CHRF()._extract_corpus_statistics(list(translations), [list(targets)])
    return np.array(counts, np.int64)


def _chrf(statistics: Array) -> float:
    from sacrebleu.metrics.chrf import CHRF

    return float(CHRF()._compute_score_from_stats(statistics.sum(0).tolist()).score)


EXACT_MATCH = MainMetric(
    "exact_match", "exact match", _exact, metrics.mean, interval=metrics.wilson_of
)
CHRF = MainMetric("chrf", "chrF", _chrf_statistics, _chrf)
