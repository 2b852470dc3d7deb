"""The lessons, readable without importing torch."""

from typing import NamedTuple


class Lesson(NamedTuple):
    """A lesson."""

    title: str
    page: str  # of docs/lessons, without its suffix
    task: str  # what the file has to hold, in a sentence


LESSONS: dict[int, Lesson] = {
    1: Lesson(
        "The step one can read",
        "01-the-step",
        "`train_step(model, loss_function, optimizer, inputs, targets)`: one update of the "
        "weights; it returns the loss as a number",
    ),
}
