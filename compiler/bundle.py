"""Write a Plan as a bundle: a folder that runs by itself and is never changed afterwards.

``plan.json``, ``jobs.jsonl`` with its index ``jobs.idx``, ``sources.json`` (what was compiled),
``hcrc.pyz`` (the runtime as a zipapp) and what the backends emit. The same input gives the same
bytes; the folder appears whole.
"""

from __future__ import annotations

import errno
import hashlib
import io
import json
import os
import shutil
import zipfile
from collections.abc import Iterable, Iterator, Mapping
from importlib import resources
from importlib.resources.abc import Traversable
from pathlib import Path
from typing import Final

from .archive import SOURCES, dump_sources, hash_sources
from .files import is_bundle
from .lines import write_jobs
from .plan import Plan
from .values import Json, canonical

ZIP_TIME: Final = (1980, 1, 1, 0, 0, 0)
PLAN_HASH_LENGTH: Final = 12
BUFFER: Final = 1 << 18
PYZ_MAIN: Final = """\
import sys

from hcrc.runtime.commands import main

if __name__ == "__main__":
    sys.exit(main())
"""


def write_bundle(
    output: Path, plan: Plan, emitted: Mapping[str, bytes | Iterable[str]], sources: Json = None
) -> Path:
    """Write a plan as the bundle NAME/HASH below ``output``, and return that folder.

    ``sources`` is what the plan was made from: the hash covers it, but for where it lay. A bundle
    that is there is left alone, since it is the same; anything else in its way is an
    :class:`OSError`.
    """
    parent = output / plan.name
    parent.mkdir(parents=True, exist_ok=True)
    temporary = parent / f".{os.getpid()}.tmp"
    shutil.rmtree(temporary, ignore_errors=True)
    try:
        temporary.mkdir()
        table = plan_table(plan, _write_files(temporary, plan, emitted))
        table["sources"] = hash_sources(sources)
        plan_hash = hashlib.sha256(canonical(table).encode()).hexdigest()[:PLAN_HASH_LENGTH]
        text = json.dumps({**table, "hash": plan_hash}, indent=1, ensure_ascii=False)
        _write(temporary / SOURCES, dump_sources(sources))
        _write(temporary / "plan.json", text.encode() + b"\n")
        _move(temporary, parent / plan_hash)
        return parent / plan_hash
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


def plan_table(plan: Plan, checksums: Mapping[str, str]) -> dict[str, Json]:
    """``plan.json`` but for its own hash: what was bound, the tasks, the files' checksums."""
    return {
        "hcrc": 1,
        "name": plan.name,
        "parameters": dict(plan.parameters),
        "jobs": len(plan.jobs),
        "tasks": [task.to_json() for task in plan.tasks],
        "files": dict(sorted(checksums.items())),
    }


def _write_files(
    folder: Path, plan: Plan, emitted: Mapping[str, bytes | Iterable[str]]
) -> dict[str, str]:
    """Write what makes the plan run; the checksum of each file by name."""
    with (folder / "jobs.jsonl").open("wb", buffering=BUFFER) as file:
        checksum, index = write_jobs(plan, file)
    files = {"jobs.idx": index, "hcrc.pyz": build_zipapp(), **emitted}
    return {
        "jobs.jsonl": checksum,
        **{name: _write(folder / name, data) for name, data in files.items()},
    }


def _write(path: Path, data: bytes | Iterable[str]) -> str:
    """Write a file, a script such that it can be run; returns its checksum."""
    sha = hashlib.sha256()
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("wb", buffering=BUFFER) as file:
        for piece in (data,) if isinstance(data, bytes) else map(str.encode, data):
            sha.update(piece)
            file.write(piece)
    if path.suffix == ".sh":
        path.chmod(0o755)
    return sha.hexdigest()


def _move(temporary: Path, folder: Path) -> None:
    """Give a bundle its name, unless it is there."""
    if is_bundle(folder):
        return
    if os.path.lexists(folder):
        raise FileExistsError(
            errno.EEXIST, "something that is no bundle is in the way", str(folder)
        )
    try:
        temporary.rename(folder)
    except OSError:
        if not is_bundle(folder):
            raise


def build_zipapp() -> bytes:
    """The runtime and the schemas as a zipapp that needs no hcrc installed; always equal bytes."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_STORED) as archive:
        _add(archive, "__main__.py", PYZ_MAIN.encode())
        _add(archive, "hcrc/__init__.py", b"")
        for package in ("runtime", "schemas"):
            for name, file in _walk(resources.files(f"hcrc.{package}"), f"hcrc/{package}"):
                _add(archive, name, file.read_bytes())
    return buffer.getvalue()


def _walk(folder: Traversable, name: str) -> Iterator[tuple[str, Traversable]]:
    for item in sorted(folder.iterdir(), key=lambda item: item.name):
        if item.is_dir() and item.name != "__pycache__":
            yield from _walk(item, f"{name}/{item.name}")
        elif item.name.endswith((".py", ".json")):
            yield f"{name}/{item.name}", item


def _add(archive: zipfile.ZipFile, name: str, data: bytes) -> None:
    info = zipfile.ZipInfo(name, ZIP_TIME)
    info.compress_type = zipfile.ZIP_STORED
    info.external_attr = 0o644 << 16
    archive.writestr(info, data)
