"""Lesson 8, one image after the other."""

import torch


def augment(images, generator):
    """Return changed copies."""
    height, width = images.shape[2:]
    found = torch.zeros_like(images)
    for image, new in zip(images, found, strict=True):
        if torch.rand(1, generator=generator) < 0.5:
            image = image.flip(2)
        down, right = torch.randint(-2, 3, (2,), generator=generator).tolist()
        rows = slice(max(0, down), height + min(0, down))
        columns = slice(max(0, right), width + min(0, right))
        new[:, rows, columns] = image[
            :,
            max(0, -down) : height - max(0, down),
            max(0, -right) : width - max(0, right),
        ]
    return found
