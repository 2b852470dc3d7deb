"""Networks that name the class of each pixel, by name: the lab's U-Nets, and torchvision's."""

from typing import Any

import torch
from torch import Tensor, nn
from torchvision.models import segmentation
from torchvision.models.segmentation import (
    DeepLabV3_MobileNet_V3_Large_Weights,
    FCN_ResNet50_Weights,
    LRASPP_MobileNet_V3_Large_Weights,
)

from labs.detection.models import unet

WEIGHTS: dict[str, Any] = {
    "fcn": FCN_ResNet50_Weights.COCO_WITH_VOC_LABELS_V1,
    "deeplabv3": DeepLabV3_MobileNet_V3_Large_Weights.COCO_WITH_VOC_LABELS_V1,
    "lraspp": LRASPP_MobileNet_V3_Large_Weights.COCO_WITH_VOC_LABELS_V1,
}
_BUILDERS: dict[str, Any] = {
    "fcn": segmentation.fcn_resnet50,
    "deeplabv3": segmentation.deeplabv3_mobilenet_v3_large,
    "lraspp": segmentation.lraspp_mobilenet_v3_large,
}
_MEAN, _STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)  # of ImageNet, as their weights want it


class Torchvision(nn.Module):
    """A network of torchvision that gives the logits alone, (B, classes, S, S)."""

    mean: Tensor
    std: Tensor

    def __init__(self, network: nn.Module):
        super().__init__()
        self.network = network
        for name, values in (("mean", _MEAN), ("std", _STD)):
            self.register_buffer(name, torch.tensor(values)[:, None, None], persistent=False)

    def forward(self, images: Tensor) -> Tensor:
        """Return the logits of images, (B, 3, S, S) in [0, 1]."""
        logits: Tensor = self.network((images - self.mean) / self.std)["out"]
        return logits


def build(name: str, classes: int) -> nn.Module:
    """Return a network for so many classes, one of `names.PIXELS`; torch's generator draws it."""
    if name in _BUILDERS:
        random = {"weights": None, "weights_backbone": None, "aux_loss": None}
        if name == "lraspp":
            del random["aux_loss"]
        return Torchvision(_BUILDERS[name](num_classes=classes, **random))
    return unet.build(name, classes)
