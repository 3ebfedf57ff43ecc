"""``hcrc trace``: say where the values of a job come from."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Final

from . import USER_ERROR

if TYPE_CHECKING:
    from ..diagnostics import Span
    from ..explain.origins import Leaf, Step
    from ..values import Json

EXAMPLE: Final = "hcrc trace hcrc-out/demo/HASH train training.epochs"


SHOWN: Final = 20


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options."""
    parser.description = (
        "Say where the values of a job come from: the place where each is written, the parameters,"
        " axes, uses and settings that it came through, or the schema's default. Only the bundle is"
        " read. Exit code 1 if there is no such bundle, job or key."
    )
    parser.add_argument("bundle", metavar="BUNDLE", type=Path, help="the folder of a bundle")
    parser.add_argument(
        "job", metavar="JOB", help="a job: its number or id; the id of a cell; or a task: its cells"
    )
    parser.add_argument(
        "key", metavar="KEY", nargs="?", help="one value, or all below it: training.epochs"
    )
    parser.add_argument(
        "--format", choices=("text", "json"), default="text", help="how the origins are printed"
    )


def run(options: argparse.Namespace) -> int:
    """Print the origin of each value; 1 where there is no such bundle, job or key."""
    from ..explain.jobs import Bundle, BundleError
    from ..explain.recompile import Recompiled
    from ..explain.trace import choose_leaves, trace_cell

    try:
        found = [
            (each.job, cell)
            for each in Bundle(options.bundle).find(options.job)
            for cell in each.cells
        ]
        recompiled = Recompiled(options.bundle)
        traced = []
        for job, cell in found if options.format == "json" else found[:SHOWN]:
            leaves = trace_cell(recompiled, job, cell)
            key = options.key
            traced.append((cell["id"], leaves if key is None else choose_leaves(leaves, key)))
    except BundleError as error:
        print(f"hcrc: error: {error}", file=sys.stderr)
        return USER_ERROR
    if options.format == "json":
        cells = [
            {"cell": id, "values": [to_json(leaf) for leaf in leaves]} for id, leaves in traced
        ]
        print(json.dumps(cells, indent=1, ensure_ascii=False))
    else:
        for line in render(traced, every_use=options.key is not None):
            print(line)
        if len(found) > SHOWN:
            print(f"… {len(found)} cells in all: name one, or --format json has all")
    return 0


def render(traced: Iterable[tuple[str, list[Leaf]]], every_use: bool) -> Iterator[str]:
    """The lines of cells; what a cell shares with the first one is not said again."""
    first: set[str] | None = None
    for id, leaves in traced:
        texts = ["\n".join(render_leaf(leaf, every_use)) for leaf in leaves]
        new = [text for text in texts if first is None or text not in first]
        yield f"{id}:" + (" the same" if not new else "")
        yield from new
        first = set(texts) if first is None else first


def render_leaf(leaf: Leaf, every_use: bool) -> Iterator[str]:
    """The lines of a value: what it is, where it stands, and how it came there."""
    origin = leaf.origin
    value = json.dumps(leaf.value, ensure_ascii=False)
    place = f"{origin.span}: {written(origin.span)}" if origin.span else origin.words
    yield f"  {leaf.path} = {value}"
    yield f"    {place}"
    steps: tuple[Step, ...] = origin.steps
    if every_use or leaf.path.endswith(".name"):
        steps += origin.used
    for step in steps:
        yield f"      {step.text}" + (f": {step.span}" if step.span else "")


def written(span: Span) -> str:
    """What stands at a place; of several lines, the first."""
    line = span.source.lines[span.line - 1]
    end = span.end_column - 1 if span.end_line == span.line else len(line)
    more = "" if span.end_line == span.line else " …"
    return line[span.column - 1 : end].rstrip() + more


def to_json(leaf: Leaf) -> Json:
    """A value and its origin for programs."""
    origin = leaf.origin
    return {
        "key": leaf.path,
        "value": leaf.value,
        "place": place(origin.span),
        "written": written(origin.span) if origin.span else None,
        "words": origin.words or None,
        "steps": [{"text": step.text.strip(), "place": place(step.span)} for step in origin.steps],
        "used": [{"text": step.text, "place": place(step.span)} for step in origin.used],
    }


def place(span: Span | None) -> Json:
    """A place for programs."""
    return span and {"file": span.file, "line": span.line, "column": span.column}
