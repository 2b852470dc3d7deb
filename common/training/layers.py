"""A model's layers from the input to the head: which of them train, and at which rate.

A layer is a child of the model; plain lists of modules (`nn.Sequential`, `nn.ModuleList`) are taken
apart into theirs. Parameters that are vectors alone, as those of a normalization, belong to the
layer before.
"""

from collections.abc import Collection, Iterator

from torch import nn

Layers = dict[str, list[nn.Parameter]]


def layers(model: nn.Module) -> Layers:
    """Return the parameters of each layer by the layer's name, in the order of registration."""
    found: Layers = {}
    seen: set[nn.Parameter] = set()
    waiting: list[nn.Parameter] = []  # the model's own, or vectors, before the first layer
    for name, module in _pieces(model):
        recurse = module is not model and not _is_list(module)
        own = [p for p in module.parameters(recurse) if p not in seen]
        seen.update(own)
        if all(p.ndim <= 1 for p in own) or not recurse:
            (found[next(reversed(found))] if found else waiting).extend(own)
        else:
            found[name] = [*waiting, *own]
            waiting = []
    return found


def head(model: nn.Module) -> str:
    """Return the name of the last module with parameters of its own: what gives the logits."""
    return [name.rpartition(".")[0] for name, _ in model.named_parameters()][-1]


def freeze(model: nn.Module, names: Collection[str]) -> None:
    """Freeze the parameters of modules, or single parameters, by their names; all others train."""
    for name, parameter in model.named_parameters():
        parameter.requires_grad_(not any(_within(name, each) for each in names))


def freeze_all_but(model: nn.Module, names: Collection[str]) -> None:
    """Freeze all parameters but those of modules, or single ones, by their names."""
    for name, parameter in model.named_parameters():
        parameter.requires_grad_(any(_within(name, each) for each in names))


def train(model: nn.Module) -> None:
    """Put what trains into training mode, and what is frozen into evaluation mode.

    A module whose parameters are all frozen stays as it is, its batch statistics too. Modules
    without parameters, such as dropout, act in training only behind the first parameter that
    trains: what comes before it is a fixed function of the image.
    """
    if all(parameter.requires_grad for parameter in model.parameters()):
        model.train()
        return
    begun = False
    for module in model.modules():
        inside = [parameter.requires_grad for parameter in module.parameters()]
        module.training = any(inside) if inside else begun
        begun = begun or any(p.requires_grad for p in module.parameters(recurse=False))


def _pieces(module: nn.Module, prefix: str = "") -> Iterator[tuple[str, nn.Module]]:
    """Yield a list of modules itself, and then what is in it."""
    yield prefix, module
    for name, child in module.named_children():
        path = f"{prefix}.{name}" if prefix else name
        if _is_list(child):
            yield from _pieces(child, path)
        else:
            yield path, child


def _is_list(module: nn.Module) -> bool:
    return type(module) in (nn.Sequential, nn.ModuleList)


def _within(name: str, place: str) -> bool:
    return name == place or name.startswith(f"{place}.")
