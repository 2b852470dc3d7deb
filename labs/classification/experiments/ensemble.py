"""Ensembles of classifiers of images."""

from torch import Tensor

from common.ensembles.together import Together
from common.errors import RunError
from common.images.load import ImageCard
from common.runs.tta.copies import Copy
from labs.classification.config import ClassificationConfig
from labs.classification.job import ClassifyImages, ReadImages


class ImagesTogether(Together[ClassificationConfig, ImageCard], ClassifyImages):
    """Classifiers of images that answer together; each reads the images at its own size."""

    kind = ClassifyImages

    def choose_copies(self, spec: str) -> tuple[Copy, ...]:
        """Refuse copies: each member would need its own.

        Raises:
            RunError: always.
        """
        raise RunError(f"--tta: {self.run.path} is an ensemble; give one of its members")

    def answer_chunks(self, read: ReadImages) -> tuple[list[str], Tensor]:
        """Return the names of images with log probabilities, (N, C), of the members together."""
        names: list[str] = []
        together: list[Tensor] = []
        for member in self.members:
            answered = [job.answer_chunks(read) for job in member.jobs]
            names = answered[0][0]
            together.append(member.mean([outputs for _, outputs in answered]))
        return names, self.combine(together)["outputs"]
