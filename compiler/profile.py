"""A Profile: how the jobs of a site are started and submitted, as its file says.

In comes the file's tree, which its schema has passed, out come plain values with the defaults.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, Final, NamedTuple

from .execution import memory_mb
from .nodes import Mapping as MappingNode
from .nodes import Node, Scalar, to_plain

Json = Any
NOTHING: Final[Mapping[str, Json]] = MappingProxyType({})
MAX_RUNTIME: Final = "max_runtime"
FLAVOUR: Final = "flavour"
# The seconds that a job of each flavour may take, the shortest first.
FLAVOURS: Final[Mapping[str, int]] = MappingProxyType(
    {
        "espresso": 1200,
        "microcentury": 3600,
        "longlunch": 7200,
        "workday": 28800,
        "tomorrow": 86400,
        "testmatch": 259200,
        "nextweek": 604800,
    }
)


class Container(NamedTuple):
    """The image that jobs run in; ``attribute`` names it for pools that have their own way."""

    kind: str
    image: str
    binds: tuple[str, ...] = ()
    gpus: bool = False
    working_directory: str | None = None
    attribute: str | None = None


class Growth(NamedTuple):
    """How much more memory is asked for after each failure for want of it, and how much at most."""

    factor: float
    cap_mb: int

    def requests(self, memory_mb: int) -> list[int]:
        """What is asked for at first, after one failure, after two, …: up to the cap."""
        found = [memory_mb]
        while found[-1] < self.cap_mb:
            found.append(min(self.cap_mb, max(found[-1] + 1, round(found[-1] * self.factor))))
        return found


class Profile(NamedTuple):
    """How jobs are started and submitted; by default as on any HTCondor pool."""

    name: str = "generic"
    batch: str = "htcondor"
    python: str = "python3"
    source: tuple[str, ...] = ()
    environment: Mapping[str, str] = NOTHING
    container: Container | None = None
    submit: Mapping[str, Json] = NOTHING
    throttle: int | None = None
    priority: int = 0
    retries: int = 2
    memory: Growth | None = None
    walltime: str | None = None
    gpus: Mapping[str, str] = NOTHING


def make_profile(root: MappingNode) -> Profile:
    """The profile of a site's file that nothing is wrong with."""
    value = to_plain(root)
    keys = ("name", "batch", "python", "throttle", "priority", "retries", "walltime")
    made: dict[str, Json] = {key: value[key] for key in keys if key in value}
    made["source"] = tuple(value.get("source", ()))
    made["environment"] = texts_of(root.get("environment"))
    made["submit"] = value.get("submit", NOTHING)
    if "container" in value:
        container = value["container"]
        made["container"] = Container(**{**container, "binds": tuple(container.get("binds", ()))})
    if "memory" in value:
        memory = value["memory"]
        made["memory"] = Growth(memory["growth"], memory_mb(memory["cap"]))
    made["gpus"] = {
        key: f"{memory_mb(item)}M" if key == "minimum_memory" else str(item)
        for key, item in value.get("gpus", NOTHING).items()
    }
    return Profile(**made)


def texts_of(node: Node | None) -> dict[str, str]:
    """The values of a mapping as they are written."""
    entries = node.items() if isinstance(node, MappingNode) else ()
    values = {key: entry.value for key, entry in entries}
    return {key: value.text for key, value in values.items() if isinstance(value, Scalar)}


def is_attribute(key: str) -> bool:
    """Whether a key of ``submit`` names an attribute of the job, and no command."""
    return key.startswith("+") or key[:3].upper() == "MY."


def shortest_flavour(seconds: float) -> str:
    """The flavour of jobs that take so long, or the longest there is."""
    fitting = [name for name, most in FLAVOURS.items() if seconds <= most]
    return fitting[0] if fitting else list(FLAVOURS)[-1]
