"""What takes long is shown: in a pipe by lines, on a terminal by one that moves."""

import io
import time

import click
import pytest

from common.options import terminal, waiting
from common.steps import step, track


@pytest.fixture
def impatient(monkeypatch):
    monkeypatch.setattr(waiting, "PATIENCE", 0.1)
    monkeypatch.setattr(waiting, "INTERVAL", 0.3)
    monkeypatch.setattr(waiting, "_TICK", 0.02)


def wait_for(found, seconds=20):
    end = time.monotonic() + seconds
    while not found() and time.monotonic() < end:
        time.sleep(0.02)
    return found()


def test_in_a_pipe_what_takes_long_says_lines(impatient, capsys):
    shown = []

    def lines():
        shown.extend(capsys.readouterr().err.splitlines())
        return sum(line.startswith("measuring 2/4, baselines: ") for line in shown) >= 2

    with waiting.shown(), step("measuring", 4) as measuring:
        measuring.move(1)
        with step("baselines"):
            assert wait_for(lines)
    assert all(line.startswith("measuring") for line in shown)


def test_what_is_short_says_nothing(capsys):
    with waiting.shown():
        for _ in track(range(20), "quick things"):
            with step("one"):
                time.sleep(0.01)
    assert capsys.readouterr().err == ""


def test_nobody_shows_steps_outside_of_a_command(impatient, capsys):
    with step("alone"):
        time.sleep(0.3)
    assert capsys.readouterr().err == ""


def test_on_a_terminal_a_line_moves_and_is_taken_away(impatient, monkeypatch):
    screen = Terminal()
    monkeypatch.setattr("sys.stderr", screen)
    with waiting.shown():
        with step("photos", 4) as photos:
            photos.move(2)
            assert wait_for(lambda: "photos: 50 %" in screen.getvalue())
        assert screen.getvalue().endswith("\x1b[2K")  # the line is cleared before results come
        click.echo("done", err=True)
    assert "done" in screen.getvalue()


def test_the_bar_of_a_training_shows_what_takes_long_in_it(impatient, monkeypatch):
    screen = Terminal()
    monkeypatch.setattr("sys.stderr", screen)
    with waiting.shown(), terminal.display(3, []), step("asking the network"):
        assert wait_for(lambda: "asking the network" in screen.getvalue())
    assert screen.getvalue().count("\x1b[?25l") == 1  # one thing alone is drawn


class Terminal(io.StringIO):
    """A screen."""

    def isatty(self):
        return True
