"""The files that a workflow is made of: the only place where compiling reads the disk.

In come paths, out come Documents and lists of file names; what cannot be read is a Diagnostic
at the place that asked for it.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from importlib import resources
from pathlib import Path
from typing import Any, Final

import yaml

from .diagnostics import Diagnostic, Span, show_path, suggest
from .nodes import Mapping, Node, Scalar, Sequence
from .parse import Document, read_document

SELECT: Final = "@@"


class Sources:
    """Documents by path, each read once; ``diagnostics`` says what was wrong with them."""

    def __init__(self, current: Path) -> None:
        self.current = current
        self.documents: list[Document] = []
        self.diagnostics: list[Diagnostic] = []
        self._folders: dict[str, Path] = {}
        self._tables: dict[Path, Any] = {}

    def read(self, path: Path) -> Document | None:
        """The document in a file, and after it those that it includes."""
        path = Path(os.path.normpath(self.current / path))
        name = self.display(path)
        if name in self._folders:
            return None
        self._folders[name] = path.parent
        document, diagnostics = read_document(path, name)
        self.diagnostics += diagnostics
        if document is None:
            return None
        self.documents.append(document)
        for include in _includes(document):
            self._include(include, path.parent)
        return document

    def display(self, path: Path) -> str:
        """A path as messages show it."""
        return show_path(path, self.current)

    def folder(self, span: Span) -> Path:
        """The folder of the file that a span lies in; of the command line, the current one."""
        return self._folders.get(span.file, self.current)

    def _include(self, node: Scalar, folder: Path) -> None:
        name = Path(node.text).expanduser()
        packaged = Path(str(resources.files("hcrc.workflows"))) / name
        for path in (folder / name, packaged):
            if path.is_file():
                self.read(path)
                return
        self._error("unreadable-file", f'there is no file "{name}" to include', node.span)

    def select(self, node: Scalar, text: str, base: Path) -> list[str]:
        """The list of names that ``FILE@@KEY`` stands for; FILE is relative to ``base``."""
        name, _, keys = text.partition(SELECT)
        path = base / Path(name).expanduser()
        value = self._table(node, path)
        for key in keys.split(".") if value is not None else []:
            value = self._step(node, path, value, key)
        if isinstance(value, list) and all(isinstance(item, str) for item in value):
            return value
        if value is not None:
            self._error("wrong-type", f'"{text}" is not a list of file names', node.span)
        return []

    def _step(self, node: Scalar, path: Path, value: Any, key: str) -> Any:
        if isinstance(value, dict) and key in value:
            return value[key]
        if value is not None:
            allowed = list(map(str, value)) if isinstance(value, dict) else []
            message = f'{self.display(path)} has no key "{key}" there'
            self._error("unknown-key", message, node.span, suggest(key, allowed))
        return None

    def _table(self, node: Scalar, path: Path) -> Any:
        if path not in self._tables:
            self._tables[path] = self._load(node, path)
        return self._tables[path]

    def _load(self, node: Scalar, path: Path) -> Any:
        try:
            text = path.read_text("utf-8")
            return json.loads(text) if path.suffix == ".json" else _load_yaml(text)
        except OSError as error:
            message = f"{self.display(path)}: {error.strerror}"
        except (ValueError, yaml.YAMLError) as error:
            message = f"{self.display(path)}: {str(error).splitlines()[0]}"
        self._error("unreadable-file", message, node.span)
        return None

    def _error(self, code: str, message: str, span: Span, help: str | None = None) -> None:
        self.diagnostics.append(Diagnostic(code, message, span, help))


def _load_yaml(text: str) -> Any:
    loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
    return yaml.load(text, loader)  # noqa: S506 - a safe loader


def _includes(document: Document) -> Iterator[Scalar]:
    root = document.root
    node: Node | None = root.get("include") if isinstance(root, Mapping) else None
    if isinstance(node, Sequence):
        yield from (item for item in node.items if isinstance(item, Scalar))
