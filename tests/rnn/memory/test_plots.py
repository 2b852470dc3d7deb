import numpy as np

from common.report.plots import png
from labs.rnn.memory.plots import Curve, Reach, Threshold, errors, reaches


def test_each_length_has_a_panel_with_its_thresholds():
    curves = [Curve("rnn", [5, 10], [0.2, 0.1]), Curve("gru", [5, 10], [0.1, 0.01])]
    lengths = (10, 20, 30, 40)
    thresholds = {length: Threshold(1 / length, 0.06 / length) for length in lengths}
    figure = errors(dict.fromkeys(lengths, curves), thresholds, "mean squared error", "always 1")
    titles = [axes.get_title(loc="left") for axes in figure.axes if axes.axison]
    assert titles == ["T = 10", "T = 20", "T = 30", "T = 40"]
    flat = [line.get_ydata()[0] for line in figure.axes[1].get_lines()[:2]]
    assert flat == [1 / 20, 0.06 / 20]
    png(figure)


def test_each_cell_has_a_column_untrained_above_trained():
    fading = 0.5 ** np.arange(2000)  # down to 0
    found = [
        Reach("rnn", False, "default", True, fading, ""),
        Reach("rnn", True, "default", True, fading, "no better"),
        Reach("rnn", True, "orthogonal", False, np.ones(2000), "no better"),
        Reach("gru", False, "chrono", True, np.ones(2000), ""),
    ]
    figure = reaches(found)
    assert [len(axes.get_lines()) for axes in figure.axes] == [1, 1, 2, 0]
    low, high = figure.axes[0].get_ylim()
    assert 0 < low < 1 < high
    assert low > 1e-14
    png(figure)


def test_norms_that_vanished_altogether_are_drawn_too():
    png(reaches([Reach("rnn", False, "default", True, np.zeros(5), "")]))
