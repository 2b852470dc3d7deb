"""A run of `forecast` as an ONNX file, its scaling inside."""

import copy
from typing import Any

import torch
from torch import Tensor, nn

from common.export.exporter import SAMPLES, Differences, Exporter, apart, known_config
from common.export.formats import Graph, Inputs, each_alone
from labs.rnn.forecast import task
from labs.rnn.forecast.data import Windows
from labs.rnn.forecast.job import Forecast


class Network(nn.Module):
    """A forecaster, from the values of a window to the values after it.

    It computes in float64 but for the network itself: values that are far from 0 for how much they
    change would not survive float32; see `labs.rnn.forecast.data.levels`.
    """

    def __init__(self, job: Forecast):
        super().__init__()
        self.model = copy.deepcopy(job.model)
        self._log, self._difference = job.config.log, job.config.difference

    def forward(self, windows: Tensor, factors: Tensor, centers: Tensor | None = None) -> Tensor:
        """Return forecasts (B, H, outputs) of windows (B, W); see `scaling.Scaling`."""
        values = windows.log() if self._log else windows
        offsets = values[:, -1] if centers is None else centers
        scaled = (values - offsets[:, None]) / factors[:, None]
        found = task.forecast(self.model, scaled.float()).double()
        found = found * factors[:, None, None] + offsets[:, None, None]
        return found.exp() if self._log else found


class SeriesExporter(Exporter[Forecast]):
    """Forecasts."""

    limits = (
        "It knows the past of a series and nothing else; what never happened there, such as a "
        "crisis, it does not foresee.",
    )

    def graphs(self, test: Windows) -> list[Graph]:
        """Return the network, with the first windows of the test split."""
        config = self.job.config
        windows = test.unscale(test.inputs)[:SAMPLES]
        given = [windows, test.factors[:SAMPLES]]
        about = "float64 (batch,): one of a series, which the metadata have by its name"
        inputs = {
            "windows": f"float64 (batch, {config.window}): the last values, in their own unit",
            "factors": about,
        }
        if not config.difference:
            inputs["centers"] = about
            given.append(test.offsets[:SAMPLES])
        several = f"{len(config.levels)} quantiles" if config.levels else "the forecast"
        outputs = {
            "forecasts": f"float64 (batch, {config.horizon}, {max(1, len(config.levels))}): "
            f"{several} of each of the next steps, in the unit of the windows"
        }
        example: Inputs = tuple(torch.as_tensor(each, dtype=torch.float64) for each in given)
        axes = {name: {0: "batch"} for name in (*inputs, *outputs)}
        network = Network(self.job).eval()
        return [Graph(network, inputs, outputs, example, [*each_alone(example)], axes)]

    def differences(self, graph: Graph, inputs: Inputs, expected: Any, given: Any) -> Differences:
        """Compare in scaled units: what 1 is there, a series changes by."""
        config, [one], [other] = self.job.config, expected, given
        if config.log:
            one, other = one.log(), other.log()
        return {"forecasts": (apart(one, other) / inputs[1][:, None, None]).max().item()}

    def about(self) -> dict[str, Any]:
        """Return the series that the run knows, and how tables of them are read."""
        job = self.job
        return {
            "config": known_config(job.config),
            "series": {**job.card.as_dict(), "skipped": []},
            "levels": list(job.config.levels),
            "by": job.handed_out,
        }
