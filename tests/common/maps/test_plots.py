import logging

import numpy as np
import pytest
from matplotlib.colors import to_rgba

from common.maps import plots as map_plots
from common.maps.plots import Marked, Placed
from common.maps.trust import Figures, Row, Spread, Summary, Trust
from common.report import plots

NAMES = ("고양이", "$<b>", "아주 긴 이름을 가진 클래스 하나 둘 셋", "🐈")
RNG = np.random.default_rng(0)
CLASSES = RNG.integers(0, 4, 60)
FLAT, SOLID = RNG.normal(size=(60, 2)), RNG.normal(size=(60, 3))


@pytest.fixture(autouse=True)
def silent(caplog):
    """Let no drawing complain, of a missing glyph for example."""
    caplog.set_level(logging.WARNING)
    yield
    assert not caplog.records


def texts(figure):
    return [item.get_text() for part in (figure, *figure.subfigs) for item in part.texts]


def test_panels_show_each_point_in_its_place_and_color():
    figure = map_plots.maps({"t-SNE": FLAT, "PCA": FLAT[:, ::-1]}, CLASSES, NAMES)
    assert [axes.get_title("left") for axes in figure.axes] == ["t-SNE", "PCA"]
    palette = map_plots.colors(4)
    for axes, coordinates in zip(figure.axes, (FLAT, FLAT[:, ::-1]), strict=True):
        [points] = axes.collections
        places = {tuple(place): row for row, place in enumerate(coordinates)}
        rows = [places[tuple(place)] for place in points.get_offsets().data]
        assert sorted(rows) == list(range(60))
        expected = [to_rgba(palette[CLASSES[row]], 0.75) for row in rows]
        assert np.allclose(points.get_facecolors(), expected)
    plots.png(figure)


def test_the_legend_names_the_classes_that_are_there():
    figure = map_plots.maps({"t-SNE": FLAT}, np.where(CLASSES == 1, 0, CLASSES), NAMES)
    [legend] = figure.subfigs[0].legends
    assert [text.get_text() for text in legend.get_texts()] == [
        "고양이",
        "아주 긴 이름을 …",
        "□",
    ]
    plots.png(figure)


def test_many_classes_get_a_color_bar_with_numbers():
    names = [f"class {number}" for number in range(60)]
    figure = map_plots.maps({"t-SNE": FLAT, "PCA": FLAT}, np.arange(60), names)
    assert not figure.subfigs[0].legends
    assert figure.axes[-1].get_xlabel() == "class number"
    plots.png(figure)


def test_three_dimensions_are_drawn_as_such():
    placed = {"t-SNE": Placed(SOLID[:2], ["a.png", "b.png"])}
    figure = map_plots.maps({"t-SNE": SOLID, "PCA": SOLID}, CLASSES, NAMES, placed)
    assert [axes.name for axes in figure.axes] == ["3d", "3d"]
    assert len(figure.axes[0].collections) == 2
    plots.png(figure)


def test_new_points_are_numbered_stars_with_their_names():
    names = ["내 사진.png", "$<script>.png"]
    placed = {"PCA": Placed(FLAT[:2] + 0.1, names)}
    figure = map_plots.maps({"t-SNE": FLAT, "PCA": FLAT}, CLASSES, NAMES, placed)
    first, second = figure.axes
    assert len(first.collections) == 1
    assert np.array_equal(second.collections[1].get_offsets().data, FLAT[:2] + 0.1)
    assert [text.get_text().strip() for text in second.texts] == ["1", "2"]
    assert texts(figure)[-1] == "★ 1  내 사진.png\n★ 2  $<script>.png"
    plots.png(figure)


def test_only_some_of_many_new_names_are_listed():
    placed = {"t-SNE": Placed(FLAT[:20], [f"{number}.png" for number in range(20)])}
    figure = map_plots.maps({"t-SNE": FLAT}, CLASSES, NAMES, placed)
    lines = texts(figure)[-1].splitlines()
    assert lines[-2:] == ["★ 12  11.png", "and 8 more"]
    assert len(figure.axes[0].collections[1].get_offsets()) == 20


@pytest.mark.parametrize("count", [1, 3])
def test_any_number_of_panels_has_room(count):
    figure = map_plots.maps({f"map {row}": FLAT for row in range(count)}, CLASSES, NAMES)
    assert len(figure.axes) == count
    plots.png(figure)


@pytest.mark.parametrize("count", [1, 10, 11, 20, 21, 300])
def test_every_class_has_a_color_of_its_own(count):
    found = map_plots.colors(count)
    assert len(found) == count
    assert all(len(color) == 7 and color[0] == "#" for color in found)
    assert len(set(found)) > 0.8 * count
    assert count > 30 or len(set(found)) == count


def table(perplexities, with_pixels):
    def spreads(start):
        return {name: Spread(start, start - 0.01, start + 0.02) for name in Figures._fields}

    summary = tuple(
        Summary(
            space, perplexity, spreads(0.9), spreads(0.8) if with_pixels else {}, Spread(1, 1, 1)
        )
        for space in ("pixels", "latents")
        for perplexity in perplexities
    )
    return Trust(90, 10, (Row("pixels", 10, 0, Figures(1, 1, 1), None),), summary)


def test_trust_is_drawn_against_perplexity_with_its_spread():
    figure = map_plots.trust(table((10, 30, 100), with_pixels=True))
    assert len(figure.axes) == 6
    first = figure.axes[0]
    assert first.get_title("left") == "trustworthiness"
    assert [text.get_text() for text in figure.axes[-1].get_xticklabels()] == ["10", "30", "100"]
    assert len(first.containers) == 2
    _, _, [bars] = first.containers[0]
    for low, high in (segment[:, 1] for segment in bars.get_segments()):
        assert (low, high) == pytest.approx((0.89, 0.92))
    assert [axes.get_ylabel() for axes in figure.axes if axes.get_ylabel()] == [
        "against its own vectors",
        "against pixels",
    ]
    plots.png(figure)


def test_without_pixels_there_is_one_row_also_for_one_perplexity():
    figure = map_plots.trust(table((7.5,), with_pixels=False))
    assert len(figure.axes) == 3
    plots.png(figure)


def test_marked_points_are_crosses_over_the_others_and_counted_in_the_legend():
    rows = CLASSES == 2
    figure = map_plots.maps({"t-SNE": FLAT}, CLASSES, NAMES, marked=Marked("틀림", rows))
    dots, crosses = figure.axes[0].collections
    assert len(dots.get_offsets()) == (~rows).sum()
    assert sorted(map(tuple, crosses.get_offsets().data)) == sorted(map(tuple, FLAT[rows]))
    assert crosses.get_edgecolors().tolist() == [[0, 0, 0, 1]]
    [legend] = figure.subfigs[0].legends
    assert legend.get_texts()[-1].get_text() == f"틀림: {rows.sum()} of 60"
    plots.png(figure)


@pytest.mark.parametrize("places", [FLAT, SOLID])
def test_numbers_are_shades_with_a_bar(places):
    values, marked = np.linspace(-1, 3, 60), Marked("off", CLASSES == 2)
    figure = map_plots.maps({"t-SNE": places}, values, (), marked=marked, scale="rating")
    assert figure.axes[-1].get_xlabel() == "rating"
    [legend] = figure.subfigs[0].legends
    assert legend.get_texts()[0].get_text().startswith("off: ")
    plots.png(figure)
