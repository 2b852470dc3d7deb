"""A linear probe: how much a linear model can tell of the classes from the latents alone.

Alain and Bengio (2017), "Understanding intermediate layers using linear classifier probes".
"""

from typing import Any

import numpy as np

from common.errors import DataError
from common.metrics import metrics
from common.metrics.metrics import Array
from common.report.html import Section, Table
from common.report.plots import Bar, bars
from labs.autoencoder.views import representations as spaces
from labs.autoencoder.views.material import Material, View, choose_rows
from labs.autoencoder.views.representations import ABOUT, LATENTS, PCA

STRENGTHS = (1e-3, 1e-2, 0.1, 1.0, 10.0, 100.0)  # scikit-learn's C: a small one is a strong penalty
_MOST = 10_000  # training images
_ITERATIONS = 2000


def fit(train: Array, train_classes: Array, validation: Array, validation_classes: Array) -> Any:
    """Fit logistic regression on standardized vectors, its penalty chosen on validation.

    Vectors are (N, D) and (M, D). Of penalties that are equally good on validation the strongest is
    taken. Classes are numbers, (N,) and (M,). What is returned is a pipeline of scikit-learn.

    Raises:
        DataError: the training vectors are all of one class.
    """
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    if len(np.unique(train_classes)) < 2:
        raise DataError(
            "a probe tells classes from each other, and all training images are of one class; "
            "train on images of two classes or more"
        )
    models = [
        make_pipeline(StandardScaler(), LogisticRegression(C=strength, max_iter=_ITERATIONS))
        for strength in STRENGTHS
    ]
    fitted = [model.fit(train.astype(np.float64), train_classes) for model in models]
    return max(fitted, key=lambda model: model.score(validation, validation_classes))


def probe(
    train: Array,
    train_classes: Array,
    validation: Array,
    validation_classes: Array,
    test: Array,
) -> Array:
    """Return the classes (T,) that a linear probe predicts for test vectors (T, D); see `fit`."""
    model = fit(train, train_classes, validation, validation_classes)
    return np.asarray(model.predict(test.astype(np.float64)))


def view(material: Material) -> View:
    """Hold a linear probe on the latents against one on PCA's components, and one on pixels.

    Raises:
        ConfigError: the data has no classes.
        DataError: the training images are all of one class.
    """
    spaces.class_names(material, "a probe")
    rows = {
        "train": choose_rows(material["train"], _MOST),
        "validation": np.arange(len(material["validation"])),
        "test": np.arange(len(material["test"])),
    }
    data = {split: spaces.vectors(material, split, chosen) for split, chosen in rows.items()}
    classes = {split: material[split].classes[chosen] for split, chosen in rows.items()}
    models = {
        space: fit(train, classes["train"], data["validation"][space], classes["validation"])
        for space, train in data["train"].items()
    }
    right = {
        space: model.predict(data["test"][space]) == classes["test"]
        for space, model in models.items()
    }
    values, leads = spaces.compare(metrics.mean, right, interval=metrics.wilson_of)
    p_values = {space: metrics.mcnemar(right[LATENTS], right[space]) for space in leads}
    records = [
        {
            "space": space,
            "numbers": data["test"][space].shape[1],
            "C": f"{model[-1].C:g}",
            **spaces.record("accuracy", values[space], leads.get(space)),
            "McNemar's p": p_values.get(space),
        }
        for space, model in models.items()
    ]
    majority = float(np.mean(classes["test"] == np.bincount(classes["train"]).argmax()))
    verdict = (
        f"A linear probe on the latents is right on {values[LATENTS][0]:.1%} of the test images, "
        f"one on {data['test'][PCA].shape[1]} PCA components on {values[PCA][0]:.1%}. Latents "
        f"minus PCA is {spaces.lead_text(leads[PCA])}, McNemar's p = {p_values[PCA]:.2g}: "
        f"{spaces.judge_lead(leads[PCA], p_values[PCA])}."
    )
    text = (
        "A linear probe is a logistic regression that sees nothing of an image but its vector: "
        "what it gets right, the vector holds in a form that is easy to use. All are fitted in the "
        f"same way on {len(rows['train']):,} training images, on numbers scaled to mean 0 and "
        "deviation 1, with the penalty (C, small is strong) that is best on the validation split. "
        f"{ABOUT} Always the most frequent class would be right on {majority:.1%}. Accuracies have "
        "Wilson intervals; that of the lead is a paired bootstrap, p is of McNemar's exact test, "
        "and a difference is shown where the interval leaves out 0 and p is below 0.05."
        f"{spaces.warn_if_told(material)}"
    )
    entries = [Bar(name, value, (low, high)) for name, (value, low, high) in values.items()]
    picture = material.save_picture(
        "probe",
        "Test accuracy of linear probes, with 95 % intervals.",
        bars(entries, "test accuracy"),
    )
    figures = {
        **spaces.flat("accuracy", values, leads),
        **{f"mcnemar_p_{space.lower()}": p for space, p in p_values.items()},
        "majority_accuracy": majority,
    }
    section = Section("Linear probe", f"{verdict}\n\n{text}", Table.of(records), [picture])
    return View(section, verdict, records, figures)
