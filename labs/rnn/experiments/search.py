"""A search for the options of a classifier of texts, or of a forecast."""

from common.experiments.search.run import Search
from labs.rnn.experiments.config import SearchForecastConfig, SearchSentimentConfig
from labs.rnn.experiments.crossval import CrossvalSeries, CrossvalTexts
from labs.rnn.forecast.config import RECIPES as FORECAST_RECIPES
from labs.rnn.forecast.job import Forecast
from labs.rnn.sentiment.config import RECIPES
from labs.rnn.sentiment.job import Sentiment


class SearchTexts(Search):
    """A search for the options of `sentiment`."""

    lab, verb = "rnn", "search-sentiment"
    config_type = SearchSentimentConfig
    recipes = RECIPES
    member = Sentiment
    crossval = CrossvalTexts


class SearchSeries(Search):
    """A search for the options of `forecast`."""

    lab, verb = "rnn", "search-forecast"
    config_type = SearchForecastConfig
    recipes = FORECAST_RECIPES
    member = Forecast
    crossval = CrossvalSeries
