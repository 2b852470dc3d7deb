"""The notebooks run to their last cell; what a kernel is told or suffers loses nothing."""

import functools
import json
import os
import signal
import subprocess
import sysconfig
import threading
import time
import tomllib
import venv
import zipfile
from pathlib import Path

import jupytext
import pytest
import torch
from jupyter_client.manager import start_new_kernel
from nbclient import NotebookClient
from nbclient.exceptions import CellExecutionError, DeadKernelError
from nbformat import validate
from nbformat.v4 import new_code_cell, new_notebook
from safetensors.torch import load_file

from labs.__main__ import LABS
from labs.notebook import classification

ROOT = Path(__file__).parents[1]
PAGES = sorted((ROOT / "docs/notebooks").glob("*.md"))
TRAIN = {"data": "mnist5k", "model": "lenet5", "epochs": 6, "limit": 1000}
TIMES = {"seconds", "samples_per_second"}


def code(page):
    return [cell.source for cell in jupytext.read(page).cells if cell.cell_type == "code"]


def client(notebook, folder):
    """Return what executes a notebook in a folder, with the labs of this checkout."""
    made = NotebookClient(
        notebook,
        timeout=600,
        startup_timeout=300,
        resources={"metadata": {"path": str(folder)}},
    )
    return made, made.setup_kernel(env={**os.environ, "PYTHONPATH": str(ROOT)})


def history_of(run):
    rows = (run / "history.jsonl").read_text("utf-8").splitlines()
    return [{k: v for k, v in json.loads(row).items() if k not in TIMES} for row in rows]


def assert_same(run, other):
    """Weights and figures are the same, to the last bit; seconds are others."""
    assert history_of(run) == history_of(other)
    weights, others = (load_file(each / "best.safetensors") for each in (run, other))
    assert weights.keys() == others.keys()
    assert all(torch.equal(weights[name], others[name]) for name in weights)


def once(so, act):
    """Act as soon as something is so."""

    def wait():
        while not so():
            time.sleep(0.01)
        act()

    threading.Thread(target=wait, daemon=True).start()


def once_trained(run, epochs, act):
    """Act as soon as a run has so many epochs."""
    path = run / "history.jsonl"
    once(lambda: path.is_file() and len(path.read_text("utf-8").splitlines()) >= epochs, act)


def test_there_is_a_notebook_for_each_lab_and_they_begin_alike():
    assert {page.stem for page in PAGES} >= set(LABS)
    assert len({code(page)[0] for page in PAGES}) == 1
    for page in PAGES:
        validate(jupytext.read(page))
        assert all(cell.get("outputs", []) == [] for cell in jupytext.read(page).cells)


def describe(name, version, needs=()):
    """Return the metadata of a package."""
    lines = ["Metadata-Version: 2.1", f"Name: {name}", f"Version: {version}"]
    return "\n".join([*lines, *(f"Requires-Dist: {each}" for each in needs), ""])


@pytest.fixture
def elsewhere(tmp_path):
    """Return what makes an environment with another torch, and all else that is here.

    It gives its Python, and a wheel that needs what the toolkit does.
    """
    needs = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]["dependencies"]
    wheel = tmp_path / "deep_learning_labs-9.0-py3-none-any.whl"
    with zipfile.ZipFile(wheel, "w") as file:
        about = "deep_learning_labs-9.0.dist-info"
        file.writestr("labs/__init__.py", "")
        file.writestr(f"{about}/METADATA", describe("deep-learning-labs", "9.0", needs))
        file.writestr(f"{about}/WHEEL", "Wheel-Version: 1.0\nTag: py3-none-any\n")
        file.writestr(f"{about}/RECORD", "")

    def make(torch, torchvision):
        folder = tmp_path / "environment"
        venv.create(folder, with_pip=False, symlinks=os.name == "posix")
        [site] = folder.glob("lib/python*/site-packages")
        (site / "more.pth").write_text(sysconfig.get_path("purelib"))
        others = {"torch": (torch, []), "torchvision": (torchvision, [f"torch=={torch}"])}
        for name, (version, needs) in others.items():
            (site / name).mkdir()
            (site / name / "__init__.py").write_text("")
            about = site / f"{name}-{version}.dist-info"
            about.mkdir()
            (about / "METADATA").write_text(describe(name, version, needs))
        return folder / "bin/python", wheel

    return make


@pytest.mark.slow
@pytest.mark.parametrize(
    ("torch", "torchvision", "said"),
    [("2.9.1", "0.24.1", "installed\n"), ("2.5.0", "0.20.0", "not installed: see above\n")],
)
def test_the_first_cell_installs_the_toolkit_and_never_another_torch(
    elsewhere, tmp_path, torch, torchvision, said
):
    python, wheel = elsewhere(torch, torchvision)
    source = code(PAGES[0])[0].replace("../..", str(wheel))
    environment = {name: x for name, x in os.environ.items() if name != "PYTHONPATH"}
    environment["PIP_NO_INDEX"] = "1"
    run = functools.partial(
        subprocess.run, cwd=tmp_path, env=environment, capture_output=True, text=True
    )
    done = run([python, "-c", source])
    assert done.stdout.endswith(said)
    asked = "from importlib.metadata import version as v; print(v('torch'), v('torchvision'))"
    assert run([python, "-c", asked]).stdout.split() == [torch, torchvision]
    found = run([python, "-c", "import labs; print(labs.__file__)"]).stdout
    assert ("environment" in found) == (said == "installed\n")


@pytest.mark.slow
@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_a_notebook_runs(page, tmp_path):
    notebook = jupytext.read(page)
    made, kernel = client(notebook, tmp_path)
    with kernel:
        for number, cell in enumerate(notebook.cells):
            made.execute_cell(cell, number)
    outputs = [each for cell in notebook.cells for each in cell.get("outputs", [])]
    kinds = {kind for each in outputs for kind in each.get("data", {})}
    assert {"image/png", "text/html"} <= kinds  # pictures, and a run that shows itself
    said = [each.text for each in outputs if each.output_type == "stream" and each.name == "stderr"]
    assert said == []  # no warning of a letter that no font has, nor another


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory):
    folder = tmp_path_factory.mktemp("undisturbed")
    return classification.train(**TRAIN, run_dir=folder / "runs", name="first").path


def train_cell(**options):
    given = ", ".join(f"{name}={value!r}" for name, value in options.items())
    return new_code_cell(
        f"from labs.notebook import classification\nrun = classification.train({given})"
    )


@pytest.mark.slow
def test_a_cell_that_is_interrupted_is_saved_and_the_next_one_ends_as_if_it_were_not(
    undisturbed, tmp_path
):
    run = Path("runs/classification/first")
    cells = [train_cell(**TRAIN, name="first"), train_cell(resume=str(run)), new_code_cell("run")]
    notebook = new_notebook(cells=cells)
    made, kernel = client(notebook, tmp_path)
    with kernel:
        pid = made.km.provisioner.process.pid
        once_trained(tmp_path / run, 2, lambda: os.kill(pid, signal.SIGINT))
        with pytest.raises(CellExecutionError, match="Stopped: stopped; the run is saved"):
            made.execute_cell(cells[0], 0)
        [error] = [each for each in cells[0].outputs if each.output_type == "error"]
        assert error.traceback == [f"Stopped: {error.evalue}"]
        assert error.evalue.endswith(f"Go on with: classification.train(resume='{run}')")
        assert not (tmp_path / run / "metrics.json").exists()
        for number in (1, 2):
            made.execute_cell(cells[number], number)
    assert "lenet5 has a test accuracy" in cells[2].outputs[0].data["text/html"]
    assert_same(tmp_path / run, undisturbed)


@pytest.mark.slow
def test_a_kernel_that_is_killed_loses_nothing_that_was_saved(undisturbed, tmp_path):
    run = Path("runs/classification/first")
    cell = train_cell(**TRAIN, name="first")
    made, kernel = client(new_notebook(cells=[cell]), tmp_path)
    with kernel:
        pid = made.km.provisioner.process.pid
        once_trained(tmp_path / run, 2, lambda: os.kill(pid, signal.SIGKILL))
        with pytest.raises(DeadKernelError):
            made.execute_cell(cell, 0)
    assert 2 <= len(history_of(tmp_path / run)) < TRAIN["epochs"]
    cell = train_cell(resume=str(run))
    made, kernel = client(new_notebook(cells=[cell]), tmp_path)
    with kernel:
        made.execute_cell(cell, 0)
    assert_same(tmp_path / run, undisturbed)


@pytest.mark.slow
def test_a_module_of_ones_own_goes_on_where_its_cell_was_interrupted(tmp_path):
    data, train = code(ROOT / "docs/notebooks/own-module.md")[1:3]
    keep = "interrupted, rows = model.state_dict(), history"
    again = train.replace('"own-module"', '"undisturbed"')
    compare = """
drop = lambda row: {k: v for k, v in row.items() if "second" not in k}
print([*map(drop, rows)] == [*map(drop, history)], len(rows))
print(all(torch.equal(x, interrupted[name]) for name, x in model.state_dict().items()))
"""
    cells = [new_code_cell(each) for each in (data, train, train, keep, again, compare)]
    made, kernel = client(new_notebook(cells=cells), tmp_path)
    with kernel:
        pid = made.km.provisioner.process.pid
        made.execute_cell(cells[0], 0)
        saved = tmp_path / "own-module/best.safetensors"
        once(saved.is_file, lambda: os.kill(pid, signal.SIGINT))
        with pytest.raises(CellExecutionError, match="Stopped: stopped by signal 2"):
            made.execute_cell(cells[1], 1)
        for number in range(2, len(cells)):
            made.execute_cell(cells[number], number)
    assert cells[-1].outputs[0].text == "True 20\nTrue\n"


BAR = """
import time
from common.notebook.cell import shown
from common.options import waiting
from common.steps import step

waiting.PATIENCE = 0.0
with shown(), step("epoch 1/2", 4) as bar:
    for quarter in (1, 2, 3):
        bar.move(quarter)
        time.sleep(0.7)
"""


def listen(kernel, request):
    """Return what a kernel shows of a request, until it has done it."""
    found = []
    while True:
        message = kernel.get_iopub_msg(timeout=300)
        if message["parent_header"].get("msg_id") == request:
            found.append(message)
            if message["content"].get("execution_state") == "idle":
                return found


@pytest.mark.slow
def test_a_bar_is_rewritten_and_a_tab_that_is_closed_while_a_cell_trains_loses_nothing(tmp_path):
    manager, tab = start_new_kernel(
        cwd=str(tmp_path), env={**os.environ, "PYTHONPATH": str(ROOT)}, startup_timeout=300
    )
    try:
        kinds = ("display_data", "update_display_data")
        told = [each for each in listen(tab, tab.execute(BAR)) if each["msg_type"] in kinds]
        bars = [each["content"]["data"]["text/html"] for each in told]
        assert [each["msg_type"] for each in told[:2]] == list(kinds)
        assert any('<progress value="0.500"' in each for each in bars)
        assert len({each["content"]["transient"]["display_id"] for each in told}) == 1
        tab.execute(train_cell(**TRAIN, name="first").source)
        run, deadline = tmp_path / "runs/classification/first", time.monotonic() + 300
        while not (run / "history.jsonl").is_file() and time.monotonic() < deadline:
            time.sleep(0.05)
        tab.stop_channels()
        while not (run / "metrics.json").is_file() and time.monotonic() < deadline:
            time.sleep(0.05)
        other = manager.client()
        other.start_channels()
        other.wait_for_ready(timeout=300)
        said = listen(other, other.execute("print(run.finished, len(run.history))"))
        assert [each["content"]["text"] for each in said if each["msg_type"] == "stream"] == [
            "True 6\n"
        ]
        other.stop_channels()
    finally:
        manager.shutdown_kernel(now=True)
