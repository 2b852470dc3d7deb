import io
import itertools
import subprocess
import sys
import warnings

import matplotlib
import numpy as np
import pytest
from matplotlib.figure import Figure
from PIL import Image

from common.errors import SaveError
from common.metrics import metrics
from common.report import plots


def pixels(figure):
    """The picture (H, W, 3) that is written."""
    return np.asarray(Image.open(io.BytesIO(plots.png(figure))).convert("RGB"))


def texts(figure):
    axes = figure.axes[0]
    return [text.get_text() for text in axes.texts if text.get_text()]


def labels(axes):
    return axes.get_xlabel(), axes.get_ylabel()


def history(epochs):
    return [
        {
            "epoch": epoch,
            "learning_rate": 0.1 / epoch,
            "train/loss": 1 / epoch,
            "validation/loss": 2 / epoch,
            "validation/accuracy": 1 - 0.5 / epoch,
            "seconds": 1.0,
        }
        for epoch in range(1, epochs + 1)
    ]


# --- style --------------------------------------------------------------------------------------


def test_import_leaves_the_settings_alone_and_needs_no_pyplot():
    code = (
        "import sys, matplotlib; before = matplotlib.rcParams.copy()\n"
        "from common.report import plots\n"
        "plots.png(plots.message('고양이')); assert matplotlib.rcParams.copy() == before\n"
        "print('matplotlib.pyplot' in sys.modules, 'koreanize_matplotlib' in sys.modules)"
    )
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert run.stdout.split() == ["False", "False"]
    assert not run.stderr


def ink(text, **font):
    """The smallest array around what a text leaves on the page."""
    with plots.figure_style():
        figure = Figure(figsize=(2, 1))
        figure.text(0.2, 0.4, text, fontsize=20, **font)
    dark = pixels(figure)[..., 0] < 128
    return dark[np.ix_(dark.any(axis=1), dark.any(axis=0))]


def test_korean_is_drawn_with_nanum_gothic_and_latin_with_dejavu():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert np.array_equal(ink("고양이"), ink("고양이", font=plots.korean_font()))
    assert np.array_equal(ink("cat"), ink("cat", family="DejaVu Sans"))
    assert not np.array_equal(ink("cat"), ink("cat", font=plots.korean_font()))


def test_a_missing_glyph_is_what_the_test_above_would_see():
    with pytest.warns(UserWarning, match="Glyph"):
        ink("고양이", family="DejaVu Sans")


def test_dollars_in_names_are_no_formulas():
    assert not np.array_equal(ink("$x_2$"), ink("x"))
    assert ink("$x_2$").shape[1] > ink("x_2").shape[1]


def test_figures_do_not_depend_on_the_settings_of_the_user():
    expected = plots.png(plots.learning_curves(history(3), 2))
    with matplotlib.rc_context({"font.size": 30, "axes.facecolor": "black", "savefig.dpi": 30}):
        assert plots.png(plots.learning_curves(history(3), 2)) == expected


def test_save_writes_equal_bytes_without_a_stamp(tmp_path):
    for name in ("a.png", "b.png"):
        plots.save(plots.scatter(np.arange(5.0), np.arange(5.0)), tmp_path / name)
    assert (tmp_path / "a.png").read_bytes() == (tmp_path / "b.png").read_bytes()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.png", "b.png"]
    with Image.open(tmp_path / "a.png") as picture:
        assert set(picture.info) == {"dpi"}
        assert picture.info["dpi"] == pytest.approx((120, 120), abs=0.1)
        assert picture.size == (720, 720)


def test_save_says_what_cannot_be_written(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(SaveError, match=r"a\.png"):
        plots.save(plots.message("."), tmp_path / "file" / "a.png")


# --- training -----------------------------------------------------------------------------------


def test_learning_curves_show_the_history():
    figure = plots.learning_curves(history(10), best_epoch=7)
    loss, accuracy, rate = figure.axes
    assert [axes.get_ylabel() for axes in figure.axes] == ["loss", "accuracy", "learning rate"]
    assert rate.get_xlabel() == "epoch"
    train, validation, best = loss.lines
    assert [text.get_text() for text in loss.get_legend().texts] == ["train", "validation"]
    assert train.get_xdata() == pytest.approx(np.arange(1, 11))
    assert train.get_ydata() == pytest.approx(1 / np.arange(1, 11))
    assert validation.get_ydata() == pytest.approx(2 / np.arange(1, 11))
    assert train.get_color() != validation.get_color()
    assert accuracy.lines[0].get_color() == validation.get_color()
    assert rate.lines[0].get_ydata() == pytest.approx(0.1 / np.arange(1, 11))
    assert [list(axes.lines[-1].get_xdata()) for axes in figure.axes] == [[7, 7]] * 3
    assert best in loss.lines
    assert texts(figure) == ["best epoch: 7"]


def test_a_single_epoch_can_be_seen():
    figure = plots.learning_curves(history(1), best_epoch=1)
    assert all(line.get_marker() == "o" for axes in figure.axes for line in axes.lines[:-1])
    low, high = figure.axes[0].get_xlim()
    assert low < 1 < high
    blue = np.array([0, 0x72, 0xB2])
    assert (np.abs(pixels(figure).astype(int) - blue).sum(axis=2) < 30).sum() > 20


def test_the_best_epoch_is_named_inside_the_figure_at_either_end():
    for best in (1, 200):
        figure = plots.learning_curves(history(200), best)
        pixels(figure)
        box = figure.axes[0].texts[0].get_window_extent()
        assert box.x0 > 0
        assert box.x1 < figure.bbox.x1


def test_learning_curves_leave_out_what_is_not_there():
    rows = [{"epoch": 1, "train/loss": 2.0}, {"epoch": 2, "train/loss": 1.0}]
    assert [axes.get_ylabel() for axes in plots.learning_curves(rows).axes] == ["loss"]
    assert plots.learning_curves([]).texts[0].get_text() == "No epochs yet."


def test_learning_curves_of_another_figure_and_with_gaps():
    rows = [
        row | {"validation/mae": value}
        for row, value in zip(history(3), (3.0, None, 1.0), strict=True)
    ]
    panel = plots.learning_curves(rows, metric="mae").axes[1]
    assert panel.get_ylabel() == "mae"
    labelled = plots.learning_curves(rows, metric="mae", label="mean absolute error").axes[1]
    assert labelled.get_ylabel() == "mean absolute error"
    assert panel.lines[0].get_ydata() == pytest.approx([3, np.nan, 1], nan_ok=True)


# --- results ------------------------------------------------------------------------------------


def test_bars_show_values_and_intervals():
    entries = [
        plots.Bar("this run", 0.98125, (0.97, 0.99)),
        plots.Bar("최근접 이웃", 0.5, (0.45, 0.55)),
        plots.Bar("constant", 0.1),
    ]
    figure = plots.bars(entries, "accuracy (share of images)")
    axes = figure.axes[0]
    assert texts(figure) == ["0.9812  [0.9700, 0.9900]", "0.5000  [0.4500, 0.5500]", "0.1000"]
    names = [label.get_text() for label in axes.get_yticklabels()]
    assert names == ["this run", "최근접 이웃", "constant"]
    assert axes.get_xlabel() == "accuracy (share of images)"
    points = [line for line in axes.lines if line.get_marker() == "o"]
    assert [line.get_xdata()[0] for line in points] == [0.98125, 0.5, 0.1]
    assert [line.get_color() for line in points] == [plots.BLUE, plots.GREY, plots.GREY]
    whiskers = [
        line.get_xdata()
        for line in axes.lines
        if line.get_linestyle() == "-" and len(line.get_xdata()) == 2
    ]
    assert whiskers[0] == pytest.approx((0.97, 0.99))
    assert axes.get_ylim()[0] > axes.get_ylim()[1], "the first stands on top"
    pixels(figure)
    assert all(text.get_window_extent().x1 <= figure.bbox.x1 for text in axes.texts)


@pytest.mark.parametrize(
    ("value", "text"), [(1.0, "1.000"), (0.0, "0.000"), (12345.6, "12346"), (0.00123, "0.001230")]
)
def test_bars_round_to_four_digits(value, text):
    assert texts(plots.bars([plots.Bar("run", value)], "mse")) == [text]


def test_bars_write_long_names_whole():
    names = ["connected components + nearest neighbor " * 2, "a" * 70, "가까운이웃" * 9, "short"]
    figure = plots.bars([plots.Bar(name, 0.5, (0.4, 0.6)) for name in names], "test mAP50-95")
    axes = figure.axes[0]
    pixels(figure)
    written = [label.get_text() for label in axes.get_yticklabels()]
    assert ["".join(text.split()) for text in written] == ["".join(name.split()) for name in names]
    boxes = [label.get_window_extent() for label in axes.get_yticklabels()]
    assert all(box.x0 >= 0 for box in boxes)
    assert all(above.y0 > below.y1 for above, below in itertools.pairwise(boxes))
    assert axes.bbox.width > figure.bbox.width / 4
    points = [line.get_ydata()[0] for line in axes.lines if line.get_marker() == "o"]
    assert list(axes.get_yticks()) == pytest.approx(points)


def test_bars_color_the_marked_one():
    axes = plots.bars([plots.Bar("a", 0.5), plots.Bar("b", 0.6)], "accuracy", marked=1).axes[0]
    assert [line.get_color() for line in axes.lines] == [plots.GREY, plots.BLUE]


def test_confusion_shows_counts_and_shares_of_rows():
    matrix = np.array([[8, 2, 0], [0, 0, 0], [1, 1, 2]])
    figure = plots.confusion(matrix, ["고양이", "강아지", "$5"])
    axes = figure.axes[0]
    assert np.asarray(axes.images[0].get_array()) == pytest.approx(
        np.array([[0.8, 0.2, 0], [0, 0, 0], [0.25, 0.25, 0.5]])
    )
    written = {text.get_position(): text.get_text() for text in axes.texts}
    assert written[1, 0] == "2", "x is the predicted class, y the true one"
    assert written[0, 2] == "1"
    assert written[1, 1] == "0", "the diagonal is always written"
    assert (2, 0) not in written
    assert labels(axes) == ("predicted class", "true class")
    assert [label.get_text() for label in axes.get_yticklabels()] == ["고양이", "강아지", "$5"]
    pixels(figure)


@pytest.mark.parametrize(
    ("classes", "numbers", "names"), [(20, True, 20), (21, False, 21), (100, False, 34)]
)
def test_large_confusion_matrices_have_no_numbers_and_fewer_names(classes, numbers, names):
    figure = plots.confusion(np.eye(classes, dtype=int), [f"class {i}" for i in range(classes)])
    axes = figure.axes[0]
    assert bool(axes.texts) == numbers
    assert len(axes.get_xticklabels()) == names
    place = int(axes.get_xticks()[-1])
    assert axes.get_xticklabels()[-1].get_text() == f"class {place}"


def test_long_class_names_are_turned_and_do_not_overlap():
    figure = plots.confusion(np.eye(12, dtype=int), [f"아주 긴 이름의 품종 {i}" for i in range(12)])
    axes = figure.axes[0]
    assert {label.get_rotation() for label in axes.get_xticklabels()} == {45}
    assert {
        label.get_rotation()
        for label in plots.confusion(np.eye(3), "abc").axes[0].get_xticklabels()
    } == {0}
    pixels(figure)
    boxes = [label.get_window_extent() for label in axes.get_yticklabels()]
    assert all(box.x0 >= 0 for box in boxes)


def test_reliability_shows_the_filled_bins_with_wilson_intervals():
    generator = np.random.default_rng(0)
    probabilities = generator.dirichlet(np.ones(3), size=200)
    diagram = metrics.reliability(probabilities, generator.integers(3, size=200))
    figure = plots.reliability(diagram)
    above, below = figure.axes
    filled = diagram.counts > 0
    assert 0 < filled.sum() < len(filled), "the case of an empty bin"
    line, _, (whiskers,) = above.containers[0]
    assert line.get_xdata() == pytest.approx(diagram.confidence[filled])
    assert line.get_ydata() == pytest.approx(diagram.accuracy[filled])
    right = np.rint(diagram.accuracy[filled] * diagram.counts[filled]).astype(int)
    ends = [segment[:, 1] for segment in whiskers.get_segments()]
    expected = [metrics.wilson(*pair) for pair in zip(right, diagram.counts[filled], strict=True)]
    assert np.array(ends) == pytest.approx(np.array(expected))
    assert [patch.get_height() for patch in below.patches] == list(diagram.counts)
    assert all(text for axes in (above, below) for text in labels(axes)[1:])


def test_reliability_of_certain_predictions():
    pixels(plots.reliability(metrics.reliability(np.eye(2), np.array([0, 1]))))


def test_scatter_puts_truth_on_x_and_marks_the_diagonal():
    predictions, targets = np.array([1.0, 2.5]), np.array([1.5, 2.0])
    axes = plots.scatter(predictions, targets, "age (years)").axes[0]
    points = axes.collections[0].get_offsets()
    assert np.asarray(points) == pytest.approx(np.array([[1.5, 1.0], [2.0, 2.5]]))
    assert labels(axes) == ("true age (years)", "predicted age (years)")
    diagonal = axes.lines[0]
    assert list(diagonal.get_xdata()) == list(diagonal.get_ydata())
    assert axes.get_xlim() == axes.get_ylim()


def test_scatter_of_constant_numbers():
    low, high = plots.scatter(np.full(3, 7.0), np.full(3, 7.0)).axes[0].get_xlim()
    assert low < 7 < high


# --- pictures -----------------------------------------------------------------------------------


def test_image_grid_shows_every_image_in_its_place():
    colors = np.array([[200, 0, 0], [0, 200, 0], [0, 0, 200], [90, 90, 0], [0, 90, 90]], np.uint8)
    images = np.broadcast_to(colors[:, None, None], (5, 4, 8, 3))
    picture = pixels(plots.image_grid(images, ["고양이"] * 5, columns=3, title="five"))
    for index, color in enumerate(colors):
        rows, columns = np.nonzero((picture == color).all(axis=2))
        assert columns.mean() == pytest.approx(900 * (index % 3 + 0.5) / 3, abs=3)
        assert np.ptp(columns) + 1 == pytest.approx(270, abs=2)
        assert np.ptp(rows) + 1 == pytest.approx(135, abs=2), "twice as wide as high"
        assert len(rows) == pytest.approx(270 * 135, rel=0.02), "nothing covers it"


def test_grey_images_keep_their_scale():
    images = np.array([[[100, 100], [110, 110]]], np.uint8)
    picture = pixels(plots.image_grid(images, columns=1))
    assert {(100, 100, 100), (110, 110, 110)} <= set(map(tuple, picture.reshape(-1, 3).tolist()))


def test_captions_are_broken_and_stay_in_their_cells():
    caption = (
        "true 아메리칸쇼트헤어 → American Staffordshire Terrier mix of the longest kind (0.98)"
    )
    figure = plots.image_grid(np.zeros((12, 8, 8), np.uint8), [caption] * 12, columns=6)
    pixels(figure)
    boxes = [text.get_window_extent() for text in figure.axes[0].texts if text.get_text()]
    assert all(box.width <= 150 for box in boxes)
    below = [image.get_window_extent() for image in figure.axes[0].images[6:]]
    assert min(box.y0 for box in boxes[:6]) >= max(box.y1 for box in below)
    assert min(box.y0 for box in boxes) >= 0


@pytest.mark.parametrize(
    ("name", "cells", "expected"),
    [
        ("cat", 3, "cat"),
        ("cats", 3, "ca…"),
        ("고양이", 6, "고양이"),
        ("고양이", 5, "고양…"),
        ("고양이".encode().decode(), 4, "고…"),
        ("\u1100\u1169", 2, "고"),
        ("가" * 1_000_000, 6, "가가…"),
        ("two\nlines  here", 20, "two lines here"),
        ("", 5, ""),
    ],
)
def test_short_names(name, cells, expected):
    assert plots.short(name, cells) == expected


def test_letters_without_a_glyph_become_boxes():
    assert plots.drawable("한글 ok") == "한글 ok"
    assert plots.drawable("🫠x\x00") == "□x□"
