"""The folders of many cells at once, where axes add only letters, digits and points to them.

Such values change nothing of what is right or wrong with a folder, so that one is judged for all.
In come an output as written and its axes, out comes a Pattern of folders.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Final

from .folders import refuse_folder
from .grid import Grid
from .pattern import Pattern, Values
from .template import Placeholder, TemplateError, format_value, placeholders
from .workflow import Axis

# No folder can hold it.
MARK: Final = "\1"
MARKED: Final = re.compile(f"{MARK}([0-9]+){MARK}")
PLAIN: Final = re.compile(r"[0-9A-Za-z_-]+(\.[0-9A-Za-z_-]+)*")


def splice_folders(
    output: str,
    axes: Mapping[str, Axis],
    grid: Grid,
    fill: Callable[[str], str],
    join: Callable[[str], str],
) -> Pattern | None:
    """The folders at all points of a grid; None where each has to be made and judged by itself.

    ``fill`` fills what draws on no axis, and ``join`` makes an absolute folder of a text. The
    folder of the first point is known to be right.
    """
    found = [each for each in placeholders(output) if each.name in axes]
    columns = [_plain_texts(each, axes[each.name]) for each in found]
    if not all(columns):
        return None
    for number in reversed(range(len(found))):
        start, end = found[number].start, found[number].end
        output = f"{output[:start]}{MARK}{number}{MARK}{output[end:]}"
    filled = fill(output)
    longest = MARKED.sub(lambda mark: max(columns[int(mark[1])], key=len), filled)
    if "~" in filled or refuse_folder(longest):
        return None
    places = [grid.places(grid.part((each.name,))) for each in found]
    values = [Values(column, str, place) for column, place in zip(columns, places, strict=True)]
    pieces = MARKED.split(join(filled))
    parts = [values[int(piece)] if at % 2 else piece for at, piece in enumerate(pieces)]
    return Pattern(tuple(parts), grid.size)


def _plain_texts(placeholder: Placeholder, axis: Axis) -> list[str]:
    """What a placeholder stands for at each value of its axis; nothing if it is not plain."""
    try:
        texts = [format_value(axis.bind(value), placeholder) for value in axis.values]
    except TemplateError:
        return []
    return texts if all(map(PLAIN.fullmatch, texts)) else []
