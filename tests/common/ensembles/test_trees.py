"""Gradient boosting that is kept as arrays says what scikit-learn's own says."""

import numpy as np
import pytest
from sklearn.ensemble import HistGradientBoostingClassifier

from common.ensembles.trees import Trees


@pytest.mark.parametrize("classes", [2, 3])
def test_kept_trees_say_what_those_of_scikit_learn_say(classes):
    rng = np.random.default_rng(0)
    features = rng.normal(size=(80, 3)).astype(np.float32)
    targets = np.digitize(features[:, 0] + rng.normal(size=80) / 4, [0, 0.7][: classes - 1])
    steps = []
    found = Trees.fit(features, targets, 0, steps.append)
    assert steps[-1] == 1
    again = Trees.from_arrays(found.as_arrays())
    logits = again.logits(features, classes + 1)  # of the last class there is no sample
    model = HistGradientBoostingClassifier(early_stopping=False, random_state=0)
    expected = model.fit(features, targets).predict_proba(features)
    shares = np.exp(logits - logits.max(1, keepdims=True))
    shares /= shares.sum(1, keepdims=True)
    np.testing.assert_allclose(shares[:, :-1], expected, atol=1e-9)
    assert not shares[:, -1].any()
    assert again.logits(features[:0], classes).shape == (0, classes)
