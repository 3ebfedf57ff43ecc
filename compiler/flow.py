"""Plain values in, YAML text on one line out, which parses to the same values again."""

from __future__ import annotations

import json
import math
import re
from typing import Any, Final

from .parse import resolve

PLAIN: Final = re.compile(r"[A-Za-z0-9_./~^][A-Za-z0-9_./:+=@^~-]*")
ESCAPED: Final = re.compile(r"[\x7f-\x9f\u2028\u2029\ud800-\udfff\ufeff\ufffe\uffff]")


def write_flow(value: Any) -> str:
    """The YAML text of a value; texts are quoted where YAML asks for it."""
    match value:
        case dict():
            pairs = [f"{write_flow(str(key))}: {write_flow(item)}" for key, item in value.items()]
            return f"{{{', '.join(pairs)}}}"
        case list():
            return f"[{', '.join(map(write_flow, value))}]"
        case str() if not is_plain(value):
            text = json.dumps(value, ensure_ascii=False)
            return ESCAPED.sub(lambda found: f"\\u{ord(found.group()):04x}", text)
        case str():
            return value
        case float() if not math.isfinite(value):
            return ".nan" if math.isnan(value) else ".inf" if value > 0 else "-.inf"
    return json.dumps(value)


def is_plain(text: str) -> bool:
    """Whether a text needs no quotes: YAML takes it for nothing else, and for no longer one."""
    whole = PLAIN.fullmatch(text) is not None and not text.endswith(":")
    return whole and isinstance(resolve(text), str)
