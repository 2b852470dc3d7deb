"""A run of the lab as an ONNX file, from pixels to probabilities or numbers."""

import copy
from typing import Any

import torch
from torch import Tensor, nn

from common.errors import RunError
from common.export.exporter import SAMPLES, Exporter
from common.export.formats import Graph, each_alone
from common.images.sets import ImageSet
from labs.classification import task
from labs.classification.job import ClassifyImages


class Network(nn.Module):
    """A classifier with all that happens to images after they were decoded, and to its outputs."""

    def __init__(self, job: ClassifyImages):
        super().__init__()
        self.model = copy.deepcopy(job.model)  # tracing may leave something behind
        self._prepare = task.augmentation(job.config, job.card)
        self._kind, self._card = job.config.kind, job.card

    def forward(self, images: Tensor) -> Tensor:
        """Return probabilities (B, C), or numbers (B,), of uint8 images (B, C, S, S)."""
        outputs: Tensor = self.model(self._prepare(images, None))
        if self._kind == "number":
            return task.numbers(self._card, outputs)
        logits = outputs.double()  # as a run answers; in float32 many small ones would be equal
        return logits.sigmoid() if self._kind == "labels" else logits.softmax(1)


class ImageExporter(Exporter[ClassifyImages]):
    """Classifiers, and regressions on images."""

    limits = (
        "It answers of any image, also of one that shows nothing it knows; and it may be surer "
        "than it is right.",
    )

    def refuse(self) -> None:
        """Refuse networks that look at parts of photos, which stand in no file of theirs.

        Raises:
            RunError: it does.
        """
        if self.job.config.crop_boxes:
            raise RunError(
                f"{self.job.run.path} looks at the parts of images that --crop-boxes names, and a "
                "file knows no boxes; runs on whole images can be exported, or on images that are "
                "cut already"
            )

    def graphs(self, test: ImageSet) -> list[Graph]:
        """Return the network, with the first images of the test split."""
        rows = range(min(SAMPLES, len(test)))
        images = torch.stack([test.images[row] for row in rows])
        card, size = self.job.card, self.job.card.image_size
        color = "RGB" if card.channels == 3 else "grey"
        names, axes = self._outputs(), {0: "batch"}
        return [
            Graph(
                Network(self.job).eval(),
                {
                    "images": f"uint8 (batch, {card.channels}, {size}, {size}): {color}; scaled to "
                    "[0, 1] and normalized inside"
                },
                names,
                (images,),
                [*each_alone((images,))],
                {"images": axes, **dict.fromkeys(names, axes)},
            )
        ]

    def _outputs(self) -> dict[str, str]:
        kind = self.job.config.kind
        if kind == "number":
            return {"numbers": "float32 (batch,): in the unit of the targets"}
        what = "each by itself" if kind == "labels" else "their sum is 1"
        return {"probabilities": f"float64 (batch, {len(self.job.card.classes)}): {what}"}

    def about(self) -> dict[str, Any]:
        """Return what images become, and what the outputs mean."""
        config, card = self.job.config, self.job.card
        return {
            "kind": config.kind,
            "classes": list(card.classes),
            "labels": {column: list(names) for column, names in card.labels.items()},
            "thresholds": self.job.thresholds.tolist() if config.several else [],
            "image_size": card.image_size,
            "channels": card.channels,
            "fit": config.fit,
            "white": list(card.scale),
            "mean": list(card.mean),
            "std": list(card.std),
        }
