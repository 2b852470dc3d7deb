"""Learning curves: what more images would buy."""

from common.experiments.learning_curve import LearningCurve
from labs.autoencoder.config import RECIPES
from labs.autoencoder.experiments.config import LearningCurveConfig
from labs.autoencoder.job import Compression


class CurveOfImages(LearningCurve):
    """An autoencoder for each share of the images."""

    lab = "autoencoder"
    config_type = LearningCurveConfig
    recipes = RECIPES
    member = Compression
