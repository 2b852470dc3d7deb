"""In a notebook a command shows one block that is rewritten, its results, and its pictures."""

import os
import signal
import sys
import time
import warnings

import click
import IPython.display
import matplotlib
import pytest
from IPython.core.interactiveshell import InteractiveShell
from matplotlib.figure import Figure
from PIL import Image
from traitlets.config import Config

from common import steps
from common.errors import LabError, RunFailed, Stopped
from common.notebook import cell
from common.options import terminal, waiting
from common.report import plots


class Shown(list):
    """What a cell shows: each output as it is now, and how often one was rewritten."""

    rewritten = 0

    def display(self, data, raw=False, display_id=False):
        self.append(data)
        place = len(self) - 1

        class Handle:
            def update(handle, data, raw):
                self[place] = data
                self.rewritten += 1

        return Handle()


@pytest.fixture
def shown(monkeypatch):
    found = Shown()
    monkeypatch.setattr(cell, "kernel", object)
    monkeypatch.setattr(IPython.display, "display", found.display)
    monkeypatch.setattr(cell, "_TICK", 0.01)
    monkeypatch.setattr(waiting, "PATIENCE", 0.0)
    return found


def test_notes_and_the_bar_are_one_output_that_is_rewritten(shown, capsys):
    with cell.shown():
        terminal.note("<마이크>")
        with steps.step("epoch 3/10", 10) as step:
            step.move(2.5)
            deadline = time.monotonic() + 20
            while "progress" not in shown[0]["text/html"] and time.monotonic() < deadline:
                time.sleep(0.01)
            assert (
                '<progress value="0.250" aria-label="epoch 3/10: 25 %, 0 s left">'
                in (shown[0]["text/html"])
            )
        terminal.say("a result")
        for number in range(100):
            terminal.note(f"line {number}")
    assert len(shown) == 1
    assert shown.rewritten >= 1
    lines = shown[0]["text/plain"].splitlines()
    assert lines[0] == "<마이크>"
    assert lines[12] == "... 77 lines ..."
    assert lines[-1] == "line 99"
    assert "&lt;마이크&gt;" in shown[0]["text/html"]
    assert "progress" not in shown[0]["text/html"]
    assert capsys.readouterr() == ("a result\n", "")


def test_nothing_is_left_of_a_bar_alone(shown):
    with cell.shown(), steps.step("loading"):
        deadline = time.monotonic() + 20
        while not shown and time.monotonic() < deadline:
            time.sleep(0.01)
        assert "loading" in shown[0]["text/plain"]
    assert shown == [{"text/plain": "", "text/html": ""}]


def test_a_line_of_an_epoch_is_plain_whatever_the_environment_says_of_colors(shown, monkeypatch):
    monkeypatch.setenv("FORCE_COLOR", "1")
    with cell.shown(), terminal.display(2, ["validation/accuracy"]) as view:
        view.epoch({"epoch": 1, "train/loss": 0.5, "seconds": 1.0}, best=True)
    assert shown[0]["text/plain"] == "epoch   1/2  train/loss 0.5000  1.0 s *\n"


def test_a_picture_is_shown_where_a_command_names_it(shown, tmp_path, capsys):
    Image.new("L", (1, 1)).save(tmp_path / "그림 1.png")
    with cell.shown():
        click.echo(f"Picture: {tmp_path / '그림 1.png'}")
        click.echo("Picture: of words", nl=False)
    assert [type(each).__name__ for each in shown] == ["Image"]
    assert capsys.readouterr().out.endswith("Picture: of words\n")


def test_a_table_is_one_of_a_page_and_stands_where_it_was_printed(shown, capsys, monkeypatch):
    monkeypatch.setenv("FORCE_COLOR", "1")
    with cell.shown():
        terminal.say("before")
        terminal.show_table("<결과>", ["", "정확도"], [["신경망", "0.9000"], ["<b>", "0.1000"]])
        terminal.say("after")
    [table] = shown
    assert table["text/html"].startswith("<p><b>&lt;결과&gt;</b></p><table><thead><tr><th></th>")
    assert "신경망</th><td>0.9000</td></tr>" in table["text/html"]
    assert "&lt;b&gt;</th><td>0.1000</td>" in table["text/html"]
    assert "| <b>    | 0.1000 |" in table["text/plain"]
    assert "\x1b" not in table["text/plain"]
    assert capsys.readouterr().out == "before\nafter\n"


def test_without_a_kernel_a_command_shows_what_a_shell_does(capsys):
    assert cell.kernel() is None
    with cell.shown():
        terminal.note("a note")
    assert capsys.readouterr() == ("", "a note\n")


@click.group()
def group():
    """Commands of the tests."""


@group.command()
@click.argument("way")
def fail(way):
    """Fail in one way."""
    if way == "interrupt":
        os.kill(os.getpid(), signal.SIGINT)
        time.sleep(10)
    if way == "exit":
        sys.exit(3)
    if way == "memory":
        raise MemoryError
    click.get_current_context().exit(1)


def test_what_a_shell_is_told_by_a_code_a_notebook_is_told_by_an_error():
    before = signal.getsignal(signal.SIGINT), list(sys.argv)
    with pytest.raises(RunFailed, match="tests fail ended with code 1"):
        cell.run(group, "tests", ["fail", "code"])
    with pytest.raises(RunFailed, match="tests fail ended with code 3"):
        cell.run(group, "tests", ["fail", "exit"])
    with pytest.raises(RunFailed, match="memory"):
        cell.run(group, "tests", ["fail", "memory"])
    with pytest.raises(Stopped, match="stopped by signal 2"):
        cell.run(group, "tests", ["fail", "interrupt"])
    assert (signal.getsignal(signal.SIGINT), sys.argv) == before


def test_ipython_shows_an_error_as_one_message(tmp_path, monkeypatch):
    monkeypatch.setenv("IPYTHONDIR", str(tmp_path))
    shell = InteractiveShell.instance(config=Config({"HistoryManager": {"enabled": False}}))
    told = []
    shell._showtraceback = lambda etype, value, lines: told.append(lines)
    shell.push({"LabError": LabError, "Stopped": Stopped})
    shell.run_cell("raise LabError('one sentence')")
    shell.run_cell("raise Stopped(2)")
    InteractiveShell.clear_instance()
    assert told == [["LabError: one sentence"], ["Stopped: stopped by signal 2"]]


def test_korean_is_drawn_in_plots_whose_look_stays(monkeypatch):
    with matplotlib.rc_context():
        before = dict(matplotlib.rcParams)
        plots.add_korean_font()
        plots.add_korean_font()
        changed = {name for name, value in matplotlib.rcParams.items() if value != before[name]}
        assert changed == {"font.family"}
        assert matplotlib.rcParams["font.family"] == [*before["font.family"], "NanumGothic"]
        figure = Figure()
        figure.suptitle("학습률")
        with warnings.catch_warnings():
            warnings.simplefilter("error")  # a letter that no font has is warned of
            figure.canvas.draw()
