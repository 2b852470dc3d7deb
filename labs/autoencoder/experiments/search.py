"""A search for the options of an autoencoder."""

from common.experiments.search.run import Search
from labs.autoencoder.config import RECIPES
from labs.autoencoder.experiments.config import SearchConfig
from labs.autoencoder.experiments.crossval import CrossvalImages
from labs.autoencoder.job import Compression


class SearchImages(Search):
    """A search for the options of `train`."""

    lab = "autoencoder"
    config_type = SearchConfig
    recipes = RECIPES
    member = Compression
    crossval = CrossvalImages
