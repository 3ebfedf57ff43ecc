"""``sources.json`` of a bundle: the request and the texts that it was compiled from.

Of the environment it holds the variables that the workflow names, and no others. Where the files
lay is told, and enters no hash: the same texts in another folder give the same one.
"""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Final

from .files import Disk, RecordedFiles, UsedEnvironment
from .phases import Request
from .shipped import workflows_folder
from .values import HASH_BYTES, Json, canonical

SOURCES: Final = "sources.json"
PLACES: Final = ("path", "current", "home", "package")


def record_sources(request: Request, environment: UsedEnvironment, disk: Disk) -> Json:
    """What a compilation without errors was made from."""
    files = {name: data.decode() for name, data in disk.read_files.items()}
    texts = [*files.values(), *request.templates, *request.parameters, *map(str, request.settings)]
    return {
        "hcrc": 1,
        "path": str(request.path),
        "current": str(request.current),
        "home": str(Path.home()) if any("~" in text for text in texts) else None,
        "package": _package(),
        "templates": list(request.templates),
        "parameters": list(request.parameters),
        "settings": [list(pair) for pair in request.settings],
        "environment": environment.used,
        "files": files,
    }


def hash_sources(record: Json) -> str:
    """The hash of what was compiled, wherever it lay."""
    kept = {key: value for key, value in record.items() if key not in PLACES}
    kept["files"] = list(record["files"].values())
    return hashlib.sha256(canonical(kept).encode()).hexdigest()[: 2 * HASH_BYTES]


def dump_sources(record: Json) -> bytes:
    """The bytes of ``sources.json``."""
    return json.dumps(record, indent=1).encode() + b"\n"


def load_sources(folder: Path) -> tuple[Request, RecordedFiles]:
    """What a bundle was compiled from; raises :class:`OSError`, :class:`ValueError`."""
    path = folder / SOURCES
    try:
        record = json.loads(path.read_bytes())
        request = Request(
            path=Path(record["path"]),
            templates=tuple(record["templates"]),
            parameters=tuple(record["parameters"]),
            settings=tuple((name, text) for name, text in record["settings"]),
            environment=dict(record["environment"]),
            current=Path(record["current"]),
        )
        moved = [(_package(), record["package"])]
        moved += [(str(Path.home()), record["home"])] if record["home"] else []
        return request, RecordedFiles(dict(record["files"]), moved)
    except (KeyError, TypeError, ValueError, RecursionError) as error:
        raise ValueError(f"{path}: not the sources of a bundle: {error}") from error


def _package() -> str:
    """The folder of the workflows that come with hcrc."""
    return str(workflows_folder())
