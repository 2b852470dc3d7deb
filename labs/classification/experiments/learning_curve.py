"""Learning curves: what more images would buy."""

from common.experiments.learning_curve import LearningCurve
from labs.classification.config import RECIPES
from labs.classification.experiments.config import LearningCurveConfig
from labs.classification.job import ClassifyImages


class CurveOfImages(LearningCurve):
    """A classifier for each share of the images."""

    lab = "classification"
    config_type = LearningCurveConfig
    recipes = RECIPES
    member = ClassifyImages
