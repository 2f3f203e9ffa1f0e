"""The folder of evaluation data: not part of this project, and never trained on."""

from __future__ import annotations

import os
from pathlib import Path

#: The environment variable that names it, for `model.evaluate` and `model.corpus`.
VARIABLE = "SANTA_EVAL_DIR"


def default_folder() -> Path | None:
    """The folder that the environment names; None if it names none."""
    return Path(named) if (named := os.environ.get(VARIABLE)) else None
