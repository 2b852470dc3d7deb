"""A bundle writes the same submission where there is neither our code nor a network."""

import os
import shutil
import subprocess
import sys
import zipfile
from importlib.metadata import distribution
from pathlib import Path

import numpy as np
import pytest
from packaging.requirements import Requirement
from PIL import Image

from common.submission.bundle import options_as_words
from labs.classification import __main__ as classification
from labs.detection import __main__ as detection
from labs.rnn import __main__ as rnn

NO_NETWORK = """
import socket

def refuse(*_, **__):
    raise OSError("there is no network here")

for name in ("connect", "connect_ex", "bind", "sendto"):
    setattr(socket.socket, name, refuse)
socket.getaddrinfo = socket.create_connection = refuse
"""


@pytest.fixture(scope="module")
def empty_python(tmp_path_factory):
    """Return the Python of an environment without packages, whose sockets are blocked."""
    folder = tmp_path_factory.mktemp("environment")
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", folder], check=True)
    [packages] = folder.glob("lib/python*/site-packages")
    (packages / "sitecustomize.py").write_text(NO_NETWORK)
    return folder / "bin/python"


@pytest.fixture
def answer(empty_python, tmp_path):
    """Return a function that runs a script of a bundle far from here; its result.

    Of packages it finds those alone that the bundle's requirements.txt names, and what they need.
    """

    def run(script, *words):
        home, packages = tmp_path / "home", tmp_path / "packages"
        home.mkdir(exist_ok=True)
        if Path(script).is_file():
            link_packages(Path(script).with_name("requirements.txt"), packages)
        environment = {"HOME": str(home), "PATH": os.environ["PATH"], "OMP_NUM_THREADS": "1"}
        return subprocess.run(
            [empty_python, script, *map(str, words)],
            cwd=home,
            env={**environment, "PYTHONPATH": str(packages)},
            capture_output=True,
            text=True,
        )

    return run


def link_packages(requirements, folder):
    """Put links to the installed packages that are required, and to what they need, in a folder."""
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()
    left, seen = requirements.read_text().splitlines(), set()
    while left:
        required = Requirement(left.pop())
        if required.name in seen or not (required.marker is None or required.marker.evaluate()):
            continue
        seen.add(required.name)
        package = distribution(required.name)
        left += package.requires or []
        for name in {file.parts[0] for file in package.files} - {"..", "__pycache__"}:
            if not (folder / name).exists():
                (folder / name).symlink_to(package.locate_file(name))


def check_same(answer, bundle, files, out):
    """Check that a bundle writes what `submit` has written, by code of its own."""
    again = out.with_name("again.csv")
    done = answer(bundle / "predict.py", *files, "--out", again)
    assert done.returncode == 0, done.stderr
    assert again.read_bytes() == out.read_bytes()


@pytest.fixture
def photos(tmp_path):
    """Return a folder of two classes of photos, one of test photos, and a sample for it."""
    rng = np.random.default_rng(0)
    for name, level in (("어두움", 0), ("밝음", 180)):
        for number in range(12):
            pixels = rng.integers(level, level + 60, (12, 12, 3), dtype=np.uint8)
            part = "train" if number < 10 else "test"
            folder = tmp_path / part / (name if part == "train" else "")
            folder.mkdir(parents=True, exist_ok=True)
            Image.fromarray(pixels).save(folder / f"{level}-{number}.png")
    (tmp_path / "sample.csv").write_text("id,p\n0-10,0.5\n0-11,0.5\n180-10,0.5\n180-11,0.5\n")
    return tmp_path


SMALL = ("--epochs", 2, "--threads", 1)
LINEAR = ("--model", "linear", "--image-size", 8, "--augment", "none")


def test_options_are_given_again_but_for_paths():
    given = {"id_column": None, "text_column": "글", "image_dir": "/here", "score": 0.1}
    assert options_as_words(given, ("a", "b"), "names") == [
        *("--text-column", "글", "--score", "0.1"),
        *("--answer-column", "a", "--answer-column", "b", "--answers", "names"),
    ]


@pytest.mark.slow
def test_a_network_of_a_package_answers_without_a_network(photos, command, answer):
    words = ("--model", "efficientnet-lite0", "--image-size", 32, "--augment", "none")
    where = ("--data", photos / "train", "--run-dir", photos, "--name", "run")
    done = command(classification.lab, "train", *words, *where, "--epochs", 1, "--threads", 1)
    assert done.code == 0, done.err
    files, out = (photos / "test", photos / "sample.csv"), photos / "out.csv"
    given = ("--out", out, "--bundle", photos / "bundle")
    done = command(classification.lab, "submit", photos / "classification/run", *files, *given)
    assert done.code == 0, done.err
    check_same(answer, photos / "bundle", files, out)


@pytest.mark.slow
def test_an_ensemble_answers_without_a_network(photos, command, answer):
    place = ("--data", photos / "train", "--run-dir", photos)
    for seed in (0, 1):
        named = ("--seed", seed, "--name", f"run-{seed}")
        assert command(classification.lab, "train", *place, *LINEAR, *SMALL, *named).code == 0
    runs = [photos / "classification" / name for name in ("run-0", "run-1")]
    words = ("--run-dir", photos, "--name", "both")
    assert command(classification.lab, "ensemble", *runs, *words).code == 0
    files, out = (photos / "test", photos / "sample.csv"), photos / "out.csv"
    given = ("--out", out, "--bundle", photos / "bundle")
    done = command(classification.lab, "submit", photos / "classification/both", *files, *given)
    assert done.code == 0, done.err
    for run in (*runs, photos / "classification/both"):
        shutil.rmtree(run)
    check_same(answer, photos / "bundle", files, out)


@pytest.mark.slow
def test_folds_in_a_zip_answer_without_a_network(photos, command, answer):
    words = ("--data", photos / "train", *LINEAR, *SMALL, "--folds", 2)
    where = ("--run-dir", photos, "--name", "whole")
    assert command(classification.lab, "crossval", *words, *where).code == 0
    files, out = (photos / "test", photos / "sample.csv"), photos / "out.csv"
    for more in ((), ("--refit",)):
        run, bundle = photos / "classification/whole", photos / f"bundle{len(more)}.zip"
        given = ("--out", out, "--bundle", bundle, *more)
        done = command(classification.lab, "submit", run, *files, *given)
        assert done.code == 0, done.err
        with zipfile.ZipFile(bundle) as packed:
            packed.extractall(photos / "unpacked")
        check_same(answer, photos / "unpacked" / bundle.stem, files, out)
    tried = answer("-c", "import socket; socket.create_connection(('localhost', 80))")
    assert "there is no network here" in tried.stderr
    assert "No module named 'labs'" in answer("-c", "import labs").stderr


@pytest.mark.slow
def test_texts_are_answered_without_a_network(command, answer, tmp_path):
    rows = [f"{n},{text} {n},{label}" for n in range(20) for text, label in _TEXTS]
    (tmp_path / "train.csv").write_text("\n".join(["id,review,label", *rows]))
    (tmp_path / "test.csv").write_text("id,글\n7,참 좋은 영화\n8,지루하다\n")
    (tmp_path / "sample.csv").write_text("id,label\n8,good\n7,good\n")
    words = ("--data", tmp_path / "train.csv", "--members", 1, *SMALL)
    where = ("--run-dir", tmp_path, "--name", "run")
    assert command(rnn.lab, "sentiment", *words, *where).code == 0
    files, out = (tmp_path / "test.csv", tmp_path / "sample.csv"), tmp_path / "out.csv"
    given = ("--out", out, "--bundle", tmp_path / "bundle", "--text-column", "글")
    done = command(rnn.lab, "submit", tmp_path / "rnn/run", *files, *given)
    assert done.code == 0, done.err
    check_same(answer, tmp_path / "bundle", files, out)


_TEXTS = (
    ("참 좋은 영화", "good"),
    ("지루하고 별로다", "bad"),
    ("최고의 연기", "good"),
    ("최악", "bad"),
)


@pytest.mark.slow
def test_series_go_on_without_a_network(command, answer, tmp_path):
    days = np.datetime64("2024-01-01") + np.arange(103)
    rows = [f"{day},{10 + np.sin(n):.3f}" for n, day in enumerate(days[:100])]
    (tmp_path / "sales.csv").write_text("\n".join(["date,sold", *rows]))
    (tmp_path / "sample.csv").write_text("\n".join(["date,sold", *(f"{d},0" for d in days[100:])]))
    words = ("--data", tmp_path / "sales.csv", "--window", 7, "--horizon", 3, *SMALL)
    where = ("--run-dir", tmp_path, "--name", "run")
    assert command(rnn.lab, "forecast", *words, *where).code == 0
    out = tmp_path / "out.csv"
    given = ("--out", out, "--bundle", tmp_path / "bundle")
    done = command(rnn.lab, "submit", tmp_path / "rnn/run", tmp_path / "sample.csv", *given)
    assert done.code == 0, done.err
    check_same(answer, tmp_path / "bundle", [tmp_path / "sample.csv"], out)


@pytest.mark.slow
def test_boxes_are_found_without_a_network(photos, command, answer):
    words = ("--limit", 20, "--epochs", 1, "--threads", 1, "--run-dir", photos, "--name", "run")
    assert command(detection.lab, "train", *words).code == 0
    (photos / "sample.csv").write_text("image_id,boxes\n0-10,\n0-11,\n180-10,\n180-11,\n")
    files, out = (photos / "test", photos / "sample.csv"), photos / "out.csv"
    given = ("--out", out, "--bundle", photos / "bundle", "--boxes", "sides", "--score", 0.001)
    run = photos / "detection/run"
    done = command(detection.lab, "submit", run, *files, *given)
    assert done.code == 0, done.err
    check_same(answer, photos / "bundle", files, out)
