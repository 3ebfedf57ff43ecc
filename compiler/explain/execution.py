"""How a job runs, field by field: which key of the task, or which setting, says it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from types import MappingProxyType
from typing import Final, NamedTuple

from ..defaults import task_schema
from ..nodes import Entry, Node
from ..nodes import Mapping as MappingNode
from ..values import Json
from .origins import Leaf, Origin, Walk, replaced


class Said(NamedTuple):
    """The key of a task that says a field, and the setting that does where the key is absent."""

    key: tuple[str, ...] = ()
    setting: tuple[str, ...] = ()


FIELDS: Final[Mapping[str, Said]] = MappingProxyType(
    {
        "cpus": Said(("resources", "cpus")),
        "memory_mb": Said(("resources", "memory")),
        "gpus": Said(("resources", "gpus")),
        "disk_mb": Said(("resources", "disk")),
        "walltime_s": Said(("resources", "walltime")),
        "device": Said(("device",)),
        "environment": Said(("environment", "variables")),
        "max_loaders": Said(("max_loaders",), ("torch.DataLoader", "num_workers")),
        "max_writers": Said(("max_writers",)),
        "max_trainers": Said(("max_trainers",)),
        "max_evaluators": Said(("max_evaluators",), ("torch.DataLoader", "num_workers")),
        "workers": Said(("workers",), ("Analysis", "max_workers")),
        "clean": Said(("clean",)),
        "batch_eval": Said((), ("torch.DataLoader", "batch_eval")),
        "batch_skim": Said(("step",), ("torch.DataLoader", "batch_skim")),
        "monitor": Said((), ("Monitor",)),
        "usage_interval_s": Said((), ("monitor.Usage", "interval")),
        "log_level": Said((), ("monitor.Log", "level")),
        "forward_exception": Said((), ("monitor.Log", "forward_exception")),
        "timestamp": Said((), ("IO", "timestamp")),
    }
)


def execution_leaves(
    walk: Walk, kind: str, task: Node, settings: Node | None, execution: Json
) -> Iterator[Leaf]:
    """The leaves of an execution; ``task`` and ``settings`` have their templates filled."""
    for name, value in execution.items():
        said = FIELDS.get(name, Said())
        node = find(task, said.key) if said.key else None
        other = find(settings, said.setting) if said.setting else None
        path = f"execution.{name}"
        entry = node or other
        if entry is not None:
            yield Leaf(path, value, walk.written(entry.value, tuple(replaced(entry))))
        elif said.setting and not (said.key and said.key[0] in task_schema(kind)["properties"]):
            yield Leaf(path, value, walk.default(f"settings.{'.'.join(said.setting)}"))
        elif said.key:
            yield Leaf(path, value, walk.default(".".join((kind, *said.key))))
        else:
            yield Leaf(path, value, Origin(None, "chosen by the compiler"))


def find(node: Node | None, path: tuple[str, ...]) -> Entry | None:
    """The entry below a mapping that a path of keys leads to."""
    entry = None
    for key in path:
        entry = node.entries.get(key) if isinstance(node, MappingNode) else None
        node = entry.value if entry else None
    return entry
