"""A search for the options of a classifier of images."""

from common.experiments.search.run import Search
from labs.classification.config import RECIPES
from labs.classification.experiments.config import SearchConfig
from labs.classification.experiments.crossval import CrossvalImages
from labs.classification.job import ClassifyImages


class SearchImages(Search):
    """A search for the options of `train`."""

    lab = "classification"
    config_type = SearchConfig
    recipes = RECIPES
    member = ClassifyImages
    crossval = CrossvalImages
