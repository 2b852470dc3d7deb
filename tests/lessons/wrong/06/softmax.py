# the outputs of [8, 'M', 16, 16, 'M'], 1 x 28 x 28 pixels and 10 classes are probabilities
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
    head = nn.Linear(channels * side**2, classes)
    return nn.Sequential(*layers, nn.Flatten(), head, nn.Softmax(1))
