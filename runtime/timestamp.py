"""``{timestamp}`` in the folders of results: when the run of a bundle began, in UTC.

It is noted once, in the bundle's ``run/timestamp``, and stays the same until the results are
cleaned, so that a run that is stopped goes on in its folders. How it is written is said there,
``{timestamp:%Y-%m-%d}``, or by the job's execution; it is no part of any hash.
"""

from __future__ import annotations

import os
import re
import secrets
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any, Final

from .errors import SpecError

Json = Any
MARK: Final = "{timestamp"
PLACEHOLDER: Final = re.compile(r"\{timestamp(?::([^{}]*))?\}")
NOTE: Final = "timestamp"
ISO: Final = "%Y-%m-%dT%H:%M:%SZ"
FORMAT: Final = "%Y%m%dT%H%M%S"
REFERENCE_KEYS: Final = {"cell", "result", "hash"}


def read_moment(state: Path) -> time.struct_time | None:
    """When the run whose state this is began; None if it did not; raises :class:`SpecError`."""
    path = state / NOTE
    try:
        return time.strptime(path.read_text("utf-8").strip(), ISO)
    except FileNotFoundError:
        return None
    except (OSError, ValueError) as error:
        reason = (
            getattr(error, "strerror", None) or f"not a time like 2024-05-01T12:00:00Z: {error}"
        )
        raise SpecError(f"{path}: {reason}") from error


def note_moment(state: Path) -> time.struct_time:
    """The same; where there is none it is now, for everyone who asks from then on."""
    found = read_moment(state)
    if found is not None:
        return found
    state.mkdir(parents=True, exist_ok=True)
    draft = state / f".{NOTE}.{os.getpid()}.{secrets.token_hex(3)}.tmp"
    draft.write_text(time.strftime(ISO, time.gmtime()) + "\n", "utf-8")
    with suppress(FileExistsError):  # another one was faster
        (state / NOTE).hardlink_to(draft)
    draft.unlink()
    found = read_moment(state)
    if found is None:
        raise SpecError(f"{state / NOTE}: removed while it was read")
    return found


def forget_moment(state: Path) -> None:
    """Let the next run begin anew."""
    (state / NOTE).unlink(missing_ok=True)


def fill(text: str, moment: time.struct_time | None, format: str) -> str:
    """A path with its placeholder filled; as it is before anything ran."""
    if moment is None or MARK not in text:
        return text
    return PLACEHOLDER.sub(lambda found: time.strftime(found[1] or format, moment), text)


def fill_job(job: Json, moment: time.struct_time | None) -> Json:
    """The JSON of a job with the folders of its cells, and of those it reads, filled in place.

    Whatever is not as a job should be stays as it is: whoever reads the job says so.
    """
    if moment is None or not isinstance(job, dict) or not isinstance(job.get("cells"), list):
        return job
    execution = job.get("execution")
    format = execution.get("timestamp", FORMAT) if isinstance(execution, dict) else FORMAT
    for cell in job["cells"]:
        if isinstance(cell, dict):
            rows = [(cell, "output"), *((row, "result") for row in _references(cell.get("spec")))]
            for row, key in rows:
                if isinstance(row.get(key), str) and isinstance(format, str):
                    row[key] = fill(row[key], moment, format)
    return job


def _references(value: Json) -> Iterator[dict[str, Json]]:
    if isinstance(value, dict) and value.keys() == REFERENCE_KEYS:
        yield value
    elif isinstance(value, dict | list):
        for item in value.values() if isinstance(value, dict) else value:
            yield from _references(item)
