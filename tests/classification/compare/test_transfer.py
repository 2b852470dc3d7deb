"""The modes of transfer side by side."""

import json
import re

import pytest

from common.errors import ConfigError
from common.options.config import build
from labs.classification.compare.config import CompareTransferConfig
from labs.classification.compare.transfer import Comparison, winners
from tests.classification.conftest import newest_run

TINY = (
    *("--data", "digits", "--limit", "60", "--model", "lenet5", "--image-size", "12"),
    *("--augment", "none", "--epochs", "2", "--warmup", "0", "--batch-size", "16"),
)


def configured(**given):
    return build(CompareTransferConfig, ("options", {"weights": "w.pth", **given}))


def entry(accuracy, interval=None):
    found = {"accuracy": accuracy, "validation_accuracy": 0.8}
    if interval is not None:
        found |= {"difference": sum(interval) / 2, "difference_interval": list(interval)}
    return found


@pytest.fixture(scope="module")
def source(lab, tmp_path_factory):
    """Return a finished run of lenet5 on digits."""
    folder = tmp_path_factory.mktemp("source")
    assert lab("train", *TINY, "--run-dir", folder).code == 0
    return newest_run(folder)


def test_modes_are_variants_of_one_config():
    plan = Comparison.plan(configured(modes="scratch,freeze:2,fine-tune", seeds=2, seed=5))
    assert list(plan) == [f"{m}-{s}" for m in ("scratch", "freeze-2", "fine-tune") for s in (5, 6)]
    assert [each.transfer_mode for each in plan.values()][::2] == [
        *("scratch", "freeze:2", "fine-tune")
    ]
    assert [each.weights for each in plan.values()][::2] == [None, "w.pth", "w.pth"]
    assert len({each.split_seed for each in plan.values()}) == 1


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"weights": None}, "--weights: there is nothing to transfer without them; give a file"),
        ({"modes": "scratch,finetune"}, "--modes finetune: expected scratch, feature-extraction"),
        ({"modes": "scratch,freeze:"}, "--modes freeze:: expected"),
        ({"modes": "scratch"}, "--modes scratch: expected two or more"),
        ({"modes": "none"}, "expected two or more"),
        ({"modes": "scratch,scratch"}, "each once"),
        ({"transfer": "gradual"}, "--transfer gradual: modes are compared; name them with --modes"),
        ({"loss": "mse"}, "--loss mse"),
        ({"seeds": 0}, "--seeds 0: expected a whole number at least 1"),
    ],
)
def test_what_cannot_be_compared_is_refused(given, message):
    with pytest.raises(ConfigError, match=re.escape(message)):
        configured(**given)


def test_the_verdict_names_those_that_are_not_shown_to_be_worse():
    def say(compared):
        return object.__new__(Comparison).verdict({"compared": compared})

    best, close = entry(0.9), entry(0.89, (-0.03, 0.01))
    best["validation_accuracy"] = 0.81
    worse, equal = entry(0.5, (-0.5, -0.3)), entry(0.9, (0, 0))
    assert winners({"a": worse, "b": close, "c": best}) == ["c", "b"]
    assert winners({"a": entry(0.95, (0.01, 0.09)), "b": close, "c": best}) == ["a", "b"]
    assert say({"b": worse, "a": best}).startswith("a is the best on validation: 0.9000 on test.")
    assert "Better on test: b +0.0500" in say({"a": best, "b": entry(0.95, (0.01, 0.09))})
    assert "Worse: b -0.4000 (-0.5000 to -0.3000)" in say({"a": best, "b": worse})
    assert "cannot tell the modes apart" in say({"a": best, "b": close, "c": equal})
    said = say({"a": best, "b": close, "c": worse})
    assert "Not to be told apart: b -0.0100 (-0.0300 to +0.0100). Worse: c" in said


@pytest.mark.slow
def test_the_command_end_to_end(lab, source, tmp_path):
    words = ("--weights", f"run:{source}", "--modes", "scratch,feature-extraction,freeze:c3")
    # The run's 12 pixels are wanted, so that scratch gets them, too.
    tiny = [word for word in TINY if word not in ("--image-size", "12")]
    where = ("--run-dir", tmp_path, "--name", "비교", "--seeds", "2")
    result = lab("compare-transfer", *tiny, *words, *where, full=True, drawn=True)
    assert result.code == 0, result.err
    assert "feature-extraction" in result.out
    run = tmp_path / "classification" / "비교"
    metrics = json.loads((run / "metrics.json").read_text("utf-8"))
    compared = metrics["compared"]
    assert list(compared) == ["scratch", "feature-extraction", "freeze:c3"]
    best = max(compared, key=lambda mode: compared[mode]["validation_accuracy"])
    assert [mode for mode, found in compared.items() if "difference" not in found] == [best]
    cards = {path.name: json.loads(path.joinpath("data.json").read_text("utf-8"))
             for path in (run / "members").iterdir()}  # fmt: skip
    assert set(cards) == {f"{m.replace(':', '-')}-{seed}" for m in compared for seed in (0, 1)}
    assert {(card["image_size"], card["channels"]) for card in cards.values()} == {(12, 1)}
    assert len({card["fingerprint"] for card in cards.values()}) == 1
    html = (run / "report.html").read_text("utf-8")
    (run / "report.html").unlink()
    source.rename(source.with_name("moved"))  # a finished comparison stands without its source
    try:
        assert lab("report", run, full=True, drawn=True).code == 0
    finally:
        source.with_name("moved").rename(source)
    assert (run / "report.html").read_text("utf-8") == html
    assert "is finished" in lab("compare-transfer", "--resume", run).err


def test_nothing_is_left_behind_when_weights_do_not_fit(lab, source, tmp_path):
    words = ("--weights", f"run:{source}", "--modes", "scratch,freeze:c9", "--run-dir", tmp_path)
    result = lab("compare-transfer", *TINY, *words)
    assert result.code == 2
    assert "--transfer freeze:c9: the model has no parameters of that name" in result.err
    assert not list(tmp_path.glob("classification/*"))
