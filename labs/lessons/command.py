"""What `lesson` does: it names the page and the task, or checks a file."""

from pathlib import Path

from common.errors import ConfigError
from common.options import terminal
from labs.lessons.catalogue import LESSONS

PAGES = "docs/lessons"


def command(number: int | None, file: Path | None) -> None:
    """List the lessons, show one, or check a student's file.

    Raises:
        ConfigError: there is no such lesson.
        SystemExit: with 1, where the file does not do what the lesson asks.
    """
    if number is None:
        rows = [[str(each), lesson.title, _page(each)] for each, lesson in LESSONS.items()]
        terminal.show_table("Lessons", ["", "", "page"], rows)
        return
    if number not in LESSONS:
        raise ConfigError(f"no lesson {number}; there are 1 to {max(LESSONS)}")
    if file is None:
        lesson = LESSONS[number]
        terminal.say(f"Lesson {number}: {lesson.title}. Page: {_page(number)}")
        terminal.say(f"Task: write a file with {lesson.task}.")
        terminal.say(f"Check: python -m labs lesson {number} --check FILE.py")
        return
    from labs.lessons.run import judge_apart

    with terminal.busy("checking"):
        problem = judge_apart(number, file)
    if problem is not None:
        terminal.say(f"Not yet: {problem}")
        raise SystemExit(1)
    terminal.say(f"Right. Lesson {number} is done.")


def _page(number: int) -> str:
    return f"{PAGES}/{LESSONS[number].page}.md"
