"""The options of pseudo-labelling; mixed into the config of a lab's cross-validation."""

from dataclasses import dataclass

from common.options.config import option

ONLY = (  # the options of the command: all others are those of the cross-validation
    *("threshold", "same_updates", "epochs", "name", "run_dir", "device", "precision", "threads"),
    *("micro_batch", "workers", "save_every", "keep"),
)


@dataclass(frozen=True)
class PseudoOptions:
    """What `pseudo-label` takes beside the options of `crossval`."""

    crossval: str | None = option(
        None, "a finished cross-validation, whose networks give the labels", group="Trials"
    )
    unlabelled: str | None = option(None, "samples without labels", group="Trials")
    threshold: float = option(
        0.95,
        "probability from which on a sample gets the label that a network gives it",
        group="Trials",
        at_least=0.5,
        at_most=1,
    )
    same_updates: bool = option(
        True,
        "train for about as many updates as CROSSVAL's networks, so for fewer epochs of more "
        "samples; off where --epochs is given",
        group="Trials",
    )
