"""Tasks that only a long memory solves; their sequences are drawn as they are needed."""

import math
from abc import abstractmethod
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from common import seeding
from common.metrics import metrics
from common.metrics.main_metric import MainMetric
from common.metrics.metrics import Array
from common.training import Task, When
from common.training.compute import Compute

Batch = tuple[Tensor, Tensor]  # inputs (B, steps, input_size), targets (B, ...)

_LEARNED = 0.06  # share of the baseline's error; in the adding task an error of 0.01


class MemoryTask(Task):
    """A task over sequences in which what counts has to be kept over `length` steps, T."""

    name: str
    about: str  # a sentence for the report
    input_size: int
    output_size: int
    baseline_name: str
    main_metric: MainMetric

    def __init__(self, length: int):
        self.length = length
        self.monitor = f"validation/{self.main_metric.name}"

    @property
    def goal(self) -> float:
        """The error under which the task counts as learned."""
        return _LEARNED * self.baseline

    @property
    @abstractmethod
    def steps(self) -> int:
        """Steps of a sequence."""

    @property
    @abstractmethod
    def baseline(self) -> float:
        """The expected error of the best answer that remembers nothing."""

    @abstractmethod
    def draw(self, generator: torch.Generator, samples: int) -> Batch:
        """Draw sequences and what is to be said of them."""

    @abstractmethod
    def errors(self, model: nn.Module, batch: Batch) -> Tensor:
        """Return the error of each sequence, (B,), of which the loss is the mean."""

    @abstractmethod
    def last_error(self, read: Tensor, targets: Tensor) -> Tensor:
        """Return the error (B,) of what is read out of the last step alone, (B, output_size)."""

    @abstractmethod
    def truth(self, targets: Tensor) -> Array:
        """Return the targets as the main metric takes them."""

    @abstractmethod
    def decide(self, outputs: dict[str, Tensor]) -> Array:
        """Return the predictions as the main metric takes them."""

    @abstractmethod
    def answer_without_memory(self, samples: int) -> Array:
        """Return, likewise, the predictions of the baseline."""

    def loss(self, model: nn.Module, batch: Batch, when: When) -> dict[str, Tensor]:
        """Return the mean error."""
        return {"loss": self.errors(model, batch).mean()}


class Adding(MemoryTask):
    """Add the two marked numbers among T.

    Each step has a number, uniform in [0, 1], and a marker: 1 at one step of either half, else 0.
    The sum is asked for after the last step (Hochreiter and Schmidhuber 1997, "Long short-term
    memory", section 5.4; the numbers and the last step as in Le, Jaitly and Hinton 2015, "A simple
    way to initialize recurrent networks of rectified linear units"; a mark in either half as in
    Arjovsky, Shah and Bengio 2016, "Unitary evolution recurrent neural networks"). The constant
    answer 1 has the mean squared error 1/6, the variance of a sum of two such numbers.
    """

    name, input_size, output_size = "adding", 2, 1
    about = (
        "Two of T numbers, uniform in [0, 1], are marked, one in either half; after the last step "
        "their sum is asked for."
    )
    baseline, baseline_name = 1 / 6, "always 1"
    main_metric = MainMetric(
        "mse",
        "mean squared error",
        lambda predictions, targets: np.square(predictions - targets),
        metrics.mean,
        larger_is_better=False,
    )

    @property
    def steps(self) -> int:
        """T."""
        return self.length

    def draw(self, generator: torch.Generator, samples: int) -> Batch:
        """Draw inputs (B, T, 2), the numbers and the markers, and their sums (B,)."""
        numbers = torch.rand(samples, self.length, generator=generator)
        half = self.length // 2
        first = torch.randint(half, (samples, 1), generator=generator)
        second = torch.randint(half, self.length, (samples, 1), generator=generator)
        markers = torch.zeros_like(numbers).scatter_(1, torch.cat([first, second], 1), 1.0)
        return torch.stack([numbers, markers], -1), (numbers * markers).sum(1)

    def errors(self, model: nn.Module, batch: Batch) -> Tensor:
        """Return the squared errors."""
        inputs, targets = batch
        return self.last_error(model(inputs)[:, -1], targets)

    def last_error(self, read: Tensor, targets: Tensor) -> Tensor:
        """Return the squared errors."""
        return F.mse_loss(read[:, 0], targets, reduction="none")

    def outputs(self, model: nn.Module, batch: Batch) -> dict[str, Tensor]:
        """Collect the predicted and the true sums."""
        inputs, targets = batch
        return {"predictions": model(inputs)[:, -1, 0].float(), "targets": targets}

    def figures(self, outputs: dict[str, Tensor]) -> dict[str, float]:
        """Return the mean squared error."""
        return {"mse": F.mse_loss(outputs["predictions"], outputs["targets"]).item()}

    def truth(self, targets: Tensor) -> Array:
        """Return the sums."""
        return targets.numpy()

    def decide(self, outputs: dict[str, Tensor]) -> Array:
        """Return the predicted sums."""
        return outputs["predictions"].numpy()

    def answer_without_memory(self, samples: int) -> Array:
        """Return ones."""
        return np.ones(samples, np.float32)


class Copy(MemoryTask):
    """Recall 10 symbols of 8 kinds after T blanks.

    The last of the blanks is a sign of its own, after which, while ten more blanks are read, the
    symbols are to be said in order; until then, blank is. (Hochreiter and Schmidhuber 1997; in this
    form Arjovsky, Shah and Bengio 2016, "Unitary evolution recurrent neural networks", section
    5.1.) Saying blank, and in the end any symbol, has a cross-entropy of 10 ln 8 / (T + 20).
    """

    SYMBOLS, KINDS = 10, 8
    BLANK, SIGN = 0, KINDS + 1  # the symbols are 1 to 8

    name, input_size, output_size = "copy", KINDS + 2, KINDS + 1
    about = (
        "Ten symbols of eight kinds are shown; after T blanks they are to be said in order. "
        "Accuracy is the share of symbols that were said right; a guess is right in 0.125."
    )
    baseline_name = "blanks, then any symbol"
    main_metric = MainMetric(
        "loss",
        "cross-entropy",
        lambda losses, _: losses,
        metrics.mean,
        larger_is_better=False,
    )

    @property
    def steps(self) -> int:
        """T + 20."""
        return self.length + 2 * self.SYMBOLS

    @property
    def baseline(self) -> float:
        """10 ln 8 / (T + 20)."""
        return self.SYMBOLS * math.log(self.KINDS) / self.steps

    def draw(self, generator: torch.Generator, samples: int) -> Batch:
        """Draw inputs (B, T + 20, 10), one-hot, and what is to be said, int64 (B, T + 20)."""
        size = (samples, self.SYMBOLS)
        symbols = torch.randint(1, self.KINDS + 1, size, generator=generator)
        blanks = torch.full((samples, self.length + self.SYMBOLS), self.BLANK)
        shown = torch.cat([symbols, blanks], 1)
        shown[:, -self.SYMBOLS - 1] = self.SIGN
        return F.one_hot(shown, self.input_size).float(), torch.cat([blanks, symbols], 1)

    def errors(self, model: nn.Module, batch: Batch) -> Tensor:
        """Return the cross-entropy of each sequence, a mean over its steps."""
        inputs, targets = batch
        return _cross_entropy(model(inputs), targets).mean(1)

    def last_error(self, read: Tensor, targets: Tensor) -> Tensor:
        """Return the cross-entropy of the last symbol."""
        return _cross_entropy(read, targets[:, -1])

    def outputs(self, model: nn.Module, batch: Batch) -> dict[str, Tensor]:
        """Collect the cross-entropy of each sequence, and which of its symbols were recalled."""
        inputs, targets = batch
        read = model(inputs).float()
        said = read[:, -self.SYMBOLS :].argmax(-1)
        return {
            "losses": _cross_entropy(read, targets).mean(1),
            "recalled": said == targets[:, -self.SYMBOLS :],
        }

    def figures(self, outputs: dict[str, Tensor]) -> dict[str, float]:
        """Return the cross-entropy, and the share of symbols that were recalled."""
        return {
            "loss": outputs["losses"].mean().item(),
            "accuracy": outputs["recalled"].double().mean().item(),
        }

    def truth(self, targets: Tensor) -> Array:
        """Return nothing but zeros: the losses say all."""
        return np.zeros(len(targets))

    def decide(self, outputs: dict[str, Tensor]) -> Array:
        """Return the losses."""
        return outputs["losses"].double().numpy()

    def answer_without_memory(self, samples: int) -> Array:
        """Return the loss of saying blank, and in the end any symbol."""
        return np.full(samples, self.baseline)


def _cross_entropy(read: Tensor, targets: Tensor) -> Tensor:
    return F.cross_entropy(read.movedim(-1, 1), targets, reduction="none")


TASKS: dict[str, type[MemoryTask]] = {task.name: task for task in (Adding, Copy)}


class Fresh:
    """A training split without end: every update is drawn again, named by (seed, epoch, update).

    `draw` gives a batch from a generator and a number of samples. An epoch has `updates` of
    `batch_size` samples, of which `micro_batch` are computed at a time, all when None.
    """

    def __init__(
        self,
        draw: Callable[[torch.Generator, int], Batch],
        updates: int,
        batch_size: int,
        *,
        micro_batch: int | None = None,
        seed: int = 0,
        compute: Compute | None = None,
    ):
        self._draw, self._updates, self._seed = draw, updates, seed
        self._batch_size, self.micro_batch = batch_size, micro_batch or batch_size
        self._compute = compute or Compute()

    def __len__(self) -> int:
        """Return the number of updates in an epoch."""
        return self._updates

    def updates(self, epoch: int, start: int = 0) -> Iterator[list[Any]]:
        """Yield the updates of an epoch, from number `start` on; always the same ones."""
        for update in range(start, self._updates):
            generator = seeding.generator(self._seed, seeding.LOADER, epoch, update)
            batch = self._compute.move(self._draw(generator, self._batch_size))
            yield list(zip(*(part.split(self.micro_batch) for part in batch), strict=True))
