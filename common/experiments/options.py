"""The options of experiments, beside those of what they train.

They are mixed into a lab's config, and stand in front of it:

    class CrossvalConfig(CrossvalOptions, ClassificationConfig): ...
"""

from dataclasses import dataclass

from common.options.config import data_option, option


@dataclass(frozen=True)
class CrossvalOptions:
    """What cross-validation takes beside the options of `train`."""

    folds: int = data_option(
        5, "folds that the data is cut into; each is the test split of a model", at_least=2
    )
    repeats: int = option(
        1,
        "times that all is done, each time with other folds and other weights",
        group="Trials",
        at_least=1,
    )
    metrics: tuple[str, ...] = option(
        (),
        "what else is measured, with commas between: f1, kappa, quadratic-kappa, roc-auc, top3, "
        "rmse, spearman and so on, or your own as FILE.py:function of (truth, answers); the usual "
        "ones when not given",
        group="Trials",
    )
    tune: str | None = option(
        None,
        "a metric of classes, such as f1, for which each class's probability is raised or lowered; "
        "what that gains is measured on folds that did not choose it",
        group="Trials",
    )


@dataclass(frozen=True)
class LearningCurveOptions:
    """What a learning curve takes beside the options of `train`."""

    shares: tuple[str, ...] = option(
        ("0.0625", "0.125", "0.25", "0.5", "1"),
        "of the training split that are learned from, with commas between",
        group="Trials",
    )
    seeds: int = option(
        3,
        "how often each share is trained, each time with another seed and other samples",
        group="Trials",
        at_least=1,
    )
