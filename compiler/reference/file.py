"""A workflow file in, a chapter out: what it declares, with its help texts."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

from ..flow import write_flow
from ..nodes import to_plain
from ..parse import Document
from .model import Chapter, Entry, Section

Json = Any


def file_chapter(documents: Iterable[Document]) -> Chapter:
    """What a workflow and the files that it includes declare; they have passed the schema."""
    first, *rest = documents
    files = [first, *rest]
    sections = (
        Section("Parameters", "", tuple(_parameters(files)), "parameter"),
        Section("Datasets", "", tuple(_definitions(files, "datasets")), "dataset"),
        Section("Classifiers", "", tuple(_definitions(files, "classifiers")), "classifier"),
        Section("Tasks of the workflow", "", tuple(_tasks(files)), "task"),
    )
    included = ", ".join(document.source.name for document in rest)
    return Chapter(
        first.source.name,
        f"It includes {included}." if included else "",
        tuple(section for section in sections if section.entries),
    )


def _items(documents: Iterable[Document], section: str) -> Iterator[tuple[str, Json]]:
    for document in documents:
        plain = to_plain(document.root) if document.root is not None else {}
        yield from plain.get(section, {}).items() if isinstance(plain, dict) else ()


def _parameters(documents: Iterable[Document]) -> Iterator[Entry]:
    for name, item in _items(documents, "parameters"):
        limits = [
            f"{key} {write_flow(item[key])}"
            for key in ("minimum", "maximum", "pattern", "choices")
            if key in item
        ]
        default = write_flow(item["default"]) if "default" in item else ""
        needed = "" if default else "needed"
        type = ", ".join([item["type"], *limits])
        yield Entry(name, type, item.get("help", ""), default, needed)


def _definitions(documents: Iterable[Document], section: str) -> Iterator[Entry]:
    """Datasets by their samples, classifiers by their classes."""
    for name, item in _items(documents, section):
        samples = item.get("samples", ())
        known = [str(sample.get("sample")) for sample in samples if isinstance(sample, dict)]
        holds = known or item.get("classes", ())
        words = ", ".join(map(str, holds)) if isinstance(holds, list) else str(holds)
        words = words or f"as {item['extends']}" * ("extends" in item)
        yield Entry(name, words, item.get("help", ""))


def _tasks(documents: Iterable[Document]) -> Iterator[Entry]:
    for name, item in _items(documents, "tasks"):
        yield Entry(name, f"{item['task']} task", item.get("help", ""))
