"""``hcrc inspect``: show what datasets would read, and look into the files if asked."""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import textwrap
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from ..shipped import workflows_folder
from . import USAGE_ERROR, USER_ERROR
from .inputs import Input, add_inputs, make_request, print_diagnostics, read_inputs

if TYPE_CHECKING:
    from ..explain.inspect import Inspected

EXAMPLE: Final = "hcrc inspect demo --dataset SvB.Signal --open"
SHOWN: Final = 5
WIDTH: Final = 96
OPENING: Final = ("awkward", "numpy", "uproot")
Json = Any


class Shown(NamedTuple):
    """A dataset of a file, and what its files hold, where they were opened."""

    file: Path
    dataset: Inspected
    opened: Json = None


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options."""
    parser.description = (
        "Show what datasets would read: files, friend trees, selections, weights, columns, labels,"
        " norm; of a workflow or a file of definitions, or of all that come with hcrc. Nothing is"
        " written. Exit code 1 if anything is wrong."
    )
    add_inputs(parser, shown="datasets")
    parser.add_argument(
        "--dataset", metavar="NAME", action="append", default=[], help="this dataset alone"
    )
    parser.add_argument(
        "--open",
        action="store_true",
        help="read the headers of the files, and look for every branch that is named",
    )


def run(options: argparse.Namespace) -> int:
    """Show the datasets of every file; 1 where anything is wrong with them."""
    shown = find_datasets(options)
    if shown is None:
        return USER_ERROR
    if options.open:
        missing = _missing_libraries()
        if missing:
            names = ", ".join(missing)
            text = f"opening files needs {names}: pip install 'hcrc[runtime]'"
            print(f"hcrc: error: {text}", file=sys.stderr)
            return USAGE_ERROR
        opened = open_files([each.dataset.spec for each in shown if each.dataset.spec])
        if opened is None:
            return USER_ERROR
        rest = iter(opened)
        shown = [each._replace(opened=next(rest) if each.dataset.spec else None) for each in shown]
    if options.format == "json":
        print(json.dumps([to_json(each) for each in shown], indent=1, ensure_ascii=False))
    else:
        for each in shown:
            for line in render(each):
                print(line)
    errors = sum(1 for each in shown for file in _files(each) if file["errors"])
    if errors and options.format != "json":
        verb = "is not as it has" if errors == 1 else "are not as they have"
        print(f"hcrc: error: {count(errors, 'file')} {verb} to be", file=sys.stderr)
    return USER_ERROR if errors else 0


def find_datasets(options: argparse.Namespace) -> list[Shown] | None:
    """The datasets that are asked for; None after diagnostics."""
    from ..diagnostics import Diagnostic, errors_of, suggest
    from ..explain.inspect import inspect_file

    shown: list[Shown] = []
    diagnostics: list[Diagnostic] = []
    failed = False
    for item in choose_inputs(options):
        inspection = inspect_file(make_request(item, options))
        diagnostics += inspection.diagnostics
        failed |= bool(errors_of(inspection.diagnostics))
        shown += [Shown(item.path, dataset) for dataset in inspection.datasets]
    names = {each.dataset.name for each in shown}
    for name in options.dataset if not failed else ():
        if name not in names:
            text = f'there is no dataset "{name}"'
            diagnostics.append(Diagnostic("unknown-dataset", text, None, suggest(name, names)))
            failed = True
    if diagnostics:
        print_diagnostics(diagnostics, options.format, alone=failed)
    wanted = options.dataset or names
    return None if failed else [each for each in shown if each.dataset.name in wanted]


def choose_inputs(options: argparse.Namespace) -> list[Input]:
    """The files that are named, or else all definitions that come with hcrc."""
    if options.file or any(group[1:] for group in options.template):
        return read_inputs(options)
    files = sorted(workflows_folder().rglob("*.yml"))
    shipped = [file for file in files if _defines_datasets(file)]
    return [Input(file, tuple(group[0] for group in options.template)) for file in shipped]


def _defines_datasets(file: Path) -> bool:
    """Whether a shipped file has definitions of its own: some are lists of data files."""
    text = file.read_text("utf-8")
    return (text.startswith("datasets:") and "samples:" in text) or "\ndatasets:" in text


def _missing_libraries() -> list[str]:
    from importlib.util import find_spec

    return [name for name in OPENING if find_spec(name) is None]


def open_files(specs: list[Json]) -> list[Json] | None:
    """Let the runtime read the headers of the files; None after it said what is wrong."""
    words = [sys.executable, "-P", "-m", "hcrc.runtime", "inspect", "-"]
    text = json.dumps({"datasets": specs})
    if sys.stdout is not None:
        sys.stdout.flush()
    run = subprocess.run(words, input=text, stdout=subprocess.PIPE, check=False, encoding="utf-8")
    if run.returncode:
        return None
    found: list[Json] = json.loads(run.stdout)["datasets"]
    return found


def _files(shown: Shown) -> list[Json]:
    files: list[Json] = shown.opened["files"] if shown.opened else []
    return files


def render(shown: Shown) -> Iterator[str]:
    """The lines of a dataset."""
    from ..explain.inspect import columns_of

    dataset = shown.dataset
    if dataset.spec is None:
        yield f"{dataset.name} ({dataset.span}): needs values for {', '.join(dataset.needs)}"
        return
    spec = dataset.spec
    samples = spec["samples"]
    labels = dict.fromkeys(each["label"] for each in samples)
    files = sum(len(each["files"]) for each in samples)
    point = f", at {dataset.point}" if dataset.point else ""
    yield f"{dataset.name} ({dataset.span}){point}"
    yield f"  {count(files, 'file')} of {count(len(samples), 'sample')}, by year"
    yield f"  labels: {', '.join(labels)}"
    yield f"  norm: {tell_norm(spec['norm'])}"
    yield f"  base: {spec['base']}, tree {spec['tree']}"
    types = types_of(_files(shown))
    for key, names in columns_of(spec).items():
        typed = [f"{name}:{types[name]}" if name in types else name for name in names]
        yield from wrap(f"  columns ({key})", typed)
    opened = iter(_files(shown))
    for sample in samples:
        yield from render_sample(sample, [next(opened, None) for _ in sample["files"]])


def render_sample(sample: Json, opened: list[Json]) -> Iterator[str]:
    """The lines of a sample at a year, and of its files."""
    name = f"{sample['sample']}/{sample['year']}"
    yield f"  {name}: {count(len(sample['files']), 'file')}, label {sample['label']}"
    yield f"    selection: {sample['selection'] or 'every event'}"
    yield f"    weight: {sample['weight']}"
    yield from wrap("    friends", sample["friends"])
    for number, (file, found) in enumerate(zip(sample["files"], opened, strict=True)):
        wrong = found and found["errors"]
        if number < SHOWN or wrong:
            yield f"    {file}{tell_opened(found)}"
        for error in wrong or ():
            yield f"      error: {error}"
    if len(sample["files"]) > SHOWN:
        yield f"    … {len(sample['files'])} files in all"


def tell_opened(found: Json) -> str:
    """What a file holds, in words; nothing where it was not opened."""
    if not found or found["entries"] is None:
        return ""
    friends = [f"{each['name']} {each['branches']}" for each in found["friends"]]
    rest = f"; friends: {', '.join(friends)}" if friends else ""
    return f": {found['entries']:,} entries, {count(found['branches'], 'branch', 'branches')}{rest}"


def tell_norm(norm: Json) -> str:
    """A norm in words."""
    if norm is None:
        return "none, the weights stay as they are"
    return f"the weights sum to {norm['sum']}, by {norm['by']}"


def count(number: int, noun: str, plural: str = "") -> str:
    """A number with its noun."""
    return f"{number:,} {noun if number == 1 else plural or noun + 's'}"


def wrap(title: str, words: Iterable[str]) -> Iterator[str]:
    """Words in lines of a title's own; nothing without words."""
    text = " ".join(words)
    if text:
        yield from textwrap.wrap(
            text,
            WIDTH,
            initial_indent=f"{title}: ",
            subsequent_indent=" " * (len(title) + 2),
            break_long_words=False,
            break_on_hyphens=False,
        )


def types_of(files: Iterable[Json]) -> dict[str, str]:
    """The types of the columns of opened files; where they differ, each."""
    found: dict[str, dict[str, None]] = {}
    for file in files:
        for name, column in file["columns"].items():
            found.setdefault(name, {})[column["type"].replace(" ", "")] = None
    return {name: "|".join(kinds) for name, kinds in found.items()}


def to_json(shown: Shown) -> Json:
    """A dataset for programs."""
    from ..explain.inspect import columns_of

    dataset = shown.dataset
    place = {"file": dataset.span.file, "line": dataset.span.line, "column": dataset.span.column}
    spec = dataset.spec
    return {
        "name": dataset.name,
        "place": place,
        "needs": list(dataset.needs),
        "point": dataset.point or None,
        "spec": spec,
        "files": sum(len(each["files"]) for each in spec["samples"]) if spec else None,
        "labels": list(dict.fromkeys(each["label"] for each in spec["samples"])) if spec else None,
        "columns": columns_of(spec) if spec else None,
        "opened": _files(shown) if shown.opened else None,
    }
