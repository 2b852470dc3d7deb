"""Weights & Biases: on its site, or in `wandb/` of the run folder while WANDB_MODE is offline.

What it reads of the environment is its own: WANDB_MODE, WANDB_PROJECT, WANDB_ENTITY, and so on.
"""

import json
import os
import secrets
from collections.abc import Mapping
from pathlib import Path
from typing import Any, ClassVar

from typing_extensions import override

from common.errors import ConfigError
from common.files import write_json
from common.tracking.trackers import Result, Tracker


class WeightsAndBiases(Tracker):
    """Shows a run on the site of Weights & Biases, or keeps what `wandb sync` sends later.

    `wandb.json` in the run folder names the run there, and its last epoch.
    """

    package: ClassVar = "wandb"

    def __init__(self, run: Path, lab: str, options: Mapping[str, Any]):
        import wandb

        self._note = run / "wandb.json"
        if not self._note.is_file():
            write_json(self._note, {"id": secrets.token_hex(4), "epoch": 0})
        note = json.loads(self._note.read_text("utf-8"))
        self.last, self._id = note["epoch"], note["id"]
        try:
            self._run: Any = wandb.init(
                project=os.environ.get("WANDB_PROJECT", f"labs-{lab}"),
                name=run.name,
                id=self._id,
                resume="allow",
                dir=str(run),
                config=dict(options),
                settings=wandb.Settings(console="off", silent=True),
            )
        except wandb.errors.Error as error:
            raise _refusal(error) from error
        self._run.define_metric("epoch")
        self._run.define_metric("*", step_metric="epoch")

    @override
    @classmethod
    def check(cls) -> None:
        super().check()
        import wandb

        if os.environ.get("WANDB_MODE", "online") == "online":
            try:
                wandb.login()
            except wandb.errors.Error as error:
                raise _refusal(error) from error

    @override
    def log_epoch(self, epoch: int, figures: Mapping[str, float]) -> None:
        self._run.log({"epoch": epoch, **figures})
        write_json(self._note, {"id": self._id, "epoch": epoch})

    @override
    def log_result(self, result: Result) -> None:
        import wandb

        self._run.summary.update(dict(result.figures))
        shown: dict[str, Any] = {
            f"pictures/{path.stem}": wandb.Image(str(path)) for path in result.pictures
        }
        if result.report is not None:
            shown["report"] = wandb.Html(result.report.read_text("utf-8"))
        if shown:
            self._run.log(shown)

    @override
    def close(self) -> None:
        self._run.finish()


def _refusal(error: Exception) -> ConfigError:
    return ConfigError(
        f"--track wandb: {str(error).splitlines()[0].rstrip('.')}; log in with `wandb login`, or "
        "keep everything in the run folder with WANDB_MODE=offline, for `wandb sync` later"
    )
