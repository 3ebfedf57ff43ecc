"""Results that a task reads by their path: result.json files that an earlier run left.

In come a reference and the folder that it starts from, out come the results, each a cell with its
place on the axes of the task that made it; or Diagnostics.
"""

from __future__ import annotations

import json
import os
import re
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Final, NamedTuple

from .away import ROOT_URL, AwayError
from .defaults import task_kinds
from .diagnostics import Diagnostic
from .files import Files
from .folders import axis_text, expand_home
from .grid import Grid
from .nodes import Scalar
from .pattern import Pattern, Values
from .schema import shipped_check
from .table import CellTable, Keyed
from .values import AxisValue, Json, canonical

RESULT: Final = "result.json"
HASH: Final = re.compile("[0-9a-f]{32}")
KEPT: Final = ("cell", "axes", "task", "hash", "spec")


class FoundResult(NamedTuple):
    """One result: its path, the cell that it is of, and the spec that made it."""

    path: str
    cell: str
    axes: dict[str, AxisValue]
    task: str
    hash: str
    spec: dict[str, Json]


def is_path(text: str) -> bool:
    """Whether a reference is a path; the name of a task is none."""
    return "/" in text or text.endswith(".json") or text in (".", "..")


def find_results(node: Scalar, folder: Path, files: Files) -> list[FoundResult] | list[Diagnostic]:
    """The result that a path names, or those of all cells below the folder that it names."""
    if "://" in node.text:
        return _find_away(node, files)
    path = Path(os.path.normpath(folder / expand_home(node.text)))
    if path.suffix == ".json" and path.name != RESULT:
        return [_refuse("bad-result", f'"{node.text}": a result is called {RESULT}', node)]
    try:
        paths = [path] if path.name.endswith(".json") else files.find_results(path)
    except (FileNotFoundError, NotADirectoryError):
        paths = []
    except OSError as error:
        return [_refuse("unreadable-file", f"{error.filename}: {error.strerror}", node)]
    if not paths:
        return [_refuse("missing-result", f"there is no {RESULT} in {path}", node)]
    found: list[FoundResult] = []
    wrong: list[Diagnostic] = []
    for each in paths:
        try:
            found.append(read_result(each, files))
        except FileNotFoundError:
            help = "run the cell that it is of, or remove its folder" if each != path else None
            wrong.append(_refuse("missing-result", f"there is no {each}", node, help))
        except OSError as error:
            wrong.append(_refuse("unreadable-file", f"{each}: {error.strerror}", node))
        except ValueError as error:
            wrong.append(_refuse("bad-result", f"{each}: {error}", node))
    return wrong or found


def _find_away(node: Scalar, files: Files) -> list[FoundResult] | list[Diagnostic]:
    """The results at an address."""
    if not ROOT_URL.fullmatch(node.text):
        message = f'"{node.text}" is an address of another form than root://HOST//PATH'
        return [_refuse("url-result", message, node)]
    try:
        texts = files.read_away(node.text, KEPT)
    except AwayError as error:
        return [_refuse("unreadable-file", str(error), node)]
    found: list[FoundResult] = []
    wrong: list[Diagnostic] = []
    for url, text in texts.items():
        try:
            if text is None:
                wrong.append(_refuse("missing-result", f"there is no {url}", node))
            else:
                found.append(parse_result(url, text))
        except ValueError as error:
            wrong.append(_refuse("bad-result", f"{url}: {error}", node))
    if not texts:
        wrong = [_refuse("missing-result", f"there is no {RESULT} in {node.text}", node)]
    return wrong or found


def read_result(path: Path, files: Files) -> FoundResult:
    """A result; raises :class:`OSError`, :class:`ValueError`."""
    return parse_result(str(path), files.read_result(path, KEPT))


def parse_result(path: str, text: bytes) -> FoundResult:
    """The result in a text that lies at a path; raises :class:`ValueError`."""
    try:
        value = json.loads(text)
    except RecursionError as error:
        raise ValueError("it is nested too deep") from error
    if not isinstance(value, dict) or value.get("hcrc") != 1:
        raise ValueError("it is no result of hcrc 1")
    kinds = {"cell": str, "axes": dict, "task": str, "hash": str, "spec": dict}
    wrong = [key for key, kind in kinds.items() if not isinstance(value.get(key), kind)]
    if wrong:
        raise ValueError(f"it is no result of hcrc 1: {wrong[0]} is missing or wrong")
    place = f"job.schema.json#/$defs/{value['task']}"
    if value["task"] not in task_kinds() or not shipped_check(place, bound=True)(value["spec"]):
        raise ValueError(f"its spec is none of this version for {value['task']}")
    if not HASH.fullmatch(value["hash"]) or not all(map(_is_axis_value, value["axes"].values())):
        raise ValueError("its hash or its axes are wrong")
    return FoundResult(path, *(value[key] for key in KEPT))


def _is_axis_value(value: object) -> bool:
    return isinstance(value, (str, int, float))


def check_axes(results: Sequence[FoundResult], node: Scalar) -> list[Diagnostic]:
    """What is wrong with results that have to stand for the cells of one task."""
    first = results[0]
    for result in results:
        if result.axes.keys() != first.axes.keys():
            message = f"{first.cell} and {result.cell} below {node.text} are of different axes"
            return [_refuse("bad-result", message, node)]
    points = Counter(_texts(result) for result in results)
    (point, times), *_ = points.most_common(1)
    if times > 1:
        message = f"{times} results below {node.text} are of one cell, {dict(point)}"
        return [_refuse("bad-result", message, node)]
    return []


def span_axes(results: Sequence[FoundResult]) -> tuple[Grid, list[FoundResult]]:
    """The points of results that :func:`check_axes` passes, and the results in that order."""
    values: dict[str, dict[str, AxisValue]] = {name: {} for name in results[0].axes}
    for result in results:
        for name, text in _texts(result):
            values[name].setdefault(text, result.axes[name])
    axes = {name: tuple(found.values()) for name, found in values.items()}
    whole = Grid(axes)
    steps = {
        name: dict(zip(found, whole.steps(name), strict=True)) for name, found in values.items()
    }
    places = {sum(steps[name][text] for name, text in _texts(each)): each for each in results}
    order = sorted(places)
    kept = None if len(order) == whole.size else tuple(order)
    return Grid(axes, kept), [places[place] for place in order]


def tabulate(results: Sequence[FoundResult], gathers: bool) -> ResultTable:
    """Results as a table: one after the other, or at their places on the axes."""
    if gathers:
        return ResultTable(Grid({"": range(len(results))}), results)
    return ResultTable(*span_axes(results))


def _texts(result: FoundResult) -> tuple[tuple[str, str], ...]:
    """The texts of a result's place on its axes, by name."""
    return tuple([(name, axis_text(result.axes[name])) for name in sorted(result.axes)])


class ResultTable(CellTable):
    """Results in the place of a task's cells: no job makes them."""

    def __init__(self, grid: Grid, results: Sequence[FoundResult]) -> None:
        first = results[0]
        folders = [os.path.dirname(result.path) for result in results]  # noqa: PTH120
        super().__init__("", first.task, grid, {}, (), Keyed(grid, folders), ())
        self.results = results

    @property
    def id(self) -> Pattern:
        """The ids of the cells that they are of."""
        return self._column([result.cell for result in self.results])

    @property
    def hashes(self) -> bytes:
        """What their cells were made from."""
        return b"".join(bytes.fromhex(result.hash) for result in self.results)

    def reference(self, fields: Sequence[str]) -> Pattern:
        """Some fields of what stands for the results in those that read them, as JSON."""
        rows = [
            canonical({name: {**row._asdict(), "result": row.path}[name] for name in fields})
            for row in self.results
        ]
        return self._column(rows)

    def value(self, key: str, number: int) -> Json:
        """What a key stood for when a result was made."""
        return self.results[number].spec[key]

    def _column(self, texts: list[str]) -> Pattern:
        return Pattern((Values(texts, str),), len(self))


def _refuse(code: str, message: str, node: Scalar, help: str | None = None) -> Diagnostic:
    return Diagnostic(code, message, node.span, help, node.notes)
