"""Distillation: a network learns from the answers of a trained one, beside the labels.

Hinton, Vinyals and Dean 2015, "Distilling the Knowledge in a Neural Network".
"""

from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from common.errors import ConfigError, RunError
from common.images.augment import luminance
from common.images.load import ImageCard
from common.training import Task, When
from common.training.checkpoint import load_weights
from common.training.compute import Compute
from common.training.task import Classification
from labs.classification import task
from labs.classification.config import ClassificationConfig
from labs.classification.transfer import source_runs
from labs.classification.transfer.source_runs import Source

# --- the loss -------------------------------------------------------------------------------------


def distillation_loss(student: Tensor, teacher: Tensor, temperature: float) -> Tensor:
    """Return T^2 KL(teacher || student) of the softmax at temperature T > 0, the mean over samples.

    Both are logits (B, C). Its gradient is that of the cross-entropy with the teacher's soft
    targets (section 2): the two differ by the entropy of the targets. For large T it is that of
    matching logits, whatever T (section 2.1), since T^2 makes up for gradients that shrink as 1 /
    T^2.
    """
    # In float32 also where the networks compute in less: T^2 would magnify what was rounded.
    mine = functional.log_softmax(student.float() / temperature, dim=1)
    theirs = functional.log_softmax(teacher.float() / temperature, dim=1)
    divergence = functional.kl_div(mine, theirs, reduction="batchmean", log_target=True)
    return temperature**2 * divergence


class Distillation(Task):
    """Classification in which a student also learns what a teacher says of the images it sees.

    The parts of the loss are those of the task, each times 1 - weight, and `distillation`, the
    weight times `distillation_loss`. The teacher belongs to no checkpoint, and does not learn.

    Args:
        task: of the student.
        teacher: gives logits (B, C) of the student's inputs; on the device, in eval mode.
        temperature: of both softmaxes.
        weight: of the teacher, from 0 to 1.
    """

    def __init__(self, task: Classification, teacher: nn.Module, temperature: float, weight: float):
        self._task, self._teacher = task, teacher
        self._temperature, self._weight = temperature, weight
        self.monitor = task.monitor

    def weights(self, batch: Any) -> dict[str, Tensor | float]:
        """Weigh the parts as the task does, and `distillation` by the samples."""
        return {**self._task.weights(batch), "distillation": len(batch[1])}

    def loss(self, model: nn.Module, batch: Any, when: When) -> dict[str, Tensor]:
        """Return the task's parts and `distillation`; the teacher sees the blended images, too."""
        inputs, targets = batch
        inputs, share = self._task.mixed(inputs, when)
        outputs = model(inputs)
        with torch.no_grad():
            answers = self._teacher(inputs)
        logits = outputs[0] if isinstance(outputs, tuple) else outputs
        learned = distillation_loss(logits, answers, self._temperature)
        own = self._task.parts(outputs, targets, share)
        parts = {name: (1 - self._weight) * part for name, part in own.items()}
        return {**parts, "distillation": self._weight * learned}

    def outputs(self, model: nn.Module, batch: Any) -> dict[str, Tensor]:
        """Collect what the task collects."""
        return self._task.outputs(model, batch)

    def figures(self, outputs: dict[str, Tensor]) -> dict[str, float]:
        """Return the task's figures."""
        return self._task.figures(outputs)

    def training_mode(self, model: nn.Module, epoch: int) -> None:
        """Let train what the task lets train."""
        self._task.training_mode(model, epoch)


# --- the teacher ----------------------------------------------------------------------------------


class Teacher(nn.Module):
    """A trained classifier that takes a student's images, and answers in the student's classes.

    Images are scaled (bilinear), made grey or color, and normalized as the classifier wants them.

    Args:
        model: gives logits (B, C).
        size: height and width that it takes.
        card: of the data that it was trained on.
        student: card of the student's data, with the same classes in any order.
    """

    order: Tensor
    before: Tensor
    after: Tensor

    def __init__(self, model: nn.Module, size: int, card: ImageCard, student: ImageCard):
        super().__init__()
        self.model, self._size, self._channels = model, size, card.channels
        order = torch.tensor([card.classes.index(name) for name in student.classes])
        self.register_buffer("order", order)
        self.register_buffer("before", _normalization(student))
        self.register_buffer("after", _normalization(card))
        self.requires_grad_(False).eval()

    def forward(self, images: Tensor) -> Tensor:
        """Return logits (B, C) of images (B, C', H, W) that are normalized for the student."""
        mean, std = self.before
        pixels = images.float() * std + mean
        if self._channels == 1:
            pixels = luminance(pixels)
        if pixels.shape[-1] != self._size:
            size = (self._size, self._size)
            pixels = functional.interpolate(pixels, size, mode="bilinear", antialias=True)
        mean, std = self.after  # of three channels, which make three of one
        logits: Tensor = self.model((pixels - mean) / std)
        return logits[:, self.order]


def _normalization(card: ImageCard) -> Tensor:
    """Return mean and standard deviation of the channels, (2, C, 1, 1)."""
    return torch.tensor([card.mean, card.std], dtype=torch.float32)[:, :, None, None]


def find(config: ClassificationConfig, card: ImageCard) -> Source:
    """Return the run that teaches a config's student of the card's data.

    Raises:
        RunError: there is no such run, it is not finished, or it is no single run.
        ConfigError: it is of other classes, or of numbers.
    """
    said = f"--teacher {config.teacher}"
    source = source_runs.read(said, Path(str(config.teacher)))
    run, theirs = source.run, source.card.classes
    if not run.finished:
        raise RunError(f"{said}: the run is not finished; go on with train --resume {run.path}")
    if source.config.kind != "class":
        what = "numbers" if source.config.numeric else "several labels"
        raise ConfigError(
            f"{said}: predicts {what} (--loss {source.config.loss}); a teacher knows the classes "
            f"of {config.data}"
        )
    if set(theirs) != set(card.classes):
        raise ConfigError(f"{said}: {_other_classes(theirs, card.classes)}")
    return source


def build_teacher(source: Source, card: ImageCard, compute: Compute) -> Teacher:
    """Return a run with its best weights as a teacher of a student, on its device.

    Raises:
        RunError: its weights are missing or damaged.
    """
    model = task.build_model(source.config, source.card)
    load_weights(source.run.best, model)
    size = task.augmentation(source.config, source.card).output_size(source.card.image_size)
    teacher = Teacher(model, size, source.card, card)
    compute.place(teacher)
    return teacher


def _other_classes(theirs: tuple[str, ...], ours: tuple[str, ...]) -> str:
    alone = [name for name in theirs if name not in ours]
    missing = [name for name in ours if name not in theirs]
    said = [
        f"{what} {', '.join(map(repr, names[:5]))}{' and more' if len(names) > 5 else ''}"
        for what, names in (("the teacher alone has", alone), ("the data alone has", missing))
        if names
    ]
    return f"expected a teacher of the same classes; {'; '.join(said)}"
