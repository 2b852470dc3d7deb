# has a padding of (0, 0)
from torch import nn


def build_vgg(plan, channels, classes, image_size):
    layers, side = [], image_size
    for each in plan:
        if each == "M":
            layers.append(nn.MaxPool2d(2))
            side //= 2
        else:
            layers += [nn.Conv2d(channels, each, 3), nn.ReLU()]
            channels = each
    return nn.Sequential(*layers, nn.Flatten(), nn.Linear(channels * side**2, classes))
