"""The blocks of docs/api.md run, one after the other, as a reader would type them."""

import re
from pathlib import Path

PAGE = Path(__file__).parents[2] / "docs" / "api.md"


def test_every_block_of_the_api_page_runs(capsys):
    blocks = re.findall(r"```python\n(.*?)```", PAGE.read_text(encoding="utf-8"), re.DOTALL)
    assert len(blocks) >= 7
    names = {}
    for number, block in enumerate(blocks, 1):
        exec(compile(block, f"docs/api.md, block {number}", "exec"), names)
        if number == 1:
            accuracy = float(capsys.readouterr().out)
            assert accuracy > 0.9
    assert "95 % interval" in capsys.readouterr().out


def test_the_first_block_is_ten_lines_of_work():
    block = re.search(r"```python\n(.*?)```", PAGE.read_text(encoding="utf-8"), re.DOTALL)[1]
    work = [line for line in block.splitlines() if line and not line.startswith(("import", "from"))]
    assert len(work) <= 10
