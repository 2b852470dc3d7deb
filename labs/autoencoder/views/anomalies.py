"""Anomalies: images of classes that training never saw, found by what the network makes of them.

An image that the network gives back badly is unlike what it was trained on (Sakurada and Yairi
2014, "Anomaly detection using autoencoders with nonlinear dimensionality reduction"). That is a
hope, not a law: what is simple is given back well, known or not.
"""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
from torch import Tensor

from common.errors import ConfigError
from common.images.load import pixel_rows
from common.metrics import metrics
from common.metrics.metrics import Array
from common.options.terminal import figure_text, lead_text
from common.report import plots as common_plots
from common.report.html import Section, Table
from common.report.plots import Bar
from common.training.splits import sample_rows
from labs.autoencoder import baselines, plots
from labs.autoencoder.views.material import Encoded, Material, View
from labs.autoencoder.views.plots import anomaly_plots

NETWORK, PCA = "reconstruction error", "PCA's error"
PIXELS, LATENTS = "nearest training image, pixels", "nearest training image, latents"
FALSE_ALARMS = 0.05
_RESAMPLES = 1000
_KNOWN = 5000  # training images among which the nearest one is looked for, at most
_SHOWN = 16


class Score(NamedTuple):
    """What a score says of images: more is stranger."""

    validation: Array  # (V,) normal ones
    normal: Array  # (N,) of the test split
    anomalies: Array  # (A,)

    @property
    def tested(self) -> Array:
        """The normal images of the test split, then the anomalies, (N + A,)."""
        return np.concatenate([self.normal, self.anomalies])

    @property
    def anomalous(self) -> Array:
        """Which of these are anomalies, (N + A,)."""
        return np.arange(len(self.normal) + len(self.anomalies)) >= len(self.normal)


# --- figures ------------------------------------------------------------------------------------


def average_precision(scores: Array, anomalous: Array) -> float:
    """Return the area under the curve of precision over recall; by chance the share of anomalies.

    scikit-learn's `average_precision_score` of scores (N,), but fast enough for a bootstrap: the
    mean over the anomalies of the precision at their score. NaN when there are none.
    """
    if not anomalous.any():
        return float("nan")
    order = np.argsort(-scores, kind="stable")
    hits = np.cumsum(anomalous[order])
    last = np.append(np.flatnonzero(np.diff(scores[order])), len(scores) - 1)  # of equal scores
    precision = hits[last] / (last + 1)
    return float((np.diff(hits[last], prepend=0) * precision).sum() / hits[-1])


def ranking(scores: Mapping[str, Score]) -> dict[str, dict[str, Any]]:
    """Return AUROC and AUPRC of scores with intervals, and by how much the first one leads.

    Scores are by their names, the network's first, and all of the same images.
    """
    first, *_ = scores.values()
    anomalous = first.anomalous
    found: dict[str, dict[str, Any]] = {}
    for title, score in scores.items():
        figures: dict[str, Any] = {}
        for name, figure in (("auroc", metrics.roc_auc), ("auprc", average_precision)):
            low, high = metrics.bootstrap(figure, score.tested, anomalous, resamples=_RESAMPLES)
            figures[name] = figure(score.tested, anomalous)
            figures[f"{name}_interval"] = [low, high]
            if score is not first:
                lead = metrics.paired_difference(
                    figure, first.tested, score.tested, anomalous, resamples=_RESAMPLES
                )
                figures[f"{name}_lead"] = lead.difference
                figures[f"{name}_lead_interval"] = [lead.low, lead.high]
        found[title] = figures
    return found


def threshold(validation: Array, false_alarms: float = FALSE_ALARMS) -> float:
    """Return the score above which a share `false_alarms` of the validation split lies, (V,)."""
    return float(np.quantile(validation, 1 - false_alarms))


def alarms(score: Score, above: float) -> dict[str, Any]:
    """Return what raising an alarm above a threshold does on test, each figure with its interval.

    `recall` is the share of the anomalies that are detected, `false_alarms` the share of the normal
    images that are flagged too, `precision` the share of the alarms that are right (NaN when there
    is none), `f1` the harmonic mean of precision and recall. The intervals are Wilson's, that of
    `f1` a bootstrap's.
    """
    flagged, anomalous = score.tested > above, score.anomalous
    hits, total = int(flagged[anomalous].sum()), int(flagged.sum())
    shares = {
        "recall": (hits, len(score.anomalies)),
        "false_alarms": (total - hits, len(score.normal)),
        "precision": (hits, total),
    }
    found: dict[str, Any] = {"threshold": above}
    for name, (part, whole) in shares.items():
        found[name] = part / whole if whole else float("nan")
        found[f"{name}_interval"] = list(metrics.wilson(part, whole))
    found["f1"] = _f1(flagged, anomalous)
    interval = metrics.bootstrap(_f1, flagged, anomalous, resamples=_RESAMPLES)
    return {**found, "f1_interval": list(interval)}


def _f1(flagged: Array, anomalous: Array) -> float:
    both = int(flagged.sum() + anomalous.sum())
    return float(2 * (flagged & anomalous).sum() / both) if both else float("nan")


def by_class(
    score: Score, above: float, normal: Array, anomalies: Array, classes: Sequence[str]
) -> list[dict[str, Any]]:
    """Return a row for each class: those left out first, the least noticed of each kind first.

    The AUROC of a class left out is that of its images against all normal ones. The images' class
    numbers are `normal` (N,) and `anomalies` (A,); flagged are those above a threshold.
    """
    left_out = []
    for number in np.unique(anomalies):
        own = score._replace(anomalies=score.anomalies[anomalies == number])
        given = own.tested, own.anomalous
        low, high = metrics.bootstrap(metrics.roc_auc, *given, resamples=_RESAMPLES)
        figures = {"AUROC": metrics.roc_auc(*given), "AUROC from": low, "AUROC to": high}
        left_out.append({**_row(classes[number], "left out", own.anomalies, above), **figures})
    known = []
    for number in np.unique(normal):
        row = _row(classes[number], "trained on", score.normal[normal == number], above)
        known.append({**row, "AUROC": None, "AUROC from": None, "AUROC to": None})
    left_out.sort(key=lambda row: row["AUROC"])
    known.sort(key=lambda row: -row["flagged"])
    return [*left_out, *known]


def _row(name: str, kind: str, errors: Array, above: float) -> dict[str, Any]:
    flagged = int((errors > above).sum())
    low, high = metrics.wilson(flagged, len(errors))
    return {
        "class": name,
        "in training": kind,
        "images": len(errors),
        "mean error": float(errors.mean()),
        "flagged": flagged / len(errors),
        "from": low,
        "to": high,
    }


# --- scores of a run ----------------------------------------------------------------------------


def scores(material: Material) -> dict[str, Score]:
    """Return the network's reconstruction error, and all that it is compared with.

    Those of `simple_scores`, and the distance to the nearest training image in the latent space.
    """
    found = simple_scores(material)
    known = material["train"].latents[_sample(material).numpy()]
    found[LATENTS] = _each(material, lambda part: _nearest(known, part.latents))
    return found


def simple_scores(material: Material) -> dict[str, Score]:
    """Return the network's reconstruction error, and scores that need no network.

    They are the reconstruction error of PCA at the same size, and the distance to the nearest
    training image in pixels.

    Raises:
        ConfigError: no class was left out of training.
    """
    if "anomalies" not in material.splits:
        raise ConfigError(
            "anomalies are images of classes that training never saw, and this run saw all; "
            "train one with --without, such as --without "
            + ("CLASS", *material.job.card.classes)[-1]
        )
    pca = material.pca
    known = pixel_rows(material.splits["train"].select(_sample(material)), 32)
    return {
        NETWORK: _each(material, lambda part: part.errors),
        PCA: _each(
            material,
            lambda part: baselines.errors(
                pca.inverse_transform(pca.transform(part.pixels)), part.pixels
            ),
        ),
        PIXELS: _each(material, lambda part: _nearest(known, part.pixels)),
    }


def _sample(material: Material) -> Tensor:
    """Return the rows of the training images that the nearest one is looked for among."""
    return sample_rows(material.splits["train"].targets, _KNOWN, seed=0)


def _each(material: Material, score: Any) -> Score:
    return Score(*(score(material[name]) for name in ("validation", "test", "anomalies")))


def _nearest(known: Array, rows: Array) -> Array:
    """Return the distance of each row to the nearest of the known ones."""
    from sklearn.neighbors import NearestNeighbors

    nearest = NearestNeighbors(n_neighbors=1, algorithm="brute").fit(known)
    return np.asarray(nearest.kneighbors(rows)[0][:, 0])


# --- the view -----------------------------------------------------------------------------------


def view(material: Material, *, false_alarms: float = FALSE_ALARMS) -> View:
    """Show how well the reconstruction error tells classes left out from those trained on.

    A share `false_alarms` of normal images may raise an alarm: the threshold is where the
    validation split has it.

    Raises:
        ConfigError: no class was left out of training.
    """
    found = scores(material)
    network, ranked = found[NETWORK], ranking(found)
    above = threshold(network.validation, false_alarms)
    raised = alarms(network, above)
    normal, anomalies = material["test"], material["anomalies"]
    classes = material.job.card.classes
    records = by_class(network, above, normal.classes, anomalies.classes, classes)
    said = verdict(ranked, records, raised["false_alarms"])
    share = float(network.anomalous.mean())
    explanation = _explanation(", ".join(material.job.config.without), false_alarms, raised)
    text = "\n\n".join((explanation, said, _of_curves(ranked, share)))
    entries = [
        Bar(name, each["auroc"], tuple(each["auroc_interval"])) for name, each in ranked.items()
    ]
    pictures = (
        material.save_picture(
            "anomalies_errors",
            "Errors of normal test images and of anomalies, and the threshold.",
            anomaly_plots.errors(network.normal, network.anomalies, above),
        ),
        material.save_picture(
            "anomalies_curves",
            "What detection costs in false alarms (left), and in wrong alarms (right).",
            anomaly_plots.curves({name: (s.tested, s.anomalous) for name, s in found.items()}),
        ),
        material.save_picture(
            "anomalies_auroc",
            "AUROC of the network and of simpler scores with 95 % intervals; 0.5 is chance.",
            common_plots.bars(entries, "AUROC"),
        ),
        _strips(
            material,
            anomalies,
            np.argsort(network.anomalies, kind="stable")[:_SHOWN],
            "anomalies_missed",
            "The anomalies with the lowest errors: given back too well to be noticed.",
        ),
        _strips(
            material,
            normal,
            np.argsort(-network.normal, kind="stable")[:_SHOWN],
            "anomalies_false",
            "The normal images with the highest errors: the first false alarms.",
        ),
    )
    section = Section("Anomalies", text, Table.of(records), pictures)
    figures = {"share": share, **raised, **flat(ranked)}
    return View(section, said, records, figures)


def is_unnoticed(detected_from: float, false_alarms: float) -> bool:
    """Say whether a class left out is not shown to raise more alarms than normal images do.

    `detected_from` is the lower end of the interval of the share of its images that is detected.
    """
    return not detected_from > false_alarms


def verdict(
    ranked: Mapping[str, Mapping[str, Any]],
    records: Sequence[Mapping[str, Any]],
    false_alarms: float,
) -> str:
    """Say how well anomalies are told apart, compared with the best baseline, and which are not.

    It is told by what `ranking` and `by_class` return.
    """
    network = ranked[NETWORK]
    best = max((name for name in ranked if name != NETWORK), key=lambda name: ranked[name]["auroc"])
    low, high = ranked[best]["auroc_lead_interval"]
    left_out = [row for row in records if row["in training"] == "left out"]
    return (
        f"An anomaly has a larger reconstruction error than a normal image with a probability of "
        f"{_with_interval(network, 'auroc')} (AUROC; 0.5 is a coin). The best of the simpler "
        f"scores, {best}, has {ranked[best]['auroc']:.4f}; the network's lead over it is "
        f"{lead_text(ranked[best]['auroc_lead'], (low, high))}, so the network "
        f"{_judgment(low, high)}. {_on_classes(left_out, false_alarms)}"
    )


def _judgment(low: float, high: float) -> str:
    if np.isnan(low):
        return "does not beat it: of so few anomalies there is no interval"
    if low > 0:
        return "beats it"
    return "is worse" if high < 0 else "does not beat it: the interval holds 0"


def _on_classes(left_out: Sequence[Mapping[str, Any]], false_alarms: float) -> str:
    """Say which of the classes left out are reconstructed too well, or are noticed least."""
    missed = ", ".join(
        f"{row['class']} ({row['flagged']:.0%} flagged, AUROC {row['AUROC']:.4f})"
        for row in left_out
        if is_unnoticed(row["from"], false_alarms)
    )
    if missed:
        return (
            f"Reconstructed too well to be noticed, though never seen in training: {missed}; "
            f"that is no more than the {false_alarms:.0%} of normal images that are flagged too, "
            "as far as these images can show."
        )
    least = left_out[0]
    return f"Noticed least is {least['class']}: {least['flagged']:.0%} of its images are flagged."


def _explanation(left_out: str, false_alarms: float, raised: Mapping[str, Any]) -> str:
    return (
        f"Training never saw {left_out}; the hope is that the network gives back such images worse "
        "than others. An alarm is raised above an error of "
        f"{figure_text(raised['threshold'])}, which {false_alarms:.1%} of the validation images "
        "exceed; neither test images nor anomalies had a say in that. On test it flags "
        f"{_with_interval(raised, 'false_alarms')} of the normal images ({false_alarms:.4f} was "
        "hoped for) and detects "
        f"{_with_interval(raised, 'recall')} of the anomalies. Of the alarms "
        f"{_with_interval(raised, 'precision')} are right; F1 is {_with_interval(raised, 'f1')}."
    )


def _of_curves(ranked: Mapping[str, Mapping[str, Any]], share: float) -> str:
    each = "; ".join(f"{name} {_with_interval(found, 'auprc')}" for name, found in ranked.items())
    return (
        "The area under the curve of precision over recall (AUPRC, as average precision) depends "
        f"on how rare anomalies are: by chance it is their share, here {share:.4f}. It is: {each}."
    )


def _with_interval(figures: Mapping[str, Any], name: str) -> str:
    low, high = figures[f"{name}_interval"]
    interval = f"{low:.4f} to {high:.4f}" if low == low else "too few images for an interval"
    return f"{figure_text(figures[name])} ({interval})"


def flat(ranked: Mapping[str, Mapping[str, Any]]) -> dict[str, Any]:
    """Return the figures of `ranking` in one: the network's plain, the others behind a prefix."""
    prefixes = {NETWORK: "", PCA: "pca_", PIXELS: "nearest_pixels_", LATENTS: "nearest_latents_"}
    return {
        f"{prefixes[title]}{name}": value
        for title, found in ranked.items()
        for name, value in found.items()
    }


def _strips(material: Material, encoded: Encoded, rows: Array, name: str, caption: str) -> Any:
    shown = [int(row) for row in rows]
    images = {"input": encoded.seen(shown), "output": encoded.reconstructions(shown)}
    classes = material.job.card.classes
    captions = [
        f"{classes[encoded.classes[row]]}: {figure_text(float(encoded.errors[row]))}"
        for row in shown
    ]
    return material.save_picture(name, caption, plots.strips(images, captions))
