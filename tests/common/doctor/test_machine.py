"""The checks of a machine, each in a state that is right and in those that have to be mended."""

import sys

import pytest

from common.doctor import machine
from common.doctor.machine import MEND, OK, REMARK

RIGHT = {"torch": "2.9.1+cpu", "torchvision": "0.24.1", "torchtext": "0.6.0"}


@pytest.mark.parametrize(
    ("changed", "name", "fix"),
    [
        ({"torchvision": "0.20.0"}, "torchvision", 'pip install "torchvision==0.24.*"'),
        ({"torchtext": "0.18.0"}, "torchtext", 'pip install "torchtext==0.6.0"'),
        (
            {"opencv-python": "4.9.0", "opencv-python-headless": "4.10.0"},
            "OpenCV",
            "pip install --force-reinstall --no-deps opencv-python==4.10.0 "
            "opencv-python-headless==4.10.0",
        ),
        ({"pillow-simd": "9.0.0"}, "Pillow", "pip uninstall -y pillow-simd && "),
    ],
)
def test_a_known_bad_package_is_named_with_its_fix(monkeypatch, changed, name, fix):
    monkeypatch.setattr(machine, "_find_lacking", lambda versions: [("torch", "torch>=2.9")])
    assert [check.name for check in machine.check_packages(RIGHT)] == ["packages"]
    [_, found] = machine.check_packages({**RIGHT, **changed})
    assert (found.name, found.verdict) == (name, MEND)
    assert found.fix.startswith(fix)


def test_what_is_missing_or_too_old_is_installed_by_one_command():
    versions = machine.installed()
    assert list(machine._find_lacking(versions)) == []
    del versions["click"]
    [found] = [
        check
        for check in machine.check_packages({**versions, "rich": "1.0"})
        if check.name == "packages"
    ]
    assert found.verdict == MEND
    assert "click is missing, rich is 1.0" in found.found
    assert found.fix == 'pip install "click>=8.1" "rich>=13.7"'


def test_what_is_missing_is_found_where_the_project_is_not_installed(monkeypatch):
    """Run from its sources, which know no versions."""
    monkeypatch.setattr(machine, "PROJECT", "nothing-of-this-name")
    versions = machine.installed()
    assert next(machine.check_packages(versions)).verdict == OK
    del versions["torchvision"]
    found = next(machine.check_packages(versions))
    assert (found.found, found.fix) == ("torchvision is missing", 'pip install "torchvision"')


def test_a_torch_that_cannot_be_imported_has_to_be_mended(monkeypatch):
    monkeypatch.setitem(sys.modules, "torch", None)
    found = machine.check_device()
    assert found.verdict == MEND
    assert found.found.startswith("torch cannot be imported: ")
    assert found.fix.startswith("pip install")


@pytest.mark.parametrize(
    ("cores", "environment", "busy", "verdict"),
    [
        (4, {}, 1.0, OK),
        (4, {"OMP_NUM_THREADS": "4"}, 1.0, OK),
        (4, {"OMP_NUM_THREADS": "8"}, 1.0, MEND),
        (2, {"MKL_NUM_THREADS": "16"}, 0.0, MEND),
        (2, {"OMP_NUM_THREADS": "4,2"}, 0.0, OK),
        (2, {}, 5.0, REMARK),
    ],
)
def test_more_threads_than_cores_have_to_be_mended(cores, environment, busy, verdict):
    assert machine.check_threads(cores, environment, busy).verdict == verdict


def test_room_is_measured(tmp_path):
    assert machine.check_memory(8 << 30).verdict == OK
    assert machine.check_memory(1 << 30).verdict == MEND
    assert machine.check_memory(None).verdict == OK
    assert machine.check_disk("runs", tmp_path / "not" / "yet").verdict == OK


def test_memory_that_holds_files_which_were_read_is_free_in_a_container(monkeypatch, tmp_path):
    monkeypatch.setattr(machine, "_CGROUP", tmp_path)
    for name, text in {
        "memory.max": "1000000\n",
        "memory.current": "900000\n",
        "memory.stat": "anon 300000\nfile 600000\ninactive_file 500000\n",
    }.items():
        (tmp_path / name).write_text(text)
    assert machine.free_memory() == 600000
    (tmp_path / "memory.stat").unlink()
    assert machine.free_memory() == 100000


@pytest.mark.parametrize(("free", "verdict"), [(64 << 20, MEND), (1 << 30, OK)])
def test_little_shared_memory_has_to_be_mended(monkeypatch, tmp_path, free, verdict):
    monkeypatch.setattr(machine.shutil, "disk_usage", lambda place: _Usage(free))
    found = machine.check_shared_memory(tmp_path)
    assert found.verdict == verdict
    assert ("--shm-size" in found.fix) == (verdict == MEND)


class _Usage:
    def __init__(self, free):
        self.free = free


def test_the_command_exits_with_1_where_something_has_to_be_mended(monkeypatch, tmp_path, capsys):
    from labs.__main__ import labs

    def run(checks):
        monkeypatch.setattr(machine, "examine", lambda runs: iter(checks))
        with pytest.raises(SystemExit) as done:
            labs(["doctor", "--run-dir", str(tmp_path)])
        return done.value.code, capsys.readouterr().out

    fine = machine.Check("memory", "8.0 GB free")
    code, said = run([fine])
    assert code == 0
    assert "Nothing has to be mended." in said
    code, said = run([fine, machine.Check("disk", "full", MEND, "free some")])
    assert code == 1
    assert "disk: free some" in said
    assert "To be mended: disk." in said
