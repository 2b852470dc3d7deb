"""What the names of files say of which belong together, such as `p07_3.jpg` and `p07_4.jpg`."""

import re
from pathlib import PurePosixPath

_LAST = re.compile(r"[\s_\-.,()\[\]]+[^\s_\-.,()\[\]]+[)\]]?$|(?<=[^\W\d_])\d+$")
_FIRST = re.compile(r"[^\s_\-.,()\[\]]+")


def group_of_name(rule: str, name: str) -> str | None:
    """Return what a file belongs to, None where its name does not say it.

    Args:
        rule: `folder`: the folder that it lies in; `name`: its name without the last piece, in its
            folder; `name-start`: the first piece of its name, likewise. Pieces are cut at spaces,
            underscores, dashes, points, commas and brackets, and before a number at the end.
        name: a path with slashes.
    """
    path = PurePosixPath(name)
    if rule == "folder":
        return str(path.parent) if len(path.parts) > 1 else None
    if rule == "name":
        rest = _LAST.sub("", path.stem)
        return None if rest in ("", path.stem) else str(path.parent / rest)
    first = _FIRST.match(path.stem)
    whole = first is None or first[0] == path.stem
    return None if first is None or whole else str(path.parent / first[0])
