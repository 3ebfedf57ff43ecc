"""The shell backend: ``run.sh``, for any machine with bash and the runtime's libraries."""

from __future__ import annotations

from importlib import resources


def emit() -> dict[str, bytes]:
    """The backend's files in the bundle, by name: they are the same for every plan."""
    return {"run.sh": resources.files("hcrc.templates").joinpath("run.sh").read_bytes()}
