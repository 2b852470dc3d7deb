"""A search for the options of a detector."""

from common.experiments.search.run import Search
from labs.detection.config import RECIPES
from labs.detection.experiments.config import SearchConfig
from labs.detection.experiments.crossval import CrossvalBoxes
from labs.detection.job import Detector


class SearchBoxes(Search):
    """A search for the options of `train`."""

    lab = "detection"
    config_type = SearchConfig
    recipes = RECIPES
    member = Detector
    crossval = CrossvalBoxes
