"""``hcrc diff``: say which results a change of a workflow keeps, and what runs again, and why."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Final

from . import USER_ERROR
from .inputs import add_inputs, compile_inputs, read_inputs

if TYPE_CHECKING:
    from ..explain.diff import CellChange, Planned

EXAMPLE: Final = "hcrc diff hcrc-out/demo/HASH workflows/demo.yml --param epochs=30"
DIFFERENT: Final = 3
GROUPS: Final = 20
SHOWN: Final = 3
WORDS: Final = {
    "valid": "stay valid|stays valid",
    "again": "run again|runs again",
    "new": "are new|is new",
    "dropped": "are dropped|is dropped",
}

MOVING: Final = ("again", "new", "dropped")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options."""
    parser.description = (
        "Say which cells a change of a workflow adds, drops and runs again, each with the changed"
        " fields or what it follows, and which stay valid. OLD, then NEW: each a bundle, or a"
        " workflow that is compiled now, with nothing written. Exit code 0: every cell stays"
        " valid, 3: not all do."
    )
    add_inputs(parser, bundle=True, shown="changes")


def run(options: argparse.Namespace) -> int:
    """Compare two plans; 1 where there is no plan."""
    from ..explain.diff import Differ
    from ..explain.jobs import BundleError

    try:
        plans = read_plans(options)
        if plans is None:
            return USER_ERROR
        old, new = plans
        report = Report([*new.tasks(), *(name for name in old.tasks() if name not in new.tasks())])
        changes = Differ(old, new).changes()
        lines = report.as_json(changes) if options.format == "json" else report.as_text(changes)
        for line in lines:
            print(line)
    except BundleError as error:
        print(f"hcrc: error: {error}", file=sys.stderr)
        return USER_ERROR
    return 0 if report.is_same() else DIFFERENT


def read_plans(options: argparse.Namespace) -> list[Planned] | None:
    """The plans of both sides, in order; None after errors in a workflow."""
    from ..explain.diff import BundlePlan, CompiledPlan
    from ..files import is_bundle

    inputs = read_inputs(options)
    if len(inputs) != 2:
        options.usage_error("name two: OLD and NEW, each a bundle or a workflow file")
    compilations = compile_inputs([item for item in inputs if not is_bundle(item.path)], options)
    if compilations is None:
        return None
    made = iter([item.plan for item in compilations if item.plan is not None])
    return [
        BundlePlan(Path(item.path)) if is_bundle(item.path) else CompiledPlan(next(made))
        for item in inputs
    ]


class Group:
    """Cells of a task that one thing happens to, for the same reasons: the first, and how many."""

    def __init__(self) -> None:
        self.count = 0
        self.first: list[str] = []
        self.texts: tuple[str, ...] = ()

    def add(self, change: CellChange) -> None:
        """Count a cell in."""
        self.count += 1
        self.texts = tuple(reason.text for reason in change.reasons)
        if self.count <= SHOWN:
            self.first.append(change.id)

    def __str__(self) -> str:
        rest = self.count - len(self.first)
        return ", ".join(self.first) + (f", … and {rest} more" if rest else "")


class Report:
    """Counts what happens to the cells of each task, and tells it."""

    def __init__(self, tasks: list[str]) -> None:
        self.counts = {name: dict.fromkeys(WORDS, 0) for name in tasks}
        self.groups: dict[str, dict[tuple[str, tuple[str, ...]], Group]] = {}

    def is_same(self) -> bool:
        """Whether every cell stays valid and none is dropped."""
        return not any(counts[kind] for counts in self.counts.values() for kind in MOVING)

    def as_text(self, changes: Iterable[CellChange]) -> Iterator[str]:
        """What happens to each task, the groups of its cells, and the summary."""
        for change in changes:
            self._count(change)
        for name, groups in self.groups.items():
            yield f"{name}: {tell(self.counts[name])}"
            for (kind, labels), group in groups.items():
                yield f"  {WORDS[kind].split('|')[group.count == 1]}: {group}"
                reasons = labels if group.count > 1 else group.texts
                yield from (f"    {reason}" for reason in reasons)
        told = [
            tell_short(name, counts) for name, counts in self.counts.items() if any(counts.values())
        ]
        yield f"summary: {'; '.join(told)}"

    def as_json(self, changes: Iterable[CellChange]) -> Iterator[str]:
        """One object: each cell that does not stay valid, as it comes, then the counts."""
        yield '{"cells": ['
        before = ""
        for change in changes:
            self.counts[change.name][change.kind] += 1
            if change.kind != "valid":
                if before:
                    yield f"{before},"
                before = json.dumps(change.to_json(), ensure_ascii=False)
        yield from [before] * bool(before)
        yield f'], "tasks": {json.dumps(self.counts)}, "same": {json.dumps(self.is_same())}}}'

    def _count(self, change: CellChange) -> None:
        self.counts[change.name][change.kind] += 1
        groups = self.groups.setdefault(change.name, {})
        if change.kind == "valid":
            return
        key = change.kind, tuple(reason.label for reason in change.reasons)
        if key not in groups and len(groups) >= GROUPS:
            key = change.kind, ("for other reasons: --format json has all",)
        groups.setdefault(key, Group()).add(change)


def tell(counts: dict[str, int]) -> str:
    """Counts in words: ``3 cells stay valid, 1 is new``."""
    parts: list[str] = []
    for kind, count in counts.items():
        if count:
            noun = "" if parts else (" cell" if count == 1 else " cells")
            parts.append(f"{count:,}{noun} {WORDS[kind].split('|')[count == 1]}")
    return ", ".join(parts) or "no cells"


def tell_short(name: str, counts: dict[str, int]) -> str:
    """A task with its counts in words; of one cell alone, ``cache stays valid``."""
    (kind, count), *rest = [item for item in counts.items() if item[1]] or [("", 0)]
    if count == 1 and not rest:
        return f"{name} {WORDS[kind].split('|')[1]}"
    return f"{name}: {tell(counts)}"
