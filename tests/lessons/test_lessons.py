"""Each lesson's check takes three right files, and has a message of its own for five wrong ones."""

import re
from functools import cache
from pathlib import Path

import pytest
from click.testing import CliRunner

from labs.__main__ import labs
from labs.lessons.catalogue import LESSONS
from labs.lessons.run import judge, judge_apart

ROOT = Path(__file__).parents[2]
SOLUTIONS = sorted((ROOT / "docs/lessons/solutions").glob("*/*.py"))
WRONG = sorted((Path(__file__).parent / "wrong").glob("*/*.py"))


@cache
def problem_of(path):
    return judge(int(path.parent.name), path)


def name_of(path):
    return f"{path.parent.name}/{path.stem}"


@pytest.mark.parametrize("path", SOLUTIONS, ids=name_of)
def test_a_right_file_is_taken(path):
    assert problem_of(path) is None


@pytest.mark.parametrize("path", WRONG, ids=name_of)
def test_a_wrong_file_is_told_what_was_seen(path):
    first, *_ = path.read_text("utf-8").splitlines()
    problem = problem_of(path)
    assert problem is not None
    assert first.removeprefix("# ") in problem


@pytest.mark.parametrize("number", LESSONS)
def test_a_lesson_has_three_solutions_and_five_typical_faults_with_messages_of_their_own(number):
    right = [path for path in SOLUTIONS if int(path.parent.name) == number]
    wrong = [path for path in WRONG if int(path.parent.name) == number]
    assert len(right) >= 3
    assert len({problem_of(path) for path in wrong}) == len(wrong) >= 5


@pytest.mark.parametrize("number", LESSONS)
def test_a_page_says_what_to_run_predict_change_and_do(number):
    lesson = LESSONS[number]
    page = (ROOT / f"docs/lessons/{lesson.page}.md").read_text("utf-8")
    assert page.startswith(f"# Lesson {number}: ")
    assert [*re.findall("^## (.*)", page, re.MULTILINE)][-4:] == [
        *("Run", "Predict, then run", "Change", "Task")
    ]
    assert f"python -m labs lesson {number} --check " in page
    asked = re.search(r"`(\w+)\(", lesson.task)[1]
    assert f"def {asked}(" in page or f"class {asked}(" in page


def run(*words):
    return CliRunner().invoke(labs, ["lesson", *map(str, words)])


def test_the_command_lists_shows_and_checks(tmp_path):
    assert "The step one can read" in run().output
    assert "docs/lessons/01-the-step.md" in run(1).output
    right = run(1, "--check", SOLUTIONS[0])
    assert right.exit_code == 0
    assert "Right." in right.output
    wrong = tmp_path / "step.py"
    wrong.write_text("def train_step(:\n")
    result = run(1, "--check", wrong)
    assert result.exit_code == 1
    assert "line 1: SyntaxError" in result.output


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "defines no `train_step`"),
        ("train_step = 3", "no function"),
        ("def train_step(*rest):\n    return 1 / 0", "line 2: ZeroDivisionError"),
        ("import sys\nsys.exit()", "line 2: SystemExit"),
        ("def train_step(*rest):\n    rest", "`train_step` returns nothing"),
    ],
)
def test_files_that_fail_are_named_with_their_line(text, message, tmp_path):
    path = tmp_path / "step.py"
    path.write_text(text)
    assert message in judge(1, path)


def test_a_file_that_ends_python_is_told_so(tmp_path):
    path = tmp_path / "step.py"
    path.write_text("import os\nos._exit(7)")
    assert "with the code 7" in judge_apart(1, path)
    assert "no file" in judge_apart(1, tmp_path / "nowhere.py")


def test_a_loop_without_an_end_is_ended_by_the_time_that_it_computes(tmp_path):
    path = tmp_path / "step.py"
    path.write_text("while True: pass")
    assert "after 0.5 seconds of computing: is there a loop" in judge_apart(1, path, 0.5)


def test_a_file_that_asks_at_the_keyboard_gets_no_answer(tmp_path):
    path = tmp_path / "step.py"
    path.write_text("input()")
    assert "line 1: EOFError" in judge_apart(1, path)


@pytest.mark.slow
def test_a_computation_that_never_lets_go_of_the_interpreter_is_ended(tmp_path):
    path = tmp_path / "spin.py"
    path.write_text("import itertools\nsum(itertools.repeat(0))\n")
    assert "not done after 1 seconds of computing" in str(judge_apart(1, path, 1))
