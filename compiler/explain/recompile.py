"""The sources of a bundle, parsed and bound again with their places.

Nothing but the bundle is read, so that this holds after the files changed, and elsewhere.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from pathlib import Path

from ..archive import load_sources
from ..definitions import Definer
from ..diagnostics import Diagnostic, errors_of
from ..nodes import Mapping as MappingNode
from ..nodes import Node, Scalar, Sequence
from ..parse import Document, read_document
from ..phases import Phases
from ..settings import read_given
from ..sources import SELECT
from .jobs import BundleError
from .origins import Step


class Recompiled:
    """What a bundle was made from, parsed and bound again; raises :class:`BundleError`."""

    def __init__(self, folder: Path) -> None:
        try:
            request, files = load_sources(folder)
        except OSError as error:
            raise BundleError(
                f"{error.filename}: {error.strerror}: compile the workflow again"
            ) from error
        except ValueError as error:
            raise BundleError(str(error)) from error
        self._files = files
        self._listings: dict[Path, Document] = {}
        phases = Phases(request, files)
        root = phases.parse()
        if root is None:
            raise BundleError(_refused(folder, phases.findings()))
        broken = phases.validate()
        bindings = phases.bind(root)
        self.root = root
        self.sources = phases.sources
        self.workflow = phases.lower(root, bindings, broken)
        self.definer = Definer(phases.sources, self.workflow, phases.environment)
        self.given, _ = read_given(request.settings)
        found = errors_of(phases.findings())
        if found:
            raise BundleError(_refused(folder, found))

    def listed(self, item: Scalar, base: str) -> Iterator[Step]:
        """Where each of the names stands that ``FILE@@KEY`` selects; none for another text."""
        name, select, keys = item.text.partition(SELECT)
        if not select:
            return
        path = self.sources.find(item, name, base)
        if path not in self._listings:
            self._listings[path] = read_document(path, self.sources.display(path), self._files)[0]
        node: Node | None = self._listings[path].root
        for key in keys.split("."):
            node = node.get(key) if isinstance(node, MappingNode) else None
        shown = f"listed in {self.sources.display(path)} as {keys}"
        items = node.items if isinstance(node, Sequence) else itertools.repeat(None)
        for each in items:
            yield Step(f"listed as {keys}", each.span) if each else Step(shown)


def _refused(folder: Path, found: list[Diagnostic]) -> str:
    message = found[0].message if found else "they are empty"
    return f"{folder}: this hcrc does not compile the bundle's sources: {message}"
