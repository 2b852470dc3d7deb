"""Learning curves: what more images would buy."""

from common.experiments.learning_curve import LearningCurve
from labs.detection.config import RECIPES
from labs.detection.experiments.config import LearningCurveConfig
from labs.detection.job import Detector


class CurveOfBoxes(LearningCurve):
    """A detector for each share of the images."""

    lab = "detection"
    config_type = LearningCurveConfig
    recipes = RECIPES
    member = Detector
