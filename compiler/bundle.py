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
import struct
import zipfile
from collections.abc import Iterator, Mapping
from importlib import resources
from importlib.resources.abc import Traversable
from pathlib import Path
from typing import Final

from .archive import SOURCES, dump_sources, hash_sources
from .plan import JobWriter, Json, Plan, canonical

ZIP_TIME: Final = (1980, 1, 1, 0, 0, 0)
PLAN_HASH_LENGTH: Final = 12
PYZ_MAIN: Final = """\
import sys

from hcrc.runtime.commands import main

if __name__ == "__main__":
    sys.exit(main())
"""


def pack(plan: Plan, emitted: Mapping[str, bytes], sources: Json) -> tuple[str, dict[str, bytes]]:
    """The plan's hash, and the files of its bundle by name.

    ``sources`` is what the plan was made from: the hash covers it, but for where it lay.
    """
    jobs, index = job_lines(plan)
    files = {
        "jobs.jsonl": jobs,
        "jobs.idx": index,
        "hcrc.pyz": build_zipapp(),
        **emitted,
    }
    table = {**plan_table(plan, files), "sources": hash_sources(sources)}
    plan_hash = hashlib.sha256(canonical(table).encode()).hexdigest()[:PLAN_HASH_LENGTH]
    text = json.dumps({**table, "hash": plan_hash}, indent=1, ensure_ascii=False)
    plan_json = text.encode() + b"\n"
    return plan_hash, {**files, SOURCES: dump_sources(sources), "plan.json": plan_json}


def plan_table(plan: Plan, files: Mapping[str, bytes]) -> dict[str, Json]:
    """``plan.json`` but for its own hash: what was bound, the tasks, the files' checksums."""
    return {
        "hcrc": 1,
        "name": plan.name,
        "parameters": dict(plan.parameters),
        "jobs": len(plan.jobs),
        "tasks": [task.to_json() for task in plan.tasks],
        "files": {name: hashlib.sha256(data).hexdigest() for name, data in sorted(files.items())},
    }


def job_lines(plan: Plan) -> tuple[bytes, bytes]:
    """``jobs.jsonl``, and ``jobs.idx``: where each of its lines begins, as 64-bit integers."""
    writer = JobWriter()
    lines, offsets = bytearray(), []
    for job in plan.jobs:
        offsets.append(len(lines))
        lines += writer.line(job).encode()
        lines += b"\n"
    return bytes(lines), struct.pack(f"<{len(offsets)}Q", *offsets)


def is_bundle(folder: Path) -> bool:
    """Whether a path is that of a bundle."""
    try:
        return (folder / "plan.json").is_file()
    except OSError:
        return False


def write_bundle(folder: Path, files: Mapping[str, bytes]) -> bool:
    """Write the files into a new folder; False if the bundle is there already.

    A folder of that name is the same bundle, since it is named by its hash; anything else that
    is in the way is an :class:`OSError`.
    """
    if is_bundle(folder):
        return False
    if os.path.lexists(folder):
        raise FileExistsError(
            errno.EEXIST, "something that is no bundle is in the way", str(folder)
        )
    folder.parent.mkdir(parents=True, exist_ok=True)
    temporary = folder.with_name(f".{folder.name}.{os.getpid()}.tmp")
    shutil.rmtree(temporary, ignore_errors=True)
    try:
        for name, data in files.items():
            _write(temporary / name, data)
        _move(temporary, folder)
    finally:
        shutil.rmtree(temporary, ignore_errors=True)
    return True


def _write(path: Path, data: bytes) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data)
    if path.suffix == ".sh":
        path.chmod(0o755)


def _move(temporary: Path, folder: Path) -> None:
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
