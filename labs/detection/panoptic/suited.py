"""What fits a user's photos with outlines: pixels that the networks see, how long they train."""

from common.options.budget import Choices, Needs
from common.runs.job import Suited
from labs.detection.config import DetectionConfig
from labs.detection.data.load import SCENES, read
from labs.detection.data.suited import look_at, rounded

_LARGEST = 256  # pixels; larger ones take longer than a user waits
# Assumed: as many updates as the scenes' recipe has of a tenth of them. The rate is that of single
# updates of it and the U-Net at 128 pixels on one core of an AMD EPYC, 19 images a second,
# times one and a half for two.
_MEASURED = "yolo11n-seg"
_UPDATES = 300  # with the default number of epochs, of which the recipe has three times as many
_RATE = 28.0
_LOOKS = 4  # at each image, at least, where there are many
_MINUTES = 8  # of training, at most


def suited(config: DetectionConfig) -> Suited[DetectionConfig]:
    """Return the config with what suits a user's photos, and why; see `Job.suited`."""
    if config.data == SCENES:
        return Suited(config)
    chosen = Choices(config)
    found, (parts, *_) = read(config)
    look = look_at(config, parts["train"], found.classes, sum(map(len, parts.values())))
    size = min(_LARGEST, rounded(look.side))
    chosen.take(f"{size} pixels: the images have {look.side}", image_size=size)
    if config.model != _MEASURED:
        return Suited(chosen.config, chosen.reasons)
    rate = _RATE * (128 / (chosen.config.image_size or size)) ** 2
    updates = max(_UPDATES, _LOOKS * look.train // config.batch_size)
    chosen.train_for(look.train, Needs(updates, round(60 * _MINUTES * rate), rate))
    return Suited(chosen.config, chosen.reasons)
