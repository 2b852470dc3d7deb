"""Lesson 5: a convolution by hand."""

from typing import Any

import numpy as np
import torch
from torch.nn import functional

from labs.lessons.student import Student, expect


def check(student: Student) -> None:
    """Convolve small images with kernels that are not symmetric."""
    convolve = student.function("convolve")
    generator = np.random.default_rng(0)
    image = generator.normal(size=(6, 7)).round(2)
    kernel = np.array([[0.0, 0, 0], [0, 0, 1], [0, 0, 0]])
    found = _ask(convolve, image, kernel)
    expect(
        found.shape == (4, 5),
        f"an image of 6 x 7 and a kernel of 3 x 3 give {_size(found)}; the kernel fits in 4 rows "
        "and 5 columns",
    )
    flipped = np.allclose(found, image[1:-1, :-2])
    expect(
        not flipped,
        "a kernel with a 1 on the right takes the pixel on the left: the kernel is turned round; "
        "deep learning's convolutions do not turn it",
    )
    expect(
        np.allclose(found, image[1:-1, 2:]),
        "a kernel with a single 1 on the right is to give the pixels on the right",
    )
    kernel = generator.normal(size=(3, 3)).round(2)
    _compare(convolve, image, kernel, "with any 3 x 3 kernel")
    _compare(convolve, image, generator.normal(size=(2, 4)), "with a kernel of 2 x 4")
    _compare(convolve, image, kernel, "with a padding of 1", padding=1)
    _compare(convolve, image, kernel, "with a stride of 2", stride=2)
    _compare(convolve, image, kernel, "with a padding of 2 and a stride of 3", padding=2, stride=3)


def _ask(convolve: Any, image: np.ndarray, kernel: np.ndarray, **how: int) -> np.ndarray:
    before = image.copy(), kernel.copy()
    found = np.asarray(convolve(image, kernel, **how), float)
    expect(
        np.array_equal(image, before[0]) and np.array_equal(kernel, before[1]),
        "the image or the kernel that was given has been changed",
    )
    expect(found.ndim == 2, f"what comes out has {found.ndim} dimensions, not rows and columns")
    return found


def _compare(convolve: Any, image: np.ndarray, kernel: np.ndarray, what: str, **how: int) -> None:
    found = _ask(convolve, image, kernel, **how)
    inputs, weight = (torch.from_numpy(each)[None, None] for each in (image, kernel))
    known = functional.conv2d(inputs, weight, None, **how)[0, 0].numpy()
    expect(
        found.shape == known.shape,
        f"{what} there come {_size(found)} numbers out of 6 x 7; it should be {_size(known)}",
    )
    wrong = np.argwhere(~np.isclose(found, known, atol=1e-6))
    if len(wrong):
        row, column = map(int, wrong[0])
        expect(
            False,
            f"{what} {len(wrong)} of {known.size} numbers are wrong, the first in row {row}, "
            f"column {column}: {found[row, column]:.4f}, and the sum of the window times the "
            f"kernel is {known[row, column]:.4f}",
        )


def _size(array: np.ndarray) -> str:
    return " x ".join(map(str, array.shape))
