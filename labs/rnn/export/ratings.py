"""A run of `sentiment --target number` as an ONNX file."""

from typing import Any

from labs.rnn.export.texts import Network, TextExporter
from labs.rnn.sentiment.models import Text
from labs.rnn.sentiment.ratings.job import Ratings


class RatingNetwork(Network):
    """A network that rates texts, up to the rating and the probabilities of levels."""

    def __init__(self, job: Ratings):
        super().__init__(job)
        self._scale = job.scale

    def finish(self, text: Text) -> Any:
        """Return ratings (B,), and with ordinal loss the probabilities of levels, (B, levels)."""
        found = self._scale.read(self.model.answer(self.model(text)))
        return tuple(found[name] for name in ("outputs", "levels") if name in found)


class RatingExporter(TextExporter):
    """Regressions of texts."""

    job: Ratings
    network = RatingNetwork

    def outputs(self) -> dict[str, str]:
        """Return what the file says."""
        found = {"rating": "float32 (batch,): in the unit of the ratings"}
        if levels := self.job.scale.levels:
            found["levels"] = f"float32 (batch, {len(levels)}): their probabilities; sum 1"
        return found

    def about(self) -> dict[str, Any]:
        """Return how texts become numbers, and what the levels are."""
        return {**super().about(), "levels": list(self.job.scale.levels)}
