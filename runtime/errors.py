"""What ends a job: one exception per exit code that the user can act on.

The codes themselves, and which of them are tried again, stand in ``schemas/exit-codes.json``,
which the local scheduler and the batch backends both read.
"""

from __future__ import annotations

import json
from importlib import resources
from typing import TypedDict


class ExitCode(TypedDict):
    """One row of the table: its name, whether the job is tried again, and what it means."""

    name: str
    retry: bool
    help: str


class JobError(Exception):
    """A job that cannot go on; the message is one line and names the file, branch or field."""

    code = 70


class SpecError(JobError):
    """The job spec is not one this runtime can execute."""

    code = 64


class DataError(JobError):
    """The input data are wrong: a missing branch, an unreadable file, a NaN, nothing selected."""

    code = 65


class StorageError(JobError):
    """A path cannot be reached or written now; trying again may help."""

    code = 69


class MemoryShortageError(JobError):
    """There was not enough memory; trying again helps where others took it, or with more."""

    code = 71


class PreemptedError(JobError):
    """The job was told to stop before it was done; trying again goes on."""

    code = 75


def read_exit_codes() -> dict[int, ExitCode]:
    """The table of exit codes, by code."""
    text = resources.files("hcrc.schemas").joinpath("exit-codes.json").read_text("utf-8")
    return {int(code): row for code, row in json.loads(text).items()}
