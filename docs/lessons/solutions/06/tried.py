"""Lesson 6: an image that is sent through tells how many numbers come out."""

import torch
from torch import nn


def build_vgg(plan, channels, classes, image_size):
    """Return the network."""
    features = nn.Sequential()
    for number, each in enumerate(plan):
        if each == "M":
            features.append(nn.MaxPool2d(kernel_size=2, stride=2))
            continue
        before = next((one for one in reversed(plan[:number]) if one != "M"), channels)
        features.append(nn.Conv2d(before, each, kernel_size=3, padding="same"))
        features.append(nn.ReLU(inplace=True))
    features.append(nn.Flatten())
    with torch.no_grad():
        numbers = features(torch.zeros(1, channels, image_size, image_size)).shape[1]
    return nn.Sequential(features, nn.Linear(numbers, classes))
