import json

import pytest

from common.errors import RunError
from common.report.html import Section, Table
from common.runs import views
from common.runs.folder import Run


@pytest.fixture
def run(tmp_path):
    run = Run(tmp_path)
    run.figures.mkdir()
    (run.figures / "그림.png").write_bytes(b"png")
    return run


def view(run):
    pictures = (("what it shows", run.figures / "그림.png"),)
    return Section("제목", "text", Table(["a", "b"], [["1", "2"]]), pictures)


def test_a_section_comes_back_as_it_was_kept(run):
    views.keep(run, "view", view(run), figures={"accuracy": 0.5})
    found = views.recall(run, "view")
    assert (found.title, found.text) == ("제목", "text")
    assert (found.table.columns, found.table.rows) == (["a", "b"], [["1", "2"]])
    assert list(found.pictures) == [("what it shows", run.figures / "그림.png")]
    assert run.read("views/view")["figures"] == {"accuracy": 0.5}


def test_a_run_that_moved_keeps_its_sections(run, tmp_path):
    views.keep(run, "view", view(run))
    moved = Run(tmp_path.rename(tmp_path.with_name("moved")))
    assert views.recall(moved, "view").pictures[0][1] == moved.figures / "그림.png"


def test_there_is_no_section_that_was_not_kept_or_is_stale(run):
    assert views.recall(run, "view") is None
    views.keep(run, "view", view(run))
    run.write_history([{"epoch": 1}])
    assert views.recall(run, "view") is None, "trained on since"
    views.keep(run, "view", view(run))
    (run.figures / "그림.png").unlink()
    assert views.recall(run, "view") is None, "its picture is gone"


@pytest.mark.parametrize("change", [{"title": None}, {"pictures": [1]}, {"table": {"x": 1}}])
def test_a_damaged_file_is_named(change, run):
    views.keep(run, "view", view(run))
    file = run.path / "views/view.json"
    value = {**json.loads(file.read_text()), **change}
    if change == {"title": None}:
        del value["title"]
    file.write_text(json.dumps(value))
    with pytest.raises(RunError, match=r"view\.json is damaged"):
        views.recall(run, "view")
