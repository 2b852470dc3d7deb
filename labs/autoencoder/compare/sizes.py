"""Sizes of the latents side by side: how small an image can get, and what PCA does with as much."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from common.metrics import metrics
from common.metrics.metrics import Array
from common.options.terminal import figure_text
from common.report.html import PictureSaver, Section, Table
from common.runs.comparison import Comparison, Jobs
from common.runs.job import Splits
from labs.autoencoder import baselines
from labs.autoencoder.compare.config import SWEPT, SweepConfig
from labs.autoencoder.job import Compression
from labs.autoencoder.results import share, share_text
from labs.autoencoder.views import probe, representations
from labs.autoencoder.views.material import Material, choose_rows

_MOST_PROBED = 10_000  # training images of a probe

Entries = Mapping[str, Mapping[str, Any]]  # what was measured, by the size as text


class Sweep(Comparison[SweepConfig]):
    """The same model with latents of several sizes, each against PCA of that size."""

    lab, verb = "autoencoder", "sweep"
    config_type, member, recipes = SweepConfig, Compression, SWEPT

    @classmethod
    def variants(cls, config: SweepConfig) -> dict[str, dict[str, Any]]:
        """Return the sizes."""
        return {str(int(size)): {"latent_size": int(size)} for size in config.sizes}

    @classmethod
    def stem(cls, config: SweepConfig) -> str:
        """Name the command, the model and the data."""
        return f"{cls.verb}-{config.model}-{Path(config.data).stem}"

    def measure(self, jobs: Jobs) -> dict[str, Any]:
        """Return error and probe of each size, of the network and of PCA."""
        first = next(iter(jobs.values()))
        splits = first.load_splits()
        groups = sorted(self.group_jobs(jobs).items(), key=lambda each: int(each[0]))
        sizes = {size: _measure_size(mine, splits) for size, mine in groups}
        return {"sizes": sizes, "model": first.config.title, "source": first.card.source}

    def title(self, metrics: Mapping[str, Any]) -> str:
        """Name the model."""
        return f"{metrics['model']}: sizes of the latents"

    def table(self, metrics: Mapping[str, Any]) -> tuple[list[str], list[list[str]]]:
        """Return columns, and a row for each size."""
        return table(metrics["sizes"])

    def verdict(self, metrics: Mapping[str, Any]) -> str:
        """Say where the network beats PCA."""
        return verdict(metrics)

    def overview(
        self, jobs: Jobs, metrics: Mapping[str, Any], save_picture: PictureSaver
    ) -> Section:
        """Show the sizes in a table, and draw error and probe against them."""
        entries = metrics["sizes"]
        text = (
            f"{metrics['source']}. Each size is a run of its own; all see the same split, the best "
            "epoch is chosen on validation, and PCA is fitted on the same training images. The "
            "error is the mean squared difference of a pixel, between 0 and 1, on the test split. "
            "Intervals of 95 % are bootstraps over the test images; of several seeds an image's "
            "error is the mean."
        )
        pictures = [
            save_picture(
                "sweep_error",
                "Test error against size, with 95 % intervals; both axes are logarithmic.",
                _figure(metrics, "mse", "mean squared error", log=True),
            )
        ]
        if _probed(entries):
            text += (
                " The probe is a linear classifier on the latents, or on PCA's components: how "
                "much of the class can be read off them."
            )
            pictures.append(
                save_picture(
                    "sweep_probe",
                    "Test accuracy of a linear probe against size, with 95 % intervals.",
                    _figure(metrics, "probe", "accuracy of a linear probe"),
                )
            )
        return Section("Sizes", text, Table(*table(entries)), pictures)


# --- figures ------------------------------------------------------------------------------------


def _measure_size(jobs: Sequence[Compression], splits: Splits) -> dict[str, Any]:
    """Return the figures of a size: of its runs, which differ in their seeds, and of PCA."""
    for job in jobs:
        job.load_best()
    materials = [Material(job, splits) for job in jobs]
    errors = np.mean([material["test"].errors for material in materials], 0)
    pca = baselines.compression(splits, jobs[0].config.latent_size)[baselines.PCA]["test"]
    trained = [job.run.read("metrics")["seconds"]["train"] for job in jobs]
    return {
        **against_pca("mse", errors, pca),
        "mse_ratio": _ratio(errors, pca),
        "mse_ratio_interval": list(metrics.bootstrap(_ratio, errors, pca)),
        "mse_of_seeds": [float(material["test"].errors.mean()) for material in materials],
        **(_probes(materials) if jobs[0].card.classes else {}),
        "train_seconds": sum(trained),
    }


def _probes(materials: Sequence[Material]) -> dict[str, Any]:
    """Compare linear probes on the latents with one on as many PCA components."""
    first = materials[0]
    rows = {
        "train": choose_rows(first["train"], _MOST_PROBED),
        "validation": np.arange(len(first["validation"])),
        "test": np.arange(len(first["test"])),
    }
    classes = {split: first[split].classes[chosen] for split, chosen in rows.items()}

    def right(material: Material, space: str) -> Array:
        vectors = {
            split: representations.vectors(material, split, chosen)[space]
            for split, chosen in rows.items()
        }
        guesses = probe.probe(
            vectors["train"],
            classes["train"],
            vectors["validation"],
            classes["validation"],
            vectors["test"],
        )
        return np.asarray(guesses == classes["test"], np.float64)

    network = np.mean([right(material, representations.LATENTS) for material in materials], 0)
    return against_pca("probe", network, right(first, representations.PCA))


def against_pca(name: str, network: Array, pca: Array) -> dict[str, Any]:
    """Return the means of figures of the same test images, with intervals, and their difference.

    Args:
        name: of the figure.
        network: (N,) for each test image.
        pca: likewise.
    """
    difference = metrics.paired_difference(metrics.mean, network, pca)
    return {
        name: metrics.mean(network),
        f"{name}_interval": list(metrics.bootstrap(metrics.mean, network)),
        f"pca_{name}": metrics.mean(pca),
        f"pca_{name}_interval": list(metrics.bootstrap(metrics.mean, pca)),
        f"{name}_difference": difference.difference,
        f"{name}_difference_interval": [difference.low, difference.high],
    }


def _ratio(network: Array, pca: Array) -> float:
    return share(float(network.mean()), float(pca.mean()))


def _probed(entries: Entries) -> bool:
    return all("probe" in entry for entry in entries.values())


# --- what is shown ------------------------------------------------------------------------------


def table(entries: Entries) -> tuple[list[str], list[list[str]]]:
    """Return columns, and a row for each size."""
    columns = ["size", "test mse", "PCA's", "ratio", "95 % interval"]
    if _probed(entries):
        columns += ["probe", "PCA's", "lead", "95 % interval"]
    rows = []
    for size, entry in entries.items():
        row = [
            size,
            figure_text(entry["mse"]),
            figure_text(entry["pca_mse"]),
            share_text(entry["mse_ratio"]),
            " to ".join(map(share_text, entry["mse_ratio_interval"])),
        ]
        if _probed(entries):
            row += [
                figure_text(entry["probe"]),
                figure_text(entry["pca_probe"]),
                f"{entry['probe_difference']:+.4f}",
                "{:+.4f} to {:+.4f}".format(*entry["probe_difference_interval"]),
            ]
        rows.append([*row, f"{entry['train_seconds']:.1f}"])
    return [*columns, "seconds to train"], rows


def verdict(metrics: Mapping[str, Any]) -> str:
    """Say at which sizes the network beats PCA, by how much, and where it does not."""
    entries, model = metrics["sizes"], metrics["model"]
    below, above, level = _sorted_out(entries, "mse")
    said = []
    if below:
        said.append(
            f"{model} has a smaller test error than PCA of the same size: {_times(entries, below)}."
        )
    if level:
        said.append(f"No difference is shown at {_listed(level)}.")
    if above:
        said.append(f"{model} does not beat PCA, and is worse: {_times(entries, above)}.")
    if _probed(entries):
        worse, better, level = _sorted_out(entries, "probe")
        parts = [
            f"{word} at {_listed(sizes)}"
            for word, sizes in (("better", better), ("worse", worse), ("level", level))
            if sizes
        ]
        said.append(f"Against a linear probe on PCA, one on the latents is {', '.join(parts)}.")
    return " ".join(said)


def _sorted_out(entries: Entries, name: str) -> tuple[list[str], list[str], list[str]]:
    """Return the sizes at which the network's figure is below PCA's, above it, and neither."""
    intervals = {size: entry[f"{name}_difference_interval"] for size, entry in entries.items()}
    below = [size for size, (_, high) in intervals.items() if high < 0]
    above = [size for size, (low, _) in intervals.items() if low > 0]
    return below, above, [size for size in entries if size not in (*below, *above)]


def _times(entries: Entries, sizes: Sequence[str]) -> str:
    first, *others = (share_text(entries[size]["mse_ratio"]) for size in sizes)
    texts = [f"{first} times PCA's at size {sizes[0]}"]
    texts += [f"{ratio} at {size}" for ratio, size in zip(others, sizes[1:], strict=True)]
    return ", ".join(texts)


def _listed(sizes: Sequence[str]) -> str:
    return f"size{'s' if len(sizes) > 1 else ''} {', '.join(sizes)}"


def _figure(metrics: Mapping[str, Any], name: str, label: str, *, log: bool = False) -> Any:
    from labs.autoencoder.compare import size_plots
    from labs.autoencoder.views.plots.traversal_plots import Curve

    entries = metrics["sizes"].values()
    curves = {
        title: Curve(
            np.array([entry[key] for entry in entries]),
            *np.transpose([entry[f"{key}_interval"] for entry in entries]),
        )
        for title, key in ((metrics["model"], name), ("PCA", f"pca_{name}"))
    }
    sizes = [int(size) for size in metrics["sizes"]]
    return size_plots.against_size(sizes, curves, label, log=log)
