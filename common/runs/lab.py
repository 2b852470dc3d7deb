"""A lab: what it trains, by which commands, and the commands that every lab has.

What trains, its config and its recipes are named as `module:class`, and imported when there is
something to do: `--help` and a typo are answered without torch.
"""

import functools
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from pkgutil import resolve_name
from typing import TYPE_CHECKING, Any, NamedTuple

import click
from click.core import ParameterSource

from common.errors import ConfigError, RunError
from common.options import commandline, terminal
from common.options.config import FORM, flag
from common.reuse import reuse
from common.runs import commands
from common.suggest import suggest
from common.torchrun import launched

if TYPE_CHECKING:
    from torch import nn

    from common.runs.folder import Run
    from common.runs.job import Job


def load_lab(name: str) -> "Lab":
    """Return a lab by its name; a string names it, since labs stand above what is common."""
    lab: Lab = resolve_name(f"labs.{name}.__main__:lab")
    return lab


@dataclass(frozen=True)
class Verb:
    """A command that trains.

    Attributes:
        kind: `module:class` of what it trains: a `Job`, or a comparison made of several.
        config: `module:class` of its config.
        help: what it does; None where the lab writes the command itself, with `Lab.command`.
        recipes: `module:name` of values by the recipe's name; None for none.
        recipe_for: returns the recipe that suits the options, if there is one; its values are taken
            where the user names no recipe.
        submits: whether its runs answer a competition's test data, see `Job.submission`.
        options: decorators that add options of the command's own to those of the config; with
            `commands.DATA_SET`, --data may be given as an argument.
        only: the fields of the config that become options; all when None.
    """

    kind: str
    config: str
    help: str | None = None
    recipes: str | None = None
    recipe_for: Callable[[Mapping[str, str]], str | None] = lambda options: None
    options: Sequence[Callable[[Any], Any]] = ()
    submits: bool = False
    only: Sequence[str] | None = None

    def resolve(self) -> Any:
        """Import the class of what it trains."""
        return commands.loaded(self.kind)


def experiments(verb: str, row: Verb, crossval: str, *, of: str, samples: str) -> dict[str, Verb]:
    """Return the verbs that every lab has of runs made of runs, with the classes that they name.

    Args:
        verb: what trains one of the runs.
        row: its command.
        crossval: what cross-validation does.
        of: how the names of the lab's classes end: `SearchImages` ends with `Images`.
        samples: what the data consists of, in plural.
    """
    package = ".".join([*row.kind.split(".")[:2], "experiments"])
    suffix, middle = ("", "") if verb == "train" else (f"-{verb}", verb.capitalize())
    takes = f"Takes the options of `{verb}`"

    def make(kind: str, config: str, help: str, *options: Callable[[Any], Any]) -> Verb:
        config = f"{package}.config:{config}{middle}Config"
        return Verb(f"{package}.{kind}{of}", config, help, row.recipes, row.recipe_for, options)

    return {
        f"learning-curve{suffix}": make(
            "learning_curve:CurveOf",
            "LearningCurve",
            f"Train on growing shares of the {samples}, and say what more of them would buy."
            f"\n\n{takes}.",
        ),
        f"crossval{suffix}": make("crossval:Crossval", "Crossval", crossval),
        f"search{suffix}": make(
            "search:Search",
            "Search",
            "Try values of options; say which trials cannot be told apart, and choose among them."
            f"\n\n{takes}, and --space NAME=VALUES for each that is to vary.",
            commands.JOIN,
        ),
    }


class Built(NamedTuple):
    """A model that `summary` shows.

    Attributes:
        model: with any weights.
        input_shape: of one sample.
        meta: whether it can be measured without memory for its tensors, see `summarize`.
    """

    model: "nn.Module"
    input_shape: tuple[int, ...]
    meta: bool = True


_OF_TEST = (  # options on how a competition's test data are written, which have no labels
    *(*FORM, "path_column", "image_dir", "text_column", "date_column", "date_order"),
    *("series_column", "value_columns", "decimal", "spacing"),
)
_ENSEMBLE = "ensemble"  # the command, and what trained such runs
_RATE = click.FloatRange(min=0, min_open=True)


def _recipes(row: Verb) -> commands.Recipes:
    """Return the values of a verb's recipes by their names."""
    return resolve_name(row.recipes) if row.recipes else {}


def _choose_recipe(row: Verb, given: str | None, options: Mapping[str, str]) -> str | None:
    """Return the recipe that was given, or else the one that suits the options, and say so."""
    own = row.recipe_for(options) if given is None else None
    if own not in _recipes(row):
        return given
    terminal.note(f"with the values of --recipe {own}, where no others are given")
    return own


def _read_epoch(context: click.Context, option: click.Parameter, text: str) -> int:
    number = text.removeprefix("epoch:")
    if not number.isdecimal() or int(number) < 1:
        raise click.BadParameter(f"{text!r}: expected an epoch from 1 on, such as epoch:7")
    return int(number)


def _check_source(data: Path | None, options: Mapping[str, str]) -> None:
    """Refuse options that say how a file is written without one, and a split beside it."""
    if data is None and options:
        raise ConfigError([f"{flag(name)}: goes with --data" for name in options])
    source = click.get_current_context().get_parameter_source("split")
    if data is not None and source is not ParameterSource.DEFAULT:
        raise click.UsageError("--data takes the place of --split; give one of them")


class Lab:
    """A lab: its jobs and comparisons by the verbs that train them, its models, its command line.

        sentiment = Verb(
            "labs.rnn.sentiment.job:Sentiment",
            "labs.rnn.sentiment.config:SentimentConfig",
            "Train a classifier.",
        )
        lab = Lab("rnn", "Read and write sequences.", jobs={"sentiment": sentiment})

        @lab.group.command()
        @commands.RUN
        def predict(run): ...  # what no other lab has

        lab.main()

    Its group has a command for each verb that has a help text, `evaluate` and `report`.

    Attributes:
        name: the lab is the package `labs.NAME`.
        program: what comes before a command.
        jobs: what trains one model.
        comparisons: runs made of runs.
        ensembles: `module:class` of what runs of a job are when they answer together, by its verb.
        models: a line about each of the models that deserve one, by name.
        more_models: the names of all others, by whose they are.
        group: the commands.
    """

    def __init__(
        self,
        name: str,
        help: str,
        *,
        jobs: Mapping[str, Verb],
        comparisons: Mapping[str, Verb] | None = None,
        renamed: Mapping[str, str] | None = None,
        suspects: str | None = None,
        maps: bool = False,
        evaluate_options: Sequence[Callable[[Any], Any]] = (),
        ensembles: Mapping[str, str] | None = None,
        submit_options: Sequence[Callable[[Any], Any]] = (),
        doctor: str | None = None,
        doctor_options: Sequence[Callable[[Any], Any]] = (),
        export_options: Sequence[Callable[[Any], Any]] = (),
        models: Mapping[str, str] | None = None,
        more_models: Mapping[str, Sequence[str]] | None = None,
        evaluate_help: str = "Measure a run's best weights again, on a split or on your own data.",
    ):
        self.name, self.program = name, f"python -m labs.{name}"
        self.jobs, self.comparisons = jobs, comparisons or {}
        self.models, self.more_models = models or {}, more_models or {}
        self.ensembles = ensembles or {}
        settings = {"help_option_names": ["-h", "--help"]}
        self.group = commandline.LabGroup(
            name, help=help, renamed=renamed, context_settings=settings
        )
        for verb, row in {**self.jobs, **self.comparisons}.items():
            if row.help is not None:
                self.command(verb)(functools.partial(self.train, verb))
        self._add_evaluate(evaluate_help, evaluate_options)
        self._add_report()
        self._add_submit(submit_options)
        self._add_doctor(doctor, doctor_options)
        self._add_export(export_options)
        self._add_open()
        if maps:
            self._add_map()
        if suspects is not None:
            self._add_suspects(suspects)
        if self.ensembles:
            self._add_ensemble()
        for verb in self.jobs:
            self._add_find_lr(verb)
        self._add_verify()
        self._add_replay()

    def main(self) -> None:
        """Run the command line and exit; the codes are those of `commandline.main`."""
        commandline.main(self.group, self.program)

    # --- what trains ----------------------------------------------------------------------------

    def command(self, verb: str) -> Callable[[Callable[..., None]], click.Command]:
        """Return a decorator that makes a function the command of a verb; it may call `train`."""
        row = self._row(verb)
        make = self.group.command(
            verb,
            cls=commandline.TrainCommand,
            config=row.config,
            recipes=row.recipes,
            only=row.only,
            help=row.help,
        )
        return lambda function: make(functools.reduce(lambda f, add: add(f), row.options, function))

    def train(self, verb: str, **given: Any) -> None:
        """Start or go on with a run of a verb, with what `TrainCommand` was given."""
        row = self._row(verb)
        recipes = _recipes(row)
        if (data := given.pop("data_set", None)) is not None:
            given["options"]["data"] = data
        if given["resume"] is None:
            given["recipe"] = _choose_recipe(row, given["recipe"], given["options"])
        if verb in self.comparisons:
            if launched().size > 1:
                raise ConfigError(
                    f"{verb} trains many runs, and torchrun lets several processes train one: "
                    f"{self.program} {verb} does it in one process"
                )
            with reuse():  # its runs share their data
                row.resolve().command(**given)
        else:
            commands.train(row.kind, resolve_name(row.config), recipes, **given)

    def _row(self, verb: str) -> Verb:
        return self.jobs.get(verb) or self.comparisons[verb]

    # --- what is asked of runs ------------------------------------------------------------------

    def kind_of(self, run: Path) -> "type[Job[Any, Any]]":
        """Return the class of the job that trained a run.

        Raises:
            RunError: there is no such run of the lab, or it is made of runs.
        """
        from common.runs.folder import open_run

        opened = open_run(run, self.name)
        verb = opened.job
        if verb == _ENSEMBLE:
            together: type[Job[Any, Any]] = resolve_name(self.ensembles[self.verb_of(opened)])
            return together
        if (answering := opened.answering) is not None:
            raise RunError(f"{run} is made of runs; the one that answers is {answering}: name that")
        if verb not in self.jobs:
            raise RunError(
                f"{run} was trained by `{verb}`, of which there is nothing to ask; its report says "
                f"all: {run}/report.html"
            )
        kind: type[Job[Any, Any]] = self.jobs[verb].resolve()
        return kind

    def network_of(self, run: "Run") -> "type[Job[Any, Any]] | None":
        """Return the class of the job of a single network's run; None of one made of runs.

        Some members of comparisons are of a class that no command trains.
        """
        if run.job in self.jobs:
            found: type[Job[Any, Any]] = self.jobs[run.job].resolve()
            return found
        members = (getattr(row.resolve(), "member", None) for row in self.comparisons.values())
        return next((each for each in members if each is not None and each.verb == run.job), None)

    def verb_of(self, run: "Run") -> str:
        """Return the command that trained a run; of an ensemble, its members."""
        return str(run.read("environment")["of"]) if run.job == _ENSEMBLE else run.job

    def open_trained(self, run: Path, device: str | None = None) -> Any:
        """Return the job of a run, with the weights of its best epoch, see `Job.open_trained`."""
        return self.kind_of(run).open_trained(run, device)

    def _add_evaluate(self, help: str, more: Sequence[Callable[[Any], Any]]) -> None:
        configs = [row.config for row in self.jobs.values()]

        @commands.RUN
        @commands.SPLIT
        @commands.DATA
        @commands.DEVICE
        def evaluate(
            run: Path,
            split: str,
            data: Path | None,
            device: str | None,
            options: dict[str, Any],
            **chosen: Any,
        ) -> None:
            _check_source(data, options)
            commands.evaluate(self.open_trained(run, device), split, data, options, **chosen)

        make = self.group.command(help=help, cls=commandline.FileCommand, configs=configs)
        make(functools.reduce(lambda function, add: add(function), more, evaluate))

    def _add_report(self) -> None:
        @self.group.command(help="Write a finished run's report again, with its pictures.")
        @commands.RUN
        @commands.DEVICE
        def report(run: Path, device: str | None) -> None:
            from common.runs.folder import open_run

            verb = open_run(run, self.name).job
            if verb in self.comparisons:
                self.comparisons[verb].resolve().report(run)
            elif verb == _ENSEMBLE:
                resolve_name("common.ensembles.make:report_again")(run)
            else:
                commands.report(self.kind_of(run), run, device)

    def _add_submit(self, more: Sequence[Callable[[Any], Any]]) -> None:
        """Add the command `submit`, with options of the lab's own, if there is what it needs."""
        configs = [row.config for row in self.jobs.values() if row.submits]
        if not configs:
            return

        @commands.RUN
        @click.argument(
            "files", metavar="TEST SAMPLE", nargs=-1, required=True, type=click.Path(path_type=Path)
        )
        @click.option(
            "--out",
            type=click.Path(path_type=Path, dir_okay=False),
            default="submission.csv",
            show_default=True,
            help="The file to write; its manifest, a .json, is written beside it.",
        )
        @click.option("--id-column", metavar="NAME", help="Of SAMPLE; guessed when not given.")
        @click.option(
            "--answer-column",
            "answer_columns",
            metavar="NAME",
            multiple=True,
            help="Of SAMPLE, to be filled, may be given several times; all others when not given.",
        )
        @click.option(
            "--answers",
            "form",
            type=click.Choice(["names", "numbers", "probabilities"]),
            help="What is written of classes; what SAMPLE has in its cells when not given.",
        )
        @commands.DEVICE
        @click.option(
            "--refit",
            is_flag=True,
            help="First train on all labelled rows, for the best epoch of RUN, or the median of "
            "its folds' best ones; a run of its own.",
        )
        @click.option(
            "--bundle",
            type=click.Path(path_type=Path),
            help="Write also a new folder, or a .zip, with all that writes the same file on a "
            "machine without a network: weights, sources, a script, requirements.txt.",
        )
        def submit(run: Path, files: tuple[Path, ...], **how: Any) -> None:
            """Answer a competition's TEST data as its SAMPLE submission is written.

            The rows, ids and columns are those of SAMPLE. RUN may be a finished cross-validation:
            its folds answer together.
            """
            resolve_name("common.submission.command:command")(self, run, files, **how)

        make = self.group.command(cls=commandline.FileCommand, configs=configs, only=_OF_TEST)
        make(functools.reduce(lambda function, add: add(function), more, submit))

    def _add_doctor(self, own: str | None, more: Sequence[Callable[[Any], Any]]) -> None:
        """Add the command `doctor`; `own` is what the lab looks at by itself, see its module."""

        @commands.RUN
        @click.option(
            "--steps",
            type=click.IntRange(min=0),
            default=60 if own is None else 120,
            show_default=True,
            help="Updates of each trial on one batch alone, at the run's learning rate and, where "
            "that is not learned, at others; 0 leaves them out.",
        )
        @commands.DEVICE
        def doctor(run: Path, device: str | None, steps: int, **chosen: Any) -> None:
            """Find out why a run came to little, by evidence, and what to type next.

            Looks for twelve causes, in its data, its history, its network and in short trials; RUN
            need not be finished.
            """
            resolve_name("common.doctor.command:command")(
                self.kind_of(run), run, device, steps, own, **chosen
            )

        self.group.command()(functools.reduce(lambda function, add: add(function), more, doctor))

    def _add_export(self, more: Sequence[Callable[[Any], Any]]) -> None:
        """Add the command `export`, with options of the lab's own."""

        @commands.RUN
        @click.option(
            "--output",
            type=click.Path(path_type=Path, file_okay=False),
            help="A folder; export/ of the run when not given.",
        )
        def export(run: Path, output: Path | None, **how: Any) -> None:
            """Write the network to a file for other programs, compare it with the run, and time it.

            The file, ONNX, tells also how its inputs are made and what its outputs are. It is
            written only if it says the same of the run's own test split, with a model card beside
            it, a .md.
            """
            resolve_name("common.export.command:command")(self, run, output, **how)

        self.group.command()(functools.reduce(lambda function, add: add(function), more, export))

    def _add_open(self) -> None:
        """Add the command `open`."""

        @self.group.command("open")
        @commands.RUN
        @click.option(
            "--output",
            type=click.Path(path_type=Path, dir_okay=False),
            help="The page; open.html of the run when not given.",
        )
        def open_run(run: Path, output: Path | None) -> None:
            """Write a page in which the trained network runs, in any browser.

            One HTML file that needs no network and no server: give it something of your own, and
            look at every layer.
            """
            resolve_name("common.live.command:command")(self, run, output)

    def _add_map(self) -> None:
        """Add the command `map`."""
        configs = [row.config for row in self.jobs.values()]

        @self.group.command("map", cls=commandline.FileCommand, configs=configs)
        @commands.RUN
        @commands.SPLIT
        @commands.DATA
        @commands.add_map_options
        @click.option(
            "--output",
            type=click.Path(path_type=Path, dir_okay=False),
            help="The page; map.html of the run when not given, map-data.html with --data.",
        )
        @commands.DEVICE
        def draw_map(run: Path, device: str | None, options: dict[str, Any], **how: Any) -> None:
            """Draw which samples are alike to the network: the t-SNE of its last features.

            Mistakes are crosses. One HTML file shows each point's picture or text, and what was
            said of it; figures say how much of the map to believe.
            """
            _check_source(how["data"], options)
            command = resolve_name("common.maps.command:command")
            asked = resolve_name("common.maps.command:Asked")(**how)
            command(self, run, asked, device, options)

    def _add_suspects(self, kind: str) -> None:
        """Add the command `suspects`; `kind` is `module:class` of a `FindSuspects`."""

        @self.group.command()
        @commands.RUN
        @click.option(
            "--output",
            type=click.Path(path_type=Path, dir_okay=False),
            help="The page; RUN/suspects.html when not given.",
        )
        @click.option(
            "--write",
            "patch",
            metavar="PATCH",
            type=click.Path(path_type=Path, dir_okay=False),
            help="Write a patch of all suspects, looked at by nobody, in place of the page.",
        )
        @click.option(
            "--top",
            type=click.IntRange(min=1),
            help="The likeliest so many; when not given all, but of the page 300.",
        )
        @click.option(
            "--at-least",
            type=click.FloatRange(0, 1),
            default=0.0,
            show_default=True,
            help="Those alone whose suggested label has this probability or more.",
        )
        @click.option(
            "--action",
            type=click.Choice(["relabel", "drop"]),
            default="relabel",
            show_default=True,
            help="What the patch of --write does with them.",
        )
        def suspects(run: Path, **chosen: Any) -> None:
            """Find the samples of a finished cross-validation whose labels are likely wrong.

            By confident learning, from what models said that had not seen them. They are ranked on
            one page, where keys say what is right, what is another class and what is dropped; it
            saves a patch, a CSV that --patch takes.
            """
            resolve_name(kind).command(run, **chosen)

    def _add_ensemble(self) -> None:
        """Add the command `ensemble`."""

        @self.group.command(_ENSEMBLE)
        @click.argument("runs", metavar="RUN...", nargs=-1, type=click.Path(path_type=Path))
        @click.option(
            "--method",
            type=click.Choice(["soft", "hard", "median", "greedy", "stacking"]),
            default="soft",
            show_default=True,
            help="The mean (soft), a weighted mean that is chosen greedily (greedy); of classes "
            "also votes (hard) and a logistic regression on log probabilities (stacking), of "
            "numbers and forecasts also the median.",
        )
        @click.option(
            "--boosting",
            is_flag=True,
            help="One more member: gradient boosting on the last hidden features of the first RUN, "
            "of images.",
        )
        @click.option(
            "--seed",
            type=click.IntRange(min=0),
            default=0,
            show_default=True,
            help="Of the folds in which it is judged what choosing gains.",
        )
        @commands.RUN_DIR
        @click.option("--name", help="The run's own name; the data and a number when not given.")
        @click.option(
            "--resume",
            metavar="RUN",
            type=click.Path(path_type=Path),
            help="Go on with an ensemble that was stopped.",
        )
        @commands.DEVICE
        def ensemble(runs: tuple[Path, ...], resume: Path | None, **how: Any) -> None:
            """Let runs answer together, and say whether that is better than the best of them.

            RUNs are finished runs of the same data and split that answer the same question, or
            cross-validations of the same folds; of one cross-validation alone, its folds answer
            together. The ensemble is a run: evaluate, predict, report and submit take it.
            """
            if bool(runs) == (resume is not None):
                raise click.UsageError("give the runs, or --resume RUN alone")
            resolve_name("common.ensembles.make:command")(self, runs, resume=resume, **how)

    def _add_find_lr(self, verb: str) -> None:
        row = self.jobs[verb]
        help = (
            "Find a learning rate: train briefly while it grows, and see where the loss falls.\n\n"
            f"Takes the options of `{verb}`, draws a picture, and keeps no run."
        )

        @self.group.command(
            "find-lr" if verb == "train" else f"find-lr-{verb}",
            help=help,
            cls=commandline.TrainCommand,
            config=row.config,
            recipes=row.recipes,
            resumes=False,
        )
        @click.option("--lowest", type=_RATE, default=1e-6, show_default=True, help="First rate.")
        @click.option("--highest", type=_RATE, default=10.0, show_default=True, help="Last rate.")
        @click.option(
            "--updates",
            type=click.IntRange(min=20),
            default=100,
            show_default=True,
            help="Rates that are tried, each for one update.",
        )
        @click.option(
            "--output",
            type=click.Path(path_type=Path, dir_okay=False),
            help="The picture; beside the lab's runs when not given.",
        )
        def find_lr(
            recipe: str | None,
            config_path: Path | None,
            options: dict[str, Any],
            problems: list[str],
            output: Path | None,
            **test: Any,
        ) -> None:
            recipe = _choose_recipe(row, recipe, options)
            kind = resolve_name(row.config)
            config = commands.layered(kind, _recipes(row), recipe, config_path, options, problems)
            resolve_name("common.experiments.find_lr:command")(
                row.resolve(), config, output, **test
            )

    def _add_verify(self) -> None:
        @self.group.command()
        @click.argument("run", metavar="RUN", type=click.Path(path_type=Path))
        @click.option(
            "--updates",
            type=click.IntRange(min=0),
            default=200,
            show_default=True,
            help="At least so many are computed again, beside those that made the best weights.",
        )
        @click.option(
            "--seed", type=click.IntRange(min=0), help="Draws which; by chance when not given."
        )
        @click.option("--data", help="Where the data are, if not where the run's config says.")
        @commands.DEVICE
        @commands.FORM
        @commands.OUTPUT
        def verify(run: Path, **how: Any) -> None:
            """Compute parts of RUN again, and say whether it is what it says.

            RUN may be a folder of runs, such as those that a class hands in. The verdict is `same
            bits`, `same within tolerance (another machine)` or `not this run`, with the first thing
            that differs; the exit code is 1 where anything is not its run.
            """
            resolve_name("common.runs.proof.command:verify")(self, run, **how)

    def _add_replay(self) -> None:
        @self.group.command()
        @commands.RUN
        @click.option(
            "--from",
            "epoch",
            metavar="epoch:NUMBER",
            required=True,
            callback=_read_epoch,
            help="The last epoch that both runs have.",
        )
        @click.option(
            "--with",
            "changes",
            metavar="NAME=VALUE",
            multiple=True,
            help="An option of training that is another from there on; may be given several times.",
        )
        @commands.RUN_DIR
        @click.option("--name", help="The new run's name; RUN, epoch and number when not given.")
        @commands.DEVICE
        def replay(run: Path, epoch: int, **how: Any) -> None:
            """Branch off from RUN at an epoch: a new run, the same before it, another after it.

            Such as --from epoch:7 --with learning_rate=0.0003. Both curves are drawn in one
            picture. Without --with the new run is RUN again, bit for bit.
            """
            resolve_name("common.runs.proof.replay:replay")(self, run, epoch, **how)

    # --- its models -----------------------------------------------------------------------------

    def summary(self, build: Callable[..., Built]) -> click.Command:
        """Make a function the command `summary`; it builds a model by its name and its options.

        One of the options is `depth`, which the function is not handed.
        """

        @functools.wraps(build)  # takes over its options, too
        def summary(model: str | None, depth: int, **options: Any) -> None:
            if model is None:
                self._list_models()
                return
            built = build(model, **options)
            commands.show_summary(built.model, built.input_shape, model, depth, meta=built.meta)

        argument = click.argument("model", required=False)
        help = (
            "Show a model's module tree, shapes, parameters and multiply-adds.\n\n"
            "Without a name, list the models."
        )
        return self.group.command("summary", help=help)(argument(summary))

    def check_model(self, name: str) -> None:
        """Refuse what is the name of no model.

        Raises:
            ConfigError: with the nearest name.
        """
        names = [*self.models, *chain.from_iterable(self.more_models.values())]
        if name not in names:
            raise ConfigError(f"no model {name!r}{suggest(name, names)}")

    def _list_models(self) -> None:
        terminal.show_table("Models", ["name", ""], [list(each) for each in self.models.items()])
        for whose, names in self.more_models.items():
            click.echo(f"and {whose}: {', '.join(names)}")
