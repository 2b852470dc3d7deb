"""A lab: its commands from its jobs and comparisons, without training; and what the labs import."""

import json
import subprocess
import sys
from dataclasses import dataclass
from importlib import import_module
from pkgutil import resolve_name
from types import SimpleNamespace

import click
import pytest
from torch import nn

from common.errors import ConfigError, RunError
from common.options.config import TrainingConfig, option
from common.report.html import Section, Table
from common.runs import commands
from common.runs.folder import Run
from common.runs.job import Job
from common.runs.lab import Built, Lab, Verb
from labs.__main__ import LABS

RECIPES = {"large": {"epochs": 7}}
SAYS = {"train": [], "compare-sizes": []}  # what was given to each


@dataclass(frozen=True)
class ToyConfig(TrainingConfig):
    """A config with a model."""

    model: str = option("small", "size of the toy", group="Model", choices=("small", "large"))


class Toy:
    """Stands for a job: says what it was asked."""

    lab, verb = "toy", "train"

    @classmethod
    def start(cls, config, command, begun):
        SAYS["train"].append(config)
        raise RunError("toys do not train")

    @classmethod
    def open_trained(cls, path, device=None):
        return f"the toy of {path.name} on {device}"


class Sizes:
    """Stands for a comparison."""

    @classmethod
    def command(cls, **given):
        SAYS["compare-sizes"].append(given)

    @classmethod
    def report(cls, path):
        click.echo(f"compared again: {path.name}")


@pytest.fixture
def lab():
    """Return a lab of toys."""
    for said in SAYS.values():
        said.clear()
    made = Lab(
        "toy",
        "Play.",
        jobs={
            "train": Verb(
                f"{__name__}:Toy",
                f"{__name__}:ToyConfig",
                "Train a toy.",
                f"{__name__}:RECIPES",
                lambda options: options.get("model"),
            )
        },
        comparisons={
            "compare-sizes": Verb(f"{__name__}:Sizes", f"{__name__}:ToyConfig", "Compare toys."),
            "compare-more": Verb(f"{__name__}:Sizes", f"{__name__}:ToyConfig"),
        },
        models={"small": "a small one", "large": "a large one"},
        more_models={"the neighbors'": ("odd", "old")},
    )

    @made.summary
    @click.option("--inputs", type=int, default=2, show_default=True)
    @click.option("--depth", type=int, default=1)
    def summary(model, inputs):
        made.check_model(model)
        return Built(nn.Linear(inputs, 3), (inputs,))

    return made


@pytest.fixture
def run_of(tmp_path):
    """Return a function that makes the folder of a run of a verb."""

    def make(verb, lab="toy"):
        path = tmp_path / verb
        path.mkdir()
        (path / "config.toml").touch()
        (path / "environment.json").write_text(json.dumps({"lab": lab, "job": verb}))
        return path

    return make


def test_a_lab_has_a_command_for_each_verb_with_a_help_text(lab):
    assert sorted(lab.group.commands) == [
        *("compare-sizes", "doctor", "evaluate", "export", "find-lr", "open", "replay", "report"),
        *("summary", "train", "verify"),
    ]
    assert lab.group.commands["train"].help == "Train a toy."
    assert lab.program == "python -m labs.toy"


def test_a_lab_writes_a_command_itself_where_it_has_more_to_take(command, lab):
    @lab.command("compare-more")
    @click.option("--twice", is_flag=True)
    def compare_more(twice, **given):
        """Compare, once or twice."""
        for _ in range(1 + twice):
            lab.train("compare-more", **given)

    assert command(lab, "compare-more", "--twice", "--epochs", "3").code == 0
    assert [given["options"] for given in SAYS["compare-sizes"]] == [{"epochs": "3"}] * 2
    assert lab.group.commands["compare-more"].help == "Compare, once or twice."


def test_a_job_trains_with_its_options_over_the_recipe_that_suits_it(command, lab):
    result = command(lab, "train", "--model", "large", "--seed", "4")
    assert (result.code, result.err.splitlines()[-1]) == (2, "Error: toys do not train")
    assert "with the values of --recipe large, where no others are given" in result.err
    [config] = SAYS["train"]
    assert (config.model, config.epochs, config.seed) == ("large", 7, 4)
    assert "--recipe" not in command(lab, "train", "--model", "small").err


def test_a_comparison_gets_what_was_given(command, lab):
    assert command(lab, "compare-sizes", "--epochs", "3").code == 0
    [given] = SAYS["compare-sizes"]
    assert given["options"] == {"epochs": "3"}
    assert given["resume"] is None


def test_a_run_is_opened_by_the_job_that_trained_it(lab, run_of):
    run = run_of("train")
    assert lab.kind_of(run) is Toy
    assert lab.open_trained(run, "cpu") == "the toy of train on cpu"


def test_of_a_comparison_or_another_lab_there_is_nothing_to_ask(command, lab, run_of):
    run = run_of("compare-sizes")
    with pytest.raises(RunError, match="by `compare-sizes`, of which there is nothing to ask"):
        lab.kind_of(run)
    result = command(lab, "evaluate", run)
    assert (result.code, "nothing to ask" in result.err) == (2, True)
    with pytest.raises(RunError, match=r"is a run of labs\.other, not of labs\.toy"):
        lab.kind_of(run_of("train", lab="other"))


def test_a_comparison_is_reported_by_itself(command, lab, run_of):
    result = command(lab, "report", run_of("compare-sizes"))
    assert (result.code, result.out) == (0, "compared again: compare-sizes\n")


def test_evaluate_takes_a_split_or_data(command, lab, run_of, tmp_path, monkeypatch):
    asked = []
    monkeypatch.setattr(commands, "evaluate", lambda *words: asked.append(words))
    run, file = run_of("train"), tmp_path / "mine.csv"
    assert command(lab, "evaluate", run).code == 0
    assert command(lab, "evaluate", run, "--split", "validation").code == 0
    assert command(lab, "evaluate", run, "--data", file, "--device", "cpu").code == 0
    toys = [f"the toy of train on {device}" for device in (None, None, "cpu")]
    assert asked == [
        (toys[0], "test", None, {}),
        (toys[1], "validation", None, {}),
        (toys[2], "test", file, {}),
    ]
    result = command(lab, "evaluate", run, "--data", file, "--split", "test")
    assert (result.code, "give one of them" in result.err) == (2, True)


def test_labelled_data_is_measured_as_the_only_split(run_of, tmp_path, monkeypatch, capsys):
    class Results(SimpleNamespace):
        def figures(self, outputs, split):
            return {"right": outputs["right"] / len(split), "right_interval": [0.25, 0.75]}

        def split_sections(self, outputs, split, save_picture):
            table = Table(["name", "right"], [[name, "?"] for name in split])
            return [Section("Each name", "not shown", table, [("a picture", tmp_path / "a.png")])]

    class Asked(SimpleNamespace):
        conclusion = "toy:Results"

        def labelled(self, path, say):
            say("one row is left out")
            return path.read_text().split()

        def predict_splits(self, splits, names):
            assert (list(splits), names) == (["data"], ["data"])
            return {"data": {"right": 2}}

    monkeypatch.setattr("common.runs.conclude.resolve_name", {"toy:Results": Results}.get)
    monkeypatch.setattr(Results, "__init__", lambda self, job: None)
    file = tmp_path / "names.txt"
    file.write_text("Ann Bob Cid Dan")
    run = run_of("train")
    commands.evaluate(Asked(run=Run(run)), "test", file, {})
    said = capsys.readouterr()
    assert f"{run} on {file} (4 samples)" in said.out.replace("\n", "")
    assert "0.5000" in said.out
    assert "0.2500 to 0.7500" in said.out
    assert "Each name" in said.out
    assert "Dan" in said.out
    assert f"Picture: {tmp_path / 'a.png'}" in said.out
    assert "not shown" not in said.out
    assert "one row is left out" in said.err


def test_a_summary_lists_the_models_or_shows_one(command, lab):
    listed = command(lab, "summary").out
    assert "a small one" in listed
    assert listed.endswith("and the neighbors': odd, old\n")
    shown = command(lab, "summary", "odd", "--inputs", "4")
    assert shown.code == 0
    assert shown.out.startswith("odd on 4\n")
    assert "15 parameters" in shown.out
    assert "did you mean large?" in command(lab, "summary", "larg").err
    with pytest.raises(ConfigError, match="no model 'smal'; did you mean small"):
        lab.check_model("smal")


@pytest.mark.parametrize("name", LABS)
def test_a_lab_names_what_is_there(name):
    lab = import_module(f"labs.{name}.__main__").lab
    assert set(lab.jobs) | set(lab.comparisons) <= set(lab.group.commands)
    for verb, row in lab.jobs.items():
        kind = row.resolve()
        assert issubclass(kind, Job)
        assert (kind.lab, kind.verb, kind.config_type) == (name, verb, resolve_name(row.config))
    for verb, row in lab.comparisons.items():
        kind = row.resolve()
        assert (kind.lab, kind.verb, kind.config_type) == (name, verb, resolve_name(row.config))
        assert kind.recipes == (resolve_name(row.recipes) if row.recipes else {})


@pytest.mark.parametrize("name", LABS)
def test_a_lab_is_imported_without_anything_heavy(name):
    script = (
        f"import sys, labs.{name}.__main__\n"
        "heavy = ('torch', 'numpy', 'matplotlib', 'sklearn', 'pandas', 'rich.table')\n"
        "print([each for each in heavy if each in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True)
    assert (done.stdout, done.stderr) == ("[]\n", "")


def test_a_command_that_was_renamed_is_answered_with_its_name_of_today(command):
    detection = import_module("labs.detection.__main__").lab
    result = command(detection, "compare", "--models", "tiny-yolo")
    assert (result.code, result.out) == (2, "")
    assert result.err.endswith("Error: compare is now called compare-models\n")
