"""Images of folders and tables, found and decoded as `common.images.load` does."""

from common.images.folders import list_folder
from common.images.listed import decode_listed
from common.images.tables.listing import list_table
from common.options.config import ImageConfig


def load_folder(path, size, channels=None, decoding="auto", classes="required"):
    """Return the images of one folder per class."""
    return decode_listed(list_folder(path, classes), size, channels, decoding)


def load_csv(path, size, kind="class", path_column="path", label_columns=("label",)):
    """Return the images that a table names."""
    config = ImageConfig(path_column=path_column, label_column=tuple(label_columns))
    return decode_listed(list_table(path, config, kind), size)
