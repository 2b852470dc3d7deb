"""Lesson 6, a class of its own with a forward pass that follows the plan."""

import torch
from torch import nn


class _VGG(nn.Module):
    def __init__(self, plan, channels, classes, image_size):
        super().__init__()
        self.plan = tuple(plan)
        maps = [each for each in plan if each != "M"]
        pairs = zip([channels, *maps[:-1]], maps, strict=True)
        self.convolutions = nn.ModuleList(nn.Conv2d(a, b, 3, 1, 1) for a, b in pairs)
        side = image_size // 2 ** self.plan.count("M")
        self.head = nn.Linear(maps[-1] * side * side, classes)

    def forward(self, images):
        convolutions = iter(self.convolutions)
        for each in self.plan:
            if each == "M":
                images = torch.max_pool2d(images, 2)
            else:
                images = next(convolutions)(images).relu()
        return self.head(images.flatten(1))


def build_vgg(plan, channels, classes, image_size):
    """Return the network."""
    return _VGG(plan, channels, classes, image_size)
