"""Sections of a run's report that commands make, kept in the run folder: `views/NAME.json`.

So `report RUN` has them again, and a command that makes one again, with other options, changes that
section alone.
"""

import json
from pathlib import Path
from typing import Any

from common.errors import RunError
from common.report.html import Section, Table
from common.runs.folder import Run

MAP = "map"
"""The view of a run's last features, which labs have in common."""


def keep(run: Run, name: str, section: Section, **more: Any) -> None:
    """Keep a section, whose pictures are files in the run's figures.

    Args:
        run: the run.
        name: of the view.
        section: what the report is to show.
        more: what else the file is to hold, such as figures for whoever reads the run folder.

    Raises:
        SaveError: it cannot be written.
    """
    table = section.table
    value = {
        "title": section.title,
        "text": section.text,
        "table": table and {"columns": list(table.columns), "rows": [list(r) for r in table.rows]},
        "pictures": [[caption, path.name] for caption, path in files(section)],
        "epochs": len(run.history),
        **more,
    }
    run.write(f"views/{name}", value)


def recall(run: Run, name: str) -> Section | None:
    """Return a section as it was kept.

    None when there is none, its pictures are gone, or the run was trained on since.

    Raises:
        RunError: the file is damaged.
    """
    path = file(run, name)
    if not path.exists():
        return None
    try:
        value = json.loads(path.read_text(encoding="utf-8"))
        table = Table(**value["table"]) if value["table"] else None
        pictures = [(caption, run.figures / picture) for caption, picture in value["pictures"]]
        section = Section(value["title"], value["text"], table, pictures)
        same = value["epochs"] == len(run.history)
    except (KeyError, TypeError, ValueError) as error:
        raise RunError(
            f"{path} is damaged ({error!r}); delete it, and make the view again"
        ) from error
    return section if same and all(picture.is_file() for _, picture in pictures) else None


def forget(run: Run, name: str) -> None:
    """Take a section out of the report, as what it shows is no longer so."""
    file(run, name).unlink(missing_ok=True)


def file(run: Run, name: str) -> Path:
    """Return where a section is kept."""
    return run.path / "views" / f"{name}.json"


def files(section: Section) -> list[tuple[str, Path]]:
    """Return those pictures of a section that are files, with their captions."""
    return [(caption, path) for caption, path in section.pictures if isinstance(path, Path)]
