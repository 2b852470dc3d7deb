"""Verifying runs: parts of their training, and their answers, are computed again and compared."""

import dataclasses
import json
import random
import tempfile
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

from torch import Tensor

from common.errors import NonFiniteError, RunError
from common.history import Row, best_row
from common.options import terminal
from common.runs import folder
from common.runs.conclude import conclusion_of
from common.runs.folder import Run
from common.runs.job import Job, Splits
from common.runs.proof import again, receipt
from common.runs.proof.again import Standing
from common.runs.proof.judge import (
    TOLERANCE,
    Check,
    Verdict,
    judge_figures,
    judge_rows,
    judge_stretch,
    measure_drift,
)
from common.training import checkpoint
from common.training.batches import close
from common.training.checkpoint import Kept, hash_tensors
from common.training.limits.memory import least_of


class Stretch(NamedTuple):
    """A part of a run between two of its positions.

    Attributes:
        begin: the position from which it is computed again.
        last: its last epoch.
        end: the position after it, if it was kept.
    """

    begin: Standing
    last: int
    end: Standing | None

    @property
    def epochs(self) -> int:
        """How many it has."""
        return self.last - self.begin.epoch

    def holds(self, epoch: int) -> bool:
        """Say whether an epoch is one of them."""
        return self.begin.epoch < epoch <= self.last

    def __str__(self) -> str:
        """Name its epochs."""
        first = self.begin.epoch + 1
        return f"epoch {first}" if first == self.last else f"epochs {first} to {self.last}"


@dataclass
class Verification:
    """What is known of a run after it was looked at.

    Attributes:
        run: its folder.
        checks: what was compared; after the first that is not this run's, nothing more is.
        again: updates that were computed again.
        total: updates of the run.
        remarks: what could not be looked at, and why.
        undecided: whether a part differs for a reason that an honest run may have, too.
        more: whether there are parts left that could be computed again.
    """

    run: Path
    checks: list[Check] = field(default_factory=list)
    again: int = 0
    total: int = 0
    remarks: list[str] = field(default_factory=list)
    undecided: bool = False
    more: bool = False

    @property
    def verdict(self) -> Verdict | None:
        """The worst verdict; None where none can be given, as long as no training was repeated.

        What is cheap to compare is cheap to forge, so it can say that this is not the run alone.
        """
        worst = max((each.verdict for each in self.checks), default=None)
        decided = worst is Verdict.OTHER or (self.again > 0 and not self.undecided)
        return worst if decided else None

    @property
    def difference(self) -> str:
        """The first thing that makes the verdict what it is."""
        if not self.verdict:
            return ""
        first = next(each for each in self.checks if each.verdict is self.verdict)
        return f"{first.what}: {first.remark}"


class Verifier:
    """Looks at a run.

    Args:
        kind: of its job.
        run: the run.
        data: where its data are now, if not where its config says.
        device: another than the run's.
    """

    def __init__(
        self,
        kind: type[Job[Any, Any]],
        run: Run,
        data: str | None = None,
        device: str | None = None,
    ):
        self._kind, self._run, self._data, self._device = kind, run, data, device
        self._history, self._standings = run.history, again.list_standings(run)
        self._processes = again.count_processes(run)
        self._here = ""  # the device that computes again
        self.found = Verification(run.path)

    def look(self, updates: int, seed: int) -> Verification:
        """Compare all that is cheap, then the answers, then parts of the training.

        Args:
            updates: at least so many are computed again, beside those that made the best weights.
            seed: draws the parts.

        Raises:
            DataError: the data cannot be had.
        """
        try:
            for check in self._checks(updates, seed):
                self.found.checks.append(check)
                if check.verdict is Verdict.OTHER:
                    break
        except RunError as error:
            self.found.checks.append(Check("files", Verdict.OTHER, str(error)))
        except NonFiniteError as error:  # with it, the run would have ended
            self.found.checks.append(Check("computed again", Verdict.OTHER, str(error)))
        if self.found.verdict is Verdict.NEAR and self._is_same_machine():
            self.found.remarks.append("the run names this very machine, where bits should be equal")
        return self.found

    def _checks(self, updates: int, seed: int) -> Iterator[Check]:
        yield from self._compare_files()
        yield self._compare_history()
        job = self._kind.reopen(self._run.path, self._device)
        self._here = str(job.compute)
        splits, check = self._load(job)
        yield check
        best = best_row(self._history, *job.monitored(job.task(splits)))
        if best is None:
            self.found.remarks.append("no epoch is finished that could be the best")
            return
        yield self._compare_best(best, job.config.epochs)
        yield from self._compare_answers(splits)
        train = job.batches(splits["train"], training=True)
        each = len(train)
        close(train)
        self.found.total = each * len(self._history)
        if self._processes > 1:
            together = f"it was trained in {self._processes} processes, which one "
            if least_of(job.model) > 1:  # batch norm, with the statistics of the first process
                self.found.remarks.append(f"{together}does not repeat where there is batch norm")
                return
            self.found.remarks.append(f"{together}repeats to rounding")
        for stretch in self._choose(best["epoch"], updates / each, seed):
            with terminal.progress_bar(
                f"{self._run.path}: {stretch} again, {each * stretch.epochs:,} updates"
            ) as bar:
                compared = self._compute(stretch, splits, best["epoch"], bar.move)
            if compared is not None:
                self.found.again += each * stretch.epochs
                yield compared

    # --- what is cheap --------------------------------------------------------------------------

    def _compare_files(self) -> Iterator[Check]:
        run = self._run
        if (run.path / "receipt.json").is_file():
            changed = next(receipt.find_changed(run, self._kind.config_type), None)
            yield Check("receipt", Verdict.OTHER if changed else Verdict.SAME, changed or "")
        else:
            why = "it was made before there were any" if run.finished else "it is not finished"
            self.found.remarks.append(f"the run has no receipt: {why}")
        if not Kept(run.path, 0).paths():
            self.found.remarks.append("the run kept no positions but its last: see --keep")

    def _compare_history(self) -> Check:
        """Compare the histories that the positions have with that of the run."""
        if wrong := self._find_cut() - self._may_be_cut():
            remark = "it has fewer updates than an epoch, though no time ended there"
            return Check(f"epoch {min(wrong)}", Verdict.OTHER, remark)
        for standing in self._standings:
            rows, there = standing.rows, len(self._history)
            if len(rows) > there:
                remark = f"history.jsonl has {there} epochs, a position {len(rows)}"
                return Check("history", Verdict.OTHER, remark)
            for check in judge_rows(rows, self._history[: len(rows)], None):
                if check.verdict:
                    return check._replace(what=f"history, {check.what}")
        return Check("history", Verdict.SAME)

    def _find_cut(self) -> set[int]:
        """Return the epochs that ended before all their updates were made."""
        return {row["epoch"] for row in self._history if "updates" in row}

    def _may_be_cut(self) -> set[int]:
        """Return the epochs that `--time` may have ended, and those before a branch."""
        ends = set(range(self._standings[0].epoch + 1))
        if (self._run.path / "time.json").is_file():
            ends |= {len(self._history), *(each["epochs"][0] for each in self._run.lengthened)}
        return ends

    def _load(self, job: Job[Any, Any]) -> tuple[Splits, Check]:
        """Load the data, and compare their fingerprint."""
        config = job.config
        if self._data is not None:
            config = dataclasses.replace(config, data=self._data).located()
        splits, card = job.load(config, job.card)
        if card.fingerprint == job.card.fingerprint:
            return splits, Check("data", Verdict.SAME)
        if self._is_same_machine():
            return splits, Check("data", Verdict.OTHER, "they are not those it was trained on")
        remark = "they have changed, or are decoded or scaled otherwise on this machine"
        return splits, Check("data", Verdict.NEAR, remark)

    def _is_same_machine(self) -> bool:
        """Say whether the run names this machine and these versions as its own."""
        environment = self._run.read("environment")
        if "resumed" in environment or self._processes > 1:  # it had others, too
            return False
        there = receipt.describe_machine(environment)
        here = folder.environment(self._here)
        return all(here[name] == value for name, value in there.items() if name != "threads")

    def _compare_best(self, best: Row, epochs: int) -> Check:
        """Compare what is said of the best epoch, and of the last."""
        what, epoch = "best epoch", best["epoch"]
        metrics = self._run.read("metrics") if self._run.finished else {}
        if metrics.get("best_epoch", epoch) != epoch:
            said = metrics["best_epoch"]
            return Check(what, Verdict.OTHER, f"it is {epoch}, metrics.json says {said}")
        if len(self._history) > epochs:
            more = f"history.jsonl has {len(self._history)} epochs, config.toml {epochs}"
            return Check("epochs", Verdict.OTHER, more)
        of_weights = json.loads(checkpoint.load(self._run.best).text)["row"]
        if of_weights["epoch"] != epoch:
            return Check(what, Verdict.OTHER, f"the weights are those of {of_weights['epoch']}")
        return judge_figures(what, of_weights, best, None)

    # --- answers --------------------------------------------------------------------------------

    def _compare_answers(self, splits: Splits) -> Iterator[Check]:
        """Ask the best weights again, and measure what they say."""
        run = self._run
        metrics = run.read("metrics") if run.finished else {}
        names = [name for name in ("validation", "test") if name in metrics and name in splits]
        if not names:
            self.found.remarks.append("it was not measured, so there are no answers to compare")
            return
        job = self._kind.open_trained(run.path, self._device)
        again.compute_as(job, run)
        with terminal.busy(f"{run.path}: asking the best weights again"):
            outputs, conclusion = job.predict_splits(splits, names), conclusion_of(job)
        there = (run.path / "receipt.json").is_file()
        known = receipt.read(run)["answers"] if there else {}
        for name in names:
            same = known.get(name) == hash_tensors(outputs[name])
            figures = conclusion.figures(outputs[name], splits[name])
            what = f"answers, {name}"
            check = judge_figures(what, figures, metrics[name], None if same else 0.0)
            if known and not same and check.verdict is Verdict.SAME:
                check = Check(what, Verdict.NEAR, "the same figures, from other bits")
            yield check

    # --- training -------------------------------------------------------------------------------

    def _choose(self, best: int, epochs: float, seed: int) -> Iterator[Stretch]:
        """Yield the stretch that made the best weights, and others by chance."""
        ends = [*self._standings[1:], None]
        stretches = [
            Stretch(begin, end.epoch if end else len(self._history), end)
            for begin, end in zip(self._standings, ends, strict=True)
        ]
        cut = self._find_cut()
        whole = [
            stretch
            for stretch in stretches
            if stretch.epochs > 0 and not any(stretch.holds(epoch) for epoch in cut)
        ]
        made = [each for each in whole if each.holds(best)]
        if cut:
            self.found.remarks.append(
                f"its time ended inside of epoch {max(cut)}, which cannot be computed again"
            )
        if not made:
            of_parent = (self._run.path / again.BRANCH).is_dir()
            verify = "; verify the run that this one branched off from" if of_parent else ""
            self.found.remarks.append(
                f"epoch {best}, the best, is not among those that can be computed again{verify}"
            )
        yield from made
        for stretch in random.Random(seed).sample(whole, len(whole)):
            if stretch in made:
                continue
            if epochs <= 0:
                self.found.more = True
                return
            yield stretch
            epochs -= stretch.epochs

    def _compute(
        self, stretch: Stretch, splits: Splits, best: int, show: Callable[[float], None]
    ) -> Check | None:
        """Compute a stretch again, and compare its rows, its end and the best weights.

        None where that says nothing: in which update the memory was full is not kept.
        """
        begin, what = stretch.begin, str(stretch)
        first = self._first_weights(splits) if begin.path is None else begin.weights
        apart = {}
        with tempfile.TemporaryDirectory() as scratch:
            found = again.compute(
                self._kind,
                self._run,
                splits,
                begin,
                stretch.last,
                Path(scratch),
                device=self._device,
                show=show,
            )
            if found.epoch < stretch.last:
                ended = f"with its config.toml the run ends after epoch {found.epoch}"
                return Check(what, Verdict.OTHER, ended)
            if stretch.end is not None:
                apart["the weights at its end are"] = again.measure_apart(found, stretch.end, first)
            if stretch.holds(best):
                files = (Path(scratch) / self._run.best.name, self._run.best)
                mine, theirs = (checkpoint.load(file).tensors for file in files)
                apart["the best weights are"] = measure_drift(mine, theirs, first)
        # Where no weights are known, the figures alone must do.
        drift = max(apart.values(), default=TOLERANCE)
        rows, known = (each[: stretch.last] for each in (found.rows, self._history))
        parts = [_parts_in(each, begin.epoch) for each in (rows, known)]
        checks = judge_rows(
            map(_without_parts, rows[begin.epoch :]),
            map(_without_parts, known[begin.epoch :]),
            drift if drift or self._processes > 1 or parts[0] != parts[1] else None,
        )
        check = judge_stretch(what, checks, apart)
        if check.verdict is Verdict.OTHER and len({*parts[0], *parts[1]}) > 1:
            self.found.undecided = True
            self.found.remarks.append(
                f"the memory was full in {what}: updates were added up from other parts than here, "
                "and what the samples of a part share, such as dropout, cannot be compared"
            )
            return None
        return check

    def _first_weights(self, splits: Splits) -> dict[str, Tensor]:
        """Return the weights that the run begins with."""
        job = self._kind.reopen(self._run.path, self._device)
        job.warm_start(splits, lambda line: None)
        return {name: tensor.cpu() for name, tensor in job.model.state_dict().items()}


_PARTS = "micro_batch"  # in a row: what fitted the memory, which is the machine's and not the run's


def _parts_in(rows: Sequence[Row], begin: int) -> list[Any]:
    """Return the size of the parts before some epochs, and in each of them; None where whole."""
    return [None if begin == 0 else rows[begin - 1].get(_PARTS)] + [
        row.get(_PARTS) for row in rows[begin:]
    ]


def _without_parts(row: Row) -> Row:
    return {name: value for name, value in row.items() if name != _PARTS}
