"""A student and its teacher on the same images: what is measured of both, and the report of it."""

from collections.abc import Iterator, Mapping
from typing import Any

from torch import nn

from common import training
from common.metrics import metrics
from common.metrics.metrics import Array
from common.options import terminal
from common.report.html import Section, Table
from common.runs.job import Outputs, Splits, groups_of
from common.training.batches import close
from labs.classification import task
from labs.classification.distillation import Teacher, build_teacher, find
from labs.classification.job import ClassifyImages
from labs.classification.transfer.source_runs import Source, doubt


def ask(teacher: nn.Module, job: ClassifyImages, splits: Splits, name: str) -> Array:
    """Return the classes (N,) that a teacher names in a split of a student's data."""
    batches = job.batches(splits[name])
    collected = training.infer(teacher, job.task(splits), batches, job.compute)
    close(batches)
    return task.decide(collected["outputs"], numeric=False)


def measure(job: ClassifyImages, outputs: Mapping[str, Outputs], splits: Splits) -> dict[str, Any]:
    """Compare a student with its teacher on `validation` and `test`, for metrics.json.

    Returns:
        What `MainMetric.compare` returns of the teacher, the share of test images
        of which both say the same with its interval, and who the teacher is.
    """
    source = find(job.config, job.card)
    teacher = build_teacher(source, job.card, job.compute)
    names = ("validation", "test")
    student = {name: job.decide(outputs[name]) for name in names}
    guesses = {name: ask(teacher, job, splits, name) for name in names}
    targets = {name: job.targets(splits[name]) for name in names}
    agree = student["test"] == guesses["test"]
    return {
        **job.main_metric.compare(
            student, {"teacher": guesses}, targets, groups_of(splits["test"])
        )["teacher"],
        "agreement": float(agree.mean()),
        "agreement_interval": list(metrics.wilson(int(agree.sum()), len(agree))),
        **about(source, teacher, job),
    }


def about(source: Source, teacher: Teacher, job: ClassifyImages) -> dict[str, Any]:
    """Return who teaches whom: run, sizes, the accuracy that the run itself found, any doubt."""
    return {
        "model": source.config.model,
        "run": str(source.run.path),
        "own_accuracy": source.run.read("metrics")["test"]["accuracy"],
        "doubt": doubt("The teacher", source, job.config, job.card),
        "parameters": _size(teacher),
        "student_parameters": _size(job.model),
    }


def _size(model: nn.Module) -> int:
    return sum(parameter.numel() for parameter in model.parameters())


# --- the report -----------------------------------------------------------------------------------


def sections(job: ClassifyImages, figures: Mapping[str, Any]) -> Iterator[Section]:
    """Show teacher and student side by side, if the student had one."""
    if "teacher" not in figures:
        return
    teacher, config = figures["teacher"], job.config
    text = (
        f"The student learned from the labels with a weight of {1 - config.teacher_weight:g}, and "
        f"from the teacher's answers at temperature {config.temperature:g} with one of "
        f"{config.teacher_weight:g}. {describe(teacher)} {verdict(teacher)} Whether the teacher "
        "helped, one run cannot tell: compare-teacher trains the same student without it, too."
    )
    student = {**figures["test"], "teacher": teacher}
    yield Section(
        "Teacher and student", text, side_by_side({f"student ({job.config.title})": student})
    )


def describe(teacher: Mapping[str, Any]) -> str:
    """Say who teaches, what its figures are of, and any doubt about what it knows."""
    said = (
        f"The teacher is {teacher['run']}, which has {teacher['own_accuracy']:.4f} on the "
        "test images of its own run; here it sees the student's. Agreement is the share of test "
        "images of which both say the same."
    )
    return f"{said} {teacher['doubt']}".rstrip()


def side_by_side(students: Mapping[str, Mapping[str, Any]]) -> Table:
    """Return a row for the teacher, and one for each of its students by their names.

    Of a student it takes `accuracy` and its interval, and what `measure` returns as `teacher`.
    """
    columns = ["", "parameters", "test accuracy", "95 % interval"]
    columns += ["difference from the teacher", "agreement"]
    teacher = next(iter(students.values()))["teacher"]
    first = [f"teacher ({teacher['model']})", *_measured(teacher, teacher["parameters"]), "", ""]
    rows = [
        [
            name,
            *_measured(figures, figures["teacher"]["student_parameters"]),
            _lead(figures["teacher"]),
            f"{figures['teacher']['agreement']:.4f}",
        ]
        for name, figures in students.items()
    ]
    return Table(columns, [first, *rows])


def verdict(teacher: Mapping[str, Any], student: str = "The student") -> str:
    """Say whether a student is as good as its teacher, from what `measure` returns."""
    low, high = teacher["lead_interval"]
    said = _lead(teacher)
    if low <= 0 <= high:
        return f"{student} and the teacher cannot be told apart by test accuracy: {said}."
    return f"{student} is {'better' if low > 0 else 'worse'} than the teacher: {said}."


def _measured(figures: Mapping[str, Any], size: int) -> list[str]:
    low, high = figures["accuracy_interval"]
    return [f"{size:,}", f"{figures['accuracy']:.4f}", f"{low:.4f} to {high:.4f}"]


def _lead(teacher: Mapping[str, Any]) -> str:
    return terminal.lead_text(teacher["lead"], teacher["lead_interval"])
