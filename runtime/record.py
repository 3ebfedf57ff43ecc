"""What a ``result.json`` holds, as types, and reading it with every field checked.

Its fields are those of ``schemas/result.schema.json``.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, NoReturn, TypeVar

from .errors import DataError
from .storage import Place, Status, fetch, find_place, is_url

RESULT = "result.json"
CHECKPOINT = ".hcrc-checkpoint.pt"

T = TypeVar("T")
Fields = Mapping[str, tuple[type, ...]]


@dataclass(frozen=True)
class InputFile:
    """What was known of an input when it was read; ``uuid`` is a ROOT file's own."""

    path: str
    size: int
    mtime_ns: int
    uuid: str | None = None


@dataclass(frozen=True)
class OutputFile:
    """A file that counts; ``path`` is relative to the cell's folder, sha256 in hex."""

    path: str
    size: int
    sha256: str


@dataclass(frozen=True)
class Upstream:
    """A result of another cell that was read, as it was then."""

    result: str
    uuid: str


@dataclass(frozen=True)
class Heir:
    """The result that was made of a result's files before they were removed."""

    result: str
    cell: str
    uuid: str


@dataclass(frozen=True, kw_only=True)
class Result:
    """What one attempt made of a cell, and what made it.

    Where there is an ``heir``, files that it was made of were removed on purpose: the result holds
    as long as that one does.

    ``axes`` are the cell's place on them; ``files`` are by a name that the task gives; ``data`` is
    the task's own, save that
    ``data["summary"]``, a list of lines, is shown at the end of a run.
    """

    uuid: str
    cell: str
    axes: dict[str, Any]
    task: str
    hash: str
    attempt: str
    files: dict[str, OutputFile]
    inputs: list[InputFile]
    upstream: list[Upstream]
    spec: dict[str, Any]
    provenance: dict[str, Any]
    data: dict[str, Any]
    folder: Place
    heir: Heir | None = None

    def place(self, name: str) -> Place:
        """Where the file of that name lies; raises :class:`DataError` if there is none."""
        if name not in self.files:
            raise DataError(f"{self.folder / RESULT}: names no file {name!r}")
        return self.folder / self.files[name].path

    def path(self, name: str) -> Path:
        """A local path of the file of that name: a copy, where the result lies elsewhere.

        Raises :class:`DataError` if there is none, :class:`StorageError` if it cannot be reached.
        """
        return fetch(self.place(name))


def _refuse_constant(text: str) -> NoReturn:
    raise ValueError(f"{text} is no number")


STRICT_JSON: Final = json.JSONDecoder(parse_constant=_refuse_constant)
RESULT_FIELDS: Final[Fields] = {
    **dict.fromkeys(("uuid", "cell", "task", "hash", "attempt"), (str,)),
    **dict.fromkeys(("axes", "files", "spec", "provenance", "data"), (dict,)),
    **dict.fromkeys(("inputs", "upstream"), (list,)),
}
OUTPUT_FIELDS: Final[Fields] = {"path": (str,), "size": (int,), "sha256": (str,)}
INPUT_FIELDS: Final[Fields] = {
    "path": (str,),
    "size": (int,),
    "mtime_ns": (int,),
    "uuid": (str, type(None)),
}
UPSTREAM_FIELDS: Final[Fields] = {"result": (str,), "uuid": (str,)}
HEIR_FIELDS: Final[Fields] = dict.fromkeys(("result", "cell", "uuid"), (str,))


def read_status(path: str | Place) -> os.stat_result | Status:
    """What is known of a file, without pathlib, which takes longer than the system."""
    text = str(path)
    return find_place(text).stat() if is_url(text) else os.stat(text)  # noqa: PTH116


def fingerprint(path: str | Place, root_uuid: str | None = None) -> InputFile:
    """Size and modification time of a file.

    Raises :class:`DataError`, and :class:`StorageError` where that cannot be known now.
    """
    try:
        status = read_status(path)
    except OSError as error:
        raise DataError(f"{path}: {error.strerror}") from error
    except ValueError as error:
        raise DataError(f"{str(path)!r}: {error}") from error
    return InputFile(str(path), status.st_size, status.st_mtime_ns, root_uuid)


class Inputs(dict[str, InputFile]):
    """Files as they were when they were opened, by path."""

    def read(self, path: str | Place, root_uuid: str | None = None) -> None:
        """Record a file; raises :class:`DataError`, :class:`StorageError`."""
        self[str(path)] = fingerprint(path, root_uuid)


def load_result(path: str | Place) -> Result:
    """The result in a ``result.json``.

    Raises :class:`DataError` if it is not one, :class:`StorageError` where it cannot be read now.
    """
    text = str(path)
    try:
        value = STRICT_JSON.decode(_read(text).decode())
    except OSError as error:
        raise DataError(f"{path}: {error.strerror}") from error
    except (ValueError, RecursionError) as error:
        raise DataError(f"{path}: not JSON: {error}") from error
    if type(value) is not dict or value.pop("hcrc", None) != 1:
        raise DataError(f"{path}: not a result of hcrc 1")
    try:
        home = find_place(text if is_url(text) else os.path.abspath(text)).parent  # noqa: PTH100
        return _read_result(value, home)
    except ValueError as error:
        raise DataError(f"{path}: not a result of hcrc 1: {error}") from error


def is_missing(error: DataError) -> bool:
    """Whether there is no file where one was to be read."""
    return isinstance(error.__cause__, FileNotFoundError)


def _read(text: str) -> bytes:
    if is_url(text):
        return find_place(text).read_bytes()
    with open(text, "rb") as stream:
        return stream.read()


def _read_result(value: dict[str, Any], folder: Place) -> Result:
    heir = value.pop("heir", None)
    _check_fields(value, RESULT_FIELDS, "result")
    value["files"] = {
        name: _read_row(OutputFile, OUTPUT_FIELDS, row, f"files.{name}")
        for name, row in value["files"].items()
    }
    value["inputs"] = [_read_row(InputFile, INPUT_FIELDS, row, "inputs") for row in value["inputs"]]
    value["upstream"] = [
        _read_row(Upstream, UPSTREAM_FIELDS, row, "upstream") for row in value["upstream"]
    ]
    for row in value["files"].values():
        if row.path.startswith("/") or ".." in row.path.split("/"):
            raise ValueError(f"files: {row.path!r} lies outside the cell's folder")
    read = None if heir is None else _read_row(Heir, HEIR_FIELDS, heir, "heir")
    return Result(**value, folder=folder, heir=read)


def _read_row(kind: type[T], fields: Fields, row: Any, where: str) -> T:
    _check_fields(row, fields, where)
    return kind(**row)


def _check_fields(value: Any, fields: Fields, where: str) -> None:
    if type(value) is not dict or value.keys() != fields.keys():
        raise ValueError(f"{where}: expected the keys {', '.join(fields)}")
    for key, kinds in fields.items():
        if type(value[key]) not in kinds:
            raise ValueError(f"{where}.{key}: expected {kinds[0].__name__}")
