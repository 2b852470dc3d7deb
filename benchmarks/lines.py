"""The mean of linear forecasts that a network begins from, beside what it is a mean of.

python benchmarks/lines.py                  # the series of own_series.py
python benchmarks/lines.py MINE.csv         # tables of your own
python benchmarks/lines.py --kinds 0 1 2    # short series of many kinds, with these seeds

Nothing is trained, so it takes seconds. Test MASE, with what `forecast` chooses for a table.
"""

import sys
import tempfile
from pathlib import Path

import numpy as np
import own_series

from labs.rnn.forecast import baselines
from labs.rnn.forecast.baselines import mix_lines
from labs.rnn.forecast.config import ForecastConfig
from labs.rnn.forecast.job import Forecast

NAMES = ("persistence", "last season", "regression", "mean")


def kinds(seed: int) -> dict[str, tuple[str, object]]:
    """Return the spacing and the values of short series of many kinds."""
    draw = np.random.default_rng(seed)
    season, load = own_series._season, own_series._load
    shifts = np.repeat(draw.normal(0, 30, 10), 30)
    return {
        "40 days": ("D", season(draw, 40, 7)),
        "60 days": ("D", season(draw, 60, 7)),
        "100 days": ("D", season(draw, 100, 7)),
        "300 days": ("D", season(draw, 300, 7)),
        "400 weeks": ("W", season(draw, 400, 52)),
        "200 weeks": ("W", season(draw, 200, 52)),
        "60 quarters": ("QS", season(draw, 60, 4, trend=0.01, log=True)),
        "72 months": ("MS", season(draw, 72, 12)),
        "a trend": ("MS", np.arange(80) + draw.normal(0, 3, 80)),
        "walk of 300": ("B", 100 + draw.standard_normal(300).cumsum()),
        "walk of 40": ("D", 100 + draw.standard_normal(40).cumsum()),
        "noise": ("D", 50 + draw.standard_normal(120)),
        "shifts": ("D", season(draw, 300, 7) + shifts),
        "counts": ("D", draw.poisson(3 + 2 * np.sin(2 * np.pi * np.arange(200) / 7)) * 1.0),
        "2,000 hours": ("h", load(draw, 2_000)),
        "6,000 hours": ("h", load(draw, 6_000)),
        "hours of a day": ("h", season(draw, 2_000, 24)),
        "hours of a week": ("h", season(draw, 1_500, 168)),
    }


def measure(path: Path) -> list[float]:
    """Return the test MASE of each of NAMES on a table."""
    job, splits = Forecast.check(ForecastConfig(data=str(path)))
    test = splits["test"]
    persistence, seasonal, _, regression = baselines.forecasts(splits, job.card.period).values()
    line = mix_lines(splits, job.seasons)
    mean = test.unscale(test.inputs.astype(float) @ line.weight.T + line.bias)
    each = (persistence["test"], seasonal["test"], regression["test"], mean)
    return [float(np.mean(np.abs(all_ - test.truth) / test.naive[:, None])) for all_ in each]


def main() -> None:
    words = sys.argv[1:]
    print(f"{'':24}" + "".join(f"{name:>13}" for name in NAMES))
    with tempfile.TemporaryDirectory() as folder:
        if words[:1] == ["--kinds"]:
            named = {
                f"{name}, seed {seed}": each
                for seed in map(int, words[1:])
                for name, each in kinds(seed).items()
            }
            paths = own_series.write(Path(folder), named)
        else:
            paths = {Path(word).name: Path(word) for word in words}
            paths = paths or own_series.write(Path(folder))
        rows = []
        for name, path in paths.items():
            rows.append(measure(path))
            print(f"{name:24}" + "".join(f"{value:>13.3f}" for value in rows[-1]), flush=True)
    found = np.array(rows)
    ratios = found / found[:, :3].min(1, keepdims=True)
    for what, values in (
        ("to the best of three", np.exp(np.log(ratios).mean(0))),
        ("at worst", ratios.max(0)),
    ):
        print(f"{what:24}" + "".join(f"{value:>13.3f}" for value in values))


if __name__ == "__main__":
    main()
