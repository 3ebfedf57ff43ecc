"""The stage of a training that the models of a result come from: what scores, and what it is.

Models are kept as they are at the end (``final``), and, if they were fine-tuned, as they were
before (``training``). In come rows of a train result's ``models``, out come files and stages.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from ..errors import DataError
from ..result import RESULT, Result
from .shape import Maybe

STAGES: Final = Maybe({"final": str, "training": str}, needed=False)
TRAINING: Final = "training"
FINETUNING: Final = "finetuning"


def model_file(row: Mapping[str, Any], stage: str) -> str:
    """The name of the file of a model, ``final`` or ``training``.

    Without a fine-tuning both are one file.
    """
    stages = row.get("stages") or {}
    return str(stages.get(stage, row["file"]))


def models_stage(trained: Result, stage: str) -> str:
    """What the models, ``final`` or ``training``, went through last: TRAINING or FINETUNING.

    Raises :class:`DataError` if some were fine-tuned and some not.
    """
    rows = trained.data["models"]
    tuned = {model_file(row, "final") != model_file(row, "training") for row in rows}
    if len(tuned) > 1:
        raise DataError(f"{trained.folder / RESULT}: some of its models are fine-tuned, some not")
    return FINETUNING if tuned == {True} and stage == "final" else TRAINING
