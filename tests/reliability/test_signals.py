"""Real signals, terminals and pipes, at the worst moments."""

import os
import pty
import re
import signal
import time
from pathlib import Path

import pytest

from benchmarks.same_run import same

pytestmark = pytest.mark.slow

# A save takes so long that signals come in the middle of it.
SLOW = """
os.fsync = lambda descriptor: time.sleep(0.5)
"""


def again(run):
    return (
        f"stopped; the run is saved. Go on with: python -m labs.classification train --resume {run}"
    )


def test_a_terminal_that_closes_saves_the_run(train, saved, goes_on):
    """The kernel sends SIGHUP; what is written to the terminal from then on is an error."""
    ours, theirs = pty.openpty()
    on_terminal = f"""
import fcntl, termios
signal.signal(signal.SIGHUP, signal.SIG_DFL)
os.setsid()
terminal = os.open({os.ttyname(theirs)!r}, os.O_RDWR)
fcntl.ioctl(terminal, termios.TIOCSCTTY, 0)
for each in (0, 1, 2): os.dup2(terminal, each)
assert sys.stderr.isatty()
"""
    command, run = train(on_terminal)
    os.close(theirs)
    os.set_blocking(ours, False)
    shown = bytearray()

    def read_on():
        try:
            shown.extend(os.read(ours, 100_000))
        except OSError:  # nothing yet, or not open yet
            time.sleep(0.01)
        return len(saved(run)) == 2

    assert command.wait_for(read_on), bytes(shown)
    os.close(ours)
    assert command.end() == 129
    assert not (run / "metrics.json").exists()
    goes_on(run)


def test_under_nohup_a_run_goes_on(train, saved, whole):
    command, run = train("signal.signal(signal.SIGHUP, signal.SIG_IGN)")
    assert command.wait_for(lambda: saved(run))
    os.kill(command.process.pid, signal.SIGHUP)
    assert command.end() == 0, command.text
    assert all(same(run, whole).values())


@pytest.fixture
def saving(start, half, saved):
    """Return a run that goes on and has just saved; saves, as a signal asks for, are slow."""
    before = saved(half)
    command = start("train", "--resume", half, first=SLOW)
    assert command.wait_for(lambda: saved(half) != before), command.text
    return command


def test_a_signal_in_the_middle_of_a_save_waits_for_it(saving, half, goes_on):
    assert saving.send(signal.SIGTERM)[0] == 143, saving.text
    assert again(half) in saving.text
    goes_on(half)


def test_ctrl_c_twice_saves_the_run(saving, half, goes_on):
    os.kill(saving.process.pid, signal.SIGINT)
    time.sleep(0.3)
    assert saving.send(signal.SIGINT)[0] == 130, saving.text
    assert saving.text.count("Error: ") == 1
    assert "Traceback" not in saving.text
    assert again(half) in saving.text
    goes_on(half)


def test_a_reader_that_has_gone_saves_the_run(train, saved, goes_on, tmp_path):
    os.mkfifo(tmp_path / "pipe")
    command, run = train(
        f"""
pipe = os.open({str(tmp_path / "pipe")!r}, os.O_WRONLY)
os.dup2(pipe, 1), os.dup2(pipe, 2)
"""
    )
    with open(tmp_path / "pipe") as reader:
        while "epoch   1" not in reader.readline():
            pass
    assert command.end() == 128 + signal.SIGPIPE
    assert not (run / "metrics.json").exists()
    goes_on(run)


def test_a_run_that_was_suspended_goes_on(train, saved, whole):
    command, run = train()
    assert command.wait_for(lambda: saved(run))
    with command.paused():
        time.sleep(0.5)
    assert command.end() == 0, command.text
    assert all(same(run, whole).values())


def children_of(process):
    return [
        int(each)
        for each in Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split()
    ]


@pytest.mark.skipif(not Path("/proc/self/task").exists(), reason="looks for processes in /proc")
def test_a_reading_process_that_is_killed_is_one_sentence(start, stream, saved, photos, tmp_path):
    undisturbed = stream(photos, "undisturbed")
    killed = stream(photos)
    assert killed.command.wait_for(lambda: len(saved(killed.run)) == 2), killed.command.text
    with killed.command.paused():
        os.kill(children_of(killed.command.process)[0], signal.SIGKILL)
    assert killed.command.end() == 1, killed.command.text
    said = killed.command.text
    assert re.search(
        r"Error: a process that reads the data (was killed \(Killed\)|ended), as", said
    )
    assert said.endswith(f"python -m labs.classification train --resume {killed.run}\n")
    assert "Traceback" not in said
    last = start("train", "--resume", killed.run)
    assert (last.end(), undisturbed.command.end()) == (0, 0), last.text
    assert all(same(killed.run, undisturbed.run).values())
