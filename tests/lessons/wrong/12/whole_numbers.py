# whole numbers
import numpy as np


def out_of_fold(make_model, inputs, targets, test_inputs, folds):
    answers, of_test = np.zeros_like(targets), []
    for fold in np.unique(folds):
        own = folds == fold
        model = make_model()
        model.fit(inputs[~own], targets[~own])
        answers[own] = model.predict(inputs[own])
        of_test.append(model.predict(test_inputs))
    return answers, np.mean(of_test, axis=0)
