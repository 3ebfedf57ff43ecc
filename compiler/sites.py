"""Sites: where jobs run, what a job gets there at most, and how it is started and submitted.

In comes what ``--site`` names, a site that comes with hcrc or a file, out come its limits and its
profile; and Diagnostics for it, and for the resources of tasks that are beyond the limits.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Final, NamedTuple

from .check_site import check_site
from .diagnostics import Diagnostic, Note, Source, Span, nearest, show_path, sort_diagnostics
from .execution import amount, too_small
from .files import Disk
from .folders import expand_home
from .nodes import Mapping as MappingNode
from .nodes import Node, Scalar
from .parse import read_document
from .profile import FLAVOUR, FLAVOURS, Profile, make_profile
from .schema import validate
from .shipped import sites_folder
from .template import is_encodable
from .values import Json

OPTION: Final = "--site"
SCHEMA: Final = "site.schema.json"
SUFFIXES: Final = (".yml", ".yaml")


IN_MB: Final = ("memory", "disk")


class Site(NamedTuple):
    """A site by its name, with the most of each resource that a job gets there."""

    name: str
    help: str
    limits: Mapping[str, Scalar]
    profile: Profile

    def check(self, task: str, span: Span, resources: Json, node: Node | None) -> list[Diagnostic]:
        """What of some resources is beyond the limits; ``node`` holds those that are written."""
        found = []
        for key, limit in self.limits.items():
            asked = resources.get(key)
            if asked is None or amount(key, asked) <= amount(key, limit.value):
                continue
            written = node.get(key) if isinstance(node, MappingNode) else None
            most = f"a job at {self.name} gets at most {_write(key, limit.value)}"
            message = f'"{task}" asks for {key}: {_write(key, asked)}, and {most}'
            help = None if written else f"that is the default; write resources: {{{key}: …}}"
            notes: tuple[Note, ...] = (
                *(written.notes if written else ()),
                ("the limit is here", limit.span),
            )
            found.append(
                Diagnostic("beyond-site", message, written.span if written else span, help, notes)
            )
        return found


def site_names() -> list[str]:
    """The names of the sites that come with hcrc, sorted."""
    return sorted(path.stem for path in sites_folder().glob("*.yml"))


def read_site(text: str, current: Path) -> tuple[Site | None, list[Diagnostic]]:
    """The site of a name, or in a file; None after diagnostics.

    What a bundle is made from does not hold it, so that it is read from a disk of its own.
    """
    if not is_encodable(text):
        return None, [Diagnostic("not-utf8", f"{OPTION} is not UTF-8 text: {text!a}")]
    is_file = "/" in text or text.endswith(SUFFIXES)
    if not is_file and text not in site_names():
        span = Span(Source(OPTION, text), 1, 1, 1, len(text) + 1)
        near = nearest(text, site_names())
        help = f'did you mean "{near}"? ' if near else ""
        help += f"sites are {', '.join(site_names())}, and files such as ./site.yml"
        return None, [Diagnostic("unknown-site", f'there is no site "{text}"', span, help)]
    return _read(current / expand_home(text) if is_file else _shipped(text), current)


def shipped_sites() -> list[Site]:
    """The sites that come with hcrc."""
    found = [_read(_shipped(name), sites_folder())[0] for name in site_names()]
    return [site for site in found if site is not None]


def _shipped(name: str) -> Path:
    return sites_folder() / f"{name}.yml"


def _read(path: Path, current: Path) -> tuple[Site | None, list[Diagnostic]]:
    document, diagnostics = read_document(path, show_path(path, current), Disk())
    root = document.root
    if root is not None:
        diagnostics += validate(root, SCHEMA, bound=True)
    if isinstance(root, MappingNode):
        wrong = {item.span for item in diagnostics}
        diagnostics += too_small(root.get("limits"), wrong)
        diagnostics += [item for item in check_site(root) if item.span not in wrong]
    diagnostics = sort_diagnostics(diagnostics)
    if diagnostics or not isinstance(root, MappingNode):
        return None, diagnostics
    name, help = _text(root.get("name")), _text(root.get("help"))
    return Site(name, help, _limits(root), make_profile(root)), []


def _text(node: Node | None) -> str:
    return node.text if isinstance(node, Scalar) else ""


def _limits(root: MappingNode) -> dict[str, Scalar]:
    """The limits that are written; no flavour of job takes longer than the longest."""
    node, walltime = root.get("limits"), root.get("walltime")
    entries = node.items() if isinstance(node, MappingNode) else ()
    values = {key: entry.value for key, entry in entries}
    found = {key: value for key, value in values.items() if isinstance(value, Scalar)}
    if isinstance(walltime, Scalar) and walltime.text == FLAVOUR:
        longest = f"{max(FLAVOURS.values()) // 86400} d"
        found.setdefault("walltime", walltime._replace(value=longest, text=longest))
    return found


def _write(key: str, value: Json) -> str:
    return f"{value} MB" if key in IN_MB and isinstance(value, int) else str(value)
