"""How cells are called, and where their results lie."""

from __future__ import annotations

import itertools
import os
import re
from collections.abc import Iterable
from pathlib import Path
from typing import Final, NamedTuple
from urllib.parse import quote

from .values import AxisValue

SAFE: Final = "-_.,=+@ "
ROOT_URL: Final = r"root://[^/\s]+//\S"
# root: and the server: what steps of a URL say no folder.
URL_STEPS: Final = 4
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
    if is_url(text):
        return text.rstrip("/")
    if is_url(base) and not text.startswith(("/", "~")):
        return join_location(base, os.path.normpath(text))
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
    if is_url(text) and not re.match(ROOT_URL, text):
        return Refusal("url-output", "is a URL of another form than root://HOST//PATH")
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
            root = _common_part(root, output)
    return root


def _common_part(one: str, other: str) -> str:
    """The folder that two folders lie in; two servers have none but the root of all."""
    if not is_url(one) and not is_url(other):
        return os.path.commonpath((one, other))
    pairs = zip(one.split("/"), other.split("/"), strict=False)
    shared = [a for a, b in itertools.takewhile(lambda pair: pair[0] == pair[1], pairs)]
    return "/".join(shared) if len(shared) > URL_STEPS else os.path.sep


def is_url(text: str) -> bool:
    """Whether a location is the address of a server."""
    return "://" in text


def join_location(base: str, name: str) -> str:
    """A file below a folder or a URL; absolute paths and URLs stay."""
    if is_url(name) or name.startswith("/"):
        return name
    return f"{base.rstrip('/')}/{name.removeprefix('./')}"


def absolute_path(path: str, current: Path) -> str:
    """A path of the command line below the current folder; absolute paths, URLs and ~ stay."""
    if path.startswith(("/", "~")) or re.match(r"[A-Za-z][A-Za-z0-9+.-]*://", path):
        return path
    return str(current / path)
