"""A run is verified as on another machine: with the kernels for processors without AVX2."""

import os
import subprocess
import sys

import pytest

from labs.classification.__main__ import lab as images
from labs.rnn.__main__ import lab as sequences

OTHER = {"ATEN_CPU_CAPABILITY": "default", "ONEDNN_MAX_CPU_ISA": "SSE41"}
SMALL = ("--epochs", 4, "--threads", 1)
RUNS = {
    "classification": (images, ("train", "--data", "mnist5k", "--model", "lenet5")),
    "rnn": (sequences, ("forecast",)),
}


@pytest.mark.slow
@pytest.mark.parametrize("name", RUNS)
def test_another_machine_is_told_from_another_run(name, command, quick_pictures, tmp_path):
    lab, words = RUNS[name]
    where = ("--run-dir", tmp_path, "--name", "one")
    done = command(lab, *words, "--limit", 600, *SMALL, *where)
    assert done.code == 0, done.err
    run = tmp_path / name / "one"
    verify = [sys.executable, "-m", f"labs.{name}", "verify", str(run), "--updates", "1000"]

    def look():
        done = subprocess.run(verify, env={**os.environ, **OTHER}, capture_output=True, text=True)
        return done.returncode, done.stdout

    code, said = look()
    assert (code, "Verdict: same" in said) == (0, True), said
    (run / "receipt.json").unlink()  # whose hash of the config would find the next at once
    config = (run / "config.toml").read_text("utf-8")
    (run / "config.toml").write_text(config.replace("\nseed = 0 ", "\nseed = 1 "), "utf-8")
    code, said = look()
    assert (code, "Verdict: not this run" in said) == (1, True), said
