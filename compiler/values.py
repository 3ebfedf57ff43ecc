"""Values of specs and axes, the one JSON text of each, and digests of texts."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Iterator
from json.encoder import encode_basestring
from typing import Any, Final

Json = Any
AxisValue = int | float | str | bool
HASH_BYTES: Final = 16
SMALL: Final = 4
CANONICAL: Final = json.JSONEncoder(
    sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False
)


def canonical(value: Json) -> str:
    """The one JSON text of a value: keys sorted, no spaces, NaN refused."""
    # An encoder is slow to start: texts, integers and small mappings do without.
    if type(value) is str:
        return encode_basestring(value)
    if type(value) is int:
        return str(value)
    if type(value) is dict and len(value) <= SMALL:
        pairs = [f"{encode_basestring(key)}:{canonical(value[key])}" for key in sorted(value)]
        return f"{{{','.join(pairs)}}}"
    return CANONICAL.encode(value)


def escape(text: str) -> str:
    """A text as it stands between the quotes of a JSON string."""
    return encode_basestring(text)[1:-1]


def digest_each(texts: Iterable[str]) -> Iterator[bytes]:
    """The digest of each of many texts."""
    return (sha.digest()[:HASH_BYTES] for sha in map(hashlib.sha256, map(str.encode, texts)))


def digest(pieces: Iterable[str]) -> bytes:
    """The first half of the SHA-256 of a text in pieces; plans show it in hex."""
    sha = hashlib.sha256()
    for piece in pieces:
        sha.update(piece.encode())
    return sha.digest()[:HASH_BYTES]
