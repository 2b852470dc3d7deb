"""A user's own series, with nothing typed but `--data`: what is handed out, and what it is worth.

python benchmarks/own_series.py                       # series made here, of many kinds
python benchmarks/own_series.py MINE.csv OTHER.csv    # tables of your own
python benchmarks/own_series.py --epochs 20 MINE.csv  # with any options of `forecast`
"""

import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import pandas as pd
from machine import describe

from labs.rnn.forecast.series.embedded import seasonal

# Thousands of passengers a month, 1949 to 1960 (Box and Jenkins 1976, "Time series analysis").
AIRLINE = """
112 118 132 129 121 135 148 148 136 119 104 118 115 126 141 135 125 149 170 170 158 133 114 140
145 150 178 163 172 178 199 199 184 162 146 166 171 180 193 181 183 218 230 242 209 191 172 194
196 196 236 235 229 243 264 272 237 211 180 201 204 188 235 227 234 264 302 293 259 229 203 229
242 233 267 269 270 315 364 347 312 274 237 278 284 277 317 313 318 374 413 405 355 306 271 306
315 301 356 348 355 422 465 467 404 347 305 336 340 318 362 348 363 435 491 505 404 359 310 337
360 342 406 396 420 472 548 559 463 407 362 405 417 391 419 461 472 535 622 606 508 461 390 432
"""


def series() -> dict[str, tuple[str, object]]:
    """Return the spacing of the dates and the values of each series, (T,) or (T, K)."""
    draw = np.random.default_rng(0)
    airline = np.array(AIRLINE.split(), float)
    return {
        "airline passengers": ("MS", airline),
        "the first 60 months": ("MS", airline[:60]),
        "quarterly sales": ("QS", _season(draw, 100, 4, trend=0.01, log=True)),
        "40 days": ("D", _season(draw, 40, 7)),
        "daily visits": ("D", _season(draw, 1_000, 7, trend=0.0005, log=True)),
        "hourly load": ("h", _load(draw, 8_760)),
        "weekly sales": ("W", _season(draw, 400, 52)),
        "three columns": ("D", np.stack([_season(draw, 800, 7) for _ in range(3)], 1)),
        "yearly cycles": ("YS", _cycles(draw, 300)),
        "level shifts": ("D", _season(draw, 900, 7) + np.repeat(draw.normal(0, 30, 9), 100)),
        "random walk": ("B", 100 + draw.standard_normal(1_000).cumsum()),
        "noise": ("D", 50 + draw.standard_normal(500)),
        "Mackey-Glass": ("min", _mackey_glass(draw, 3_000)),
        "the seasonal series": ("2h", seasonal(0).values),
        "the wave at 100": ("h", _season(np.random.default_rng(7), 1_500, 24, level=100)),
        "the wave at 2e8": ("h", _season(np.random.default_rng(7), 1_500, 24, level=2e8)),
        "30,000 hours": ("h", _load(draw, 30_000)),
    }


def _season(draw, rows, period, *, trend=0.0, log=False, level=100.0):
    """Return a seasonal series whose level wanders and grows, by percent where `log`."""
    shape = draw.normal(0, 1, period).cumsum()
    shape = 3 * (shape - np.linspace(shape[0], shape[-1], period))
    time = np.arange(rows)
    noise = draw.normal(0, 1, rows) + draw.normal(0, 0.2, rows).cumsum()
    moves = shape[time % period] + noise
    return level * np.exp(trend * time + moves / 50) if log else level + 100 * trend * time + moves


def _load(draw, rows):
    """Return a load: a day whose height follows from the weekday, the year, and the weather."""
    hour = np.arange(rows)
    day = 10 * np.sin(2 * np.pi * (hour % 24 - 8) / 24) + 4 * np.sin(4 * np.pi * hour / 24)
    weekday = np.where(hour // 24 % 7 < 5, 1.0, 0.5)
    weather = np.zeros(rows)
    for at in range(1, rows):
        weather[at] = 0.97 * weather[at - 1] + draw.normal(0, 0.5)
    return 60 + weekday * day + 8 * np.cos(2 * np.pi * hour / 8_760) + weather


def _cycles(draw, rows):
    """Return cycles of about eleven steps that rise faster than they fall, and differ in height."""
    phase = np.cumsum(draw.normal(2 * np.pi / 11, 0.06, rows))
    height = np.exp(np.convolve(draw.normal(0, 0.5, rows + 10), np.ones(11) / 3.3, "valid"))
    return 80 * height * (1 + np.sin(phase + 0.4 * np.sin(phase))) ** 1.5 / 2 + draw.gamma(
        2, 2, rows
    )


def _mackey_glass(draw, rows):
    """Return the chaotic series of Mackey and Glass (1977), delay 17, six steps apart."""
    values = list(1.2 + 0.1 * draw.standard_normal(18))
    while len(values) < 6 * rows + 500:
        values.append(0.9 * values[-1] + 0.2 * values[-18] / (1 + values[-18] ** 10))
    return np.array(values[500::6])[:rows]


def write(folder: Path, named: dict[str, tuple[str, object]] | None = None) -> dict[str, Path]:
    """Write series as tables, those of `series` when None; returns the path of each."""
    paths = {}
    for name, (spacing, values) in (named or series()).items():
        dates = pd.date_range("1990-01-01", periods=len(values), freq=spacing)
        values = np.asarray(values).reshape(len(values), -1)
        table = pd.DataFrame(values, dates, [f"x{k}" for k in range(values.shape[1])])
        paths[name] = folder / f"{name.replace(' ', '_').replace(',', '')}.csv"
        table.to_csv(paths[name], index_label="date")
    return paths


def main() -> None:
    print(describe())
    given = [word for word in sys.argv[1:] if word.endswith((".csv", ".tsv"))]
    options = [word for word in sys.argv[1:] if word not in given]
    with tempfile.TemporaryDirectory() as folder:
        paths = {Path(path).name: Path(path) for path in given} or write(Path(folder))
        for number, (name, path) in enumerate(paths.items()):
            show(
                name, path, [*options, "--run-dir", folder, "--name", f"run{number}"], Path(folder)
            )


def show(name: str, path: Path, options: list[str], folder: Path) -> None:
    """Train on a table, and print what came out."""
    begun = time.perf_counter()
    command = [sys.executable, "-m", "labs.rnn", "forecast", "--data", str(path), *options]
    done = subprocess.run(command, capture_output=True, text=True)
    seconds = time.perf_counter() - begun
    if done.returncode:
        print(f"\n{name}: {done.stderr.strip().splitlines()[-1]}")
        return
    found = json.loads((folder / "rnn" / options[-1] / "metrics.json").read_text())
    chosen = found.get("handed_out", "network")
    print(f"\n{name}: test MASE {found['test']['mase']:.4f}, {chosen}, {seconds:.0f} s")
    for baseline, values in found["baselines"].items():
        low, high = values["lead_interval"]
        interval = "unknown" if low is None else f"{low:+.4f} to {high:+.4f}"
        lead = f"lead {values['lead'] + 0.0:+.4f} ({interval})"
        print(f"  {baseline:24}{values['mase']:>9.4f}  {lead}")
    sys.stdout.flush()


if __name__ == "__main__":
    main()
