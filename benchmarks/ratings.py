"""Tweets as three ratings, -1, 0 and 1: networks beside ridge regression on words and characters.

    python benchmarks/ratings.py --losses ordinal,mse --seeds 3

Each loss is trained with several seeds. Test figures are means over the seeds; the lead over ridge,
as it is and rounded to a level, has the 95 % interval of a bootstrap over seeds and test texts.
Runs that are in the folder already are not trained again.
"""

from pathlib import Path

import click
import numpy as np
from machine import describe

from common.metrics.main_metric import MAE, MainMetric
from common.metrics.metrics import Array, OfDraws
from common.options.config import build
from common.options.terminal import display, note
from common.runs.conclude import conclusion_of
from labs.rnn.sentiment.config import LOSSES, SentimentConfig
from labs.rnn.sentiment.job import Sentiment
from labs.rnn.sentiment.ratings.baselines import RIDGE, ROUNDED
from labs.rnn.sentiment.ratings.task import choose_said, rate

RMSE = MainMetric(
    "rmse",
    "root mean squared error",
    lambda said, truth: (said - truth) ** 2,
    OfDraws(lambda squares: np.sqrt(squares.mean(-1))),
    larger_is_better=False,
)
NAMES = ("mae", "rmse", "spearman", "quadratic_kappa")


@click.command()
@click.option("--losses", default="ordinal,mse", help=f"Of {', '.join(LOSSES)}.")
@click.option("--seeds", default=3)
@click.option("--data", default="tweets")
@click.option("--run-dir", type=click.Path(path_type=Path), default=Path("runs/benchmarks"))
def main(losses: str, seeds: int, data: str, run_dir: Path) -> None:
    print(describe())
    ridge: dict[str, Array] = {}
    for loss in losses.split(","):
        said, seconds = [], []
        for seed in range(seeds):
            job, splits = train(data, loss, seed, run_dir)
            said.append(job.predict_splits(splits, ["test"])["test"])
            seconds.append(sum(row["seconds"] for row in job.run.history))
        truth, levels = job.targets(splits["test"]), job.card.levels
        if not ridge:
            found = conclusion_of(job).baselines(splits)
            ridge = {name: each["test"] for name, each in found.items()}
            print(f"{len(truth):,} test texts")
            for name, numbers in ridge.items():
                print(f"{name:32} {tell(rate({'outputs': numbers}, truth, levels))}")
        each = [rate(outputs, truth, levels) for outputs in said]
        mean = {name: float(np.mean([found[name] for found in each])) for name in NAMES}
        print(f"{loss:32} {tell(mean)}  {min(seconds):.0f} to {max(seconds):.0f} s of training")
        errors = ", ".join(f"{found['mae']:.4f}" for found in each)
        print(f"{'':32} mae of the seeds {errors}")
        for name in (RIDGE, ROUNDED):
            for metric in (MAE, RMSE):
                ours = [metric.statistics(choose_said(each, metric.name), truth) for each in said]
                lead = metric.compare_runs(ours, [metric.statistics(ridge[name], truth)])
                low, high = lead["difference_interval"]
                print(f"  lead over {name}: {metric.name} {lead['difference']:+.4f} "
                      f"({low:+.4f} to {high:+.4f})")  # fmt: skip


def train(data: str, loss: str, seed: int, run_dir: Path) -> tuple[Sentiment, dict]:
    """Return a trained run, with its data."""
    path = run_dir / "rnn" / f"{loss}-{seed}"
    if (path / "metrics.json").is_file():
        job = Sentiment.open_trained(path)
        return job, job.load_splits()
    values = {"data": data, "target": "number", "loss": loss, "seed": str(seed)}
    values |= {"run_dir": str(run_dir), "name": path.name}
    job, splits = Sentiment.start(build(SentimentConfig, ("benchmark", values)), [])
    with display(job.config.epochs, []) as shown:
        job.train(splits, shown, note)
    conclusion_of(job).conclude_member(splits)
    return job, splits


def tell(found: dict[str, float]) -> str:
    return "  ".join(f"{name} {found[name]:.4f}" for name in NAMES)


if __name__ == "__main__":
    main()
