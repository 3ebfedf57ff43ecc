"""What the tasks of a workflow share while they expand."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

from .definitions import Definer
from .diagnostics import Diagnostic, errors_of
from .nodes import Mapping, Node
from .table import CellTable
from .workflow import Workflow

TYPE_CHECKING = False
if TYPE_CHECKING:
    from .sites import Site


class Given(NamedTuple):
    """What applies to every task: layers of settings, the current folder, and where jobs run."""

    workflow_settings: Node | None
    settings: list[Mapping]
    current: Path
    site: Site | None = None


class Scope:
    """The workflow, and what gathers on the way.

    ``cells`` holds those of every task that is expanded without errors, ``outputs`` what the
    tasks' ``output`` keys say.
    """

    def __init__(self, workflow: Workflow, definer: Definer, given: Given) -> None:
        self.workflow = workflow
        self.definer = definer
        self.given = given
        self.diagnostics: list[Diagnostic] = []
        self.used: set[str] = set()
        self.cells: dict[str, CellTable] = {}
        self.outputs: dict[str, Node | None] = {}

    def problems(self) -> int:
        """How many errors there are so far."""
        return len(errors_of([*self.diagnostics, *self.definer.diagnostics]))
