"""Residual networks for small images; those for large ones are torchvision's."""

from collections import OrderedDict

from torch import Tensor, nn
from torch.nn import functional

DEPTHS = {"resnet20": 3, "resnet32": 5, "resnet56": 9}
"""Blocks in each of the three stages."""

_WIDTHS = (16, 32, 64)


def resnet(name: str, channels: int, image_size: int, classes: int) -> nn.Module:
    """Return a residual network for small images, with 6n + 2 layers for n blocks in a stage.

    He, Zhang, Ren and Sun 2016, "Deep residual learning for image recognition", section 4.2, with
    its initialization (He's for convolutions) and its shortcuts (option A, without parameters). On
    32x32 pixels the stages have 16 maps of 32x32, 32 of 16x16 and 64 of 8x8; any other size goes
    through too. For ten classes of color images `resnet20` has 269,722 parameters, `resnet32`
    464,154, and `resnet56` 853,018.
    """
    stages: OrderedDict[str, nn.Module] = OrderedDict()
    maps = _WIDTHS[0]
    for number, width in enumerate(_WIDTHS, 1):
        blocks = [Block(maps, width)] + [Block(width, width) for _ in range(DEPTHS[name] - 1)]
        stages[f"layer{number}"] = nn.Sequential(*blocks)
        maps = width
    model = nn.Sequential(
        OrderedDict(
            conv1=_convolution(channels, _WIDTHS[0]),
            bn1=nn.BatchNorm2d(_WIDTHS[0]),
            relu=nn.ReLU(),
            **stages,
            avgpool=nn.AdaptiveAvgPool2d(1),
            flatten=nn.Flatten(),
            fc=nn.Linear(maps, classes),
        )
    )
    for module in model.modules():
        if isinstance(module, nn.Conv2d):
            nn.init.kaiming_normal_(module.weight, nonlinearity="relu")
    return model


class Block(nn.Module):
    """Two convolutions whose result is added to their input (figure 2 of the paper).

    (N, inputs, H, W) -> (N, outputs, H, W), of half the height and width where there are more
    outputs. The shortcut then takes every second pixel, and zeros for the further maps.
    """

    def __init__(self, inputs: int, outputs: int):
        super().__init__()
        self.stride, self.further = (1 if inputs == outputs else 2), outputs - inputs
        self.conv1 = _convolution(inputs, outputs, self.stride)
        self.bn1 = nn.BatchNorm2d(outputs)
        self.relu1 = nn.ReLU()
        self.conv2 = _convolution(outputs, outputs)
        self.bn2 = nn.BatchNorm2d(outputs)
        self.relu2 = nn.ReLU()

    def forward(self, maps: Tensor) -> Tensor:
        """Return the maps of the block."""
        residual = self.bn2(self.conv2(self.relu1(self.bn1(self.conv1(maps)))))
        shortcut = maps[:, :, :: self.stride, :: self.stride]
        added: Tensor = self.relu2(
            residual + functional.pad(shortcut, (0, 0, 0, 0, 0, self.further))
        )
        return added


def _convolution(inputs: int, outputs: int, stride: int = 1) -> nn.Conv2d:
    return nn.Conv2d(inputs, outputs, kernel_size=3, stride=stride, padding=1, bias=False)
