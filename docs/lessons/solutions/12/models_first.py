"""Lesson 12: first a model for each fold, then each row asks the one of its own."""

import numpy as np


def out_of_fold(make_model, inputs, targets, test_inputs, folds):
    """Return the answers of the rows and of the test rows."""
    models = {}
    for fold in {*folds.tolist()}:
        models[fold] = make_model()
        models[fold].fit(inputs[folds != fold], targets[folds != fold])
    asked = zip(inputs, folds.tolist(), strict=True)
    answers = np.array([models[fold].predict(row[None])[0] for row, fold in asked])
    return answers, sum(each.predict(test_inputs) for each in models.values()) / len(models)
