"""Transfer learning: where weights come from, what inputs they want, and what trains."""

import re
from collections.abc import Mapping, Sequence
from pathlib import Path, PurePosixPath
from pkgutil import resolve_name
from typing import Any, NamedTuple
from urllib.parse import urlsplit

from torch import Tensor, nn

from common.errors import ConfigError, RunError
from common.files import cache_dir
from common.images.load import ImageCard
from common.io import fetch as download
from common.suggest import suggest
from common.training import layers, weights
from common.training.checkpoint import load as load_checkpoint
from labs.classification.config import RUN, ClassificationConfig
from labs.classification.models.catalogue import MODELS, PACKAGED, TIMM, find_family
from labs.classification.models.heads import networks
from labs.classification.models.torchvision_models import fit_position_embeddings
from labs.classification.models.vit import fit_positions
from labs.classification.transfer import source_runs
from labs.classification.transfer.source_runs import Source

_INSTEAD = (
    "give a file with --weights FILE, or use what needs no download: "
    f"--model {PACKAGED[0]} --weights {PACKAGED[0]}"
)
# Auxiliary classifiers of torchvision's GoogLeNet and Inception v3.
_AUXILIARY = ("aux1", "aux2", "AuxLogits")
_OLD_DENSENET = re.compile(r"(denselayer\d+\.(?:norm|relu|conv))\.([12]\.)")


class Inputs(NamedTuple):
    """The images that weights were trained on, and want again."""

    color: bool
    image_size: int | None  # pixels; None where any will do
    mean: tuple[float, ...]  # for each channel, of images in [0, 1]
    std: tuple[float, ...]


def inputs(config: ClassificationConfig) -> Inputs | None:
    """Return what the config's weights want; None to go by the data.

    A run wants what it was trained on. Weights of a model for which torchvision or a package has
    some are taken as trained on ImageNet, from wherever they come.

    Raises:
        RunError: they are to come from a run that is not there.
    """
    if config.weights is None:
        return None
    if config.weights.startswith(RUN):
        card = _source(config).card
        return Inputs(card.channels == 3, card.image_size, card.mean, card.std)
    if config.model.startswith(TIMM):
        from labs.classification.models import timm_models

        return Inputs(True, *timm_models.find_inputs(config.model))
    normalization = find_family(config.model).normalization
    if normalization is not None:
        return Inputs(True, None, *normalization)
    published = _published(config.model)
    if published is None:
        return None
    preset = published.transforms()
    return Inputs(True, None, tuple(preset.mean), tuple(preset.std))


def load(model: nn.Module, config: ClassificationConfig) -> str:
    """Put the config's weights into a model, but for its classifier; into each of its networks.

    The classifier of a file is taken where it has the shape of the model's; that of any other
    source was made for other classes, and the model keeps the one that the seed drew.

    Returns:
        A line that says what was taken.

    Raises:
        ConfigError: there is no such file, or nothing to download.
        DownloadError: it could not be downloaded.
        RunError: the file is damaged, would run code, or is of another model; there is no such run.
    """
    given = _renamed(_read(config))
    if config.model.startswith(TIMM):
        from labs.classification.models import timm_models

        first = networks(model)[0]
        given = timm_models.convert(first, given, heads(first), f"--weights {config.weights}")
    said = [_load(network, given, config) for network in networks(model)]
    return said[0] if len(said) == 1 else f"{said[0]}; in each of {len(said)} networks"


def _load(model: nn.Module, given: dict[str, Tensor], config: ClassificationConfig) -> str:
    """Put weights into a network; says what was taken."""
    source = config.weights
    assert source is not None
    try:
        given = fit_position_embeddings(model, fit_positions(model, given))
    except (RuntimeError, ValueError) as error:
        raise RunError(f"--weights {source} has no fitting position embeddings: {error}") from error
    own, new = model.state_dict(), heads(model)
    is_file = not (source.startswith(RUN) or source in ("download", *PACKAGED))
    classifier = [name for name in own if _in(name, new)]
    if is_file and all(k in given and given[k].shape == own[k].shape for k in classifier):
        new = []
    found = weights.match(model, given, f"--weights {source}", [*new, *_absent(model)])
    weights.put(model, found)
    kept = f"; new: {', '.join(new)}" if new else ""
    return f"{len(found)} of {len(own)} tensors are from {source}{kept}"


def say_what_trains(model: nn.Module) -> str:
    """Say how many of the model's numbers train."""
    numbers = [(p.numel(), p.requires_grad) for p in model.parameters()]
    total, trained = sum(n for n, _ in numbers), sum(n for n, trains in numbers if trains)
    return f"{trained:,} of {total:,} parameters train"


def heads(model: nn.Module) -> list[str]:
    """Return the names of what gives logits: the last layer, after any auxiliary classifiers.

    Of timm's models they are what timm says.
    """
    config: Any = getattr(model, "pretrained_cfg", None)
    if config and (named := config.get("classifier")):
        return [named] if isinstance(named, str) else list(named)
    children = dict(model.named_children())
    return [*(name for name in _AUXILIARY if name in children), layers.head(model)]


def freeze(model: nn.Module, mode: str) -> None:
    """Freeze what does not train in a mode; classifiers always train.

    All trains so far. The mode is a `transfer_mode`; in `gradual` all trains in the end, see
    `thaw`.

    Raises:
        ConfigError: the model has nothing of that name, or nothing would be left to train.
    """
    for network in networks(model):
        _freeze(network, mode)


def _freeze(model: nn.Module, mode: str) -> None:
    if mode == "feature-extraction":
        layers.freeze_all_but(model, heads(model))
    if not mode.startswith("freeze:"):
        return
    layers.freeze(model, _chosen(model, mode.removeprefix("freeze:")))
    for name in heads(model)[:-1]:
        model.get_submodule(name).requires_grad_(True)
    if not any(parameter.requires_grad for parameter in model.parameters()):
        raise ConfigError(f"--transfer {mode}: nothing is left to train; freeze less")


def thaw(model: nn.Module, epoch: int) -> None:
    """Let the head train in epoch 0, and one more layer before it in each epoch after that.

    Howard and Ruder 2018, "Universal language model fine-tuning for text classification", section
    3.3. Layers are those of `common.training.layers`.
    """
    for network in networks(model):
        groups = list(layers.layers(network).values())
        thawed = {parameter for group in groups[-1 - epoch :] for parameter in group}
        always = heads(network)
        for name, parameter in network.named_parameters():
            parameter.requires_grad_(parameter in thawed or _in(name, always))


def _chosen(model: nn.Module, what: str) -> list[str]:
    """Return the names of the first children, of the first layers, or the name that was given."""
    children = [name for name, _ in model.named_children()]
    listed = ", ".join(children)
    if what.isdecimal():
        if not 1 <= int(what) < len(children):
            raise ConfigError(
                f"--transfer freeze:{what}: expected 1 to {len(children) - 1}, since the model has "
                f"{len(children)} children: {listed}"
            )
        return children[: int(what)]
    if what.endswith("%") and what[:-1].isdecimal():
        return _first(model, int(what[:-1]))
    names = [name for name, _ in model.named_parameters()]
    if not any(_in(name, [what]) for name in names):
        places = {
            name.rsplit(".", depth)[0] for name in names for depth in range(1 + name.count("."))
        }
        raise ConfigError(
            f"--transfer freeze:{what}: the model has no parameters of that name"
            f"{suggest(what, sorted(places), cutoff=0.4)}; its children: {listed}"
        )
    return [what]


def _first(model: nn.Module, percent: int) -> list[str]:
    """Return the names of the parameters of the first layers, as many percent of all of them."""
    groups = list(layers.layers(model).values())
    first = {p for group in groups[: len(groups) * percent // 100] for p in group}
    if not first or percent > 100:
        raise ConfigError(
            f"--transfer freeze:{percent}%: expected a share of the {len(groups)} layers of the "
            f"model, of which one is {100 / len(groups):.0f} %"
        )
    return [name for name, parameter in model.named_parameters() if parameter in first]


def _in(name: str, places: Sequence[str]) -> bool:
    return any(name == place or name.startswith(f"{place}.") for place in places)


def _absent(model: nn.Module) -> list[str]:
    """Return auxiliary classifiers that weights may have, and the model has not."""
    return [name for name in _AUXILIARY if name not in dict(model.named_children())]


def _read(config: ClassificationConfig) -> dict[str, Tensor]:
    assert config.weights is not None
    if config.weights.startswith(RUN):
        return _of_run(config)
    if config.weights in PACKAGED:
        return weights.read(resolve_name(str(MODELS[config.weights].weights))())
    if config.weights == "download":
        return weights.read(_downloaded(config.model))
    return weights.read(Path(config.weights).expanduser())


def doubt(config: ClassificationConfig, card: ImageCard) -> str:
    """Say why weights of a run may know test images of the data of a card; "" if they cannot.

    Weights from other data cannot.
    """
    if config.weights is None or not config.weights.startswith(RUN):
        return ""
    source = _source(config)
    if source.config.data != config.data:
        return ""
    return source_runs.doubt("The run that the weights come from", source, config, card)


def _source(config: ClassificationConfig) -> Source:
    """Return the run that weights come from."""
    assert config.weights is not None
    path = Path(config.weights.removeprefix(RUN)).expanduser()
    source = source_runs.read(f"--weights {config.weights}", path)
    theirs = source.config
    if theirs.model != config.model:
        raise RunError(
            f"--weights {config.weights}: a run of {theirs.model}, not of {config.model}; "
            f"give --model {theirs.model}, or another run"
        )
    if theirs.heads == "separate":
        raise RunError(
            f"--weights {config.weights}: a run of --heads separate, with a network for each of "
            f"{', '.join(source.card.labels)}; give a run of one network"
        )
    return source


def _of_run(config: ClassificationConfig) -> dict[str, Tensor]:
    source = _source(config).run
    if not source.finished:
        raise RunError(
            f"--weights {config.weights}: the run is not finished; go on with "
            f"--resume {source.path}"
        )
    return load_checkpoint(source.best).tensors


def _published(name: str) -> Any:
    """Return torchvision's weights of a model, or None where it has none."""
    from torchvision.models import get_model_weights

    try:
        return get_model_weights(name).DEFAULT
    except ValueError:  # no such model
        return None


def remote(name: str) -> download.Remote | None:
    """Return the file of torchvision's weights of a model, or None where it has none."""
    published = _published(name)
    if published is None:
        return None
    sha256 = PurePosixPath(urlsplit(published.url).path).stem.rpartition("-")[2]
    size = int((published.meta["_file_size"] + 1) * 2**20)
    return download.Remote(published.url, sha256, size)


def _downloaded(name: str) -> Path:
    if name in PACKAGED:
        raise ConfigError(f"--weights download: give --weights {name}, which are in a package")
    if name.startswith(TIMM):
        raise ConfigError(
            f"--weights download: weights of {name} are not downloaded; give a file of them that "
            "is there, --weights FILE.safetensors"
        )
    found = remote(name)
    if found is None:
        raise ConfigError(f"--weights download: nobody publishes weights of {name}; {_INSTEAD}")
    return download.fetch(found, cache_dir() / "weights", instead=_INSTEAD, named=False)


def _renamed(tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Return tensors under their names of today; torchvision's files of DenseNets are older."""
    return {_OLD_DENSENET.sub(r"\1\2", key): value for key, value in tensors.items()}
