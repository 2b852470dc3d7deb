"""LeNet-5 of 1998, as it is built today, and without weights that are shared over positions.

All three have the layers of LeCun, Bottou, Bengio and Haffner 1998, "Gradient-based learning
applied to document recognition", section II-B and figure 2, under their names there. The shapes on
32x32 images, or on 28x28 ones, which are padded to that:

    c1 (6, 28, 28), s2 (6, 14, 14), c3 (16, 10, 10), s4 (16, 5, 5), c5 (120), f6 (84), output

Images of less than 32 pixels get a border of 2; c5 takes what s4 leaves of any size.
"""

import math
import random
from collections import OrderedDict

import torch
from torch import Tensor, nn
from torch.nn import functional

from common.errors import ConfigError
from labs.classification.models import sizes

_KERNEL = 5

# Of this, c1 (padded) and s2 leave 6x6 pixels, c3 2x2, and s4 the last one.
_SMALLEST = 12

# Table I of the paper: the maps of s2 that each map of c3 sees.
_CONNECTIONS = (
    *((0, 1, 2), (1, 2, 3), (2, 3, 4), (3, 4, 5), (0, 4, 5), (0, 1, 5)),
    *((0, 1, 2, 3), (1, 2, 3, 4), (2, 3, 4, 5), (0, 3, 4, 5), (0, 1, 4, 5), (0, 1, 2, 5)),
    *((0, 1, 3, 4), (1, 2, 4, 5), (0, 2, 3, 5)),
    (0, 1, 2, 3, 4, 5),
)


def lenet5(name: str, channels: int, image_size: int, classes: int) -> nn.Module:
    """Return LeNet-5 as it is built today: 61,706 parameters for ten classes of grey 28x28 images.

    Four things differ from the paper. The units are ReLU, there scaled tanh. Pooling takes the
    maximum, there a trained multiple of the sum. c3 sees all six maps of s2, there chosen subsets.
    The output is linear, there the distances to fixed codes of the classes. `lenet5_1998` has them.

    Raises:
        ConfigError: the images have less than 12x12 pixels, of which s4 would leave nothing.
    """
    padding, _, features = _plan(name, image_size)
    c1 = nn.Conv2d(channels, 6, _KERNEL, padding=padding)
    return _modern(c1, nn.Conv2d(6, 16, _KERNEL), features, classes)


def locally_connected(name: str, channels: int, image_size: int, classes: int) -> nn.Module:
    """Return `lenet5` with windows that do not share their weights: what convolutions save.

    A unit of c1 or c3 sees the same window as in `lenet5`, but with weights of its own, so what is
    learned in one place is not known in another. The multiply-adds are those of `lenet5`. The
    parameters are 423,038 for ten classes of grey 28x28 images, against 61,706: c1 has 122,304
    against 156, c3 241,600 against 2,416, and the other layers are the same. A `lenet5` is the
    special case in which all windows of a map have the same weights.

    LeCun 1989, "Generalization and network design strategies", compares the two on digits.

    Raises:
        ConfigError: the images have less than 12x12 pixels, of which s4 would leave nothing.
    """
    padding, side, features = _plan(name, image_size)
    c1 = LocallyConnected(channels, 6, image_size, padding)
    return _modern(c1, LocallyConnected(6, 16, side), features, classes)


def lenet5_1998(name: str, channels: int, image_size: int, classes: int) -> nn.Module:
    """Return LeNet-5 of the paper: 60,000 trainable parameters for ten classes of grey images.

    Scaled tanh after every layer, trained subsampling, the connections of table I, and an output of
    distances to fixed codes. What differs: the subsampling multiplies the mean of four inputs,
    there their sum, by its coefficient, and begins with a factor of 1. The codes of the classes are
    random, there drawn by hand as pictures of characters; the paper names both. The
    initialization is torch's. The padding of 28x28 images is 0, which after normalization is the
    mean grey, there the background.

    Raises:
        ConfigError: the images have less than 12x12 pixels, of which s4 would leave nothing; or
            there is one class only, as when a number is to be predicted.
    """
    if classes < 2:
        raise ConfigError(
            f"{name} gives distances to the codes of classes, which cannot predict a number; "
            "give --model lenet5"
        )
    padding, _, features = _plan(name, image_size)
    return nn.Sequential(
        OrderedDict(
            c1=nn.Conv2d(channels, 6, _KERNEL, padding=padding),
            tanh1=ScaledTanh(),
            s2=Subsampling(6),
            tanh2=ScaledTanh(),
            c3=PartialConvolution(_CONNECTIONS),
            tanh3=ScaledTanh(),
            s4=Subsampling(16),
            tanh4=ScaledTanh(),
            flatten=nn.Flatten(),
            c5=nn.Linear(features, 120),
            tanh5=ScaledTanh(),
            f6=nn.Linear(120, 84),
            tanh6=ScaledTanh(),
            output=CodeDistances(84, classes),
        )
    )


def _plan(name: str, image_size: int) -> tuple[int, int, int]:
    """Return the padding of c1, the side of s2, and the number of features after s4."""
    sizes.check(name, image_size, _SMALLEST)
    padding = 0 if image_size >= 32 else 2
    side = (image_size + 2 * padding - 4) // 2
    return padding, side, 16 * ((side - 4) // 2) ** 2


def _modern(c1: nn.Module, c3: nn.Module, features: int, classes: int) -> nn.Module:
    return nn.Sequential(
        OrderedDict(
            c1=c1,
            relu1=nn.ReLU(),
            s2=nn.MaxPool2d(2),
            c3=c3,
            relu3=nn.ReLU(),
            s4=nn.MaxPool2d(2),
            flatten=nn.Flatten(),
            c5=nn.Linear(features, 120),
            relu5=nn.ReLU(),
            f6=nn.Linear(120, 84),
            relu6=nn.ReLU(),
            output=nn.Linear(84, classes),
        )
    )


class LocallyConnected(nn.Module):
    """Windows of 5x5 pixels as in a convolution, each with weights of its own.

    (N, inputs, image_size, image_size) -> (N, outputs, side, side), where side = image_size + 2 *
    padding - 4.

    Args:
        inputs: channels of the images.
        outputs: values for each window.
        image_size: height and width of the images in pixels.
        padding: zeros on each side.
    """

    def __init__(self, inputs: int, outputs: int, image_size: int, padding: int = 0):
        super().__init__()
        self.padding, self.side = padding, image_size + 2 * padding - _KERNEL + 1
        fan_in = inputs * _KERNEL**2
        self.weight = nn.Parameter(_uniform((self.side**2, outputs, fan_in), fan_in))
        self.bias = nn.Parameter(_uniform((outputs * self.side**2,), fan_in))

    def forward(self, images: Tensor) -> Tensor:
        """Return the values of all windows."""
        windows = functional.unfold(images, _KERNEL, padding=self.padding)  # (N, fan in, positions)
        values = torch.einsum("nip,poi->nop", windows, self.weight).flatten(1) + self.bias
        return values.view(len(images), -1, self.side, self.side)

    def kernels(self, row: int, column: int) -> Tensor:
        """Return the weights of the window at a place, (outputs, inputs, 5, 5)."""
        kernels = self.weight[row * self.side + column]
        return kernels.view(len(kernels), -1, _KERNEL, _KERNEL)


class PartialConvolution(nn.Module):
    """A 5x5 convolution whose outputs see some of the inputs only; it has just those weights.

    Args:
        connections: for each output, the inputs that it sees; the last sees all of them.
    """

    places: Tensor

    def __init__(self, connections: tuple[tuple[int, ...], ...]):
        super().__init__()
        self.inputs, self.outputs = len(connections[-1]), len(connections)
        places = [row * self.inputs + map_ for row, sees in enumerate(connections) for map_ in sees]
        self.register_buffer("places", torch.tensor(places), persistent=False)
        seen = [len(sees) for sees in connections]
        kernels = [_uniform((n, _KERNEL, _KERNEL), n * _KERNEL**2) for n in seen]
        self.weight = nn.Parameter(torch.cat(kernels))
        self.bias = nn.Parameter(torch.cat([_uniform((1,), n * _KERNEL**2) for n in seen]))

    def forward(self, maps: Tensor) -> Tensor:
        """Return (N, outputs, H - 4, W - 4) for maps (N, inputs, H, W)."""
        return functional.conv2d(maps, self.kernels(), self.bias)

    def kernels(self) -> Tensor:
        """Return the weights, (outputs, inputs, 5, 5), with zeros for what is not seen."""
        whole = self.weight.new_zeros(self.outputs * self.inputs, _KERNEL, _KERNEL)
        whole = whole.index_copy(0, self.places, self.weight)
        return whole.view(self.outputs, self.inputs, _KERNEL, _KERNEL)


class Subsampling(nn.Module):
    """The mean of 2x2 pixels, times a trained coefficient of the map, plus a trained bias of it."""

    def __init__(self, maps: int):
        super().__init__()
        self.weight, self.bias = nn.Parameter(torch.ones(maps)), nn.Parameter(torch.zeros(maps))

    def forward(self, maps: Tensor) -> Tensor:
        """Return (N, maps, H // 2, W // 2) for maps (N, maps, H, W)."""
        means = functional.avg_pool2d(maps, 2)
        return means * self.weight[:, None, None] + self.bias[:, None, None]


class ScaledTanh(nn.Module):
    """1.7159 tanh(2/3 x): 1 and -1 stay what they are (appendix A of the paper)."""

    def forward(self, values: Tensor) -> Tensor:
        """Return as many values."""
        return 1.7159 * torch.tanh(2 / 3 * values)


class CodeDistances(nn.Module):
    """Minus the squared distance from the features to a fixed code of -1 and 1 of each class.

    Euclidean radial basis functions (equation 7 of the paper). There they are penalties, the
    smallest of which wins; the sign makes them logits.

    Args:
        features: the length of a code.
        classes: as many codes, drawn once and for all.
    """

    codes: Tensor

    def __init__(self, features: int, classes: int):
        super().__init__()
        drawn = random.Random(0).choices((-1.0, 1.0), k=classes * features)
        self.register_buffer("codes", torch.tensor(drawn).view(classes, features))

    def forward(self, features: Tensor) -> Tensor:
        """Return logits (N, classes) for features (N, features)."""
        return -(features[:, None] - self.codes).square().sum(2)


def _uniform(shape: tuple[int, ...], fan_in: int) -> Tensor:
    """Draw weights or biases as torch's layers draw theirs."""
    bound = 1 / math.sqrt(fan_in)
    return torch.empty(shape).uniform_(-bound, bound)
