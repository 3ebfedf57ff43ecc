"""Compile a workflow: the phases, one after the other, on one page.

    parse → validate → bind → lower → expand → check → emit → write

Each phase takes the product of the one before and adds Diagnostics. Phases go on past errors as
far as they can, so that a user sees all of them at once; a plan is made if none is an error.
"""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

from .archive import record_sources
from .diagnostics import Diagnostic, errors_of
from .files import Disk
from .phases import Phases, Request, check_encoding
from .plan import Plan
from .values import Json

TYPE_CHECKING = False
if TYPE_CHECKING:
    from .sites import Site

__all__ = ["Compilation", "Request", "compile_workflow"]


class Compilation(NamedTuple):
    """A plan, or the reasons why there is none; beside a plan, warnings.

    ``sources`` is what the plan was made from, ``site`` where its jobs are to run.
    """

    plan: Plan | None
    diagnostics: list[Diagnostic]
    sources: Json = None
    site: Site | None = None

    def write(self, output: Path) -> Path:
        """Emit the plan and write its bundle below ``output``; returns the bundle's folder."""
        from .backends import condor, shell
        from .bundle import write_bundle
        from .profile import Profile

        if self.plan is None:
            raise ValueError("there is no plan to write")
        profile = self.site.profile if self.site else Profile()
        emitted = {**shell.emit(profile), **condor.emit(self.plan, profile)}
        return write_bundle(output, self.plan, emitted, self.sources)


def compile_workflow(request: Request, disk: Disk | None = None) -> Compilation:
    """All phases but the writing; never raises for what a user can get wrong.

    ``disk`` holds the files, by default those of this machine.
    """
    undecoded = check_encoding(request)
    if undecoded:
        return Compilation(None, undecoded)
    disk = Disk() if disk is None else disk
    phases = Phases(request, disk)
    root = phases.parse()
    if root is None:
        return Compilation(None, phases.findings())
    broken = phases.validate()
    bindings = phases.bind(root)
    broken |= phases.unbound(root, bindings)
    workflow = phases.lower(root, bindings, broken)
    plan = phases.expand(root, workflow)
    phases.check(root, workflow, plan)
    findings = phases.findings()
    if errors_of(findings):
        return Compilation(None, findings)
    sources = record_sources(request, phases.environment, disk)
    return Compilation(plan, findings, sources, request.site)
