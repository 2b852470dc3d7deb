import io
import unicodedata

import numpy as np
import pytest
import torch
from PIL import Image

from common.errors import DataError
from common.report.plots import png
from labs.rnn.cells import CELLS
from labs.rnn.memory.microscope import View, by_word, draw, look, table
from labs.rnn.recurrent import Recurrent

WORDS = ["이", "영화는", "정말", "재미있었다", "but", "$5", "the_end", "_"]
each_cell = pytest.mark.parametrize("name", CELLS)


def views(name="lstm", words=WORDS, **options):
    torch.manual_seed(0)
    recurrent = Recurrent(name, 4, 6, **options)
    inputs = torch.randn(len(words), 4)
    return recurrent, inputs, look(recurrent, inputs)


@each_cell
def test_the_hidden_states_are_those_of_the_network(name):
    recurrent, inputs, found = views(name, layers=2, bidirectional=True, dropout=0.5)
    assert [(view.layer, view.leftward) for view in found] == [
        (0, False),
        (0, True),
        (1, False),
        (1, True),
    ]
    states, _ = recurrent(inputs[None])
    top = np.concatenate([view.parts["hidden"] for view in found[2:]], 1)
    np.testing.assert_allclose(top, states[0].detach().numpy(), atol=1e-5)


@each_cell
def test_every_gate_is_there_word_by_word(name):
    _, _, [view] = views(name)
    cell = CELLS[name]
    assert set(view.parts) == {*cell.gate_names, *cell.state_names}
    assert all(part.shape == (len(WORDS), 6) for part in view.parts.values())


def test_a_text_without_words_is_refused():
    with pytest.raises(DataError, match="no words"):
        look(Recurrent("gru", 4, 6), torch.zeros(0, 4))


HIDDEN = np.array([[0.0, 0.5, -0.1], [0.9, 0.5, -0.1], [0.9, 0.4, -0.8]])


def test_units_are_ordered_by_the_word_that_changes_them_most():
    assert by_word(View(0, False, {"hidden": HIDDEN})).tolist() == [1, 0, 2]
    falls_first = np.array([[-0.5, 0.4, 0.6]])
    assert by_word(View(0, False, {"hidden": falls_first})).tolist() == [2, 1, 0]


def test_read_from_the_right_the_word_is_found_too():
    # Read from the last row up: unit 0 falls at word 0, unit 1 rises at word 2, unit 2 falls there.
    assert by_word(View(0, True, {"hidden": HIDDEN})).tolist() == [0, 1, 2]


def test_the_cell_state_decides_where_there_is_one():
    view = View(0, False, {"hidden": HIDDEN, "cell": HIDDEN[:, ::-1]})
    assert by_word(view).tolist() == [1, 2, 0]


def test_the_table_has_the_means_of_the_gates_and_the_change_of_the_state():
    gate = np.array([[0.0, 1.0, 0.5], [1.0, 1.0, 1.0], [0.0, 0.0, 0.3]])
    view = View(0, False, {"update": gate, "candidate": HIDDEN, "hidden": HIDDEN})
    shown = table(view, ["하나", "둘", "셋"])
    assert list(shown.columns) == ["", "update, mean", "change of state"]
    assert shown.rows == [["하나", "0.50", "0.51"], ["둘", "1.00", "0.90"], ["셋", "0.10", "0.71"]]


def all_labels(figure):
    return {text.get_text() for axes in figure.axes for text in axes.get_xticklabels()}


@each_cell
def test_each_part_is_drawn_with_the_words_below(name):
    _, _, [view] = views(name)
    figure = draw(view, WORDS)
    names = {axes.get_ylabel() for axes in figure.axes}
    assert set(view.parts) <= names
    assert ("mean of\nforget" in names) == (name == "lstm")
    assert ("mean of\nupdate" in names) == (name == "gru")
    assert set(WORDS) <= all_labels(figure)
    assert Image.open(io.BytesIO(png(figure))).size[0] == 900


def test_korean_is_composed_and_drawn_with_glyphs():
    decomposed = [unicodedata.normalize("NFD", word) for word in WORDS]
    _, _, [view] = views("gru", decomposed)
    figure = draw(view, decomposed)
    assert set(WORDS) <= all_labels(figure)
    png(figure)  # a missing glyph would be a warning, and so an error


def test_blanks_are_seen():
    _, _, [view] = views("gru", [" ", "", "a b"])
    assert {"␣", "a␣b"} <= all_labels(draw(view, [" ", "", "a b"]))


def test_a_long_text_is_drawn_up_to_its_80th_word():
    words = [f"w{number}" for number in range(100)]
    _, _, [view] = views("rnn", words)
    figure = draw(view, words)
    assert {"w0", "w79"} <= all_labels(figure)
    assert "w80" not in all_labels(figure)
    assert "the first 80 of 100 words" in figure.get_suptitle()


def test_one_word_is_enough():
    _, _, [view] = views("lstm", ["하나"])
    png(draw(view, ["하나"]))
