"""How long a run is on data of any size."""

from dataclasses import replace

import pytest

from common.options.budget import Choices, Needs, choose_batch, suit
from common.options.config import TrainingConfig

NEEDS = Needs(updates=1000, most_samples=100_000, samples_per_second=50)
CONFIG = TrainingConfig()  # 20 epochs, batches of 64


@pytest.mark.parametrize(
    ("samples", "batch"),
    [(1, 8), (100, 8), (164, 8), (256, 16), (500, 16), (1000, 32), (1024, 64), (10**6, 64)],
)
def test_few_samples_are_taken_in_small_batches(samples, batch):
    assert choose_batch(samples, 64) == batch
    assert choose_batch(samples, 4) == 4  # smaller than asked for would be another recipe


@pytest.mark.parametrize(
    ("samples", "batch", "updates"),
    [
        (160, 8, 1000),  # what the model needs
        (5000, 64, 1000),
        (160_000, 64, 2500),  # one epoch at least
    ],
)
def test_a_model_gets_the_updates_that_it_needs(samples, batch, updates):
    changes, reasons = suit(CONFIG, samples, NEEDS)
    assert {"batch_size": 64, **changes} == {"batch_size": batch, "total_updates": updates}
    assert f"{updates:,} updates" in reasons[-1]


def test_many_updates_end_where_the_minutes_do():
    changes, _ = suit(CONFIG, 5000, NEEDS._replace(updates=10_000))
    assert changes == {"total_updates": round(100_000 / 64)}


def test_a_shorter_recipe_gets_its_share():
    changes, _ = suit(replace(CONFIG, epochs=5), 5000, NEEDS)
    assert changes == {"total_updates": 250}


def test_what_is_given_is_left_alone():
    given = replace(CONFIG, batch_size=48, epochs=2, given=frozenset({"batch_size", "epochs"}))
    assert suit(given, 160, NEEDS) == ({}, [])


def test_the_minutes_are_said():
    assert "about 5 minutes" in suit(CONFIG, 5000, NEEDS._replace(updates=234))[1][-1]
    assert "about 20 s" in suit(CONFIG, 160, NEEDS._replace(updates=125))[1][-1]


def test_choices_leave_what_was_given_and_say_the_others():
    chosen = Choices(replace(CONFIG, given=frozenset({"optimizer"})))
    chosen.take("sgd: because", optimizer="sgd")
    chosen.take("slower: because", optimizer="sgd", learning_rate=1e-4)
    assert (chosen.config.optimizer, chosen.config.learning_rate) == ("adamw", 1e-4)
    assert chosen.reasons == ["slower: because"]


def test_a_config_made_in_python_keeps_what_it_says():
    chosen = Choices(TrainingConfig(epochs=2))
    chosen.train_for(160, NEEDS)
    assert (chosen.config.epochs, chosen.config.total_updates) == (2, None)
    assert chosen.config.batch_size == 8
