"""What the loop cannot know about forecasting."""

from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from common.errors import NonFiniteError
from common.training import Task, When
from common.training.batches import Batches, choose_batching
from common.training.compute import Compute
from labs.rnn.forecast import metrics
from labs.rnn.forecast.config import ForecastConfig
from labs.rnn.forecast.data import Windows
from labs.rnn.forecast.models import MODELS, AfterLine, Forecaster

EVALUATION_BATCH = 512


class Forecasting(Task):
    """The next H values of windows (B, W).

    A batch is (windows, targets, truth, scale, place): scaled values, the targets in their own
    units (B, H), (offset, factor, naive error, level) of each window (B, 4), and its (origin,
    series). Truth and offset are relative to the level, see `data.levels`.
    """

    def __init__(self, config: ForecastConfig):
        # The MASE would say of the median alone when it is good.
        self.monitor = "validation/loss" if config.levels else "validation/mase"
        self._squared, self._log = config.loss == "mse", config.log
        self._levels, self._middle = torch.tensor(config.levels), config.middle

    def loss(self, model: nn.Module, batch: Any, when: When) -> dict[str, Tensor]:
        """Return the mean loss over all steps of all windows."""
        windows, targets, *_ = batch
        return {"loss": self._losses(model(windows, targets), targets).mean()}

    def _losses(self, forecasts: Tensor, targets: Tensor) -> Tensor:
        """Return the loss of each step in scaled units, (B, H): the mean of the quantiles'."""
        left = targets[..., None] - forecasts
        if len(self._levels):
            levels = self._levels.to(left.device, non_blocking=True)
            return torch.maximum(levels * left, (levels - 1) * left).mean(-1)
        return (left.square() if self._squared else left.abs())[..., 0]

    def outputs(self, model: nn.Module, batch: Any) -> dict[str, Tensor]:
        """Collect forecasts (B, H, outputs) in units of the series, and what to compare them with.

        Both are relative to the level, (B, 1). Their loss goes with them, (B,), as it is without
        looking at the targets.
        """
        windows, targets, truth, scale, place = batch
        scaled = forecast(model, windows)
        offset, factor, naive, level = scale[:, :, None, None].unbind(1)
        values = scaled * factor + offset
        if self._log:
            values = torch.where(level > 0, level * values.expm1(), values.exp())
        return {
            "forecasts": values,
            "truth": truth,
            "naive": naive[:, 0],
            "level": level[:, 0],
            "place": place,
            "loss": self._losses(scaled, targets).mean(1),
        }

    def figures(self, outputs: dict[str, Tensor]) -> dict[str, float]:
        """Return MAE, RMSE, MASE and sMAPE over all windows and steps."""
        forecasts = outputs["forecasts"][..., self._middle].numpy()
        if not np.isfinite(forecasts).all():
            raise NonFiniteError(
                "the forecasts became NaN or infinite. Try a lower --learning-rate or --clip 0.5."
            )
        parts = metrics.errors(
            forecasts,
            outputs["truth"].numpy(),
            outputs["naive"].numpy(),
            outputs["level"].numpy(),
        )
        means = {name: float(values.mean()) for name, values in parts.items()}
        return {"loss": float(outputs["loss"].mean()), "rmse": means.pop("mse") ** 0.5, **means}


def forecast(model: nn.Module, windows: Tensor) -> Tensor:
    """Return scaled forecasts (B, H, outputs) of scaled windows (B, W).

    Quantiles that cross are put in order (Chernozhukov, Fernández-Val and Galichon 2010, "Quantile
    and probability curves without crossing").
    """
    scaled: Tensor = model(windows).float().sort(-1).values
    return scaled


class Answers:
    """Collects scaled forecasts of windows of which no target is known."""

    def outputs(self, model: nn.Module, batch: Any) -> dict[str, Tensor]:
        """Collect the forecasts (B, H, outputs) of a batch of (windows,)."""
        return {"forecasts": forecast(model, *batch)}


def build_model(config: ForecastConfig) -> Forecaster | AfterLine:
    """Return the config's model, with weights from torch's default generator."""
    network = MODELS[config.strategy](
        config.cell,
        config.hidden_size,
        config.horizon,
        layers=config.layers,
        dropout=config.dropout,
        levels=config.levels,
        truncate=config.truncate,
    )
    return AfterLine(network, config.window) if config.linear else network


def batches(
    config: ForecastConfig, split: Windows, compute: Compute, *, training: bool = False
) -> Batches:
    """Return a split as the loop takes it."""
    levels = split.levels
    bases = np.log(levels, where=levels > 0, out=np.zeros(len(split))) if split.log else levels
    scale = np.stack([split.offsets - bases, split.factors, split.naive, levels], 1)
    columns = [
        torch.from_numpy(split.inputs),
        torch.from_numpy(split.targets),
        torch.from_numpy(split.truth - levels[:, None]).float(),
        torch.from_numpy(scale).float(),
        torch.from_numpy(np.stack([split.origins, split.series], 1)),
    ]
    return Batches(
        columns,
        compute=compute,
        **choose_batching(config, EVALUATION_BATCH, training=training),
    )
