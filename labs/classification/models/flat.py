"""Networks to which an image is a row of numbers."""

from collections import OrderedDict

from torch import nn


def linear(name: str, channels: int, image_size: int, classes: int) -> nn.Module:
    """Return softmax regression: one linear layer on the pixels.

    The score of a class is the inner product of the image with that class's template, plus a bias.
    So what it learned can be looked at: row k of `classifier.weight`, reshaped to (channels,
    image_size, image_size), is the template of class k. Where it is positive, bright pixels speak
    for the class; where it is negative, against it.
    """
    pixels = channels * image_size**2
    return nn.Sequential(OrderedDict(flatten=nn.Flatten(), classifier=nn.Linear(pixels, classes)))


def mlp(name: str, channels: int, image_size: int, classes: int) -> nn.Module:
    """Return a multilayer perceptron: the pixels, 256 and 128 ReLU units, the logits.

    It knows no neighborhoods: with the pixels of all images shuffled in the same way it would learn
    just as well. What a convolutional network gains over it comes from knowing them.
    """
    pixels = channels * image_size**2
    return nn.Sequential(
        OrderedDict(
            flatten=nn.Flatten(),
            hidden1=nn.Linear(pixels, 256),
            relu1=nn.ReLU(),
            hidden2=nn.Linear(256, 128),
            relu2=nn.ReLU(),
            classifier=nn.Linear(128, classes),
        )
    )
