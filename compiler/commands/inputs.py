"""What most commands take: workflow files with values for their parameters, and settings.

In come the options, out come Compilations; what is wrong with all files is printed at once.
"""

from __future__ import annotations

import argparse
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from ..files import is_bundle
from ..shipped import workflows_folder

if TYPE_CHECKING:
    from ..compile import Compilation, Request
    from ..diagnostics import Diagnostic
    from ..sites import Site


class Input(NamedTuple):
    """A workflow file, or the folder of a bundle, and the templates that apply to it."""

    path: Path
    templates: tuple[str, ...]


def add_inputs(
    parser: argparse.ArgumentParser, *, bundle: bool = False, shown: str | None = None
) -> None:
    """Declare the files and what gives values to their parameters.

    ``shown`` is what the command prints beside diagnostics, in the same formats.
    """
    what = "a workflow: a file, or the name of one that comes with hcrc"
    parser.add_argument(
        "file",
        metavar="FILE|BUNDLE" if bundle else "FILE",
        nargs="*",
        help=what + (", or the folder of a bundle" if bundle else ""),
    )
    parser.add_argument(
        "--template",
        metavar=("MAPPING", "FILE"),
        nargs="+",
        action="append",
        default=[],
        help='values of parameters, as YAML or a file of it, "{norm: 6, tag: test}", for the'
        " files named after it; for all files if none is",
    )
    parser.add_argument(
        "--param",
        metavar="KEY=VALUE",
        action="append",
        default=[],
        help="the value of one parameter; wins over --template",
    )
    add_reporting(parser, shown)
    parser.set_defaults(site=None)


def add_site(parser: argparse.ArgumentParser) -> None:
    """Declare where the jobs are to run."""
    parser.add_argument(
        "--site",
        metavar="SITE",
        help="where the jobs are to run, a name or a file: it says how they are started and"
        " submitted; resources beyond its limits are errors",
    )


def add_reporting(parser: argparse.ArgumentParser, shown: str | None = None) -> None:
    """Declare settings, and how diagnostics are shown."""
    parser.add_argument(
        "--setting",
        metavar=("NAME", "MAPPING"),
        nargs=2,
        action="append",
        default=[],
        help='a setting: torch.DataLoader "{batch_eval: 50000}"',
    )
    add_format(parser, shown)
    parser.set_defaults(usage_error=parser.error)


def add_format(parser: argparse.ArgumentParser, shown: str | None = None) -> None:
    """Declare how diagnostics are shown; what else is shown has no form for GitHub."""
    parser.add_argument(
        "--format",
        choices=("text", "json") if shown else ("text", "json", "github"),
        default="text",
        help=f"how {f'{shown}, ' if shown else ''}errors and warnings are printed",
    )
    parser.add_argument("--strict", action="store_true", help="warnings are errors")


def read_inputs(options: argparse.Namespace) -> list[Input]:
    """The files in the order in which they are typed; exits with 2 where there is none."""
    groups = [(group[0], group[1:]) for group in options.template]
    shared = tuple(mapping for mapping, files in groups if not files)
    found = [Input(Path(name), shared) for name in options.file]
    for mapping, files in groups:
        found += [Input(Path(name), (*shared, mapping)) for name in files]
    if not found:
        options.usage_error("name a workflow file")
    return found


def find_workflow(path: Path) -> Path:
    """The file that is meant: ``svb`` is the workflow that comes with hcrc, if no file is there.

    A folder of that name, such as one of results, hides it only where it is a bundle.
    """
    if len(path.parts) != 1 or path.suffix or (os.path.lexists(path) and not path.is_dir()):
        return path
    shipped = workflows_folder() / f"{path}.yml"
    return shipped if shipped.is_file() and not is_bundle(path) else path


def make_request(item: Input, options: argparse.Namespace) -> Request:
    """What the compiler is asked for one file."""
    from ..compile import Request

    return Request(
        path=find_workflow(item.path),
        templates=item.templates,
        parameters=tuple(options.param),
        settings=tuple((name, text) for name, text in options.setting),
        environment=dict(os.environ),
        current=Path.cwd(),
        strict=options.strict,
    )


def find_site(options: argparse.Namespace) -> tuple[Site | None, list[Diagnostic]]:
    """The site that jobs are for, if one is named, or what is wrong with it."""
    if options.site is None:
        return None, []
    from ..sites import read_site

    return read_site(options.site, Path.cwd())


def compile_inputs(
    inputs: list[Input], options: argparse.Namespace, *, alone: bool = False
) -> list[Compilation] | None:
    """Compile all files and print what is wrong with them; None if any has an error.

    What goes on after warnings has its own output, which they stay out of.
    """
    from ..compile import compile_workflow

    site, diagnostics = find_site(options)
    requests = [make_request(item, options)._replace(site=site) for item in inputs]
    found = [compile_workflow(request) for request in requests]
    stopped = bool(diagnostics) or any(item.plan is None for item in found)
    diagnostics += [each for item in found for each in item.diagnostics]
    if diagnostics or (alone and options.format != "text"):
        print_diagnostics(diagnostics, options.format, alone=alone or stopped)
    return None if stopped else found


def bundle_inputs(options: argparse.Namespace, output: Path) -> list[Path] | None:
    """The folders of the bundles: those that are named, and those of files compiled now."""
    inputs = read_inputs(options)
    workflows = [item for item in inputs if not is_bundle(item.path)]
    folders = [item.path for item in workflows if find_workflow(item.path).is_dir()]
    for folder in folders:
        text = "a folder without plan.json is no bundle, and a workflow is a file"
        print(f"hcrc: error: {folder}: {text}", file=sys.stderr)
    if folders:
        return None
    for item in inputs:
        if item not in workflows:
            refuse_values(item, options)
    compilations = compile_inputs(workflows, options)
    if compilations is None:
        return None
    written = iter([compilation.write(output) for compilation in compilations])
    return [item.path if is_bundle(item.path) else next(written) for item in inputs]


def takes_color() -> bool:
    """Whether messages go to a terminal that shows colours, and whose user wants them."""
    plain = os.environ.get("NO_COLOR") or os.environ.get("TERM") == "dumb"
    return sys.stderr is not None and sys.stderr.isatty() and not plain


def refuse_values(bundle: Input, options: argparse.Namespace) -> None:
    """Nothing that is typed is dropped: a usage error for what only a workflow can take."""
    given = {
        "--template": bundle.templates,
        "--param": options.param,
        "--setting": options.setting,
        "--site": options.site,
    }
    for option, value in given.items():
        if value:
            options.usage_error(f"{option} is for workflows: {bundle.path} is compiled already")


def print_diagnostics(diagnostics: list[Diagnostic], format: str, *, alone: bool) -> None:
    """Print diagnostics: text to stderr, other formats to stdout where they are all there is."""
    from ..diagnostics import render_github, render_json, render_text, summarize

    stream = sys.stdout if alone else sys.stderr
    if format == "json":
        print(render_json(diagnostics), end="", file=stream)
    elif format == "github":
        print(render_github(diagnostics), end="", file=stream)
    else:
        text = f"{render_text(diagnostics, takes_color())}\n{summarize(diagnostics)}\n"
        print(text, end="", file=sys.stderr)
