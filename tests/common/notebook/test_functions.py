"""Commands are functions of Python: the same names, values and errors as in a shell."""

import inspect
import sys

import click
import pytest

from common import errors
from common.notebook import cell
from common.notebook.functions import Commands, parameters_of, spell
from common.notebook.shown import ShownRun
from common.runs.lab import load_lab
from labs.__main__ import LABS
from labs.__main__ import labs as every_lab
from labs.notebook import classification, labs, rnn

TINY = {"data": "digits", "model": "linear", "epochs": 2, "limit": 200}


@pytest.fixture(scope="module")
def run(tmp_path_factory, quick_pictures):
    folder = tmp_path_factory.mktemp("runs")
    return classification.train(**TINY, run_dir=folder, name="숫자")


@pytest.mark.parametrize("lab", LABS)
def test_every_command_and_option_of_a_lab_is_there_by_its_name(lab):
    group = load_lab(lab).group
    functions = Commands(f"python -m labs.{lab}", lambda: group)
    assert len(dir(functions)) == len(group.commands)
    for name, command in group.commands.items():
        function = getattr(functions, name.replace("-", "_"))
        names = parameters_of(command)
        assert all(each.isidentifier() for each in names)
        assert set(inspect.signature(function).parameters) == {
            each.name if isinstance(each, click.Argument) else name for name, each in names.items()
        }


def test_values_are_spelled_as_a_shell_has_them(tmp_path):
    train = load_lab("classification").group.commands["train"]
    words = spell(
        train,
        [],
        {
            "data": tmp_path,
            "learning_rate": 1e-4,
            "nesterov": True,
            "deterministic": False,
            "augment": ["hflip", "shift:2"],
            "patience": None,
            "resume": None,
            "with_": ["age", "weight"],
        },
    )
    assert words == [
        *("--data", str(tmp_path), "--learning-rate", "0.0001", "--nesterov", "--no-deterministic"),
        *("--augment", "hflip,shift:2", "--patience", "none", "--with", "age,weight"),
    ]
    replay = load_lab("classification").group.commands["replay"]
    changes = {"learning_rate": 0.1, "clip": 1}
    words = spell(replay, ["RUN"], {"from_": "epoch:2", "with_": changes})
    assert words == ["--from", "epoch:2", "--with", "learning_rate=0.1", "--with", "clip=1", "RUN"]


def test_what_a_shell_calls_wrong_is_one_message_that_names_all_of_it(tmp_path):
    with pytest.raises(errors.ConfigError) as caught:
        classification.train(learing_rate=1, epochs="many", run_dir=tmp_path)
    assert caught.value.problems[0] == "no option --learing-rate; did you mean --learning-rate?"
    assert caught.value.problems[1] == "--epochs many: expected a whole number"
    assert caught.value._render_traceback_() == [f"ConfigError: {caught.value}"]
    with pytest.raises(errors.ConfigError, match="nesterov='yes': expected True or False"):
        classification.train(nesterov="yes")
    with pytest.raises(errors.ConfigError, match="Missing argument 'RUN'"):
        classification.evaluate()
    with pytest.raises(AttributeError, match="no command 'sentimant'; did you mean sentiment"):
        rnn.sentimant()


def test_help_and_editors_are_told_what_a_command_takes():
    assert "--learning-rate NUMBER" in inspect.getdoc(classification.train)
    assert "learning_rate" in inspect.signature(classification.train).parameters
    assert "train" in dir(classification)
    assert set(dir(labs)) == {name.replace("-", "_") for name in every_lab.commands}
    assert dir(labs.runs) == ["list", "note"]


def test_a_command_that_trains_returns_its_run_which_every_command_takes(run, capsys):
    assert (run.finished, len(run.history), run.path.name) == (True, 2, "숫자")
    assert run.verdict.startswith("linear has a test accuracy of")
    assert classification.evaluate(run, split="validation") is None
    assert "balanced_accuracy" in capsys.readouterr().out
    [row] = labs.runs(run.path.parents[1], format="json")
    assert row["test/accuracy"] == run.metrics["test"]["accuracy"]
    labs.runs.note(run, "공책에서", public=0.5)
    assert labs.runs(run.path.parents[1], format="json")[0]["note"] == "공책에서"


def test_a_command_whose_runs_are_trials_returns_none(tmp_path):
    assert classification.find_lr(**TINY, updates=20, output=tmp_path / "rates.png") is None
    assert (tmp_path / "rates.png").is_file()


def test_the_record_of_a_run_is_the_command_of_a_shell(run):
    before = list(sys.argv)
    command = run._run.read("environment")["command"]
    assert command[:4] == ["python -m labs.classification", "train", "--data", "digits"]
    assert sys.argv == before


def test_a_run_is_made_longer_and_shows_its_report(run):
    longer = run.resume(epochs=3)
    assert longer is run
    assert len(run.history) == 3
    again = classification.train(resume=run)
    assert again.path == run.path
    page = run._repr_html_()
    assert page.count("<details open>") == 2
    assert "Confusion matrix" in page
    assert page.index("linear has a test accuracy") < page.index("<b>Result</b>")
    assert "<script" not in page


def test_a_run_that_was_stopped_shows_its_curves_and_how_to_go_on(run, tmp_path):
    (tmp_path / "config.toml").write_bytes(run._run.config.read_bytes())
    for name in ("environment.json", "history.jsonl"):
        (tmp_path / name).write_bytes((run.path / name).read_bytes())
    stopped = ShownRun(tmp_path)
    assert "3 epochs are done" in stopped.verdict
    assert stopped._repr_html_().count("<img") == 1
    with pytest.raises(errors.RunError, match=r"metrics\.json is missing"):
        print(stopped.metrics)
    with pytest.raises(errors.RunError, match="is not a run folder"):
        ShownRun(tmp_path / "none")


def test_the_line_that_goes_on_with_a_run_is_one_of_python():
    said = "saved. Go on with: python -m labs.rnn compare-encodings --resume a b"
    assert cell.in_python(said) == "saved. Go on with: rnn.compare_encodings(resume='a b')"
    said = "few: go on with python -m labs.rnn forecast --resume runs/a --epochs 6. It is late."
    assert "with rnn.forecast(resume='runs/a', epochs=6). It is late." in cell.in_python(said)
