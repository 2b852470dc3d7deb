"""Twelve causes of a run that came to little, each a function that returns its evidence or None.

They stand from what comes first to what comes last: data, rates, units, validation. An early cause
brings later ones with it (shuffled labels are learned by heart, a rate that is too high kills
units), so the first that has evidence is the likely one. docs/doctor.md says what each means.
"""

from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from typing import NamedTuple

import numpy as np

from common.doctor import samples
from common.doctor.network import Fading
from common.doctor.patient import Patient
from common.doctor.samples import Samples
from common.doctor.trials import Trial
from common.metrics.metrics import Array
from common.options.terminal import figure_text
from common.runs import doubts

_CONTRADICTING = 0.02  # share of the training samples
_COPIED = 0.02  # share of validation or test samples
_TELLING = 0.97  # share of samples whose label one number of their input gives away
_TOO_TELLING = 0.9  # share of the most frequent class, above which that says nothing
_HARDLY_ANY = 3.0  # standard deviations above chance, below which labels are as if drawn
_CLEARLY = 6.0  # from which on they are not
_SMALL, _LARGE = 0.15, 30.0  # of inputs, by the size that 99.9 % of them stay below
_SPIKE = 100.0  # times the size that 99 % of inputs stay below
_MOSTLY = 0.9  # share of a layer's units
_FADED = 1e-5  # of a gradient
_LITTLE = 0.1  # share of the loss that is gone
_MOVED = 0.05  # share of the loss of one batch, above which a rate does something
_ROSE = 1.5  # training loss at the end over its least
_LOST = 0.5  # share of what was learned on training samples that validation does not have
_WORSE = 1.2  # validation loss at the end over its least, below which that does no harm
_MANY = 12  # classes that are numbers
_LIKE, _FEWEST_PAIRS, _DEALS = 10, 30, 100
_NAMES, _NUMBERS = 0.7, 0.5  # of the distance that numbers of like samples have by chance


class Finding(NamedTuple):
    """A cause with its evidence."""

    cause: str
    evidence: str  # what was found, with its numbers
    advice: str  # what to type, or to look at, next


class Cause(NamedTuple):
    """A cause that is looked for."""

    name: str
    look: Callable[[Patient], tuple[str, str] | None]  # returns evidence and advice


def diagnose(patient: Patient) -> Iterator[Finding]:
    """Yield what is found, from the first cause to the last."""
    for cause in CAUSES:
        if found := cause.look(patient):
            yield Finding(cause.name, *found)


# --- the data -----------------------------------------------------------------------------------


def find_unscaled(patient: Patient) -> tuple[str, str] | None:
    """Inputs are far from the size that weights are made for, or a few dwarf all others."""
    if patient.train.tokens:
        return None
    sizes = np.abs(patient.train.values)
    usual, nearly_all, largest = (float(np.quantile(sizes, q)) for q in (0.99, 0.999, 1.0))
    if largest == 0:
        return "all inputs of training are 0", "Look at the data with `explore`."
    found = (
        f"99.9 % of the inputs of training are below {nearly_all:.3g} in size, the largest is "
        f"{largest:.3g}"
    )
    if nearly_all < _SMALL:
        advice = (
            "Scale what you hand over to the whole range: pixels 0 to 255, or 0 to 1 as floats "
            "(values / values.max())."
        )
        return f"{found}, where weights are made for inputs of about 1", advice
    if nearly_all > _LARGE:
        advice = "Divide the values by their standard deviation before you hand them over."
        return f"{found}, where weights are made for inputs of about 1", advice
    if largest > _SPIKE * usual:
        advice = (
            "Look for wrong values (a lost decimal point, 999999 for missing ones), and correct "
            "them or take them out: the scale follows them, and all others become nearly the same."
        )
        return f"{found}, {largest / usual:,.0f} times what 99 % stay below", advice
    return None


def find_contradictions(patient: Patient) -> tuple[str, str] | None:
    """Equal inputs have different labels, so no network can be right about both."""
    taken = patient.train
    if taken.targets is None or not _is_labelled(patient):
        return None
    given: dict[bytes, list[bytes]] = defaultdict(list)
    for key, target in zip(taken.keys, taken.targets, strict=True):
        given[key].append(target.tobytes())
    several = [each for each in given.values() if len(set(each)) > 1]
    count = sum(map(len, several))
    share = count / len(taken.keys)
    if share < _CONTRADICTING:
        return None
    wrong = sum(len(each) - max(map(each.count, set(each))) for each in several)
    found = (
        f"{count:,} of {len(taken.keys):,} training samples ({share:.0%}) have the input of "
        f"another one, but not its label; whatever is learned, {wrong:,} of them stay wrong"
    )
    advice = "Decide on one label for each input, or leave them out"
    if patient.job.lab == "classification" or patient.job.verb == "sentiment":
        suffix = "" if patient.job.verb == "train" else f"-{patient.job.verb}"
        data = getattr(patient.config, "data", "DATA")
        advice += (
            f"; python -m labs.{patient.job.lab} crossval{suffix} --data {data}, and `suspects` on "
            "that run, rank the labels that are likely wrong"
        )
    return found, f"{advice}."


def _is_labelled(patient: Patient) -> bool:
    return patient.train.labels is not None or patient.job.lab == "detection"


def find_leak(patient: Patient) -> tuple[str, str] | None:
    """Validation or test have samples of training, or one number of an input tells the label."""
    if patient.job.verb == "forecast":  # the windows of a constant stretch are alike by nature
        return None
    known = set(patient.train.keys)
    for name in ("test", "validation"):
        keys = getattr(patient, name).keys
        count = sum(key in known for key in keys)
        if count / len(keys) >= _COPIED:
            found = (
                f"{count:,} of {len(keys):,} {name} samples ({count / len(keys):.0%}) are in "
                "training, too: what they measure is memory"
            )
            advice = (
                f"Take them out of one of the two, or hand over all samples as one set and let it "
                f"be split: copies then stay on one side. The {name} figure of this run counts "
                "for nothing."
            )
            return found, advice
    return _find_telling(patient)


def _find_telling(patient: Patient) -> tuple[str, str] | None:
    """Find an input number that gives the class away by itself."""
    labels, taken = patient.train.labels, patient.train
    if labels is None or not patient.classes or len(labels) < 100:
        return None
    frequent = np.bincount(labels).max() / len(labels)
    if frequent > _TOO_TELLING:
        return None
    inputs = taken.features if taken.tokens else _flat(taken)
    best, place = _most_telling(inputs, labels)
    if best < _TELLING:
        return None
    what = (
        "whether one word is there"
        if taken.tokens
        else f"one number of the input (its {place + 1}.)"
    )
    found = (
        f"{what} tells the label of {best:.0%} of the training samples by itself, where the most "
        f"frequent class has {frequent:.0%}"
    )
    if taken.tokens:
        found += f"; the word is {_word(patient, place)!r}"
    advice = (
        "Ask whether it will be known when the answer is not; if not, take it out of the inputs."
    )
    return found, advice


def _flat(taken: Samples) -> Array:
    """Return inputs (N, F) as they are; of large ones small pictures."""
    flat = [inputs.flatten(1).numpy() for inputs in taken.inputs]
    return np.concatenate(flat) if flat[0].shape[1] <= 4096 else taken.features


def _most_telling(inputs: Array, labels: Array) -> tuple[float, int]:
    """Return the share of samples that the best input number tells the label of, and its place.

    What each of its values means is learned on every other sample, and measured on the others.
    """
    learned, asked = np.arange(0, len(labels), 2), np.arange(1, len(labels), 2)
    best, where = 0.0, 0
    for place in np.flatnonzero(inputs.std(0) > 0):
        values, codes = np.unique(inputs[:, place], return_inverse=True)
        if len(values) > len(labels) // 10:  # nearly all different: a value means nothing
            edges = np.quantile(inputs[:, place], np.linspace(0, 1, 33)[1:-1])
            codes = np.searchsorted(edges, inputs[:, place])
        counts = np.zeros((codes.max() + 1, labels.max() + 1))
        np.add.at(counts, (codes[learned], labels[learned]), 1)
        share = float((counts.argmax(1)[codes[asked]] == labels[asked]).mean())
        if share > best:
            best, where = share, int(place)
    return best, where


def _word(patient: Patient, place: int) -> str:
    words = getattr(getattr(patient.job, "words", None), "vocabulary", ())
    return str(words[place]) if place < len(words) else f"number {place}"


def find_wrong_loss(patient: Patient) -> tuple[str, str] | None:
    """The loss takes names for numbers, numbers for names, or one label for any number of them."""
    taken, loss = patient.train, getattr(patient.config, "loss", "cross-entropy")
    if getattr(patient.config, "several", False):
        return _find_single(taken, loss)
    labels = taken.labels
    if labels is None:
        return None
    if labels.dtype.kind == "f":
        return _find_names_as_numbers(patient, labels, loss)
    return _find_numbers_as_names(patient, labels)


def _find_single(taken: Samples, loss: str) -> tuple[str, str] | None:
    if taken.targets is None or taken.targets.ndim != 2:
        return None
    each = (taken.targets > 0).sum(1)
    if not (each == 1).all():
        return None
    found = (
        f"--loss {loss} asks for each of {taken.targets.shape[1]} labels by itself, but every one "
        f"of {len(each):,} training samples has exactly one"
    )
    return found, "Train with --loss cross-entropy, which knows that classes exclude one another."


def _find_names_as_numbers(patient: Patient, labels: Array, loss: str) -> tuple[str, str] | None:
    values = np.unique(labels)
    if len(values) > 2 * _MANY or not np.array_equal(values, np.rint(values)):
        return None
    order = _order(patient, labels)
    if order is not None and order > _NAMES:
        found = (
            f"--loss {loss} takes the {len(values)} different labels for numbers, but samples that "
            "are alike have labels no nearer to one another than chance has: they are names"
        )
        if patient.job.verb == "sentiment":
            return found, "Train without --target number, so that each value is a class."
        return found, "Train with --loss cross-entropy, which makes each value a class."
    return None


def _find_numbers_as_names(patient: Patient, labels: Array) -> tuple[str, str] | None:
    names = patient.classes
    if len(names) < _MANY or not all(_is_number(name) for name in names):
        return None
    values = np.array([float(name) for name in names])[labels]
    order = _order(patient, values)
    if order is None or order > _NUMBERS:
        return None
    found = (
        f"the {len(names)} classes are numbers ({names[0]} to {names[-1]}), and samples that are "
        "alike have numbers near to one another: an answer that is off by one counts as much as "
        "any other mistake"
    )
    if patient.job.lab == "classification":
        advice = (
            "Train with --loss mae, or cut them into few classes with --label-bands COLUMN=A,B."
        )
    elif patient.job.verb == "sentiment":
        advice = "Train with --target number, which learns them as ratings."
    else:
        advice = "Write few classes into the table, such as 0 up to a threshold and 1 above it."
    return found, advice


def _is_number(name: str) -> bool:
    try:
        float(name)
    except ValueError:
        return False
    return True


def _order(patient: Patient, values: Array) -> float | None:
    """Return how far apart the different numbers of like samples are, over what chance gives.

    Chance is that the classes' numbers are dealt out again. Numbers that measure something are near
    one another where samples are alike, names are not. None where hardly any like samples differ.
    """
    taken = patient.train
    rows, known = samples.directions(taken.features, taken.features, taken.tokens)
    near = samples.nearest(rows, known, _LIKE, apart=True)
    kinds, codes = np.unique(values, return_inverse=True)
    pairs = np.stack([np.repeat(codes, near.shape[1]), codes[near].ravel()])
    pairs = pairs[:, pairs[0] != pairs[1]]
    if pairs.shape[1] < _FEWEST_PAIRS:
        return None

    def distance(of: Array) -> float:
        return float(np.abs(of[pairs[0]] - of[pairs[1]]).mean())

    generator = np.random.default_rng(0)
    return distance(kinds) / float(
        np.mean([distance(generator.permutation(kinds)) for _ in range(_DEALS)])
    )


def find_shuffled(patient: Patient) -> tuple[str, str] | None:
    """Labels have nothing to do with their inputs: neither neighbors nor the network know them."""
    taken = patient.learnable
    if taken is None or taken.sigmas > _HARDLY_ANY:
        return None
    answered = patient.answered.get("validation")
    if answered is not None and answered.sigmas > _HARDLY_ANY:
        return None
    found = (
        f"training samples have the label of those that are most like them in {taken.share:.1%} of "
        f"all cases, and would in {taken.chance:.1%} if labels were drawn by lot"
    )
    if answered is not None:
        found += (
            f"; the network is right about {answered.share:.1%} of the validation samples, by lot "
            f"{answered.chance:.1%}"
        )
    advice = (
        "Compare some inputs with their labels by eye: a column may have been sorted by itself, or "
        "rows of images and labels may be out of step."
    )
    return found, advice


# --- the rate -----------------------------------------------------------------------------------


def find_rate_too_high(patient: Patient) -> tuple[str, str] | None:
    """One batch is learned at a lower rate, and not at the run's; or the training loss went up."""
    rate, losses = patient.config.learning_rate, patient.losses
    if found := _find_better_rate(patient, lambda trial: trial.rate < rate):
        return found
    if losses and losses[-1] > _ROSE * min(losses):
        evidence = (
            f"at a rate of {rate:g}, the training loss rose from {figure_text(min(losses))} in "
            f"epoch {losses.index(min(losses)) + 1} to {figure_text(losses[-1])} at the end"
        )
        return evidence, _retrain(patient, rate / 10)
    return None


def find_rate_too_low(patient: Patient) -> tuple[str, str] | None:
    """One batch is learned at a higher rate, and not at the run's."""
    rate = patient.config.learning_rate
    if patient.rates and patient.rates[0].gain > _MOVED:  # such as a network that begins well
        return None
    return _find_better_rate(patient, lambda trial: trial.rate > rate)


def _find_better_rate(patient: Patient, fits: Callable[[Trial], bool]) -> tuple[str, str] | None:
    if not patient.rates:
        return None
    own, *others = patient.rates
    best = max(filter(fits, others), key=lambda trial: trial.gain, default=None)
    if best is None or best.gain < patient.wanted(own):
        return None
    run = ""
    if patient.rows:
        run = (
            f"; the run ended with {figure_text(patient.losses[-1])} on all batches, after "
            f"{patient.updates:,} updates"
        )
    evidence = (
        f"of a fresh network, {own.updates} updates on one batch at a rate of {own.rate:g} took "
        f"its loss from {figure_text(own.first)} to {_loss_text(own.last)}, at {best.rate:g} to "
        f"{_loss_text(best.last)}{run}"
    )
    return evidence, _retrain(patient, best.rate)


def _loss_text(loss: float) -> str:
    return "infinity" if loss == float("inf") else figure_text(loss)


def _retrain(patient: Patient, rate: float) -> str:
    job = patient.job
    suffix = "" if job.verb == "train" else f"-{job.verb}"
    return (
        f"python -m labs.{job.lab} {job.verb} --config {job.run.config} --learning-rate {rate:g}; "
        f"find-lr{suffix} with the same options draws the loss over all rates."
    )


# --- the network --------------------------------------------------------------------------------


def find_dead_units(patient: Patient) -> tuple[str, str] | None:
    """Most units of a layer give the same for every sample."""
    dead = patient.dead
    if dead is None or dead.share < _MOSTLY:
        return None
    first = patient.dead_at_first
    if _fades(patient) and (first is None or first.share < _MOSTLY):
        return None  # they died of gradients that say nothing
    found = (
        f"{dead.dead} of the {dead.units} units of {dead.layer} give the same for every one of "
        f"{len(patient.train.rows):,} training samples"
    )
    if getattr(patient.config, "weights", None):
        advice = "Look at the weights that it began with: train without --weights, or with others."
    elif getattr(patient.config, "sparsity_weight", 0) and "sparse" in str(patient.config.title):
        advice = f"Try --sparsity-weight {patient.config.sparsity_weight / 10:g}."
    else:
        advice = _retrain(patient, patient.config.learning_rate / 10)
    return found, advice


def find_vanishing(patient: Patient) -> tuple[str, str] | None:
    """Next to nothing of the gradient comes to where learning has to begin."""
    weakest = _fades(patient)
    if weakest is None:
        return None
    found = (
        f"the gradient of the loss fades to {weakest.ratio:.0e} of itself {weakest.where}, in the "
        "network as it began"
    )
    if "steps" in weakest.where:
        return found, (
            "Take a cell that remembers (--cell lstm or gru), let it see less at once, or let all "
            "steps answer where there is --pool attention or max."
        )
    if getattr(patient.config, "weights", None):
        return found, "Look at the weights that it began with: train without --weights."
    return (
        found,
        "Take a model with normalization or shortcuts, such as resnet20, or a smaller one.",
    )


def _fades(patient: Patient) -> Fading | None:
    """Return where the gradient faded, of a run that gained next to nothing."""
    gain = patient.gains.get("train")
    if gain is None or gain.share > _LITTLE:
        return None
    weakest = min(patient.fading, key=lambda each: each.ratio, default=None)
    return weakest if weakest is not None and weakest.ratio < _FADED else None


# --- validation, and the length -----------------------------------------------------------------


def find_untouched(patient: Patient) -> tuple[str, str] | None:
    """What is learned of training changes nothing on validation, which is of another kind."""
    if constant := _find_constant(patient):
        return constant
    answered, reached = patient.answered, patient.reached
    if answered and reached is not None:
        train, validation = answered["train"], answered["validation"]
        if train.sigmas < _CLEARLY or validation.sigmas > _HARDLY_ANY:
            return None
        if reached.sigmas > _HARDLY_ANY:
            return None
        found = (
            f"the network is right about {train.share:.1%} of training and {validation.share:.1%} "
            f"of validation samples, where guessing by lot has {validation.chance:.1%}; nor do "
            f"the most similar training samples know their labels ({reached.share:.1%}), though "
            "they know those of training"
        )
        return found, _compare_splits(patient)
    gains = patient.gains
    if answered or gains.keys() != {"train", "validation"}:
        return None
    if gains["train"].share > 3 * _LITTLE and gains["validation"].share < _LITTLE / 2:
        found = (
            f"training took {gains['train'].share:.0%} off the loss of training samples, and "
            f"{max(gains['validation'].share, 0):.0%} off that of validation samples"
        )
        return found, _compare_splits(patient)
    return None


def _find_constant(patient: Patient) -> tuple[str, str] | None:
    """Find figures of validation that are the same in every epoch, while training learns."""
    rows = patient.rows
    if len(rows) < 4 or patient.losses[-1] > 0.8 * patient.losses[0]:
        return None
    name = "validation/loss" if "validation/loss" in rows[0] else patient.job.main_metric.name
    values = [row.get(name, row.get(f"validation/{name}")) for row in rows]
    if None in values or np.ptp(values) > 1e-9 * max(abs(values[0]), 1e-9):
        return None
    found = (
        f"{name} is {figure_text(values[0])} in each of {len(rows)} epochs, while training learns"
    )
    return found, _compare_splits(patient)


def _compare_splits(patient: Patient) -> str:
    return (
        "Look whether validation is of the same kind as training: its labels, their order, how its "
        "files were made. Without a validation split of your own, one is drawn from training."
    )


def find_too_few_updates(patient: Patient) -> tuple[str, str] | None:
    """The run ended while it was still getting better."""
    if not patient.rows:
        resume = f"python -m labs.{patient.job.lab} {patient.job.verb} --resume"
        return "no epoch of it is finished", f"Go on with {resume} {patient.job.run.path}."
    found = next(doubts.list_too_short(patient.job, patient.rows), None)
    if found is None or not _still_falls(patient.losses):
        return None
    evidence, _, advice = found.partition(": ")
    return f"{evidence[0].lower()}{evidence[1:]}", f"{advice[0].upper()}{advice[1:]}"


def _still_falls(losses: Sequence[float]) -> bool:
    """Say whether the training loss was still falling at the end; of few epochs nobody knows."""
    return len(losses) < 4 or losses[-1] < 0.98 * losses[-3]


def find_overfitting(patient: Patient) -> tuple[str, str] | None:
    """What was learned of training samples does not hold for others."""
    rose = next(doubts.list_by_heart(patient.rows), None)
    gains = patient.gains
    gap = None
    if gains.keys() == {"train", "validation"} and _got_worse(patient):
        train, validation = gains["train"], gains["validation"]
        if train.share > 3 * _LITTLE:
            lost = 1 - validation.share / train.share
            if lost > _LOST:
                gap = (
                    f"training took {train.share:.0%} off the loss of training samples, but only "
                    f"{validation.share:.0%} off that of validation samples"
                )
    if rose is None and gap is None:
        return None
    evidence = "; ".join(filter(None, [gap, rose and rose.partition(": ")[0]]))
    advice = (
        "More training samples help most. With those there are: a stronger --augment, a higher "
        "--weight-decay or --dropout, a smaller model, or --patience 5."
    )
    return evidence[0].lower() + evidence[1:], advice


def _got_worse(patient: Patient) -> bool:
    """Say whether validation got worse while training went on; yes where nobody looked.

    A network of many words or pixels knows its training samples better than others. As long as
    validation does not suffer, that is no fault.
    """
    losses = [row["validation/loss"] for row in patient.rows if "validation/loss" in row]
    return not losses or losses[-1] > _WORSE * min(losses)


CAUSES = (
    Cause("inputs not scaled", find_unscaled),
    Cause("contradicting labels", find_contradictions),
    Cause("a leak", find_leak),
    Cause("wrong loss for the labels", find_wrong_loss),
    Cause("shuffled labels", find_shuffled),
    Cause("rate too high", find_rate_too_high),
    Cause("dead units", find_dead_units),
    Cause("vanishing gradients", find_vanishing),
    Cause("rate too low", find_rate_too_low),
    Cause("untouched validation", find_untouched),
    Cause("too few updates", find_too_few_updates),
    Cause("overfitting", find_overfitting),
)
"""From what comes first to what comes last."""
