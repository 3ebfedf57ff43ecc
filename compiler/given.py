"""What the command line gives for parameters, read as mappings: --param and --template."""

import re
from pathlib import Path
from typing import Final

from .diagnostics import Diagnostic, Source, Span, show, show_path
from .files import Files
from .nodes import Entry, Mapping, Scalar
from .parse import parse, read_document

PARAM: Final = "--param"
TEMPLATE: Final = "--template"


def parse_param(text: str) -> tuple[Mapping | None, list[Diagnostic]]:
    """Parse `key=value` of the command line into a mapping of one key; the value stays a text."""
    whole = Span(Source(PARAM, text), 1, 1, 1, len(text) + 1)
    name, equals, value = text.partition("=")
    if not equals or not name.strip():
        help = "write --param key=value"
        return None, [Diagnostic("bad-argument", f"{show(text)} is not key=value", whole, help)]
    key = Scalar(name, name, False, whole._replace(end_column=len(name) + 1))
    entry = Entry(key, Scalar(value, value, True, whole._replace(column=len(name) + 2)))
    return Mapping({}, whole).replace({name: entry}), []


def parse_template(text: str, cwd: Path, files: Files) -> tuple[Mapping | None, list[Diagnostic]]:
    """Parse what `--template` takes: the text of a mapping, or the path of a file with one."""
    help = "write {key: value}, or the path of a YAML file with such a mapping"
    if not text.strip():
        return None, [Diagnostic("bad-argument", "the text of --template is empty", None, help)]
    if re.match(r"\s*\{", text) or re.search(r":\s", text):
        document, diagnostics = parse(text, TEMPLATE)
    else:
        path = cwd / text
        document, diagnostics = read_document(path, show_path(path, cwd), files)
        if diagnostics and diagnostics[0].code == "missing-file":
            diagnostics = [diagnostics[0]._replace(help=help)]
    root = document.root
    if root is None or isinstance(root, Mapping):
        return root, diagnostics
    return None, [Diagnostic("wrong-type", "a template is a mapping", root.span, help)]
