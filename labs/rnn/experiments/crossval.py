"""Cross-validation of a classifier of texts, and of a forecast, whose folds follow the time."""

from typing import Any, ClassVar

from common.experiments.crossval import Crossval
from common.experiments.out_of_fold import OutOfFold, list_answers, shares_of
from common.metrics.metrics import Array
from common.metrics.named import Needs
from common.runs.job import Outputs
from common.training.task import probabilities
from labs.rnn.experiments.config import CrossvalForecastConfig, CrossvalSentimentConfig
from labs.rnn.forecast.config import RECIPES as FORECAST_RECIPES
from labs.rnn.forecast.job import Forecast
from labs.rnn.sentiment.config import RECIPES
from labs.rnn.sentiment.data import Split
from labs.rnn.sentiment.job import Sentiment


class CrossvalTexts(Crossval):
    """A classifier for each fold of the texts."""

    lab, verb = "rnn", "crossval-sentiment"
    config_type: ClassVar[type[Any]] = CrossvalSentimentConfig
    recipes = RECIPES
    member = Sentiment
    samples = "texts"

    @classmethod
    def kinds(cls, config: Any) -> tuple[Needs, ...]:
        """Return what is said of a sample: a class with probabilities, or a number."""
        return ("numbers",) if config.numeric else ("classes", "probabilities")

    def answers_of(self, job: Any, whole: OutOfFold) -> dict[Needs, Array]:
        """Return what is said of each sample, by what it is."""
        if job.config.numeric:
            return {"numbers": whole.decided}
        return {"classes": whole.decided, "probabilities": shares_of(whole)}

    def describe_samples(
        self, job: Sentiment, split: Split, outputs: Outputs
    ) -> list[dict[str, Any]]:
        """Return of each text its class or rating, what the networks say, and probabilities."""
        if job.config.numeric:
            truth, said = job.targets(split).tolist(), job.decide(outputs).tolist()
            return list_answers("text", split.texts, truth, said)
        classes, shares = job.card.classes, probabilities(outputs["outputs"])
        return list_answers(
            "text",
            split.texts,
            [classes[each] for each in job.targets(split)],
            [classes[each] for each in job.decide(outputs)],
            dict(zip(classes, shares.T.tolist(), strict=True)),
        )


class CrossvalSeries(Crossval):
    """A forecast for each block of the later half of the dates, which has learned all before it."""

    lab, verb = "rnn", "crossval-forecast"
    config_type: ClassVar[type[Any]] = CrossvalForecastConfig
    recipes = FORECAST_RECIPES
    member = Forecast
    samples = "origins"
    about = (
        "The origins roll: a fold is a block of the later half of the dates, and its model has "
        "learned from the dates before it alone, never from later ones."
    )
