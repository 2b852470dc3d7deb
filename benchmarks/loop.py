"""What the training loop costs over the loop one would write by hand.

    python benchmarks/loop.py

Both loops train the same model on the same batches in the same order with the same fused AdamW, in
turn, and must end with bitwise equal weights. The project's loop also keys dropout at each step,
asks a schedule for the learning rate, looks for NaN, keeps the means of the loss, and listens for
signals; the other does nothing of the kind. A round is an epoch of each, and short, so that a
slower moment of the machine meets both. Times are CPU times of this process with one torch
thread: a second one spins while it waits, which is CPU time too.
"""

import statistics
import sys
import time
from collections.abc import Callable

import torch
from machine import describe
from torch import Tensor, nn
from torch.nn import functional

from common import seeding
from common.images import known
from common.training import Task, When, epochs, optim
from common.training.batches import Batches
from labs.classification.models import build as models

BATCH = 64


class Classify(Task):
    """Cross-entropy, and no evaluation."""

    def loss(self, model: nn.Module, batch: tuple[Tensor, Tensor], when: When) -> dict[str, Tensor]:
        return {"loss": functional.cross_entropy(model(batch[0]), batch[1])}

    def outputs(self, model: nn.Module, batch: tuple[Tensor, Tensor]) -> dict[str, Tensor]:
        return {"logits": model(batch[0])}

    def figures(self, outputs: dict[str, Tensor]) -> dict[str, float]:
        return {}


def by_hand(model: nn.Module, inputs: Tensor, targets: Tensor, epoch_count: int) -> None:
    """Train as one would write it without a toolkit."""
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-3, weight_decay=0.0, fused=True)
    model.train()
    for epoch in range(epoch_count):
        order = seeding.permutation(0, epoch, len(inputs))
        for start in range(0, len(inputs), BATCH):
            rows = order[start : start + BATCH]
            optimizer.zero_grad()
            loss = functional.cross_entropy(model(inputs[rows]), targets[rows])
            loss.backward()
            optimizer.step()


def by_the_loop(model: nn.Module, inputs: Tensor, targets: Tensor, epoch_count: int) -> None:
    """Train with the project's loop, seeding and schedule on."""
    batches = Batches((inputs, targets), BATCH, training=True)
    schedule = optim.schedule("step", steps_per_epoch=len(batches), epochs=epoch_count, period=1000)
    optimizer = optim.build("adamw", model, 1e-3)
    options = {"max_epochs": epoch_count, "schedule": schedule}
    for _ in epochs(model, Classify(), batches, None, optimizer, **options):
        pass


def compare(
    build: Callable[[], nn.Module], inputs: Tensor, targets: Tensor, epoch_count: int, rounds: int
) -> tuple[list[float], list[float]]:
    """Return the CPU seconds a step of both loops, by hand first, a pair per round."""
    steps = epoch_count * len(range(0, len(inputs), BATCH))
    times: tuple[list[float], list[float]] = ([], [])
    for number in range(rounds + 1):  # the first round warms up
        trained = []
        pairs = [(by_hand, times[0]), (by_the_loop, times[1])]
        for train, taken in pairs if number % 2 else reversed(pairs):
            torch.manual_seed(0)
            model = build()
            begun = time.process_time()
            train(model, inputs, targets, epoch_count)
            if number:
                taken.append((time.process_time() - begun) / steps)
            trained.append(model.state_dict())
        for name, weights in trained[0].items():
            if not torch.equal(weights, trained[1][name]):
                sys.exit(f"{name} differs between the two loops")
    return times


def report(name: str, by_hand_times: list[float], loop_times: list[float]) -> None:
    """Print medians, the medians of the pairs' ratios and differences, and those of the fastest."""
    ratio = statistics.median(b / a for a, b in zip(by_hand_times, loop_times, strict=True))
    more = statistics.median(b - a for a, b in zip(by_hand_times, loop_times, strict=True))
    hand, loop = statistics.median(by_hand_times) * 1e6, statistics.median(loop_times) * 1e6
    fastest = [min(by_hand_times) * 1e6, min(loop_times) * 1e6]
    print(
        f"{name:28} {hand:9.1f} {loop:9.1f} {ratio:7.3f} {more * 1e6:+9.1f}"
        f"   fastest {fastest[0]:.1f} {fastest[1]:.1f}: {fastest[1] / fastest[0]:.3f}, "
        f"{fastest[1] - fastest[0]:+.1f}"
    )


def main() -> None:
    torch.set_num_threads(1)
    print(describe())
    print(f"{'CPU µs a step':28} {'by hand':>9} {'loop':>9} {'ratio':>7} {'more':>9}")
    part = known.load_embedded("mnist5k").parts["all"]
    inputs, targets = part.images.float() / 255, part.targets
    times = compare(lambda: models.build("lenet5", 1, 28, 10), inputs, targets, 1, 40)
    report("LeNet-5, batch 64", *times)
    features = torch.randn(64 * 500, 20, generator=seeding.generator(0))
    labels = (features[:, 0] > 0).long()
    times = compare(lambda: nn.Linear(20, 2), features, labels, 1, 60)
    report("one linear layer, batch 64", *times)
    print("weights bitwise equal after every round")


if __name__ == "__main__":
    main()
