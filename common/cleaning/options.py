"""The options of the comparison of a patch with its placebo; mixed into a lab's config."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from common.options.config import PLACEBO, option


@dataclass(frozen=True)
class ComparePatchOptions:
    """What `compare-patch` takes beside the options of `train`."""

    seeds: int = option(
        3,
        "how often each is trained, each time with another seed and another placebo",
        group="Trials",
        at_least=1,
    )

    def _problems(self: Any) -> Iterator[str]:
        yield from super()._problems()  # type: ignore[misc]
        if self.patch is None:
            yield "--patch: expected the table of what is to be changed, as `suspects` writes it"
        elif self.patch.startswith(PLACEBO):
            yield f"--patch {self.patch}: the placebo is drawn here; name the patch alone"
