import math

import pytest

from common.errors import ConfigError
from common.history import best_row, better_direction, epochs_since_best, is_better

NAN = math.nan


def history(*values):
    return [{"epoch": n, "validation/loss": value} for n, value in enumerate(values, 1)]


@pytest.mark.parametrize(
    "figure",
    [
        *("train/loss", "validation/mse", "validation/log_loss", "kl", "validation/perplexity"),
        *(
            "nll",
            "val_nll",
            "wer",
            "test-WER",
            "cer",
            "mape",
            "smape",
            "rmsle",
            "rmse",
            "RMSE",
            "mae",
        ),
        *("logloss", "LogLoss", "brier", "brier_score", "error", "top1error", "error_rate", "ppl"),
        *("cross_entropy", "crossentropy", "negative_log_likelihood", "mean_absolute_error", "fid"),
    ],
)
def test_errors_get_better_downwards(figure):
    assert better_direction(figure) == "min"


@pytest.mark.parametrize(
    "figure",
    [
        *(
            "validation/accuracy",
            "validation/map50_95",
            "r2",
            "bleu",
            "mAP",
            "f1",
            "mean_iou",
            "chrf",
        ),
        *("auroc", "balanced_accuracy", "top5_accuracy", "log_likelihood", "neg_log_loss", "psnr"),
    ],
)
def test_other_figures_get_better_upwards(figure):
    assert better_direction(figure) == "max"


@pytest.mark.parametrize(
    ("value", "best", "smaller", "larger"),
    [
        (1.0, 2.0, True, False),
        (2.0, 1.0, False, True),
        (1.0, 1.0, False, False),
        (NAN, 1.0, False, False),
        (1.0, NAN, True, True),
        (NAN, NAN, False, False),
        (math.inf, 1.0, False, True),
    ],
)
def test_is_better(value, best, smaller, larger):
    assert (is_better(value, best, "min"), is_better(value, best, "max")) == (smaller, larger)


@pytest.mark.parametrize(
    ("values", "mode", "epoch", "since"),
    [
        ([3.0, 1.0, 2.0], "min", 2, 1),
        ([3.0, 1.0, 2.0], "max", 1, 2),
        ([1.0, 1.0, 1.0], "min", 1, 2),  # the first among equals
        ([NAN, 2.0, NAN, 1.0, NAN], "min", 4, 1),
        ([NAN, 2.0, NAN, 1.0, NAN], "max", 2, 3),
        ([5.0], "min", 1, 0),
    ],
)
def test_the_best_epoch(values, mode, epoch, since):
    rows = history(*values)
    assert best_row(rows, "validation/loss", mode) is rows[epoch - 1]
    assert epochs_since_best(rows, "validation/loss", mode) == since


def test_without_any_number_there_is_no_best_epoch_and_patience_runs():
    assert best_row([], "validation/loss", "min") is None
    assert best_row(history(NAN, NAN), "validation/loss", "min") is None
    assert epochs_since_best([], "validation/loss", "min") == 0
    assert epochs_since_best(history(NAN, NAN), "validation/loss", "min") == 2


def test_a_missing_figure_is_an_error_with_the_nearest_one():
    rows = [{"epoch": 1, "train/loss": 1.0, "validation/accuracy": 0.5, "validation/loss": 1.0}]
    with pytest.raises(ConfigError) as caught:
        best_row(rows, "validation/acuracy", "max")
    assert str(caught.value) == (
        "--monitor validation/acuracy: no epoch reports that figure; did you mean "
        "validation/accuracy? reported: train/loss, validation/accuracy, validation/loss"
    )
    with pytest.raises(ConfigError, match="that figure; reported: train/loss"):
        best_row(rows, "zzz", "max")
