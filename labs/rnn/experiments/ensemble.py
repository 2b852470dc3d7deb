"""Ensembles of classifiers of texts."""

from common.ensembles.together import Together
from labs.rnn.sentiment.config import SentimentConfig
from labs.rnn.sentiment.data import Card
from labs.rnn.sentiment.job import Sentiment


class TextsTogether(Together[SentimentConfig, Card], Sentiment):
    """Classifiers of texts that answer together; each has its own words."""

    kind = Sentiment
