"""The pictures: what is in them, in Korean too, without a warning about a missing glyph."""

import warnings

import numpy as np
import pytest

from common.report.plots import png
from labs.rnn.translate import plots
from labs.rnn.translate.measures import CHRF, EXACT_MATCH


def weights(rows, columns):
    scores = np.random.default_rng(0).random((rows, columns))
    return scores / scores.sum(1, keepdims=True)


def labels(axes, which):
    ticks = (axes.xaxis if which == "x" else axes.yaxis).get_major_ticks()
    return [(tick.label2 if which == "x" else tick.label1).get_text() for tick in ticks]


@pytest.mark.parametrize(
    ("source", "translation"),
    [
        ([*"이천이십사년 삼월 오일", "end"], [*"2024-03-05", "end"]),
        (["▁Delete", "▁all", "▁the", "▁notebooks", "end"], ["노트북을", "모두", "삭제", "end"]),
        ([*"각\n값\t닭", "end"], [*"각", "end"]),
        (["end"], ["end"]),
    ],
)
def test_alignment_draws_its_tokens(source, translation):
    figure = plots.alignment(source, translation, weights(len(translation), len(source)))
    axes, bar = figure.axes
    shown = " ".join(source).translate(str.maketrans("▁\n\t", "␣⏎⇥"))
    assert " ".join(labels(axes, "x")) == shown.replace("   ", " ␣ ")
    assert labels(axes, "y") == translation
    assert axes.images[0].get_array().shape == (len(translation), len(source))
    assert bar.get_ylabel() == "weight"
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert len(png(figure)) > 1000


def test_letters_that_no_font_has_are_boxes():
    figure = plots.alignment([*"🫠\0a"], ["🫠🫠"], weights(1, 3))
    axes = figure.axes[0]
    assert (labels(axes, "x"), labels(axes, "y")) == (["□", "□", "a"], ["□□"])
    png(figure)


def test_long_texts_are_cut():
    figure = plots.alignment(["a"] * 300, ["b"] * 200, weights(200, 300))
    assert figure.axes[0].images[0].get_array().shape == (80, 80)
    assert max(figure.get_size_inches()) < 25


def test_long_tokens_are_shortened():
    figure = plots.alignment(["x" * 99, "end"], ["가" * 99, "end"], weights(2, 2))
    assert max(map(len, labels(figure.axes[0], "x"))) <= 12


@pytest.mark.parametrize("main_metric", [EXACT_MATCH, CHRF])
def test_lengths_have_a_point_per_group(main_metric):
    draw = np.random.default_rng(0)
    sources = ["x" * size for size in draw.integers(1, 40, 120)]
    targets = np.array([f"낱말 {number}" for number in range(120)], object)
    translations = np.where(draw.random(120) < 0.5, targets, "낱말")
    figure = plots.by_length(sources, translations, targets, main_metric)
    points = [line for line in figure.axes[0].lines if line.get_marker() == "o"]
    assert len(points) == 6
    assert figure.axes[0].get_ylabel() == main_metric.label


def test_texts_of_one_length_are_one_group():
    texts = np.array(["가"] * 5, object)
    figure = plots.by_length(["ab"] * 5, texts, texts, EXACT_MATCH)
    assert len([line for line in figure.axes[0].lines if line.get_marker() == "o"]) == 1
