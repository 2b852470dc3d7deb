import pytest

from common import training
from common.options.config import build
from common.training import optim
from common.training.compute import Compute
from labs.rnn.memory.config import MemoryConfig
from labs.rnn.memory.member import Member


@pytest.mark.slow
@pytest.mark.parametrize(("cell", "learns"), [("rnn", False), ("lstm", True), ("gru", True)])
def test_at_50_steps_gated_cells_learn_to_add_and_a_plain_one_does_not(cell, learns):
    config = build(MemoryConfig, ("options", {"cells": cell, "lengths": "50", "reach": "none"}))
    splits, card = Member.load(config)
    job = Member(config, Compute(), card)
    train = job.batches(splits["train"], training=True)
    rows = training.fit(
        job.model,
        job.task(splits),
        train,
        job.batches(splits["validation"]),
        job.optimizer(),
        max_epochs=config.epochs,
        schedule=optim.schedule("cosine", steps_per_epoch=len(train), epochs=config.epochs),
        clip=config.clip,
    )
    error = min(row["validation/mse"] for row in rows)
    assert error < 0.01 if learns else error > 0.14
