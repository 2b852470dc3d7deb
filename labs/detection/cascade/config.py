"""The options of `cascade`."""

from collections.abc import Iterator
from dataclasses import dataclass

from common.options.config import model_option
from labs.detection.config import DetectionConfig

PHOTO = 256  # pixels of a side of photos, where no size is given


@dataclass(frozen=True)
class CascadeConfig(DetectionConfig):
    """What `cascade` takes: how data are read, as `train` does, and options of its own."""

    images: int = model_option(300, "training images that it learns from, at most", at_least=10)
    features: int = model_option(
        500, "Haar features, drawn from all, that stumps may ask", at_least=10
    )
    beside: str | None = model_option(
        None, "a finished detector's run, whose curve is drawn beside the cascade's"
    )

    def _problems(self) -> Iterator[str]:
        yield from super()._problems()
        if self.model != DetectionConfig.model or self.task != DetectionConfig.task:
            yield "cascade: it is neither a model nor a task of `train`; leave --model and --task"
