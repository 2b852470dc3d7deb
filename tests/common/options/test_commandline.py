import io
import signal
import subprocess
import sys
from dataclasses import dataclass

import click
import pytest
from click.testing import CliRunner

from common import signals, steps
from common.errors import ConfigError, NonFiniteError, RunError, SaveError, Stopped
from common.history import Progress
from common.options import commandline, terminal
from common.options.config import TrainingConfig, build, option
from common.runs import commands


@dataclass(frozen=True)
class Toy(TrainingConfig):
    """A config with one field of its own for each kind of option."""

    color: str = option("red", "color of the toy", group="Model", choices=("red", "green"))
    words: tuple[str, ...] = option(("a", "b"), "words on it", group="Model")
    nothing: tuple[str, ...] = option((), "an empty list", group="Model")
    size: int | None = option(None, "size in pixels", group="Model", at_least=1)
    many: str = option("n1", "one of many", group="Model", choices=[f"n{i}" for i in range(30)])
    loud: bool = option(True, "whether it makes a noise", group="Model")


TOY_RECIPES = {"small": {"size": 1}, "large": {"size": 9}}


def toy_group(body=lambda options, problems: None):
    """Return a group like a lab's, whose `train` does something with what it was given."""

    @click.group(cls=commandline.LabGroup)
    def group():
        pass

    @group.command(cls=commandline.ConfigCommand, config=f"{__name__}:Toy")
    @click.option("--resume", help="Go on with a run.")
    def train(resume, options, problems):
        body(options, problems)

    @group.command()
    def predict():
        pass

    return group


@pytest.fixture
def run(monkeypatch, capsys):
    """Return (exit code, stdout, stderr, options, problems) of a toy's command line."""

    def call(*words, body=lambda options, problems: None):
        seen = [None, None]

        def note(options, problems):
            seen[:] = options, problems
            body(options, problems)

        monkeypatch.setattr(sys, "argv", ["toy", *words])
        with pytest.raises(SystemExit) as done:
            commandline.main(toy_group(note), "python -m toy")
        return (done.value.code, *capsys.readouterr(), *seen)

    return call


def failing(error):
    def body(options, problems):
        raise error

    return body


# Exit codes


def test_success_exits_with_0(run):
    assert run("train")[0] == 0
    assert run("train", "--help")[0] == 0


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (NonFiniteError("bad"), 1),
        (SaveError("bad"), 1),
        (ConfigError(["bad", "worse"]), 2),
        (RunError("bad"), 2),
        (Stopped(signal.SIGINT, "bad"), 130),
        (Stopped(signal.SIGTERM, "bad"), 143),
    ],
)
def test_errors_become_one_message_and_their_exit_code(error, code, run):
    exit_code, out, err, *_ = run("train", body=failing(error))
    assert exit_code == code
    assert out == ""
    assert err.startswith("Error: bad\n")
    assert "Traceback" not in err


def test_each_problem_of_a_config_gets_its_line(run):
    err = run("train", body=failing(ConfigError(["bad", "worse"])))[2]
    assert err == "Error: bad\nError: worse\n"


def test_a_bug_of_ours_is_not_hidden(monkeypatch):
    monkeypatch.setattr(sys, "argv", ["toy", "train"])
    with pytest.raises(ZeroDivisionError):
        commandline.main(toy_group(failing(ZeroDivisionError())), "python -m toy")


@pytest.mark.parametrize("signum", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_ends_a_command_with_its_code(signum, run):
    before = signal.getsignal(signum)
    code, _, err, *_ = run("train", body=lambda *_: signal.raise_signal(signum))
    assert code == 128 + signum
    assert f"stopped by signal {signum:d}" in err
    assert signal.getsignal(signum) is before


def test_a_stopped_run_tells_how_to_go_on(run, tmp_path):
    def body(options, problems):
        with terminal.saved_in(tmp_path / "run", "python -m toy train"):
            signals.raise_stopped(signal.SIGTERM)

    code, _, err, *_ = run("train", body=body)
    assert code == 143
    assert err == (
        "Error: stopped; the run is saved. "
        f"Go on with: python -m toy train --resume {tmp_path / 'run'}\n"
    )


def test_other_errors_pass_through_saved_in(tmp_path):
    with pytest.raises(RunError, match="^bad$"), terminal.saved_in(tmp_path, "python -m toy"):
        raise RunError("bad")


# Commands and options


def test_a_mistyped_command_is_answered_with_the_nearest(run):
    code, _, err, *_ = run("trian")
    assert code == 2
    assert "no command 'trian'; there are: predict, train; did you mean train?" in err


def test_a_command_that_is_near_none_is_answered_with_all(run):
    code, _, err, *_ = run("zzz")
    assert code == 2
    assert "no command 'zzz'; there are: predict, train\n" in err


def test_without_a_command_the_help_is_shown(run):
    code, out, err, *_ = run()
    assert code == 2
    assert "train" in out + err


def test_options_arrive_as_text_and_only_those_given(run):
    *_, options, problems = run("train", "--epochs", "x3", "--words=a,b", "--no-loud")
    assert options == {"epochs": "x3", "words": "a,b", "loud": False}
    assert problems == []


def test_values_may_begin_with_a_dash(run):
    *_, options, problems = run("train", "--learning-rate", "-1", "--color", "--x")
    assert options == {"learning_rate": "-1", "color": "--x"}
    assert problems == []


def test_the_last_of_two_options_wins(run):
    *_, options, _ = run("train", "--seed", "1", "--seed", "2", "--loud", "--no-loud")
    assert options == {"seed": "2", "loud": False}


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (["--epcohs", "3"], ["no option --epcohs; did you mean --epochs?"]),
        (["--epcohs=3"], ["no option --epcohs; did you mean --epochs?"]),
        (["--zzzzzz"], ["no option --zzzzzz"]),
        (["--zzzzzz", "a", "b"], ["no option --zzzzzz", "unexpected argument 'b'"]),
        (["--zzzzzz=1", "b"], ["no option --zzzzzz", "unexpected argument 'b'"]),
        (["folder"], ["unexpected argument 'folder'"]),
        (["-q"], ["no option -q"]),
        (["--no-epochs"], ["no option --no-epochs; did you mean --epochs?"]),
        (
            ["--aaaaaaa", "1", "--seed", "2", "--bbbbbbb"],
            ["no option --aaaaaaa", "no option --bbbbbbb"],
        ),
    ],
)
def test_what_is_no_option_is_collected_not_fatal(words, expected, run):
    *_, options, problems = run("train", *words)
    assert problems == expected
    assert options == ({"seed": "2"} if "--seed" in words else {})


def test_an_option_without_its_value_is_refused(run):
    code, _, err, *_ = run("train", "--epochs")
    assert code == 2
    assert "--epochs" in err


def test_the_options_of_the_command_line_build_the_config(run):
    *_, options, _ = run("train", "--words", "none", "--size", "4", "--no-loud", "--color", "green")
    config = build(Toy, ("options", options))
    assert (config.words, config.size, config.loud, config.color) == ((), 4, False, "green")


# Help


@pytest.fixture
def help_text(run):
    return " ".join(run("train", "--help")[1].split())


@pytest.mark.parametrize(
    "line",
    [
        "--epochs INTEGER passes over the training split [default: 20]",
        "--learning-rate NUMBER size of a step [default: 0.001]",
        "--color red|green color of the toy [default: red]",
        "--many NAME one of many [default: n1]",
        "--words LIST words on it [default: a,b]",
        "--nothing LIST an empty list [default: none]",
        "--size INTEGER size in pixels --",  # no default to tell
        "--loud / --no-loud whether it makes a noise [default: on]",
        "--compile / --no-compile compile the model with torch.compile [default: off]",
        "--save-every NUMBER seconds between saves inside an epoch [default: 60.0]",
        "--resume TEXT Go on with a run.",
    ],
)
def test_help_gives_type_unit_and_default_of_each_option(line, help_text):
    assert line in help_text


def test_help_is_grouped(run):
    lines = run("train", "--help")[1].splitlines()
    titles = [line for line in lines if line.endswith(":") and not line.startswith(" ")]
    assert titles == ["Options:", "Model:", "Training:", "Run:"]


# What is shown


def test_a_table_in_a_pipe_is_plain_ascii_lines(capsys):
    terminal.show_table(
        "A title that is longer than the table", ["name", "b"], [["x", "1"], ["y", "22"]]
    )
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == "A title that is longer than the table"
    assert [line.split("|")[1:-1] for line in lines if line.startswith("|")] == [
        [" name ", "  b "],
        [" x    ", "  1 "],
        [" y    ", " 22 "],
    ]


@pytest.mark.parametrize("name", ["고양이 [a]", "[red]cat[/red]", "x[/b]", ":cat:", "\\[a]"])
def test_names_in_tables_are_shown_as_they_are(name, capsys):
    terminal.show_table(name, [name], [[name]])
    assert capsys.readouterr().out.count(name) == 3


def test_a_long_cell_is_folded_not_cut(capsys):
    terminal.show_table("t", ["name"], [["x" * 300]])
    assert capsys.readouterr().out.count("x") == 300


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (0.123456, "0.1235"),
        (1.0, "1.0000"),
        (0.00851234, "0.00851"),
        (-2.5e-7, "-2.50e-07"),
        (0.0, "0.0000"),
        (12345.678, "12,346"),
        (-0.5, "-0.5000"),
        (12345, "12,345"),
        (None, "-"),
        (float("nan"), "-"),
        ("text", "text"),
    ],
)
def test_figures_are_written_with_four_digits(value, text):
    assert terminal.figure_text(value) == text


def test_an_epoch_has_one_line_with_a_star_for_the_best(capsys):
    row = {
        "epoch": 3,
        "learning_rate": 0.1,
        "train/loss": 0.25,
        "validation/accuracy": 0.75,
        "validation/f1": 0.5,
        "seconds": 1.25,
    }
    with terminal.display(10, ["validation/accuracy"]) as display:
        display.progress(Progress(2, 5, 10, 1234.5, {"loss": 0.5}))  # a line only after a while
        display.epoch(row, best=True)
        display.epoch(row, best=False)
    out, err = capsys.readouterr()
    expected = "epoch   3/10  train/loss 0.2500  validation/accuracy 0.7500  1.2 s"
    assert err.splitlines() == [expected + " *", expected]
    assert out == ""


def test_on_a_terminal_a_bar_shows_progress(monkeypatch):
    from rich.console import Console

    screen = io.StringIO()
    console = Console(file=screen, force_terminal=True, width=120, markup=False)
    monkeypatch.setattr(terminal, "stderr", lambda: console)
    with terminal.display(4, []) as display:
        display.progress(Progress(1, 5, 10, 1234.5, {"loss": 0.5}))
        display._bar.refresh()
    shown = screen.getvalue()
    assert "epoch 2/4" in shown
    assert "1,234 samples/s" in shown or "1,235 samples/s" in shown
    assert "loss 0.5000" in shown
    assert " 38 %" in shown  # 15 of 40 updates


def test_a_summary_shows_shapes_and_totals(capsys):
    from torch import nn

    model = nn.Sequential(nn.Flatten(), nn.Linear(4, 3), nn.Sequential(nn.Linear(3, 2)))
    commands.show_summary(model, (1, 2, 2), "toy", depth=1)
    out = capsys.readouterr().out
    assert out.startswith("toy on 1x2x2\n")
    rows = [[cell.strip() for cell in line.split("|")[1:-1]] for line in out.splitlines()]
    assert ["1", "Linear", "3", "15", "15", "12"] in rows
    assert not any(row[:2] == ["0", "Linear"] for row in rows if row)  # deeper than 1
    assert "23 parameters (23 trainable, 0 frozen)" in out
    assert "18 multiply-adds for one sample" in out


# Pipes


PIPE = """
import click
from common.options import terminal, commandline, terminal
@click.group(cls=commandline.LabGroup)
def group(): pass
@group.command()
def words():
    for _ in range(100000): click.echo("word " * 10)
@group.command()
def table():
    input()
    terminal.show_table("t", ["name"], [["x" * 100]] * 2000)
commandline.main(group, "toy")
"""


@pytest.mark.parametrize("command", ["words", "table"])
def test_a_reader_that_goes_away_ends_the_command_quietly(command):
    process = subprocess.Popen(
        [sys.executable, "-c", PIPE, command],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    with process:
        if command == "words":
            assert process.stdout.readline().startswith(b"word word")
        process.stdout.close()
        process.stdin.write(b"\n")
        process.stdin.close()
        assert process.stderr.read() == b""
    assert process.returncode == 0


# What is loaded when


def test_a_config_is_looked_up_when_its_command_is_asked_for():
    command = commandline.TrainCommand("train", config="no.such.module:Config", help="Train it.")
    group = commandline.LabGroup(commands={"train": command})
    assert "Train it." in CliRunner().invoke(group, ["--help"]).output
    with pytest.raises(ModuleNotFoundError):
        CliRunner().invoke(group, ["train", "--help"], catch_exceptions=False)


def test_recipes_are_listed_where_there_are_any():
    shown = [
        CliRunner().invoke(command, ["--help"]).output
        for recipes in (f"{__name__}:TOY_RECIPES", None)
        for command in [commandline.TrainCommand("x", config=f"{__name__}:Toy", recipes=recipes)]
    ]
    assert "Begin with a recipe's values: small, large." in shown[0]
    assert "recipe" not in shown[1]
    assert all("--resume" in text and "--color" in text for text in shown)


@pytest.mark.parametrize(
    "words",
    [
        *(("classification", "train"), ("classification", "compare-architectures")),
        *(("autoencoder", "sweep"), ("detection", "train"), ("rnn", "sentiment")),
    ],
    ids=" ".join,
)
def test_help_loads_nothing_heavy(words):
    lab, *command = words
    code = (
        f"import sys; from labs.{lab}.__main__ import lab\n"
        f"try: lab.group({[*command, '--help']})\n"
        "finally: print({'torch', 'numpy', 'matplotlib', 'rich', 'csv'} & set(sys.modules))"
    )
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert ran.stdout.startswith("Usage: ")
    assert ran.stdout.endswith("\nset()\n")


def test_what_takes_long_is_said_at_once(capsys):
    with terminal.busy("measuring"), terminal.progress_bar("drawing") as bar:
        bar.move(0.5)
        assert [each.text for each in steps.current()] == ["measuring", "drawing"]
    assert capsys.readouterr().err == "measuring\ndrawing\n"
