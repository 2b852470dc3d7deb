"""What is said of a run that was too short, learned by heart, or learned nothing."""

from types import SimpleNamespace

import pytest

from common.metrics.main_metric import ACCURACY
from common.runs.doubts import list_doubts


def job(accuracies, losses=None, samples=6400, timed=None):
    rows = [
        {"epoch": epoch, "validation/accuracy": accuracy, "validation/loss": loss}
        for epoch, (accuracy, loss) in enumerate(
            zip(accuracies, losses or [1.0] * len(accuracies), strict=True), 1
        )
    ]
    return SimpleNamespace(
        lab="toys",
        verb="train",
        main_metric=ACCURACY,
        config=SimpleNamespace(batch_size=64),
        card=SimpleNamespace(counts={"train": samples}),
        run=SimpleNamespace(history=rows, path="runs/toys/a", timed=timed),
    )


def figures(lead=(0.1, 0.2), baseline="majority class"):
    return {"best_epoch": 3, "baselines": {baseline: {"lead_interval": list(lead)}}}


def test_a_run_that_came_to_rest_is_not_doubted():
    assert list_doubts(job([0.5, 0.8, 0.9, 0.91, 0.915, 0.914]), figures()) == []


@pytest.mark.parametrize(
    ("planned", "cut", "said", "epochs"),
    [(6, {}, "6 of 50 epochs: go", 50), (9, {"updates": 7}, "after 7 updates: go", 50)],
)
def test_who_was_given_too_little_time_is_told_so(planned, cut, said, epochs):
    timed = {"given": 600.0, "training": 500.0, "asked": 50, "epochs": planned}
    short = job([0.5, 0.6, 0.7, 0.75, 0.8, 0.85], timed=timed)
    short.run.history[-1].update(cut)
    [found] = list_doubts(short, figures())
    assert found.startswith("It was given 10m, which was time for 6 of 50 epochs")
    assert said in found
    assert found.endswith(f"train --resume runs/toys/a --epochs {epochs}.")


def test_few_updates_are_said_with_what_goes_on():
    [said] = list_doubts(job([0.5, 0.6], samples=640), figures())
    assert "trained for 20 updates only" in said
    assert "python -m labs.toys train --resume runs/toys/a --epochs 4" in said


def test_a_run_that_still_improves_is_told_so():
    [said] = list_doubts(job([0.5, 0.6, 0.7, 0.75, 0.8, 0.85]), figures())
    assert said.startswith("Validation was still improving when training ended: go on with")


def test_learning_by_heart_is_seen_in_the_loss():
    losses = [1.0, 0.5, 0.4, 0.6, 0.8, 1.0]
    [said] = list_doubts(job([0.5, 0.8, 0.9, 0.9, 0.9, 0.9], losses), figures())
    assert "rose from 0.4 to 1 while" in said


@pytest.mark.parametrize("lead", [(-0.1, 0.1), (float("nan"), float("nan"))])
def test_a_network_that_says_no_more_than_a_constant_is_doubted(lead):
    found = list_doubts(job([0.5] * 6), figures(lead))
    assert any('more than "majority class"' in said for said in found)
    assert list_doubts(job([0.5] * 6), figures(lead, "nearest neighbors")) == []
