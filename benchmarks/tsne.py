"""Maps of latents by openTSNE, as the autoencoder lab makes them, beside scikit-learn's TSNE.

    python benchmarks/tsne.py                    # 5,000 digits: 32 principal components of pixels
    python benchmarks/tsne.py runs/autoencoder/NAME   # the latents of all images of a run
    python benchmarks/tsne.py --points 1000 --rounds 5

Both sides get the same vectors (N, D) as float32, two dimensions, perplexity 30, and all cores;
scikit-learn its defaults, ours the same: exact nearest neighbors, Barnes-Hut at an angle of 0.5,
250 iterations with an exaggeration of 12 and 750 without, the same learning rate and momentum, and
first positions from PCA. scikit-learn may stop earlier where nothing moves any more.

The sides take turns within each round, in an order that changes, so that a slower moment of the
machine meets both; figures are medians over the rounds, the ratio that of each round. Round r has
seed r on both sides. Trustworthiness counts 10 neighbors.
"""

import argparse
import statistics
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from machine import describe
from numpy.typing import NDArray
from sklearn.decomposition import PCA
from sklearn.manifold import TSNE

from common.images.known import load_embedded
from common.maps import trust, tsne
from labs.autoencoder.job import Compression
from labs.autoencoder.views.material import Material

Vectors = NDArray[np.float32]


def principal_components() -> Vectors:
    """Return 32 principal components of the 5,000 digits."""
    images = load_embedded("mnist5k").parts["all"].images
    pixels = np.asarray(images, np.float32).reshape(len(images), -1) / 255
    return PCA(32, random_state=0).fit_transform(pixels)


def latents(run: Path) -> Vectors:
    """Return the latents of all images of a run."""
    threads = torch.get_num_threads()
    job = Compression.open_trained(run)
    found = Material(job, job.load_splits())["all"].latents
    torch.set_num_threads(threads)  # a small model takes one, and OpenMP with it on both sides
    return found


def theirs(vectors: Vectors, seed: int) -> Vectors:
    return TSNE(perplexity=30, random_state=seed).fit_transform(vectors)


def ours(vectors: Vectors, seed: int) -> Vectors:
    return tsne.embed(vectors, perplexity=30, seed=seed).coordinates


SIDES: dict[str, Callable[[Vectors, int], Vectors]] = {"scikit-learn": theirs, "ours": ours}


def main() -> None:
    parser = argparse.ArgumentParser(description="Time t-SNE.")
    parser.add_argument("run", type=Path, nargs="?", help="a run folder, for its latents")
    parser.add_argument("--points", type=int, default=5000, help="vectors, drawn at random")
    parser.add_argument("--rounds", type=int, default=3)
    given = parser.parse_args()
    print(describe())
    vectors = principal_components() if given.run is None else latents(given.run)
    vectors = vectors[np.random.default_rng(0).permutation(len(vectors))[: given.points]]
    print(f"{len(vectors):,} vectors of {vectors.shape[1]}, medians of {given.rounds} rounds\n")

    for side in SIDES.values():  # what is imported or compiled at first use
        side(vectors[:200], 0)
    rows: dict[str, list[tuple[float, float, float]]] = {name: [] for name in SIDES}
    for number in range(given.rounds):
        for name in list(SIDES)[:: 1 if number % 2 == 0 else -1]:
            wall, cpu = time.perf_counter(), time.process_time()
            coordinates = SIDES[name](vectors, number)
            wall, cpu = time.perf_counter() - wall, time.process_time() - cpu
            figures = trust.figures(vectors, coordinates)
            rows[name].append((wall, cpu, figures.trustworthiness))
            print(
                f"round {number}, {name}: {wall:.1f} s, {cpu:.1f} s of CPU, "
                f"trustworthiness {figures.trustworthiness:.4f}",
                flush=True,
            )

    print(f"\n{'side':<14}{'wall s':>8}{'CPU s':>8}{'trustworthiness':>17}")
    for name, taken in rows.items():
        wall, cpu, trustworthiness = (
            statistics.median(column) for column in zip(*taken, strict=True)
        )
        print(f"{name:<14}{wall:>8.1f}{cpu:>8.1f}{trustworthiness:>17.4f}")
    for column, what in enumerate(("wall", "CPU")):
        ratios = [
            mine[column] / other[column]
            for mine, other in zip(rows["ours"], rows["scikit-learn"], strict=True)
        ]
        print(f"{what}: {statistics.median(ratios):.2f}x scikit-learn's (most {max(ratios):.2f}x)")


if __name__ == "__main__":
    main()
