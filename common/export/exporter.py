"""A run exported: its network written, compared with what it was on real input, and timed."""

import math
import re
import statistics
import time
from abc import ABC, abstractmethod
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar, Generic, NamedTuple, TypeVar

import torch
from torch import Tensor

from common.errors import ConfigError, RunFailed
from common.export.card import render_card
from common.export.file import MADE_BY
from common.export.formats import FORMATS, Graph, Inputs, Runner, as_outputs
from common.files import sha256_of, write_bytes, write_json, write_text
from common.options.config import TrainingConfig, options_of
from common.runs.job import Job
from common.suggest import suggest

J = TypeVar("J", bound=Job[Any, Any])
Differences = dict[str, float]

TOLERANCE = 1e-4
SAMPLES = 8  # of the test split that a copy is compared on

_ROUNDS = 20  # in which each network sees one sample
_WARM_UP = 3  # rounds that do not count


class _Written(NamedTuple):
    """A file that was compared, and is on no disk yet."""

    name: str
    data: bytes
    row: Mapping[str, Any]  # of the report


class Exporter(ABC, Generic[J]):
    """How runs of a kind become files.

    Args:
        job: a run with its weights, on the CPU.

    Raises:
        RunError: it is an ensemble.

    Attributes:
        formats: those that it can be written in, of `FORMATS`.
        limits: what a card has to say of all such networks.
        asked: whether the lab's `predict` takes the files.
    """

    formats: ClassVar[tuple[str, ...]] = ("onnx",)
    limits: ClassVar[tuple[str, ...]] = ()
    asked: ClassVar[bool] = True

    def __init__(self, job: J):
        self.job = job
        self.model = job.model  # which an ensemble refuses to give

    # --- what a kind of job says ----------------------------------------------------------------

    def refuse(self) -> None:  # noqa: B027 - most can be written whatever they are
        """Refuse a run whose network cannot be written.

        Raises:
            InputError: it is one; the message says what can be.
        """

    @abstractmethod
    def graphs(self, test: Any) -> list[Graph]:
        """Return what becomes files, with real inputs of the test split."""

    @abstractmethod
    def about(self) -> dict[str, Any]:
        """Return what whoever asks the files must know; it is also inside of them."""

    def differences(
        self, graph: Graph, inputs: Inputs, expected: Sequence[Tensor], given: Sequence[Tensor]
    ) -> Differences:
        """Return how far the outputs of a copy are from the original's at most, by their names.

        Of what is larger than 1, as a share of the largest that is expected.
        """
        return {
            name: (apart(one, other).max() / one.abs().max().clamp(min=1)).item()
            if one.shape == other.shape
            else math.inf
            for name, one, other in zip(graph.outputs, expected, given, strict=True)
        }

    def tolerance(self, name: str) -> float:
        """Return how large a difference may be."""
        return TOLERANCE

    # --- what all of them do --------------------------------------------------------------------

    def export(self, folder: Path, formats: Collection[str] = ("onnx",)) -> dict[str, Any]:
        """Write a run's network to files, after comparing them with it on the test split.

        Args:
            folder: where the files go, named after the model, with the report beside them as JSON
                and a card as Markdown.
            formats: some of `FORMATS`.

        Raises:
            InputError: it cannot be written, or not in such a format.
            RunError: the data has changed since the run was trained.
            RunFailed: a copy does not say what the network says; nothing is written.
            SaveError: a file cannot be written.
        """
        self._check_formats(formats)
        self.refuse()
        graphs = self.graphs(self.job.load_splits()["test"])
        stem = re.sub(r"[^\w.-]+", "-", self.job.config.title).strip("-.")
        about = self._describe(stem, graphs)
        written = [self._write(graph, form, stem, about) for graph in graphs for form in formats]
        report = {
            **about,
            "exported": [each.row for each in written],
            "threads": torch.get_num_threads(),
            "compared_samples": len(graphs[0].singles),
        }
        card = render_card(self.job, report, self.limits, asked=self.asked)
        for each in written:
            write_bytes(folder / each.name, each.data)
        write_json(folder / f"{stem}.json", report)
        write_text(folder / f"{stem}.md", card)
        return report

    def _write(self, graph: Graph, form: str, stem: str, about: Mapping[str, Any]) -> _Written:
        """Return a file of a graph, after comparing it; it is on no disk yet."""
        write, load = FORMATS[form]
        named = {"inputs": dict(graph.inputs), "outputs": dict(graph.outputs)}
        data = write(graph, {**about, **named, "part": graph.part})
        copy = load(data)
        found = self._compare(graph, copy)
        self._check(form, found)
        seconds = medians({"torch": graph.run, "copy": copy}, graph.singles)
        row = {
            "file": _file_name(stem, graph.part, form),
            "bytes": len(data),
            "largest_difference": found,
            "seconds": seconds["copy"],
            "torch_seconds": seconds["torch"],
            "times_as_fast": seconds["torch"] / seconds["copy"],
            **named,
        }
        return _Written(str(row["file"]), data, row)

    def _check_formats(self, formats: Collection[str]) -> None:
        wrong = [name for name in formats if name not in self.formats]
        if wrong or not formats:
            near = suggest(wrong[0], self.formats) if wrong else ""
            raise ConfigError(
                f"--format {','.join(formats)}: expected some of {', '.join(self.formats)}{near}"
            )

    def _describe(self, stem: str, graphs: Sequence[Graph]) -> dict[str, Any]:
        job = self.job
        return {
            "made_by": MADE_BY,
            "lab": job.lab,
            "job": job.verb,
            "model": job.config.title,
            "trained_on": job.card.source,
            "weights": sha256_of(job.run.best),
            "files": {graph.part: _file_name(stem, graph.part, "onnx") for graph in graphs},
            **self.about(),
        }

    def _compare(self, graph: Graph, run: Runner) -> Differences:
        """Return how far a copy's outputs are from the original's at most, on all real inputs."""
        found: Differences = {}
        with torch.inference_mode():
            for inputs in [*graph.singles, graph.example]:
                given = as_outputs(run(*inputs))
                each = self.differences(graph, inputs, graph.run(*inputs), given)
                found = {name: max(value, found.get(name, 0.0)) for name, value in each.items()}
        return found

    def _check(self, form: str, differences: Differences) -> None:
        too_far = [
            f"{name} by up to {value:.3g}, at most {self.tolerance(name):.3g} is expected"
            for name, value in differences.items()
            if not value <= self.tolerance(name)
        ]
        if too_far:
            raise RunFailed(
                f"the {form} file does not say what the network says: on samples of the test split "
                f"they differ in {'; in '.join(too_far)}; nothing was written. What a network says "
                "that has hardly learned may depend on the last digit: train it longer"
            )


def known_config(config: TrainingConfig) -> dict[str, Any]:
    """Return a config for JSON, without the paths of the machine."""
    paths = config.locate_paths()
    return {
        field.name: getattr(config, field.name)
        for field in options_of(type(config))
        if field.metadata["saved"] and field.name not in paths
    }


def apart(one: Tensor, other: Tensor) -> Tensor:
    """Return how far numbers are apart, infinitely where one is none."""
    return (one - other).abs().nan_to_num(math.inf)


def medians(runners: Mapping[str, Runner], singles: Sequence[Inputs]) -> dict[str, float]:
    """Return the median seconds that each takes for one sample.

    They take turns, so that whatever else the machine does strikes all of them.
    """
    seconds: dict[str, list[float]] = {name: [] for name in runners}
    with torch.inference_mode():
        for turn in range(_WARM_UP + _ROUNDS):
            inputs = singles[turn % len(singles)]
            for name, run in runners.items():
                begun = time.perf_counter()
                run(*inputs)
                seconds[name].append(time.perf_counter() - begun)
    return {name: statistics.median(taken[_WARM_UP:]) for name, taken in seconds.items()}


def table(report: Mapping[str, Any]) -> tuple[str, list[str], list[list[str]]]:
    """Return the title, columns and rows of a table of what was written."""
    columns = ["file", "MB", "largest difference", "ms a sample", "ms with torch", "times as fast"]
    rows = [
        [
            row["file"],
            f"{row['bytes'] / 1e6:.1f}",
            ", ".join(f"{name} {x:.2g}" for name, x in row["largest_difference"].items()),
            f"{1000 * row['seconds']:.2f}",
            f"{1000 * row['torch_seconds']:.2f}",
            f"{row['times_as_fast']:.2f}",
        ]
        for row in report["exported"]
    ]
    title = (
        f"{report['model']} on {report['compared_samples']} samples of the test split, "
        f"{report['threads']} thread(s)"
    )
    return title, columns, rows


def _file_name(stem: str, part: str, form: str) -> str:
    return ".".join(filter(None, [stem, part, form]))
