"""What is measured and reported of pictures and captions in one space."""

from collections.abc import Mapping, Sequence
from functools import cached_property
from typing import Any

import numpy as np
from torch import Tensor

from common.metrics.metrics import Array, wilson_of
from common.report.html import PictureSaver, Section
from common.runs.conclude import Conclusion, Predictions
from common.runs.job import Outputs, Splits
from common.steps import step
from labs.classification.contrastive import baselines, report
from labs.classification.contrastive.data import Pairs, make
from labs.classification.contrastive.job import ContrastScenes
from labs.classification.contrastive.questions import WORD, Counted, ask_all, ask_words
from labs.classification.contrastive.task import rank_partners, similarities

RANKS = (1, 5, 10)
WAYS = ("image_to_text", "text_to_image")
NETWORK = "network"


class _Network:
    """The network as a space."""

    def __init__(self, job: ContrastScenes):
        self._job = job

    def see(self, images: Tensor) -> Array:
        """Return unit vectors of images."""
        found: Array = self._job.answers(images)["images"].double().numpy()
        return found

    def read(self, captions: Sequence[str]) -> Array:
        """Return unit vectors of captions."""
        found: Array = self._job.read(captions).double().numpy()
        return found


class ContrastResults(Conclusion[ContrastScenes]):
    """Recall in both ways, prompts and captions that lie, beside ridge regression."""

    _ridge: baselines.Ridge | None = None

    def figures(self, outputs: Outputs, split: Pairs) -> dict[str, Any]:
        """Return recall at 1, 5 and 10 in both ways, and at 1 of groups seen and never seen."""
        ranks = rank_partners(similarities(outputs))
        unseen = np.array([scene.unseen for scene in split.scenes], bool)
        found: dict[str, Any] = {"candidates": len(split)}
        for way, mine in zip(WAYS, ranks.T, strict=True):
            for k in RANKS:
                found |= _share(f"{way}_recall_at_{k}", mine <= k)
            if unseen.any():
                found |= _share(f"{way}_recall_at_1_seen", mine[~unseen] <= 1)
                found |= _share(f"{way}_recall_at_1_unseen", mine[unseen] <= 1)
        said = self.job.decide(outputs)
        return {**found, **self.job.main_metric.measure(said, self.job.targets(split))}

    def baselines(self, splits: Splits) -> Mapping[str, Mapping[str, Array]]:
        """Return what ridge regression finds, and chance."""
        self._ridge = baselines.Ridge(splits["train"], splits["validation"])
        return baselines.predictions(splits, self._ridge)

    def count_for_baselines(self, splits: Splits) -> int:
        """Return from how many pairs ridge learns."""
        return min(baselines.MOST_FITTED, super().count_for_baselines(splits))

    def about_baselines(self) -> str:
        """Say what they see."""
        return (
            "Ridge sees the colors of nine parts of a picture and the picture at 12 x 12 pixels, "
            "and foretells how often words and pairs of words occur; its penalty was chosen on the "
            "validation split. Chance is one of the candidates at random."
        )

    def measure(
        self, outputs: Mapping[str, Outputs], splits: Splits, baselines: Predictions
    ) -> dict[str, Any]:
        """Add the learned temperature, and what prompts and captions that lie are told apart."""
        found = super().measure(outputs, splits, baselines)
        found["temperature"] = 1 / self.job.scale
        spaces: dict[str, Any] = {NETWORK: _Network(self.job)}
        if self._ridge is not None:
            spaces["ridge"] = self._ridge
        for name, space in spaces.items():
            with step(f"prompts, {name}"):
                asked = self._ask(space, splits["test"])
            for part, each in asked.items():
                for what, counted in each.items():
                    found.setdefault(part, {}).setdefault(what, {})[name] = _figures(counted)
        return found

    def _ask(self, space: Any, test: Pairs) -> Mapping[str, Mapping[str, Counted]]:
        """Return what prompts and captions that lie are answered; of own images, words alone."""
        config = self.job.config
        if config.drawn:
            return ask_all(space, test, self._alone, config.language, config.split_seed)
        counted = ask_words(space, test, config.split_seed)
        return {"zero_shot": {WORD: counted}} if len(counted.right) else {}

    @cached_property
    def _alone(self) -> Pairs:
        """Pictures of one group."""
        return make(self.job.config, "alone", self.job.card.words)

    def verdict(self, figures: Mapping[str, Any]) -> str:
        """Say also which caption that lies is hardest to tell."""
        said = super().verdict(figures)
        if "foils" not in figures:
            return said
        shares = {name: each[NETWORK]["accuracy"] for name, each in figures["foils"].items()}
        hardest = min(shares, key=shares.__getitem__)
        return (
            f"{said} Of two captions that differ in one thing the true one is nearer in "
            f"{min(shares.values()):.1%} ({hardest}, the hardest) to {max(shares.values()):.1%}."
        )

    def sections(
        self,
        outputs: Outputs,
        splits: Splits,
        figures: Mapping[str, Any],
        save_picture: PictureSaver,
    ) -> list[Section]:
        """Return recall, similarities, what is found, prompts and captions that lie."""
        return report.sections(
            self.job, similarities(outputs), splits["test"], figures, save_picture
        )


def _share(name: str, right: Array) -> dict[str, Any]:
    """Return a share with Wilson's interval."""
    return {name: float(right.mean()), f"{name}_interval": list(wilson_of(right))}


def _figures(counted: Counted) -> dict[str, Any]:
    return {"samples": len(counted.right), **counted.figures()}
