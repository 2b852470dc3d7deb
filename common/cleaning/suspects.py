"""Suspects: the samples of a finished cross-validation whose labels are likely wrong."""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from pathlib import Path
from typing import Any, ClassVar, NamedTuple

import numpy as np

from common.cleaning.confident import find_suspects
from common.cleaning.page import write_page
from common.cleaning.patch import RELABEL, Change, clean, write_patch
from common.cleaning.samples import Samples
from common.errors import RunError
from common.experiments.crossval import Crossval, read_names
from common.experiments.out_of_fold import OutOfFold, shares_of
from common.metrics.metrics import Array
from common.options import terminal
from common.report.html import Table
from common.runs import commands
from common.runs.folder import Run

_SHOWN = 10  # on the terminal
_ON_THE_PAGE = 300  # unless another number is given
_COLUMNS = {
    **{"sample": "sample", "given": "given", "given_share": "its probability"},
    **{"suggested": "suggested", "suggested_share": "its probability"},
}


class Suspect(NamedTuple):
    """A sample whose label is likely wrong."""

    sample: str  # its name, or the text itself
    given: str  # the label it has
    suggested: str  # the label that the models give it
    given_share: float  # the probability that they give to the one
    suggested_share: float  # and to the other


class Answers(NamedTuple):
    """What is said out of fold of each sample; where several models say it, their mean."""

    names: Sequence[str]  # (N,)
    labels: Array  # (N,) given classes
    shares: Array  # (N, C) probabilities of the classes
    classes: Sequence[str]  # their names

    @classmethod
    def read(cls, whole: Crossval) -> "Answers":
        """Read those of a finished cross-validation.

        Raises:
            RunError: it is not finished, or its samples have no class each.
        """
        whole.run.read("metrics")  # it must be finished
        if "probabilities" not in whole.kinds(whole.config):
            raise RunError(
                f"{whole.run.path}: its samples have no single class each, of which one could be "
                "wrong; suspects takes a run that told classes"
            )
        members = _members(whole)
        answers = OutOfFold.join([OutOfFold.read(each) for each in members])
        names = [name for each in members for name in read_names(each)]
        if len(names) != len(answers.targets):
            raise RunError(
                f"{whole.run.path}: its lists do not fit its answers; cross-validate again"
            )
        keys = list(zip(map(clean, names), answers.targets.tolist(), strict=True))  # as in a patch
        place = {key: number for number, key in enumerate(dict.fromkeys(keys))}
        called = dict(zip(reversed(keys), reversed(names), strict=True))  # what came first
        rows = np.array([place[key] for key in keys])
        shares = shares_of(answers)
        sums = np.zeros((len(place), shares.shape[1]))
        np.add.at(sums, rows, shares)
        return cls(
            [called[key] for key in place],
            np.array([label for _, label in place]),
            sums / np.bincount(rows)[:, None],
            members[0].read("data")["classes"],
        )

    @property
    def agreement(self) -> float:
        """The share of samples to which the models give the label that they have."""
        return float((self.shares.argmax(1) == self.labels).mean())

    def list_suspects(self) -> list[Suspect]:
        """Return the suspects, the likeliest first."""
        best = self.shares.argmax(1)
        return [
            Suspect(
                self.names[row],
                self.classes[self.labels[row]],
                self.classes[best[row]],
                float(self.shares[row, self.labels[row]]),
                float(self.shares[row, best[row]]),
            )
            for row in find_suspects(self.labels, self.shares).tolist()
        ]


def _members(whole: Crossval) -> list[Run]:
    return [Run(whole.run.path / "members" / name) for name in whole.plan(whole.config)]


class FindSuspects(ABC):
    """What finds the suspects of a kind of cross-validation.

    Attributes:
        crossval: the kind.
        train: the command that trains with a patch.
    """

    crossval: ClassVar[type[Crossval]]
    train: ClassVar[str]

    @classmethod
    @abstractmethod
    def samples(cls, config: Any, card: dict[str, Any]) -> Samples:
        """Return the samples of a run's data.

        Args:
            config: of the cross-validation.
            card: of one of its folds, as data.json has it.
        """

    @classmethod
    def command(
        cls,
        path: Path,
        output: Path | None,
        patch: Path | None,
        top: int | None,
        at_least: float,
        action: str,
    ) -> None:
        """Find the suspects of a run, if any, and write the page, or a patch of all of them.

        Args:
            path: the run.
            output: the page; in the run's folder when None.
            patch: the file of a patch to write in place of the page.
            top: how many are taken; when None all, but of the page 300.
            at_least: the probability of the suggested label from which on they are taken.
            action: of the patch: relabel or drop.

        Raises:
            RunError: there is no such run, or it cannot have suspects.
            DataError: its data are not there any more.
            SaveError: the file cannot be written.
        """
        whole = cls.crossval.reopen(path)
        answers = Answers.read(whole)
        every = answers.list_suspects()
        counted = (
            f"{len(every):,} of {len(answers.names):,} {whole.samples} have a label that is likely "
            f"wrong, by models that agree with {answers.agreement:.1%} of all labels"
        )
        found = [each for each in every if each.suggested_share >= at_least]
        if not found:
            more = f", none with a suggested one of {at_least:g} or more" if every else ""
            terminal.say(f"{counted}{more}. There is nothing to write.")
            return
        shown = [each._asdict() for each in found[:_SHOWN]]
        terminal.show_table(str(path), *Table.of(shown, _COLUMNS, commands.short_text))
        terminal.say(f"{counted}.")
        samples = cls.samples(whole.config, _members(whole)[0].read("data"))
        if patch is not None:
            _write_patch(patch, found[:top], action, samples)
            said = f"Patch: {patch}, of {len(found[:top]):,} that nobody has looked at."
        else:
            page, patch = output or path / "suspects.html", Path(f"patch-{path.resolve().name}.csv")
            chosen = found[: top or _ON_THE_PAGE]
            if len(chosen) < len(every):
                counted += f"; shown are the {len(chosen):,} likeliest of them"
            records = _describe(chosen, samples)
            write_page(
                page, f"Suspects of {path.name}", counted, records, answers.classes, str(patch)
            )
            said = f"Page: {page}, with {len(chosen):,} of them; it saves {patch}."
        terminal.say(f"{said} {cls.train} takes it as --patch {patch}.")
        program = f"python -m labs.{whole.lab}"
        terminal.say(f"Whether it helps: {program} compare-patch {path} --patch {patch}")


def _write_patch(path: Path, found: Sequence[Suspect], action: str, samples: Samples) -> None:
    """Write the patch of suspects that nobody has looked at."""
    changes = []
    with terminal.progress_bar(f"writing {path}") as bar:
        for number, each in enumerate(found, 1):
            label = each.suggested if action == RELABEL else ""
            known_as = samples.fingerprint(each.sample)
            changes.append(Change(each.sample, each.given, label, action, known_as))
            bar.move(number / len(found))
    write_patch(path, changes)


def _describe(found: Sequence[Suspect], samples: Samples) -> list[dict[str, Any]]:
    """Return suspects as the page takes them."""
    records = []
    with terminal.progress_bar("drawing the page") as bar:
        for number, each in enumerate(found, 1):
            more = {
                name: getattr(samples, name)(each.sample) for name in ("fingerprint", "picture")
            }
            records.append({**each._asdict(), **more})
            bar.move(number / len(found))
    return records
