# maps of 3 x 3
from torch import nn


def build_vgg(plan, channels, classes, image_size):
    layers, side = [], image_size
    for each in plan:
        if each == "M":
            layers.append(nn.MaxPool2d(2))
            side //= 2
        else:
            layers += [nn.Conv2d(channels, each, 3, padding=1), nn.ReLU()]
            channels = each
    return nn.Sequential(
        *layers, nn.AdaptiveAvgPool2d(7), nn.Flatten(), nn.Linear(channels * 49, classes)
    )
