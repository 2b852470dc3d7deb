"""The nearest known name to one that is not known, for errors: did you mean X?"""

from collections.abc import Iterable


def suggest(
    name: str, known: Iterable[str], form: str = "; did you mean {}?", cutoff: float = 0.6
) -> str:
    """Return the nearest known name as words for an error, or nothing when none is near.

    Args:
        name: what was given.
        known: the names there are.
        form: the words, `{}` in the place of the name.
        cutoff: how near is near, from 0 (anything) to 1 (the name itself): `difflib`'s ratio.
    """
    import difflib

    near = difflib.get_close_matches(name, list(known), n=1, cutoff=cutoff)
    return form.format(near[0]) if near else ""
