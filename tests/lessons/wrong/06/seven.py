# of [4, 'M', 6, 'M', 'M'], 3 x 30 x 30 pixels and 2 classes fails
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
    return nn.Sequential(*layers, nn.Flatten(), nn.Linear(channels * 7 * 7, classes))
