"""Runs that an older version wrote are still measured, asked, drawn and gone on with.

They lie in `old_runs`, whose README says which version that was. Tolerances are for other machines:
a network that went on training there may end a little elsewhere, and of a small split a sample may
be told otherwise.
"""

import json
import pkgutil
import shutil
import tomllib
from importlib import import_module
from pathlib import Path

import pytest
from torch.optim.optimizer import register_optimizer_step_post_hook

pytestmark = pytest.mark.usefixtures("quick_pictures")

OLD = Path(__file__).parent / "old_runs"
PLACE = "/old_runs"  # stands for that folder in the files of the runs
EXPECTED = {
    f"{path.parent.name}/{verb}": entry
    for path in sorted(OLD.glob("*/expected.json"))
    for verb, entry in json.loads(path.read_text(encoding="utf-8")).items()
}
ASKED = [name for name, entry in EXPECTED.items() if "predict" in entry]
INTERRUPTED = [name for name, entry in EXPECTED.items() if "updates_left" in entry]

QUESTIONS = {  # what the runs were asked by the older version
    "classification/train": (OLD / "inputs/0.png", OLD / "inputs/1.png", "--top", "10"),
    "autoencoder/train": (OLD / "inputs/0.png", OLD / "inputs/1.png"),
    "detection/train": (OLD / "detection/shapes/images/test/0.png", "--score", "0.14"),
    "rnn/sentiment": ("the crew was lovely", "delayed again, no thanks"),
    "rnn/forecast": (),
    "rnn/translate": ("3 May 2019", "2019년 5월 3일"),
}
STAGES = ((2, 0), (4, 1), (6, 1))  # of the tiny-yolo of the runs, narrower than its own

TIMES = ("seconds", "samples_per_second")
SMOOTH = ("loss", "mse", "mae", "rmse", "mase", "smape")  # how the names of figures end
ONE_SAMPLE = 0.2  # what a sample may change of other figures, which are shares
PERCENT = ("bleu", "chrf")  # those that go to 100


@pytest.fixture
def lab(command, monkeypatch):
    """Return a function that runs a command of a lab."""

    def run(name, *words):
        main = import_module(f"labs.{name}.__main__")
        if name == "detection":
            labs = import_module("labs.detection").__path__
            modules = (each.name for each in pkgutil.walk_packages(labs, "labs.detection."))
            [tiny] = [each for each in modules if each.endswith(".tiny_yolo")]
            monkeypatch.setattr(import_module(tiny), "STAGES", STAGES)
        verb = main.lab.group.renamed.get(words[0], words[0])
        result = command(main.lab, verb, *words[1:])
        assert result.code == 0, result
        return result

    return run


@pytest.fixture
def old(tmp_path):
    """Return a function that copies a run, with the paths in it as they are here."""

    def copy(name):
        run = shutil.copytree(OLD / name, tmp_path / name)
        for path in (each for each in run.rglob("*") if each.suffix in (".toml", ".json")):
            text = path.read_text(encoding="utf-8")
            path.write_text(text.replace(PLACE, OLD.as_posix()), encoding="utf-8")
        return run

    return copy


# Finished runs


@pytest.mark.parametrize("name", ASKED)
def test_an_old_run_is_measured_as_it_was(name, lab, old):
    run = old(f"{name}-finished")
    rows = table(lab(name.split("/")[0], "evaluate", run).out)
    agree(figures(rows), figures(EXPECTED[name]["evaluate"]), 1e-3)


@pytest.mark.slow
@pytest.mark.parametrize("name", ASKED)
def test_an_old_run_is_measured_on_data_of_ones_own(name, lab, old):
    run = old(f"{name}-finished")
    data = tomllib.loads((run / "config.toml").read_text(encoding="utf-8"))["data"]
    result = lab(name.split("/")[0], "evaluate", run, "--data", data)
    assert f"on {data} (" in " ".join(result.out.split())
    assert figures(table(result.out)).keys() == figures(EXPECTED[name]["evaluate"]).keys()


@pytest.mark.parametrize("name", ASKED)
def test_an_old_run_says_what_it_said(name, lab, old, tmp_path):
    run, (of_lab, _) = old(f"{name}-finished"), name.split("/")
    words = ("predict", run, *QUESTIONS[name], "--format", "json")
    if of_lab == "detection":
        lab(of_lab, *words, "--output", tmp_path / "found")
        text = (tmp_path / "found/predictions.json").read_text(encoding="utf-8")
    else:
        text = lab(of_lab, *words).out
    alike(json.loads(text), EXPECTED[name]["predict"])


@pytest.mark.slow
@pytest.mark.parametrize("name", EXPECTED)
def test_the_report_of_an_old_run_is_drawn_again(name, lab, old):
    run = old(f"{name}-finished")
    views = {path: path.stat().st_mtime_ns for path in run.glob("views/*")}
    result = lab(name.split("/")[0], "report", run)
    assert result.out == f"Report: {run}/report.html\n"
    assert f"Run {run.name}" in (run / "report.html").read_text(encoding="utf-8")
    assert all(path.stat().st_mtime_ns == time for path, time in views.items())


@pytest.mark.parametrize("name", EXPECTED)
def test_an_old_run_that_is_finished_shows_its_result(name, lab, old):
    run, (of_lab, verb) = old(f"{name}-finished"), name.split("/")
    result = lab(of_lab, verb, "--resume", run)
    assert "finished: nothing to do" in result.err
    assert table(result.out) == EXPECTED[name]["shown"]


# Interrupted runs


@pytest.mark.slow
@pytest.mark.parametrize("name", INTERRUPTED)
def test_an_old_run_that_was_stopped_goes_on_from_there(name, lab, old):
    run, (of_lab, verb) = old(f"{name}-interrupted"), name.split("/")
    for folder in OLD.glob(f"{name}-finished/*"):  # views that are made already: new ones take long
        if folder.name in ("views", "figures"):
            shutil.copytree(folder, run / folder.name)
    before = {path: path.read_text(encoding="utf-8") for path in run.rglob("history.jsonl")}
    updates = []
    hook = register_optimizer_step_post_hook(lambda *_: updates.append(1))
    try:
        lab(of_lab, verb, "--resume", run)
    finally:
        hook.remove()
    assert len(updates) == EXPECTED[name]["updates_left"]
    assert (run / "report.html").exists()
    for path, text in before.items():
        assert path.read_text(encoding="utf-8").startswith(text)
    whole = OLD / f"{name}-finished"  # what it would have been without the stop
    agree(numbers(run / "metrics.json"), numbers(whole / "metrics.json"), 2e-2)
    for path in whole.rglob("history.jsonl"):
        rows, expected = history(run / path.relative_to(whole)), history(path)
        assert len(rows) == len(expected)
        for row, other in zip(rows, expected, strict=True):
            agree(row, other, 2e-2)


# What is compared, and how


def table(text):
    """Return the first table of a screen, a dict for each row."""
    columns, *found = (
        [cell.strip() for cell in line.split("|")[1:-1]]
        for line in text.splitlines()
        if line.startswith("|")
    )
    return [dict(zip(columns, row, strict=True)) for row in found if len(row) == len(columns)]


def figures(rows):
    """Return the figures that `evaluate` shows, but for intervals."""
    return {row["figure"]: number for row in rows for number in parsed(row["value"])}


def parsed(text):
    """Yield a cell as a number, if it is one."""
    try:
        yield float(text.replace(",", ""))
    except ValueError:
        return


def numbers(path):
    """Return all numbers of a JSON file, by where they are."""
    return flat(json.loads(path.read_text(encoding="utf-8")))


def history(path):
    """Return the numbers of each epoch."""
    return [flat(json.loads(line)) for line in path.read_text(encoding="utf-8").splitlines()]


def flat(value, place=""):
    """Return the numbers in nested values that are neither times, intervals nor baselines."""
    if isinstance(value, dict):
        return {
            inner: number
            for key, each in value.items()
            if key not in (*TIMES, "baselines")
            for inner, number in flat(each, f"{place}/{key}").items()
        }
    return {place: value} if isinstance(value, int | float) else {}


def agree(found, expected, tolerance):
    """Hold figures against others by their names: losses to a share of them, others to a sample."""
    assert found.keys() == expected.keys() != set()
    for name, value in expected.items():
        if name.startswith("/train/") or name.endswith((*SMOOTH, "rate", "epoch")):
            assert found[name] == pytest.approx(value, rel=tolerance, abs=1e-4), name
        else:
            most = ONE_SAMPLE * (100 if name.endswith(PERCENT) else 1)
            assert found[name] == pytest.approx(value, abs=most), name


def alike(found, expected):
    """Hold nested answers against others: the same texts, and nearly the same numbers.

    A newer version may say more.
    """
    if isinstance(expected, dict):
        assert found.keys() >= expected.keys()
        for key in expected.keys() - {"path", "file"}:
            alike(found[key], expected[key])
    elif isinstance(expected, list):
        assert len(found) == len(expected)
        for one, other in zip(found, expected, strict=True):
            alike(one, other)
    elif isinstance(expected, float):
        assert found == pytest.approx(expected, rel=1e-3, abs=1e-3)
    else:
        assert found == expected
