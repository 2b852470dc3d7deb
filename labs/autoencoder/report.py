"""What is measured of a trained autoencoder, and what its report says: the views."""

from collections.abc import Mapping
from typing import Any

from common.images.sets import ImageSet
from common.metrics.metrics import Array
from common.report.html import PictureSaver, Section
from common.runs.conclude import Conclusion, Predictions
from common.runs.job import Outputs, Splits, groups_of
from labs.autoencoder import baselines, results
from labs.autoencoder.job import Compression
from labs.autoencoder.views import material


class AutoencoderResults(Conclusion[Compression]):
    """Errors of images, beside those of PCA, or of filters that denoise."""

    def figures(self, outputs: Outputs, split: ImageSet) -> dict[str, Any]:
        """Return all figures of a split."""
        job = self.job
        known = job.task({"all": split}).figures(dict(outputs))
        errors, perfect = job.decide(outputs), job.targets(split)
        return {**known, **job.main_metric.measure(errors, perfect, groups_of(split))}

    def baselines(self, splits: Splits) -> Mapping[str, Mapping[str, Array]]:
        """Return the errors of PCA, or of filters that denoise."""
        job, size = self.job, self.job.config.latent_size
        if job.denoises:
            noisy = {name: each["noisy"] for name, each in job.predict_splits(splits).items()}
            return baselines.denoising(splits, noisy, size)
        return baselines.compression(splits, size)

    def count_for_baselines(self, splits: Splits) -> int:
        """Return how many training images PCA is fitted on."""
        return len(baselines.sampled(splits["train"], self.job.config.latent_size))

    def about_baselines(self) -> str:
        """Say what they are."""
        return baselines.ABOUT_DENOISING if self.job.denoises else baselines.ABOUT_COMPRESSION

    def measure(
        self, outputs: Mapping[str, Outputs], splits: Splits, baselines: Predictions
    ) -> dict[str, Any]:
        """Return the figures, and the error as a share of each baseline's."""
        found = super().measure(outputs, splits, baselines)
        if not self.job.denoises:
            mse = found["test"]["mse"]
            for values in found["baselines"].values():
                values["ratio"] = results.share(mse, values["mse"])
        return found

    def verdict(self, figures: Mapping[str, Any]) -> str:
        """Say what came out, also as a share of PCA's error."""
        text = super().verdict(figures)
        pca = figures["baselines"].get(baselines.PCA)
        if pca is None or "ratio" not in pca:
            return text
        share = results.share_text(pca["ratio"])
        return f"{text} Its error is {share} times that of PCA at the same size."

    def sections(
        self,
        outputs: Outputs,
        splits: Splits,
        figures: Mapping[str, Any],
        save_picture: PictureSaver,
    ) -> list[Section]:
        """Return all views of the run."""
        known = {"test": outputs} if outputs else {}  # none where a view alone is made again
        return material.sections(material.Material(self.job, splits, known))
