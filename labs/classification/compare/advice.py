"""Which mode of transfer to take: what two textbook tables say, and what trials say of them.

Both tables ask how many images there are, and how much they are like those that the weights saw.
The second can be estimated: by how well a linear classifier tells the classes apart from what the
frozen network makes of the images.
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import torch

from common.errors import ConfigError
from common.images.load import pixel_rows
from common.metrics import metrics
from common.metrics.metrics import Array
from common.options import terminal
from common.report.html import PictureSaver, Section, Table
from common.runs import commands
from common.runs.comparison import Jobs, narrow
from common.runs.differences import Entry
from common.runs.job import Splits
from common.training.splits import sample_rows
from labs.classification.baselines import SIDE
from labs.classification.compare.config import SOME_LAYERS, AdviseConfig
from labs.classification.compare.transfer import ModeComparison, winners
from labs.classification.config import ClassificationConfig
from labs.classification.job import ClassifyImages
from labs.classification.transfer import weights

FEW, FEW_OF_A_CLASS = 1000, 100
"""Fewer training images than that, in all or in the mean of the classes, are few: a rule of thumb.

Nature has no such border.
"""

REMOVED = 0.5
"""The least share of errors that the pretrained features must remove where images are similar.

Of the errors that are left by the better of two rivals, which know nothing of the source: the
pixels, and the features of the same network with random weights. That the features are merely
better would not do: even those of distant tasks often beat random ones (Yosinski et al. 2014, "How
transferable are features in deep neural networks?").
"""

ROWS = 2000  # images of a split at most, from which similarity is estimated
_FOLDS, _PENALTIES = 3, (0.01, 0.1, 1.0)  # scikit-learn's C of logistic regression

Case = tuple[str, str]  # few or many images; similar or different ones
Advice = Mapping[str, Any]

_BOTH = {
    ("few", "similar"): ("feature-extraction",),
    ("many", "different"): ("fine-tune", "scratch"),
}
TABLES: dict[str, dict[Case, tuple[str, ...]]] = {
    "one table": {
        **_BOTH,
        ("few", "different"): ("scratch",),
        ("many", "similar"): ("feature-extraction",),
    },
    "another": {**_BOTH, ("few", "different"): (SOME_LAYERS,), ("many", "similar"): (SOME_LAYERS,)},
}
"""The modes that each table recommends, by the case. Both go around without an author."""

REASONS: dict[Case, str] = {
    ("few", "similar"): (
        "The features already fit, and few images would be learned by heart by more than a head."
    ),
    ("few", "different"): (
        "Few images cannot teach a whole network, and the late features are made for other images: "
        "one table gives the weights up, the other keeps the early layers, which are more general."
    ),
    ("many", "similar"): (
        "The features already fit, and there are images enough to train more than a head: the "
        "tables disagree whether that is worth it."
    ),
    ("many", "different"): (
        "There are images enough to train every layer, and the late ones have to change; the "
        "weights are a start that may help and seldom harms."
    ),
}

_WHAT = {
    "feature-extraction": "train the head only",
    "fine-tune": "train all, from the weights",
    "scratch": "train all, from random weights",
    SOME_LAYERS: "train the later layers",
}


def few(images: int, classes: int) -> bool:
    """Say whether training images are few by the rule of thumb."""
    return images < FEW or images < FEW_OF_A_CLASS * classes


def advise(config: AdviseConfig) -> dict[str, Any]:
    """Return what the tables recommend for a config's images, for JSON.

    The test split is not looked at.

    Raises:
        InputError: the data or the weights cannot be had, or do not fit.
    """
    base = narrow(config, ClassificationConfig, transfer="feature-extraction")
    job, splits = ClassifyImages.check(base)
    if job.config.several:
        raise ConfigError("advise: takes images of one class each, and these have several labels")
    images, classes = len(splits["train"]), len(job.card.classes)
    found: dict[str, Any] = {"images": images, "classes": classes}
    found["size"] = "few" if few(images, classes) else "many"
    found["estimate"] = estimate(job, splits) if config.similar == "estimate" else None
    similar = found["estimate"]["similar"] if found["estimate"] else config.similar == "yes"
    found["likeness"] = "similar" if similar else "different"
    return found


# --- similarity ---------------------------------------------------------------------------------


def estimate(job: ClassifyImages, splits: Splits) -> dict[str, Any]:
    """Return how well frozen features tell the classes apart, and whether that is similarity.

    A linear classifier (logistic regression, its penalty chosen on training images by
    cross-validation) sees the features of the pretrained network, those of the same network with
    random weights, and the pixels. Each is measured on the validation split. The images count as
    similar where the pretrained features remove at least the share `REMOVED` of the errors of the
    better of the two others, which is chosen by cross-validation, too. The interval is a paired
    bootstrap.

    Args:
        job: of a config with weights.
        splits: of which `train` and `validation` are used, at most `ROWS` of each.

    Raises:
        ConfigError: a class has a single training image.
    """
    parts = {
        name: splits[name].select(sample_rows(splits[name].targets, ROWS, seed=0))
        if len(splits[name]) > ROWS
        else splits[name]
        for name in ("train", "validation")
    }
    job.model = job.initial_model()  # as the seed draws it, before any weights were loaded
    inputs = {"random weights": _features(job, parts)}
    job.warm_start(splits, lambda line: None)
    inputs["pretrained weights"] = _features(job, parts)
    inputs["pixels"] = {name: pixel_rows(part, SIDE) for name, part in parts.items()}
    targets = {name: part.targets.numpy() for name, part in parts.items()}
    wrong, trust = {}, {}
    for name, rows in inputs.items():
        fitted = _linear(rows["train"], targets["train"])
        wrong[name] = (fitted.predict(rows["validation"]) != targets["validation"]).astype(float)
        trust[name] = float(fitted.best_score_)
    mine = wrong.pop("pretrained weights")
    return {"accuracy": 1 - float(mine.mean()), **judged(mine, wrong, trust)}


def judged(mine: Array, others: Mapping[str, Array], trust: Mapping[str, float]) -> dict[str, Any]:
    """Return whether pretrained features make so few errors that the images are similar.

    Args:
        mine: 1 for each validation image that is classed wrong from pretrained features, else 0.
        others: the same of each rival, by its name.
        trust: how good each is on training images; the better one of `others` is the rival.
    """
    rival = max(others, key=lambda name: trust[name])
    spare = metrics.paired_difference(np.mean, (1 - REMOVED) * others[rival], mine)
    leads = {
        name: metrics.paired_difference(np.mean, wrong, mine) for name, wrong in others.items()
    }
    return {
        "similar": spare.difference >= 0 and spare.high > 0,
        "sure": not spare.low <= 0 <= spare.high,
        "rival": rival,
        "spare": list(spare),
        "others": {
            name: {"accuracy": 1 - float(others[name].mean()), "lead": list(each)}
            for name, each in leads.items()
        },
    }


def _features(job: ClassifyImages, parts: Splits) -> dict[str, Array]:
    """Return what the head of the job's model gets of images, (N, features), by the split."""
    found: list[Any] = []

    def keep(module: Any, inputs: tuple[Any, ...]) -> None:
        features = inputs[0].float()
        found.append((features.flatten(2).mean(2) if features.ndim > 2 else features).cpu())

    job.compute.place(job.model)
    hook = job.model.get_submodule(weights.heads(job.model)[-1]).register_forward_pre_hook(keep)
    try:
        rows = {}
        for name, part in parts.items():
            found.clear()
            job.predict_splits({"train": part}, ["train"])
            rows[name] = torch.cat(found).numpy()
    finally:
        hook.remove()
    return rows


def _linear(rows: Array, targets: Array) -> Any:
    from sklearn.linear_model import LogisticRegression
    from sklearn.model_selection import GridSearchCV, StratifiedKFold
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    fewest = int(np.unique(targets, return_counts=True)[1].min())
    if fewest < 2:
        raise ConfigError(
            "--similar estimate: a class has a single training image, so nothing can be estimated; "
            "say --similar yes or --similar no"
        )
    model = make_pipeline(StandardScaler(), LogisticRegression(max_iter=1000, tol=1e-3))
    folds = StratifiedKFold(min(_FOLDS, fewest), shuffle=True, random_state=0)
    search = GridSearchCV(model, {"logisticregression__C": _PENALTIES}, cv=folds)
    return search.fit(rows, targets)


# --- words --------------------------------------------------------------------------------------


def recommended(advice: Advice) -> dict[str, tuple[str, ...]]:
    """Return the modes that each table recommends, by the table."""
    case = (advice["size"], advice["likeness"])
    return {name: table[case] for name, table in TABLES.items()}


def cells(advice: Advice) -> tuple[list[str], list[list[str]]]:
    """Return columns and rows of the four cases, the one of the images marked."""
    rows = []
    for size, likeness in REASONS:
        said = [table[size, likeness] for table in TABLES.values()]
        marks = ["YOUR DATA"] if (size, likeness) == (advice["size"], advice["likeness"]) else []
        if len(set(said)) > 1:
            marks.append("they disagree")
        rows.append([f"{size}, {likeness}", *map(" or ".join, said), "; ".join(marks)])
    return ["images", *TABLES, ""], rows


def reasons(advice: Advice) -> Iterator[str]:
    """Say what the tables recommend, and why, in sentences."""
    images, classes = advice["images"], advice["classes"]
    yield (
        f"{advice['size'].capitalize()}: {images:,} training images, {images / classes:,.0f} of a "
        f"class. Fewer than {FEW:,}, or than {FEW_OF_A_CLASS} of a class, are few: a rule of thumb."
    )
    yield _likeness(advice)
    said = recommended(advice)
    if len(set(said.values())) == 1:
        [modes] = set(said.values())
        yield f"Both tables recommend {_described(modes)}."
    else:
        listed = "; ".join(f"{name}: {_described(modes)}" for name, modes in said.items())
        yield f"The tables disagree. {listed[0].upper()}{listed[1:]}."
    yield REASONS[advice["size"], advice["likeness"]]


def estimate_rows(found: Mapping[str, Any]) -> tuple[list[str], list[list[str]]]:
    """Return columns and rows of an estimate of similarity."""
    columns = ["linear classifier on", "validation accuracy", "pretrained is better by", "interval"]
    rows = [["features, pretrained weights", terminal.figure_text(found["accuracy"]), "", ""]]
    for name, each in found["others"].items():
        what = f"features, {name}" if "weights" in name else name
        difference, low, high = each["lead"]
        interval = f"{low:+.4f} to {high:+.4f}"
        rows.append([what, terminal.figure_text(each["accuracy"]), f"{difference:+.4f}", interval])
    return columns, rows


def show(advice: Advice) -> None:
    """Print the tables, and what follows from them."""
    if advice["estimate"]:
        terminal.show_table("How alike are source and images?", *estimate_rows(advice["estimate"]))
    terminal.show_table("Which mode of transfer?", *cells(advice))
    for sentence in reasons(advice):
        terminal.say(sentence)


def judgments(advice: Advice, compared: Mapping[str, Entry]) -> Iterator[str]:
    """Say of each table whether the trials bear it out, or of both where they agree."""
    said = recommended(advice)
    if len(set(said.values())) == 1:
        said = {"both tables": next(iter(said.values()))}
    for name, modes in said.items():
        listed = f"{name[0].upper()}{name[1:]} ({' or '.join(modes)})"
        yield f"{listed}: {_judged(modes, compared)}."


def _judged(modes: Sequence[str], compared: Mapping[str, Entry]) -> str:
    held = winners(compared)
    if not any(mode in compared for mode in modes):
        return "not tried"
    if len(held) == len(compared):
        return "the trials cannot tell"
    if not any(mode in held for mode in modes):
        return f"wrong by these trials, {held[0]} is better"
    others = [mode for mode in held if mode not in modes]
    if not others:
        return "right by these trials"
    return f"not wrong by these trials, though {', '.join(others)} may be as good"


def _likeness(advice: Advice) -> str:
    found = advice["estimate"]
    if not found:
        return f"{advice['likeness'].capitalize()}, as was said."
    left, rival = 1 - found["accuracy"], 1 - found["others"][found["rival"]]["accuracy"]
    doubt = "" if found["sure"] else " A 95 % interval holds both, so that is not sure."
    return (
        f"{advice['likeness'].capitalize()}, as estimated: images are similar where the pretrained "
        f"features remove at least {REMOVED:.0%} of the errors of the better rival, here "
        f"{found['rival']}. They leave {left:.1%} of the validation images wrong, the rival "
        f"{rival:.1%}; {(1 - REMOVED) * rival:.1%} or less would be similar.{doubt}"
    )


def _described(modes: Sequence[str]) -> str:
    return ", or ".join(f"{mode} ({_WHAT[mode]})" for mode in modes)


# --- with trials --------------------------------------------------------------------------------


class Probe(ModeComparison[AdviseConfig]):
    """Advice, and trials that show whether it was good."""

    verb, config_type = "advise", AdviseConfig
    heading = "Which mode of transfer"

    @classmethod
    def command(cls, **given: Any) -> None:
        """Show the advice; with `--probe`, train the modes, too."""
        options = {name: value for name, value in given.items() if name != "resume"}
        if given["resume"] is None:
            path = options.pop("config_path")
            config = commands.layered(cls.config_type, cls.recipes, path=path, **options)
            if not config.probe:
                show(advise(config))
                return
        super().command(**given)

    @classmethod
    def start(cls, config: AdviseConfig, command: Sequence[str] = ()) -> "Probe":
        """Advise, and make a new run folder; the arguments are those of `Comparison.start`."""
        found = advise(config)
        whole = super().start(config, command)
        whole.run.write("advice", found)
        return whole

    def train(self, device: str | None, begun: float) -> None:
        """Show the advice, and train the members that are not finished."""
        if not (self.run.path / "advice.json").exists():  # killed before it was written
            self.run.write("advice", advise(self.config))
        show(self.run.read("advice"))
        super().train(device, begun)

    def measure(self, jobs: Jobs) -> dict[str, Any]:
        """Return the figures of each mode, and the advice."""
        return {**super().measure(jobs), "advice": self.run.read("advice")}

    def sections(
        self, jobs: Jobs, metrics: Mapping[str, Any], save_picture: PictureSaver
    ) -> list[Section]:
        """Return the advice, and what the trials say of it."""
        advice = self.run.read("advice")
        text = " ".join([*reasons(advice), *judgments(advice, metrics["compared"])])
        parts = [Section("What the tables say", text, Table(*cells(advice)))]
        if advice["estimate"]:
            parts.append(Section("Similarity", _HOW, Table(*estimate_rows(advice["estimate"]))))
        return parts

    def verdict(self, metrics: Mapping[str, Any]) -> str:
        """Say which mode won, and whether the tables were right."""
        judged = judgments(self.run.read("advice"), metrics["compared"])
        return " ".join([super().verdict(metrics), *judged])


_HOW = (
    "The linear classifier is a logistic regression whose penalty is chosen on training images by "
    f"cross-validation; at most {ROWS:,} images of a split are used, and none of the test split. "
    "Intervals of 95 % are paired bootstraps over validation images."
)
