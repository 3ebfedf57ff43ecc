"""A path and a text in, a new file out: nothing is written over, and none is left half written."""

from __future__ import annotations

import sys
from pathlib import Path


def write_new(path: Path, text: str) -> bool:
    """Write a file, whole or not at all; False, after saying so, where one is there already.

    Raises :class:`OSError` where it cannot be written.
    """
    try:
        file = path.open("x", encoding="utf-8")
    except FileExistsError:
        print(f"hcrc: error: {path} is there already: name another file", file=sys.stderr)
        return False
    try:
        with file:
            file.write(text)
    except BaseException:
        path.unlink(missing_ok=True)
        raise
    return True
