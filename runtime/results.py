"""What results at an address hold: some keys of each, for whoever plans what comes after them."""

from __future__ import annotations

import stat
from collections.abc import Iterator, Sequence
from typing import Any

from .errors import DataError
from .record import RESULT, STRICT_JSON
from .storage import Place, find_place


def read_results(text: str, keys: Sequence[str]) -> dict[str, Any]:
    """Some keys of a result, by its address, or of those in the cells' folders below one.

    A cell's folder that has none, since its job failed or has not ended, is there with None.
    Raises :class:`JobError`.
    """
    place = find_place(text)
    found = [place] if place.name.endswith(".json") else _find(place)
    return {str(each): _read(each, keys) for each in found}


def _find(folder: Place) -> Iterator[Place]:
    """The result of a folder, or those of the cells' folders below it: ``axis=value``."""
    if (folder / RESULT).exists():
        yield folder / RESULT
        return
    try:
        below = sorted((each for each in folder.iterdir() if "=" in each.name), key=str)
    except FileNotFoundError:
        return
    below = [each for each in below if stat.S_ISDIR(each.stat().st_mode)]
    if not below and "=" in folder.name:
        yield folder / RESULT
    for each in below:
        yield from _find(each)


def _read(place: Place, keys: Sequence[str]) -> dict[str, Any] | None:
    try:
        value = STRICT_JSON.decode(place.read_bytes().decode())
    except FileNotFoundError:
        return None
    except OSError as error:
        raise DataError(f"{place}: {error.strerror}") from error
    except (ValueError, RecursionError) as error:
        raise DataError(f"{place}: not JSON: {error}") from error
    if not isinstance(value, dict):
        raise DataError(f"{place}: it is not a mapping")
    return {key: value[key] for key in ("hcrc", *keys) if key in value}
