"""Whether the probabilities of `shake-up` come true.

    python benchmarks/shake_up.py

18 cheap models (three of scikit-learn, on 6 to 30 principal components) answer the 5,000 digits of
mnist5k out of fold. 200 times, four of the models are drawn, 1,000 of the answers to be known, and
500 of the others to be the board, of which 150 are public and 350 private. `shake-up` is shown the
known ones alone; what it says of a board of that size is held against what the board then does: for
each ordered pair of models, that the one beats the other in private; and that the public order of
all four is the private one. Probabilities are put into bins; each has the mean that was stated, and
how often it came true, with Wilson's 95 % interval. The pairs of a cut depend on one another, and
cuts share digits, so that the intervals are rather too short than too long.
"""

from itertools import product

import numpy as np
from machine import describe
from sklearn.decomposition import PCA
from sklearn.discriminant_analysis import LinearDiscriminantAnalysis
from sklearn.model_selection import StratifiedKFold, cross_val_predict
from sklearn.naive_bayes import GaussianNB
from sklearn.neighbors import NearestCentroid
from sklearn.pipeline import make_pipeline

from common.experiments.shake_up import Board, Contenders, foretell
from common.images.known import load_embedded
from common.metrics.metrics import Array, wilson
from common.metrics.named import find_metric

KINDS = {
    "nearest centroid": NearestCentroid(),
    "naive Bayes": GaussianNB(),
    "linear discriminant": LinearDiscriminantAnalysis(),
}
COMPONENTS = (6, 8, 10, 15, 20, 30)
AT_ONCE = 4  # models on a board
CUTS, KNOWN, BOARD, DRAWS = 200, 1000, Board(150, 350), 500
EDGES = (0, 0.1, 0.3, 0.5, 0.7, 0.9, 1)


def main() -> None:
    print(describe())
    truth, every = answer()
    pairs, orders = [], []
    for cut in range(CUTS):
        generator = np.random.default_rng(cut)
        said = every[generator.permutation(len(every))[:AT_ONCE]]
        ends = [KNOWN, KNOWN + BOARD.public, KNOWN + sum(BOARD)]
        known, public, private, _ = np.split(generator.permutation(len(truth)), ends)
        found = foretell(contenders(truth[known], said[:, known]), BOARD)
        of_public, of_private = (
            (said[:, part] == truth[part]).mean(1) for part in (public, private)
        )
        beats, seen = found.beats(), of_private[:, None] > of_private
        apart = ~np.eye(len(said), dtype=bool)
        pairs += list(zip(beats[apart], seen[apart], strict=True))
        same = [np.argsort(-scores, kind="stable").tolist() for scores in (of_public, of_private)]
        orders.append((found.keeps_order(), same[0] == same[1]))
    show("one run beats another in private", pairs)
    show("the public order is the private one", orders)


def answer() -> tuple[Array, Array]:
    """Return the class of each digit, and what each model says of it out of fold."""
    digits = load_embedded("mnist5k").parts["all"]
    pixels, truth = digits.images.flatten(1).numpy() / 255, digits.targets.numpy()
    folds, said = StratifiedKFold(5, shuffle=True, random_state=0), []
    for (name, model), components in product(KINDS.items(), COMPONENTS):
        pipeline = make_pipeline(PCA(components, random_state=0), model)
        said.append(cross_val_predict(pipeline, pixels, truth, cv=folds))
        print(f"{name}, {components} components: {(said[-1] == truth).mean():.4f}", flush=True)
    return truth, np.stack(said)


def contenders(truth: Array, said: Array) -> Contenders:
    """Return what is known of the models."""
    metric = find_metric("accuracy")
    measures = [metric.counted(truth, each) for each in said]
    names = [str(number) for number in range(len(said))]
    return Contenders(names, metric, measures, np.arange(len(truth)), "digits", DRAWS)


def show(title: str, found: list[tuple[float, bool]]) -> None:
    """Print how often what was stated came true, in bins of what was stated."""
    stated, seen = (np.array(each) for each in zip(*found, strict=True))
    print(f"\n{title}\nstated    of  mean stated  came true  95 % interval")
    for low, high in zip(EDGES, EDGES[1:], strict=False):
        inside = (stated >= low) & (stated < high + (high == 1))
        if not inside.any():
            continue
        ends = wilson(int(seen[inside].sum()), int(inside.sum()))
        print(
            f"{low:.1f}-{high:.1f} {inside.sum():5d}  {stated[inside].mean():11.3f}  "
            f"{seen[inside].mean():9.3f}  {ends[0]:.3f} to {ends[1]:.3f}"
        )


if __name__ == "__main__":
    main()
