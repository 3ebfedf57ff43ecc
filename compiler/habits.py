"""Values that certainly have a meaning, and probably not the one that was meant, as warnings.

In come documents and the values of parameters, out come Diagnostics: numbers with a leading zero,
which YAML 1.1 and C read in base 8, and paths through a mount of /eos.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator
from typing import Final

from .diagnostics import Diagnostic, Span, show
from .nodes import Mapping, Node, Scalar, Sequence
from .parameters import Binding
from .parse import Document

MOUNT: Final = "/eos/"
# The folder of a mount, the server behind it, and whether the server's paths keep the folder.
SERVERS: Final = (
    ("/eos/user/", "eosuser.cern.ch", True),
    ("/eos/cms/", "eoscms.cern.ch", True),
    ("/eos/atlas/", "eosatlas.cern.ch", True),
    ("/eos/lhcb/", "eoslhcb.cern.ch", True),
    ("/eos/project/", "eosproject.cern.ch", True),
    ("/eos/experiment/", "eospublic.cern.ch", True),
    ("/eos/opendata/", "eospublic.cern.ch", True),
    ("/eos/uscms/", "cmseos.fnal.gov", False),
)
UNREAD: Final = frozenset({"help", "parameters"})


def find_habits(
    documents: Iterable[Document],
    bindings: Iterable[Binding],
    outputs: Iterable[Node | None],
    known: Collection[Span | None],
) -> list[Diagnostic]:
    """Return the warnings about all values, but for places that are ``known`` to be wrong.

    ``outputs`` are filled: of a path that a parameter begins, that one is told.
    """
    nodes = [node for document in documents for node in _values(document.root)]
    nodes += [node for binding in bindings for node in _bound(binding)]
    found = [item for node in nodes for item in _warn(node)]
    places = {item.span for item in found}
    filled = [node for node in outputs if isinstance(node, Scalar)]
    found += [
        item
        for node in filled
        if places.isdisjoint([node.span, *(span for _, span in node.notes)])
        for item in _warn(node)
    ]
    return [item for item in found if item.span not in known]


def root_url(path: str) -> str | None:
    """Return the address of a path of a mount at its own server; None for an unknown mount."""
    if path.startswith("/eos/home-"):
        owner, _, rest = path.removeprefix("/eos/home-").partition("/")
        path = f"/eos/user/{owner}/{rest}"
    for folder, server, keeps in SERVERS:
        if path.startswith(folder):
            return f"root://{server}/{path if keeps else '/' + path.removeprefix(folder)}"
    return None


def _values(node: Node | None) -> Iterator[Scalar]:
    """Find the scalars of a node that mean something; parameters are judged by what is bound."""
    match node:
        case Scalar():
            yield node
        case Sequence():
            for item in node.items:
                yield from _values(item)
        case Mapping():
            for key, entry in node.items():
                if key not in UNREAD:
                    yield from _values(entry.value)


def _bound(binding: Binding) -> Iterator[Scalar]:
    """Find the scalars of a parameter, whose type says what its text stands for."""
    node = binding.node
    if not isinstance(node, Scalar):
        yield from _values(node)
    elif isinstance(binding.value, int | str):
        yield node._replace(value=binding.value)


def _warn(node: Scalar) -> Iterator[Diagnostic]:
    if type(node.value) is int and _has_leading_zero(node.text):
        message = f"{node.text} is {node.value}: it is not read in base 8"
        help = f"write {node.value}; base 8 is written 0o17, and a text is quoted"
        yield Diagnostic("leading-zero", message, node.span, help, node.notes)
    if isinstance(node.value, str) and node.text.startswith(MOUNT):
        message = f"{show(node.text)} is on a mount, which machines of a batch system may lack"
        url = root_url(node.text)
        help = f"the address of its server: {url}" if url else "the address of its server is safer"
        yield Diagnostic("fuse-path", message, node.span, help, node.notes)


def _has_leading_zero(text: str) -> bool:
    digits = text.lstrip("+-")
    return len(digits) > 1 and digits.isdigit() and digits[0] == "0"
