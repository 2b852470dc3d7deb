"""How many threads compute; they wait briefly in every command, before a library is loaded."""

import json
import os
import subprocess
import sys

import pytest

from common import threads

NAMES = ("GOMP_SPINCOUNT", "KMP_BLOCKTIME", "OPENBLAS_THREAD_TIMEOUT", "OMP_WAIT_POLICY")
# Says what the environment is when torch is first looked for, and ends there.
PROGRAM = """
import json, os, runpy, sys
class Watch:
    def find_spec(self, name, path=None, target=None):
        if name in ("torch", "numpy", "sklearn"):
            print(json.dumps({name: os.environ.get(name) for name in NAMES}), flush=True)
            os._exit(0)
sys.meta_path.insert(0, Watch())
sys.argv = ["labs", *sys.argv[1:]]
runpy.run_module(sys.argv.pop(1), run_name="__main__")
"""


def look(*words, **settings):
    """Return the variables as the first library of a command would find them."""
    plain = {name: value for name, value in os.environ.items() if name not in NAMES}
    program = PROGRAM.replace("NAMES", repr(NAMES))
    found = subprocess.run(
        [sys.executable, "-c", program, *words],
        env={**plain, **settings},
        capture_output=True,
        text=True,
        check=True,
    )
    return json.loads(found.stdout)


@pytest.mark.parametrize(
    "words",
    [
        ("labs.rnn", "sentiment", "--limit", "50"),
        ("labs", "compare", "one", "two"),
    ],
)
def test_threads_wait_briefly_before_any_library_is_loaded(words):
    assert look(*words) == {
        "GOMP_SPINCOUNT": "3000",
        "KMP_BLOCKTIME": "1",
        "OPENBLAS_THREAD_TIMEOUT": "16",
        "OMP_WAIT_POLICY": None,
    }


def test_what_the_user_has_set_stays():
    found = look(
        "labs.autoencoder", "train", OMP_WAIT_POLICY="ACTIVE", OPENBLAS_THREAD_TIMEOUT="20"
    )
    assert found["GOMP_SPINCOUNT"] is None
    assert found["KMP_BLOCKTIME"] is None
    assert found["OPENBLAS_THREAD_TIMEOUT"] == "20"


@pytest.mark.parametrize(
    ("quota", "cores"), [("200000 100000", 2), ("20000 100000", 1), ("max 100000", 8), (None, 8)]
)
def test_cores_are_those_of_the_process_and_its_container(quota, cores, monkeypatch, tmp_path):
    monkeypatch.setattr(os, "sched_getaffinity", lambda process: set(range(8)), raising=False)
    monkeypatch.setattr(threads, "_QUOTA", tmp_path / "cpu.max")
    if quota is not None:
        (tmp_path / "cpu.max").write_text(f"{quota}\n")
    assert threads.usable_cores() == cores


@pytest.mark.parametrize(("asked", "number"), [("3", 3), ("", None), ("many", None), ("0", None)])
def test_threads_are_those_asked_for_or_one_for_each_core(asked, number, monkeypatch):
    monkeypatch.setenv("OMP_NUM_THREADS", asked)
    assert threads.usable_threads() == (number or threads.usable_cores())
