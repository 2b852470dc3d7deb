"""Lesson 10: how much two boxes overlap."""

from typing import Any

import numpy as np
import torch
import torchvision

from labs.lessons.student import Student, expect


def check(student: Student) -> None:
    """Compare boxes that are equal, apart, within one another, that touch, and that are empty."""
    iou = student.function("iou")
    unit = np.array([[0.0, 0, 10, 10]])
    found = np.asarray(iou(unit, unit), float)
    expect(
        found.shape == (1, 1),
        f"of one box and one box there is one number, in an array of shape (1, 1), not "
        f"{found.shape}",
    )
    expect(np.isclose(found[0, 0], 1), f"a box and itself have an IoU of 1, not {found[0, 0]:.3f}")
    two, three = np.array([[0.0, 0, 4, 4], [2, 2, 6, 6]]), unit.repeat(3, 0)
    shape = np.asarray(iou(two, three), float).shape
    expect(
        shape == (2, 3),
        f"of 2 boxes and 3 boxes there are 2 x 3 numbers, each with each; the shape is {shape}",
    )
    apart = np.array([[20.0, 20, 30, 30]])
    _compare(iou, unit, apart, "boxes that lie apart in both directions")
    _compare(iou, unit, np.array([[10.0, 0, 20, 10]]), "boxes that share an edge alone")
    _compare(iou, unit, np.array([[2.0, 2, 4, 4]]), "a box within another")
    _compare(iou, unit, np.array([[5.0, 5, 15, 15]]), "boxes that overlap in a corner")
    empty = np.array([[3.0, 3, 3, 3]])
    value = float(np.asarray(iou(empty, empty))[0, 0])
    expect(value == 0, f"two boxes without an area have an IoU of 0 here, not {value}")
    generator = np.random.default_rng(0)
    corners = generator.uniform(0, 50, (2, 12, 4))
    boxes = [np.concatenate([each[:, :2], each[:, :2] + each[:, 2:]], 1) for each in corners]
    _compare(iou, boxes[0], boxes[1], "12 boxes and 12 others")


def _compare(iou: Any, one: np.ndarray, other: np.ndarray, what: str) -> None:
    found = np.asarray(iou(one, other), float)
    tensors = (torch.from_numpy(each) for each in (one, other))
    known = torchvision.ops.box_iou(*tensors).numpy()
    wrong = np.argwhere(~np.isclose(found, known, atol=1e-6))
    if len(wrong):
        row, column = map(int, wrong[0])
        expect(
            False,
            f"of {what} the IoU is {known[row, column]:.3f}; your function says "
            f"{found[row, column]:.3f}",
        )
