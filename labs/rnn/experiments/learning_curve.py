"""Learning curves: what more data would buy."""

from common.experiments.learning_curve import LearningCurve
from labs.rnn.experiments.config import LearningCurveForecastConfig, LearningCurveSentimentConfig
from labs.rnn.forecast.config import RECIPES as FORECAST_RECIPES
from labs.rnn.forecast.job import Forecast
from labs.rnn.sentiment.config import RECIPES
from labs.rnn.sentiment.job import Sentiment


class CurveOfTexts(LearningCurve):
    """A classifier for each share of the texts."""

    lab, verb = "rnn", "learning-curve-sentiment"
    config_type = LearningCurveSentimentConfig
    recipes = RECIPES
    member = Sentiment


class CurveOfSeries(LearningCurve):
    """A forecast for each share of the dates that are learned from, the latest of them."""

    lab, verb = "rnn", "learning-curve-forecast"
    config_type = LearningCurveForecastConfig
    recipes = FORECAST_RECIPES
    member = Forecast
