"""What docs/reliability.md says is tested is tested, and there is enough of it."""

import ast
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PAGE = (ROOT / "docs" / "reliability.md").read_text(encoding="utf-8")
GROUPS = ("Resume", "Signals", "Storage", "Numerics and memory", "Data", "Security")
CASES = {
    group: [
        tuple(cell.strip() for cell in re.split(r"(?<!\\)\|", line)[1:-1])
        for line in part.splitlines()
        if line.startswith("| ") and "| --- |" not in line and not line.startswith("| case |")
    ]
    for group, part in re.findall(r"^## (.+)\n((?:(?!^## ).*\n)*)", PAGE, re.MULTILINE)
    if group in GROUPS
}
TESTS = [case[-1] for cases in CASES.values() for case in cases]


def test_there_are_six_groups_of_six_cases_and_forty_in_all():
    assert tuple(CASES) == GROUPS
    assert min(map(len, CASES.values())) >= 6
    assert len(TESTS) >= 40
    assert len(set(TESTS)) == len(TESTS)


@pytest.mark.parametrize("group", GROUPS)
def test_each_case_says_what_is_expected_and_what_was_seen(group):
    for case in CASES.get(group, ()):
        assert len(case) == 4, case
        assert all(case), case


@pytest.mark.parametrize("test", TESTS)
def test_each_test_is_there(test):
    path, name = re.fullmatch(r"`(tests/[\w/]+\.py)::(test_\w+)`", test).groups()
    body = ast.parse((ROOT / path).read_text(encoding="utf-8")).body
    assert name in {each.name for each in body if isinstance(each, ast.FunctionDef)}
