"""What an exported file says of images, without torch."""

from collections.abc import Callable, Sequence
from pathlib import Path

from common.errors import DataError
from common.export.file import Exported
from common.images.decode import White, list_inputs, read_squares
from common.io.tables import is_table
from labs.classification.export.guesses import Prediction, Told


def predict(
    path: Path, images: Sequence[Path], top: int, say: Callable[[str], None]
) -> list[Prediction]:
    """Predict files and the images in folders, as `predict` does with a run.

    Args:
        path: of the exported file.
        images: files, folders and archives.
        top: the most classes to name of each.
        say: called with a line for each unreadable image.

    Raises:
        DataError: a path is missing, or no image can be read.
    """
    exported = Exported(path, "classification", "train")
    about = exported.about
    if tables := [each for each in images if each.is_file() and is_table(each)]:
        raise DataError(f"{tables[0]}: a table goes with a run; name the images, or their folder")
    told = Told(about["kind"], about["classes"], about["labels"], about["thresholds"])
    size, channels, fit = about["image_size"], about["channels"], about["fit"]
    found: list[Prediction] = []
    options = size, channels, say, fit, White(*about["white"])
    for names, pixels in read_squares(list_inputs(images), *options):
        [values] = exported.run_rows(images=pixels).values()
        found += told.describe(names, values, top)
    return found
