"""Checkpoints: what a training goes on from, as if it had not been interrupted.

A file holds all models that train together, after a number of epochs: tensors and plain values
alone, so that it loads with ``weights_only``. It is replaced in one step.
"""

from __future__ import annotations

import io
import os
import pickle
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Protocol

import torch

from ..storage import Place

State = dict[str, Any]
VERSION: Final = 1
# What torch.load and a look into its value raise for a file that is torn, or is none of these.
UNREADABLE: Final = (
    EOFError,
    LookupError,
    TypeError,
    ValueError,
    AttributeError,
    RuntimeError,
    pickle.UnpicklingError,
)


class Store(Protocol):
    """Where a training finds the state that it goes on from, and leaves each new one."""

    def load(self) -> State | None:
        """The last state; None to start from the beginning."""

    def save(self, state: State) -> None:
        """Replace the last state."""


class Forgetful:
    """A store that keeps nothing."""

    def load(self) -> State | None:
        """Nothing."""
        return None

    def save(self, state: State) -> None:
        """Forget it."""


@dataclass(frozen=True)
class CheckpointFile:
    """A file with the state of a training; ``key`` says of which, and ``warn`` is told of others.

    A file of another key, or one that cannot be read, counts as none.
    """

    path: Place
    key: str
    warn: Callable[[str], None] = lambda text: None

    def load(self) -> State | None:
        """The state of this training, on the CPU; None if there is none. Raises OSError."""
        if not self.path.exists():
            return None
        try:
            stream = io.BytesIO(self.path.read_bytes())
            value = torch.load(stream, map_location="cpu", weights_only=True)
            if value["hcrc"] == VERSION and value["key"] == self.key:
                state: State = value["state"]
                return state
            self.warn(f"{self.path} is of another training; this one starts from the beginning")
        except UNREADABLE:
            self.warn(f"{self.path} cannot be read; the training starts from the beginning")
        return None

    def save(self, state: State) -> None:
        """Write the state in place of the last one, kept on return; raises OSError."""
        if isinstance(self.path, Path):
            self._save(state, self.path)
            return
        with tempfile.TemporaryDirectory(prefix="hcrc-") as scratch:
            path = Path(scratch) / self.path.name
            self._save(state, path)
            self.path.store(path)

    def _save(self, state: State, path: Path) -> None:
        temporary = path.with_name(f"{path.name}.{os.getpid()}.tmp")
        try:
            with temporary.open("wb") as stream:
                torch.save({"hcrc": VERSION, "key": self.key, "state": state}, stream)
                stream.flush()
                os.fsync(stream.fileno())
            temporary.replace(path)
        finally:
            temporary.unlink(missing_ok=True)
