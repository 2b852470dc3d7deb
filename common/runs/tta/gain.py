"""Whether test-time augmentation helps a run, and what it costs."""

import time
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple, Protocol

import numpy as np
import torch
from torch import Tensor

from common.options import terminal
from common.report.html import Section, Table
from common.runs import views
from common.runs.conclude import conclusion_of
from common.runs.differences import judge
from common.runs.job import Outputs, groups_of
from common.runs.tta.copies import Copy

VIEW = "tta"
_TOGETHER = 256  # images of a side of 64 pixels that are read and changed at a time, and
_FEWEST = 16  # at the least


class Averages(Protocol):
    """A network of a job on images, whose `answers` are made of those for `copies` too.

    Attributes:
        merging: what they are made by, such as "the mean over".
    """

    merging: str
    copies: Sequence[Copy]

    def choose_copies(self, spec: str) -> tuple[Copy, ...]:
        """Return the copies that `--tta` names; see `common.runs.tta.copies.parse`."""


class Measured(NamedTuple):
    """What a run says of a split without and with copies, and the seconds that it took."""

    plain: Outputs
    averaged: Outputs
    seconds: tuple[float, float]


def use_copies(jobs: Sequence[Any], spec: str | None) -> None:
    """Have jobs answer by the mean over copies from here on, and say so; None leaves them.

    Args:
        jobs: one, or those that answer together; each network has copies of its own.
        spec: what `--tta` names.

    Raises:
        ConfigError: there are no such copies.
    """
    if spec is None:
        return
    networks: list[Averages] = [network for job in jobs for network in job.networks]
    chosen = [network.choose_copies(spec) for network in networks]
    _set_copies(networks, chosen)
    merging, copies = networks[0].merging, describe_copies(chosen)
    terminal.note(f"each answer is {merging} the image and {copies}")


def _set_copies(networks: Sequence[Averages], chosen: Sequence[Sequence[Copy]]) -> None:
    for network, copies in zip(networks, chosen, strict=True):
        network.copies = copies


def describe_copies(chosen: Sequence[Sequence[Copy]]) -> str:
    """Name the copies of one network or more, such as "2 changed copies (hflip, scale:1.1)"."""
    names = list(dict.fromkeys(copy.name for copies in chosen for copy in copies))
    several = "" if len({len(copies) for copies in chosen}) == 1 else "up to "
    what = "changed copy" if len(names) == 1 else "changed copies"
    return f"{several}{len(names)} {what} ({', '.join(names)})"


def evaluate(job: Any, spec: str, split: Any, of: str) -> None:
    """Measure a split without copies and with them, print it, and keep it in the run.

    Args:
        job: with its best weights; its networks are `Averages`.
        spec: what `--tta` names.
        split: of which `images` are uint8, (N, C, S, S).
        of: what the split is called.

    Raises:
        ConfigError: there are no such copies.
        DataError: an image can no longer be read.
    """
    chosen = [network.choose_copies(spec) for network in job.networks]
    measured, conclusion = _measure(job, chosen, split), conclusion_of(job)
    plain, averaged = (
        conclusion.figures(each, split) for each in (measured.plain, measured.averaged)
    )
    gain = _compare(job, measured, split)
    text = _describe(job, chosen, plain, averaged, gain, measured.seconds)
    table = Table(["figure", "without", "with"], list(_rows(plain, averaged)))
    title = f"Test-time augmentation on {of} ({len(split):,} samples)"
    terminal.show_table(title, *table)
    terminal.say(text)
    found = {"without": plain, "with": averaged, **gain, "seconds": list(measured.seconds)}
    views.keep(job.run, VIEW, Section(title, text, table), measured=found)
    terminal.note(f"kept in {views.file(job.run, VIEW)}; `report` puts it into the run's report")


def _measure(job: Any, chosen: Sequence[Sequence[Copy]], split: Any) -> Measured:
    """Ask a job without copies and with them; the time to read images is in neither time."""
    networks, nothing = job.networks, [()] * len(chosen)
    passes: list[tuple[Sequence[Sequence[Copy]], list[Outputs]]]
    passes = [(nothing, []), (chosen, [])]
    seconds, done = [0.0, 0.0], 0
    text = f"answering {len(split):,} images without and with {describe_copies(chosen)}"
    with terminal.progress_bar(text) as bar:
        for images in _read(split.images):
            for number, (used, answers) in enumerate(passes):
                _set_copies(networks, used)
                begun = time.perf_counter()
                answers.append(job.answers(images))
                seconds[number] += time.perf_counter() - begun
            done += len(images)
            bar.move(done / len(split))
    plain, averaged = (
        {name: torch.cat([each[name] for each in answers]) for name in answers[0]}
        for _, answers in passes
    )
    return Measured(plain, averaged, (seconds[0], seconds[1]))


def _read(images: Any) -> Iterator[Tensor]:
    """Yield images, uint8 (n, C, S, S), some at a time: fewer of large ones."""
    count, *_, side = images.shape
    together = max(_FEWEST, _TOGETHER * 64**2 // side**2)
    for start in range(0, count, together):
        rows = range(start, min(start + together, count))
        yield torch.stack([images[row] for row in rows])


def _compare(job: Any, measured: Measured, split: Any) -> dict[str, Any]:
    """Return how much better the main metric is with copies, and the paired interval."""
    metric, targets = job.main_metric, job.targets(split)
    plain, averaged = (
        metric.statistics(np.asarray(job.decide(each)), targets)
        for each in (measured.plain, measured.averaged)
    )
    found: dict[str, Any] = metric.compare_runs([averaged], [plain], groups_of(split))
    return found


def _describe(
    job: Any,
    chosen: Sequence[Sequence[Copy]],
    plain: Mapping[str, Any],
    averaged: Mapping[str, Any],
    gain: Mapping[str, Any],
    seconds: tuple[float, float],
) -> str:
    metric, merging, (short, long) = job.main_metric, job.merging, seconds
    interval = gain["difference_interval"]
    judged = {1: "it is better", 0: "the two cannot be told apart", -1: "it is worse"}
    return (
        f"{merging[0].upper()}{merging[1:]} the image and {describe_copies(chosen)} has "
        f"{metric.label} "
        f"{metric.text(averaged[metric.name])}, the image alone {metric.text(plain[metric.name])}: "
        f"a gain of {metric.text(gain['difference'], '+')} (95 % interval "
        f"{metric.interval_text(interval, '+')}), so {judged[judge(interval)]}. It took "
        f"{long / short:.1f} times as long ({long:.2f} s instead of {short:.2f} s)."
    )


def _rows(plain: Mapping[str, Any], averaged: Mapping[str, Any]) -> Iterator[list[str]]:
    for name, value in plain.items():
        write = terminal.interval_text if isinstance(value, list) else terminal.figure_text
        yield [name, write(value), write(averaged[name])]
