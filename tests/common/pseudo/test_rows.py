"""Tables of pseudo-labels, and which samples a fold leaves out."""

import numpy as np
import pytest
import torch

from common.errors import ConfigError, DataError
from common.options.config import build
from common.pseudo import report, rows
from common.pseudo.label import Held, Unlabelled, find_held, label
from common.pseudo.run import describe_ceiling
from labs.classification.config import ClassificationConfig
from labs.classification.experiments.config import PseudoLabelConfig
from labs.rnn.sentiment.config import SentimentConfig

NAMES = ["a, b.png", ' "so"\r\n she said ', "한글", "=1+1"]


def test_what_is_written_is_read(tmp_path):
    path = tmp_path / "fold-1.csv"
    rows.write_rows(path, NAMES, ["no", "yes", "no", "yes"], [0.95, 1, 0.96, 0.97])
    found = rows.read_rows(str(path), ["no", "yes"])
    assert found.names == NAMES
    assert found.targets.tolist() == [0, 1, 0, 1]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (None, "no such file"),
        ("", "expected rows with the columns sample and label"),
        ("sample,label\n", "expected rows"),
        ("text,label\na,no\n", "expected rows"),
        ("sample,label\na,nope\n", "'a': the data have no class 'nope'; did you mean no?"),
        ("sample,label\na,no\nb\n", "'b': the data have no class ''"),
        ('sample,label\n"a,no\n', "no table in UTF-8"),
        (b"sample,label\n\xff,no\n", "no table in UTF-8"),
    ],
)
def test_what_is_no_table_of_labels_is_one_sentence(tmp_path, text, said):
    path = tmp_path / "labels.csv"
    if text is not None:
        path.write_bytes(text if isinstance(text, bytes) else text.encode())
    with pytest.raises(DataError, match="--pseudo") as caught:
        rows.read_rows(str(path), ["no", "yes"])
    assert said in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("kind", "given", "said"),
    [
        (ClassificationConfig, {"pseudo": "a.csv"}, "--pseudo: needs --unlabelled"),
        (SentimentConfig, {"pseudo": "a.csv", "all_rows": "yes"}, "--all-rows: goes without --ps"),
        (ClassificationConfig, {"pseudo": "a.csv", "unlabelled": "b", "loss": "mse"}, "--pseudo: "),
        (PseudoLabelConfig, {"threshold": "0.49"}, "--threshold 0.49: expected a number at least"),
        (PseudoLabelConfig, {"threshold": "1.01"}, "--threshold 1.01: expected a number at least"),
    ],
)
def test_options_that_do_not_go_together_are_refused(kind, given, said):
    with pytest.raises(ConfigError) as caught:
        build(kind, ("options", given))
    assert any(said in problem for problem in caught.value.problems)


def test_a_source_is_the_same_for_all_folds():
    config = build(SentimentConfig, ("options", {"pseudo": "a.csv", "folds": "3", "fold": "2"}))
    sources = [f"texts, fold 2 of 3 tests, {rows.describe(number)}" for number in (7, 1234)]
    [whole] = {config.describe_whole(source) for source in sources}
    assert whole == "texts, pseudo-labelled samples to train"


class Network:
    """Is surer of the first class, the larger a number is."""

    def load_best(self):
        self.loaded = True

    def answers(self, inputs):
        assert self.loaded
        return {"outputs": torch.tensor([[float(number), 0.0] for number in inputs])}


def test_a_label_is_given_from_the_threshold_on_and_to_no_copy():
    numbers = [-9.0, 0.0, 1.0, 5.0, 9.0]
    unlabelled = Unlabelled([*map(str, numbers)], None, lambda rows: [numbers[row] for row in rows])
    folds = [
        Held([["a", "b"], ["c"]], np.zeros(2), 1, 1),
        Held([["d"], ["e"]], np.zeros(2), 1, 1),
    ]
    # c is a copy of -9, and d of 9 and of 5, as a copy of a copy is one
    copies = find_held([0, 1, 2, 3, 4, *(2, 5, 6, 3, 3)], folds, 5)
    assert [each.tolist() for each in copies] == [
        [True, False, False, False, False],
        [False, False, False, True, True],
    ]
    found = label({"one": Network(), "two": Network()}, unlabelled, copies, 0.9)
    assert found["one"].rows.tolist() == [3, 4]
    assert found["two"].rows.tolist() == [0]
    assert (found["one"].classes.tolist(), found["two"].classes.tolist()) == ([0, 0], [1])
    assert [each.copies for each in found.values()] == [1, 2]
    assert found["one"].shares.tolist() == pytest.approx([1 / (1 + np.exp(-5)), 1], abs=1e-3)


@pytest.mark.parametrize(
    ("smoothing", "threshold", "ceiling"),
    [(0.1, 0.95, "of 0.95,"), (0.1, 0.9, ""), (0.05, 0.99, "of 0.975,"), (0.0, 1.0, "")],
)
def test_smoothed_targets_bound_how_sure_networks_are(smoothing, threshold, ceiling):
    config = PseudoLabelConfig(label_smoothing=smoothing, threshold=threshold)
    said = describe_ceiling(config, 2)
    assert ceiling in said
    assert bool(said) == bool(ceiling)


def test_shares_of_classes_and_their_shift():
    folds = {
        name: {"counts": counts, "learned": [30, 10]}
        for name, counts in (("fold-1", [1, 1]), ("fold-2", [0, 2]))
    }
    columns, found = report.list_classes({"folds": folds, "classes": ["cat", "dog"]})
    assert columns == [
        "class",
        "fold-1",
        "fold-2",
        "share of labelled",
        "of pseudo-labels",
        "shift",
    ]
    assert found == [
        ["cat", "1", "0", "75.0%", "25.0%", "-50.0 points"],
        ["dog", "1", "2", "25.0%", "75.0%", "+50.0 points"],
    ]
