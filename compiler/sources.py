"""The files that a workflow is made of: the only place where compiling reads the disk.

In come paths, out come Documents and lists of file names; what cannot be read is a Diagnostic
at the place that asked for it.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import yaml

from .codes import UNREAD
from .diagnostics import Diagnostic, Span, show_path, suggest
from .files import Files
from .folders import expand_home, is_url
from .nearby import help_for_include, help_for_workflow
from .nodes import Mapping, Node, Scalar, Sequence
from .parse import Document, parse, read_document
from .shipped import workflows_folder

SELECT: Final = "@@"
EVERY: Final = "*"
NOT_THERE: Final = ("missing-file", "unreadable-file")


class Sources:
    """Documents by path, each read once; ``diagnostics`` says what was wrong with them.

    ``is_incomplete`` says that a document could not be read: what it declares is not known.
    """

    def __init__(self, current: Path, files: Files) -> None:
        self.current = current
        self.files = files
        self.documents: list[Document] = []
        self.is_incomplete = False
        self.diagnostics: list[Diagnostic] = []
        self._folders: dict[str, Path] = {}
        self._tables: dict[Path, dict[Any, Any] | None] = {}
        self._found: dict[tuple[Path, str, str], Path] = {}
        self._including: list[str] = []

    def read(self, path: Path) -> Document | None:
        """The document in a file, and after it those that it includes."""
        path = Path(os.path.normpath(self.current / path))
        name = self.display(path)
        if name in self._folders:
            return None
        self._folders[name] = path.parent
        document, diagnostics = read_document(path, name, self.files)
        if diagnostics and diagnostics[0].code in NOT_THERE and not self._including:
            help = help_for_workflow(path, name, self.files)
            diagnostics = [diagnostics[0]._replace(help=help)]
        self.diagnostics += diagnostics
        self.is_incomplete |= any(item.code in UNREAD for item in diagnostics)
        self.documents.append(document)
        if document.root is None:
            return None
        self._including.append(name)
        for include in _includes(document):
            self._include(include, path.parent)
        self._including.pop()
        return document

    def display(self, path: Path) -> str:
        """A path as messages show it."""
        return show_path(path, self.current)

    def folder(self, span: Span) -> Path:
        """The folder of the file that a span lies in; of the command line, the current one."""
        return self._folders.get(span.file, self.current)

    def _include(self, node: Scalar, folder: Path) -> None:
        for base in (folder, workflows_folder()):
            path = Path(os.path.normpath(base / expand_home(node.text)))
            if self.files.is_file(path):
                self._check_circle(node, self.display(path))
                self.read(path)
                return
        self.is_incomplete = True
        message = f'there is no file "{node.text}" to include'
        help = help_for_include(node.text, (folder, workflows_folder()), self.files)
        found = Diagnostic("missing-file", message, node.span, help, node.notes)
        self.diagnostics.append(found)

    def _check_circle(self, node: Scalar, name: str) -> None:
        if name in self._including:
            circle = [*self._including[self._including.index(name) :], name]
            message = f"files include each other in a circle: {' → '.join(circle)}"
            self.diagnostics.append(Diagnostic("include-cycle", message, node.span))

    def find(self, node: Scalar, name: str, base: str) -> Path:
        """A file that is read when compiling: below ``base``, else beside the file of the node."""
        asked = self.folder(node.span), name, base
        if asked not in self._found:
            beside = Path(os.path.normpath(asked[0] / expand_home(name)))
            below = Path(os.path.normpath(Path(base) / expand_home(name)))
            elsewhere = is_url(base) or not self.files.is_file(below)
            self._found[asked] = beside if elsewhere else below
        return self._found[asked]

    def select(self, node: Scalar, text: str, base: str) -> list[str]:
        """The names that ``FILE@@KEY`` stands for; in ``a.*.b`` the star is every key there."""
        name, _, keys = text.partition(SELECT)
        path = self.find(node, name, base)
        table = self._table(node, path)
        if table is None:
            return []
        found: list[str] = []
        for step, value in _descend(table, keys.split(".")):
            if step is not None:
                what = "nothing" if step == EVERY else f'no key "{step}"'
                message = f"{self.display(path)} has {what} there"
                help = suggest(step, value) if value else None
                self._report("unknown-list", message, node, help)
                return []
            if not isinstance(value, list) or not all(isinstance(item, str) for item in value):
                self._report("not-a-file-list", f'"{text}" is not a list of file names', node)
                return []
            found += value
        if not found or not all(found):
            self._report("empty-value", f'"{text}" names no file', node)
        return found

    def _report(self, code: str, message: str, node: Scalar, help: str | None = None) -> None:
        self.diagnostics.append(Diagnostic(code, message, node.span, help, node.notes))

    def _table(self, node: Scalar, path: Path) -> dict[Any, Any] | None:
        """The mapping in a file, read once; None, after one diagnostic, if there is none."""
        if path not in self._tables:
            self._tables[path] = self._load(node, path)
        return self._tables[path]

    def _load(self, node: Scalar, path: Path) -> dict[Any, Any] | None:
        name, code = self.display(path), "bad-list-file"
        try:
            text = self.files.read(path).decode("utf-8")
            value = json.loads(text) if path.suffix == ".json" else _load_yaml(text)
            if isinstance(value, dict):
                return value
            message = f"{name}: it is not a mapping"
        except FileNotFoundError as error:
            code, message = "missing-file", f"{name}: {error.strerror}"
        except OSError as error:
            code, message = "unreadable-file", f"{name}: {error.strerror}"
        except yaml.MarkedYAMLError as error:
            mark = error.problem_mark
            place = f":{mark.line + 1}:{mark.column + 1}" if mark else ""
            message = f"{name}{place}: {error.problem}"
        except RecursionError:
            message = f"{name}: it is nested too deep"
        except (ValueError, yaml.YAMLError) as error:
            message = f"{name}: {str(error).splitlines()[0]}"
        self.diagnostics.append(Diagnostic(code, message, node.span, notes=node.notes))
        return None


def _descend(value: Any, keys: list[str]) -> Iterator[tuple[str | None, Any]]:
    """What the keys lead to, each beside None; or the first key that is not in a mapping."""
    if not keys:
        yield None, value
        return
    step, *rest = keys
    if not isinstance(value, dict) or step not in value:
        value = _named(value)
    if step == EVERY and value:
        for each in value.values():
            yield from _descend(each, rest)
    elif step in value:
        yield from _descend(value[step], rest)
    else:
        yield step, value


def _named(value: Any) -> dict[str, Any]:
    """A mapping by the texts of its keys; anything else has none."""
    return {str(key): item for key, item in value.items()} if isinstance(value, dict) else {}


def _load_yaml(text: str) -> Any:
    """The value of a text of YAML 1.1, as other programs write it; raises ValueError for a bomb.

    A merge key copies what its aliases stand for, and aliases of aliases multiply.
    """
    if "<<" in text:
        for problem in parse(text, "")[1]:
            if problem.code in ("alias-bomb", "alias-cycle", "too-deep"):
                raise ValueError(problem.message)
    loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
    return yaml.load(text, loader)  # noqa: S506 - a safe loader


def _includes(document: Document) -> Iterator[Scalar]:
    root = document.root
    node: Node | None = root.get("include") if isinstance(root, Mapping) else None
    if isinstance(node, Sequence):
        for item in node.items:
            if isinstance(item, Scalar) and isinstance(item.value, str) and item.text.isprintable():
                yield from [item] * bool(item.text)
