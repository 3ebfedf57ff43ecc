"""How cells are called, and where their results lie."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable
from pathlib import Path
from typing import Final, NamedTuple
from urllib.parse import quote

from .values import AxisValue

SAFE: Final = "-_.,=+@ "
MAX_NAME: Final = 255
CONTROL: Final = r"[\x00-\x1f\x7f-\x9f\u2028\u2029]"


def axis_text(value: AxisValue) -> str:
    """A value of an axis as it stands in folders and ids: nothing in it can lead elsewhere."""
    if type(value) is int:
        return str(value)
    text = str(value).lower() if isinstance(value, bool) else str(value)
    return quote(text, safe=SAFE)


def join_output(current: Path, base: str, text: str) -> str:
    """An absolute folder for results; ``base`` is for a ``text`` that is relative."""
    parts = [str(expand_home(part)) if "~" in part else part for part in (base, text)]
    path = os.path.normpath(os.path.join(current, *parts))  # noqa: PTH118 - once for each cell
    return path[1:] if path.startswith("//") else path


def expand_home(text: str) -> Path:
    """A path with ``~`` for the home of a user; as it is where there is no such user."""
    try:
        return Path(text).expanduser()
    except RuntimeError:
        return Path(text)


class Refusal(NamedTuple):
    """What is wrong with the text of an output: the code, and the end of a sentence."""

    code: str
    reason: str


def refuse_folder(text: str) -> Refusal | None:
    """What is wrong with the text of an output; None if it can be a folder."""
    if not text.strip():
        return Refusal("empty-value", "is empty")
    if "://" in text:
        return Refusal("url-output", "is a URL: results are written to local folders only")
    if not text.isprintable() and re.search(CONTROL, text):
        return Refusal("bad-folder", "holds a line break or another control character")
    if "~" in text and str(expand_home(text)).startswith("~"):
        return Refusal("unknown-user", f"names an unknown user: {text.split('/')[0]}")
    if any(len(part.encode()) > MAX_NAME for part in text.split("/")):
        return Refusal("bad-folder", f"holds a name of more than {MAX_NAME} bytes")
    return None


def common_root(outputs: Iterable[str]) -> str:
    """The folder that all of some absolute folders lie in."""
    root = ""
    for output in outputs:
        if not root:
            root = output
        elif not output.startswith(f"{root}/"):
            root = os.path.commonpath((root, output))
    return root


def absolute_path(path: str, current: Path) -> str:
    """A path of the command line below the current folder; absolute paths, URLs and ~ stay."""
    if path.startswith(("/", "~")) or re.match(r"[A-Za-z][A-Za-z0-9+.-]*://", path):
        return path
    return str(current / path)
