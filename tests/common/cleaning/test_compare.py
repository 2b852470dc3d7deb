"""A patch beside its placebo: what is trained, and how it is judged."""

import json

import numpy as np
import pytest

from common.errors import ConfigError
from common.options.config import build
from labs.classification.__main__ import lab as classification
from labs.classification.experiments.config import ComparePatchConfig
from labs.classification.experiments.suspects import PatchedImages


def test_each_seed_has_a_placebo_of_its_own():
    config = build(ComparePatchConfig, ("options", {"patch": "a.csv", "seeds": "2", "seed": "4"}))
    plan = PatchedImages.plan(PatchedImages.located(config))
    assert list(plan) == [
        f"{name}-{s}" for name in ("as given", "placebo", "patch") for s in (4, 5)
    ]
    path = plan["patch-4"].patch
    assert path.startswith("/")
    assert {name: (each.patch, each.seed) for name, each in plan.items()} == {
        **{f"as given-{seed}": (None, seed) for seed in (4, 5)},
        **{f"placebo-{seed}": (f"placebo:{path}", seed) for seed in (4, 5)},
        **{f"patch-{seed}": (path, seed) for seed in (4, 5)},
    }
    assert plan["placebo-4"].located() == plan["placebo-4"]


@pytest.mark.parametrize(
    ("given", "problem"), [({}, "expected"), ({"patch": "placebo:a"}, "alone")]
)
def test_it_needs_a_patch(given, problem):
    with pytest.raises(ConfigError, match=f"--patch.*{problem}"):
        build(ComparePatchConfig, ("options", given))


def test_the_patch_is_judged_by_the_placebo_and_by_the_labels_as_given():
    rows = {"as given": [1, 1, 0, 0], "placebo": [1, 0, 0, 0], "patch": [1, 1, 1, 1]}
    found = {name: ({}, [np.array(each, float).repeat(50)] * 3) for name, each in rows.items()}
    whole = PatchedImages(None, None)
    whole.compare_variants(found, None)
    entries = {name: entry for name, (entry, _) in found.items()}
    assert entries["placebo"] == {}
    assert entries["as given"]["difference"] == pytest.approx(0.25)
    assert entries["patch"]["difference"] == pytest.approx(0.75)
    assert entries["patch"]["over_given"] == pytest.approx(0.5)
    said = whole.verdict({"compared": entries, "rule": "seeds and test items"})
    assert said.startswith("Better than placebo by test accuracy: as given +0.2500 (")
    assert "Better than the labels as given by test accuracy: patch +0.5000 (" in said


@pytest.mark.slow
def test_it_trains_as_the_cross_validation_did(command, tmp_path):
    own = (
        "--data",
        "digits",
        "--limit",
        "300",
        "--model",
        "mlp",
        "--epochs",
        "2",
        "--threads",
        "1",
    )
    done = command(classification, "crossval", *own, "--run-dir", tmp_path, "--name", "cv")
    assert done.code == 0, done.err
    run, patch = tmp_path / "classification" / "cv", tmp_path / "patch.csv"
    assert command(classification, "suspects", run, "--write", patch, "--top", "20").code == 0
    words = ("compare-patch", run, "--patch", patch, "--epochs", "3", "--seeds", "2")
    done = command(classification, *words, "--run-dir", tmp_path, "--name", "compared")
    assert done.code == 0, done.err
    assert "over the labels as given (95 %)" in done.out
    compared = run.parent / "compared"
    config = (compared / "config.toml").read_text("utf-8")
    assert all(said in config for said in ("limit = 300", 'model = "mlp"', "epochs = 3"))
    cards = {
        name: json.loads((compared / "members" / name / "data.json").read_text("utf-8"))
        for name in ("as given-0", "placebo-0", "placebo-1", "patch-0")
    }
    assert len({card["fingerprint"] for card in cards.values()}) == 4
    assert "patch" not in cards["as given-0"]["source"]
    assert " a placebo of patch patch.csv (" in cards["placebo-0"]["source"]
    report = command(classification, "report", compared)
    assert report.code == 0, report.err
    other = command(classification, "compare-patch", compared, "--patch", patch)
    assert other.code == 2
    assert "was trained by `compare-patch`, not by `crossval`" in other.err
